"""Evidence that came when its order was somebody else's already is told from the other.

Revision: 0080, after 0079
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0080"
down_revision: str | None = "0079"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change; a default that is the same for all rows rewrites none."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "evidence",
        sa.Column("late", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("evidence", "late")
