"""When a phone last said what its visit has done so far.

Revision: 0023, after 0022
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("visit", sa.Column("progress_at", sa.TIMESTAMP(timezone=True), nullable=True))


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("visit", "progress_at")
