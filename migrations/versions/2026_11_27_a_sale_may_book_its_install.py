"""The slot that was booked for the install of a sale.

Revision: 0079, after 0078
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0079"
down_revision: str | None = "0078"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("sale", sa.Column("appointment_hold_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_sale_appointment_hold_id"),
        "sale",
        "appointment_hold",
        ["appointment_hold_id"],
        ["id"],
    )
    op.create_index(
        "ix_sale_appointment",
        "sale",
        ["appointment_hold_id"],
        postgresql_where=sa.text("appointment_hold_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_column("sale", "appointment_hold_id")
