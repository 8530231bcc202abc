"""How far the customers' addresses have followed each change of the map.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "grid_relocation",
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("addresses", sa.BigInteger(), nullable=False),
        sa.Column("queued_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("done_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["change_id"], ["grid_change.id"], name=op.f("fk_grid_relocation_change_id")
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_grid_relocation")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("grid_relocation")
