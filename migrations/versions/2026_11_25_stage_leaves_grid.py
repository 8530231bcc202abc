"""The column `stage` leaves the grid: its contracts say it, dated.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.drop_column("grid", "stage")


def downgrade() -> None:
    """Take the change back: the stage in force on the day of each grid's org unit."""
    stage = sa.Enum(
        "none", "pilot", "covered", "contracted", name="gridstage", native_enum=False, length=40
    )
    op.add_column("grid", sa.Column("stage", stage, server_default="none", nullable=False))
    op.execute(
        """
        UPDATE grid SET stage = c.stage
        FROM grid_contract c, org_unit u
        WHERE c.grid_id = grid.id AND u.id = grid.org_unit_id
            AND daterange(c.valid_from, c.valid_to) @> (now() AT TIME ZONE u.time_zone)::date
        """
    )
