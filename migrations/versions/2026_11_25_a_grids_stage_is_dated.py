"""A grid's stage is dated: what the grid says today becomes the first row of its contracts.

The column `grid.stage` stays for the code that still reads it; the next revision drops it. Since
when a stage was in force nobody wrote down, so it counts from the day of this change on.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

MOVE = """
    INSERT INTO grid_contract (id, grid_id, stage, valid_from, note)
    SELECT gen_random_uuid(), g.id, g.stage, (now() AT TIME ZONE u.time_zone)::date,
        'taken over from the grid'
    FROM grid g JOIN org_unit u ON u.id = g.org_unit_id
    WHERE g.stage <> 'none'
        AND NOT EXISTS (SELECT FROM grid_contract c WHERE c.grid_id = g.id)
"""


def upgrade() -> None:
    """Apply the change."""
    op.drop_column("grid_contract", "holder")
    op.add_column("grid_contract", sa.Column("technician_id", sa.Uuid(), nullable=True))
    op.add_column("grid_contract", sa.Column("contractor", sa.Text(), nullable=True))
    op.add_column("grid_contract", sa.Column("end_reason", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_grid_contract_technician_id"),
        "grid_contract",
        "technician",
        ["technician_id"],
        ["id"],
    )
    op.create_check_constraint(
        op.f("ck_grid_contract_one_holder_of_a_contract"),
        "grid_contract",
        "num_nonnulls(technician_id, contractor) <= (stage = 'contracted')::int",
    )
    op.execute(MOVE)


def downgrade() -> None:
    """Take the change back."""
    op.drop_constraint(op.f("ck_grid_contract_one_holder_of_a_contract"), "grid_contract")
    op.drop_constraint(op.f("fk_grid_contract_technician_id"), "grid_contract", type_="foreignkey")
    op.drop_column("grid_contract", "end_reason")
    op.drop_column("grid_contract", "contractor")
    op.drop_column("grid_contract", "technician_id")
    op.add_column("grid_contract", sa.Column("holder", sa.Text(), nullable=True))
