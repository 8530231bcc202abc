"""Callbacks that could not show who sent them are counted by the minute.

Revision: 0071, after 0070
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0071"
down_revision: str | None = "0070"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "callback_turned_away",
        sa.Column("minute", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("minute"),
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("callback_turned_away")
