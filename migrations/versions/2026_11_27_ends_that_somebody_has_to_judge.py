"""Orders that ended in part or in two ways are found with what failed, and those that stand still.

Revision: 0077, after 0076
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0077"
down_revision: str | None = "0076"
branch_labels: str | None = None
depends_on: str | None = None

TROUBLE = "last_cause IS NOT NULL AND state IN ('waiting', 'sending', 'parked', 'finished')"
TROUBLE_BEFORE = "last_cause IS NOT NULL AND state IN ('waiting', 'sending', 'parked')"


def _trouble(where: str) -> None:
    op.drop_index("ix_order_sync_trouble", table_name="order_sync")
    op.create_index(
        "ix_order_sync_trouble",
        "order_sync",
        ["org_unit_id", "created_at", "id"],
        postgresql_where=sa.text(where),
    )


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    # Until now an end left behind what a question before it had failed for.
    op.execute(
        """
        UPDATE order_sync
           SET last_cause = CASE WHEN last_error LIKE 'ended twice:%' THEN 'ended_twice'
                                 WHEN remote_state = 'partial' THEN 'part_missing' END,
               last_error = CASE WHEN last_error LIKE 'ended twice:%' THEN last_error
                                 WHEN remote_state = 'partial' THEN 'partial' END
         WHERE state = 'finished' AND (last_error IS NOT NULL OR remote_state = 'partial')
        """
    )
    _trouble(TROUBLE)
    op.create_index(
        "ix_order_sync_stuck",
        "order_sync",
        ["org_unit_id", "created_at", "id"],
        postgresql_where=sa.text("state = 'delivered' AND remote_state IN ('held', 'pending')"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_order_sync_stuck", table_name="order_sync")
    _trouble(TROUBLE_BEFORE)
