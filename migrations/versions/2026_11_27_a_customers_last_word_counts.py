"""When a customer was last heard on each of their switches is kept, also when that moved nothing.

Revision: 0092, after 0091
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0092"
down_revision: str | None = "0091"
branch_labels: str | None = None
depends_on: str | None = None

SWITCHES = ("do_not_disturb", "personal_offers")


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for switch in SWITCHES:
        said_at = sa.Column(f"{switch}_said_at", sa.TIMESTAMP(timezone=True), nullable=True)
        op.add_column("customer", said_at)
        op.execute(
            f"UPDATE customer SET {switch}_said_at = {switch}_since"
            f" WHERE {switch}_since IS NOT NULL"
        )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for switch in SWITCHES:
        op.drop_column("customer", f"{switch}_said_at")
