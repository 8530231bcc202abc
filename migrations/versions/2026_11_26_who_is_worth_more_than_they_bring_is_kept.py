"""A care rule can be for customers who are worth more than they bring.

Revision: 0074, after 0073
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0074"
down_revision: str | None = "0073"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "care_rule",
        sa.Column("hidden", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_column("care_rule", "hidden")
