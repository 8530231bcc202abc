"""Since when orders have stood still in the ordering system is kept with their deliveries.

Revision: 0088, after 0087
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0088"
down_revision: str | None = "0087"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("order_sync", sa.Column("stands_since", sa.TIMESTAMP(timezone=True)))
    # Of those that stand still now nobody knows since when, but by the other side's word; one of
    # which even that is missing is rather shown too early than never.
    op.execute(
        """
        UPDATE order_sync
           SET stands_since = least(coalesce(remote_state_at, created_at), now())
         WHERE remote_state IN ('held', 'pending')
           AND state IN ('delivered', 'parked', 'given_up')
        """
    )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("order_sync", "stands_since")
