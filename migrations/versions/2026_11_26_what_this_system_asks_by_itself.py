"""A change of an order may be asked for by this system itself, and then by no account.

Revision: 0063, after 0062
"""

from alembic import op

revision: str = "0063"
down_revision: str | None = "0062"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.alter_column("order_change", "asked_by", nullable=True)


def downgrade() -> None:
    """Undo it, which fails while there are changes that nobody has asked for."""
    op.alter_column("order_change", "asked_by", nullable=False)
