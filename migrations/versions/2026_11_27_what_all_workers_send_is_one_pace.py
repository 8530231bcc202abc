"""The turns of sending to the ordering system stand in one place for all workers.

Revision: 0101, after 0100
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0101"
down_revision: str | None = "0100"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "ordering_pace",
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("taken_until", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("base_url", name=op.f("pk_ordering_pace")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("ordering_pace")
