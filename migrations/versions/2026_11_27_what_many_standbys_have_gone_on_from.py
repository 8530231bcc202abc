"""A phone goes on from where it was however many standbys have taken over since.

Revision: 0106, after 0105
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0106"
down_revision: str | None = "0105"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    # What came before the last epoch was not kept, so there is nothing to fill in.
    op.add_column(
        "sync_epoch",
        sa.Column(
            "earlier",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET lock_timeout = '3s'")
    op.drop_column("sync_epoch", "earlier")
