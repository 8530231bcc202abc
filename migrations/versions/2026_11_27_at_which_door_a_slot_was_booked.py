"""The visit at whose door a slot was booked.

Revision: 0094, after 0093
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0094"
down_revision: str | None = "0093"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("appointment_hold", sa.Column("visit_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_appointment_hold_visit_id"), "appointment_hold", "visit", ["visit_id"], ["id"]
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_column("appointment_hold", "visit_id")
