"""Offers are left to the channel that customers of some tiers prefer.

Revision: 0090, after 0089
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0090"
down_revision: str | None = "0089"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("suggestion", sa.Column("left_to", sa.String(length=40), nullable=True))
    op.add_column(
        "suggestion_lever",
        sa.Column(
            "preferred_tiers", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
    )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("suggestion_lever", "preferred_tiers")
    op.drop_column("suggestion", "left_to")
