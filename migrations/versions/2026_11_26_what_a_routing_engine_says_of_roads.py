"""What a routing engine says of the ways between grids.

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "travel_road",
        sa.Column("from_grid_id", sa.Uuid(), nullable=False),
        sa.Column("to_grid_id", sa.Uuid(), nullable=False),
        sa.Column("pace", sa.REAL(), nullable=True),
        sa.Column("asked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("from_grid_id", "to_grid_id", name=op.f("pk_travel_road")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("travel_road")
