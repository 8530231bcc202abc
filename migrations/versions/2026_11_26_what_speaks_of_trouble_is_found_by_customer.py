"""What speaks of a customer's trouble is found by the customer.

Revision: 0046, after 0045
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0046"
down_revision: str | None = "0045"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_index(
        "ix_interaction_trouble",
        "interaction",
        ["customer_id", "at", "kind"],
        postgresql_where=sa.text("kind IN ('complaint', 'fault', 'cancellation')"),
    )
    op.create_index(
        "ix_work_order_trouble",
        "work_order",
        ["customer_id", "received_at"],
        postgresql_where=sa.text("work_type = 'remove' OR repeat_of_id IS NOT NULL"),
    )
    # Why somebody left is kept with their leaving, of which there may be several.
    op.drop_column("customer", "leaving_reason")


def downgrade() -> None:
    """Take the change back."""
    op.add_column("customer", sa.Column("leaving_reason", sa.Text(), nullable=True))
    op.drop_index("ix_work_order_trouble", table_name="work_order")
    op.drop_index("ix_interaction_trouble", table_name="interaction")
