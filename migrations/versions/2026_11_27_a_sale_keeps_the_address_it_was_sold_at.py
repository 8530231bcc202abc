"""A sale keeps the address at which it was sold; those confirmed before this keep none.

Revision: 0085, after 0084
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0085"
down_revision: str | None = "0084"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("sale", sa.Column("place_code", sa.Text(), nullable=True))
    op.add_column("sale", sa.Column("place_address", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("sale", "place_address")
    op.drop_column("sale", "place_code")
