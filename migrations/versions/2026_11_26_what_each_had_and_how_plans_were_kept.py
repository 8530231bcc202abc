"""What each technician had on a day, and how well plans were kept.

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | None = None
depends_on: str | None = None

_COUNTED = (
    "present_seconds",
    "work_seconds",
    "travel_seconds",
    "metres",
    "visits",
    "opportunities",
)


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "workload_day",
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)
            for name in _COUNTED
        ),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_workload_day_technician_id")
        ),
        sa.PrimaryKeyConstraint("technician_id", "day", name=op.f("pk_workload_day")),
    )
    op.create_table(
        "plan_error",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_plan_error_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_error")),
    )
    op.create_index("ix_plan_error_day", "plan_error", ["day"], unique=False)
    op.create_index("ix_plan_error_unit", "plan_error", ["org_unit_id", "day"], unique=False)


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_plan_error_unit", table_name="plan_error")
    op.drop_index("ix_plan_error_day", table_name="plan_error")
    op.drop_table("plan_error")
    op.drop_table("workload_day")
