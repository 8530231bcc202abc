"""A customer may ask for offers that are not made for them.

Revision: 0037, after 0036
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0037"
down_revision: str | None = "0036"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column(
        "customer",
        sa.Column("personal_offers", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.add_column(
        "customer",
        sa.Column("personal_offers_since", sa.TIMESTAMP(timezone=True), nullable=True),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("customer", "personal_offers_since")
    op.drop_column("customer", "personal_offers")
