"""Which slot an amendment of an order tells, where its appointment was moved.

Revision: 0084, after 0083
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0084"
down_revision: str | None = "0083"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("order_change", sa.Column("appointment_hold_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_order_change_appointment_hold_id"),
        "order_change",
        "appointment_hold",
        ["appointment_hold_id"],
        ["id"],
    )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("order_change", "appointment_hold_id")
