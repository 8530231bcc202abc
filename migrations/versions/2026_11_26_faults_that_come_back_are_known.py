"""Faults that come back are known, and how often nobody was at home.

Revision: 0024, after 0023
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    for column in ("repeats", "absences"):
        op.add_column(
            "work_order",
            sa.Column(column, sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        )
    op.create_index(
        "ix_work_order_service",
        "work_order",
        ["service_number", "completed_at"],
        postgresql_where=sa.text("service_number IS NOT NULL AND completed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_work_order_repeat",
        "work_order",
        ["repeat_of_id"],
        postgresql_where=sa.text("repeat_of_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_work_order_repeat", "work_order")
    op.drop_index("ix_work_order_service", "work_order")
    op.drop_column("work_order", "absences")
    op.drop_column("work_order", "repeats")
