"""Deliveries that are due are found by their state: those to be sent never wait behind those that
are asked for.

Revision: 0065, after 0064
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0065"
down_revision: str | None = "0064"
branch_labels: str | None = None
depends_on: str | None = None

STILL_OPEN = sa.text("state IN ('waiting', 'sending', 'delivered')")


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_order_sync_due", table_name="order_sync")
    op.create_index(
        "ix_order_sync_due", "order_sync", ["state", "next_try_at"], postgresql_where=STILL_OPEN
    )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_order_sync_due", table_name="order_sync")
    op.create_index("ix_order_sync_due", "order_sync", ["next_try_at"], postgresql_where=STILL_OPEN)
