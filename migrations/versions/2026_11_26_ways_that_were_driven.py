"""Ways that were driven, and the medians learned from them.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "travel_median",
        sa.Column("from_grid_id", sa.Uuid(), nullable=False),
        sa.Column("to_grid_id", sa.Uuid(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("trips", sa.BigInteger(), nullable=False),
        sa.Column("learned_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("hour BETWEEN -1 AND 23", name=op.f("ck_travel_median_hour")),
        sa.PrimaryKeyConstraint(
            "from_grid_id", "to_grid_id", "hour", name=op.f("pk_travel_median")
        ),
    )
    op.create_table(
        "trip",
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("set_out_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("from_grid_id", sa.Uuid(), nullable=True),
        sa.Column("to_grid_id", sa.Uuid(), nullable=True),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("distance_m", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("hour BETWEEN 0 AND 23", name=op.f("ck_trip_hour")),
        sa.CheckConstraint("seconds >= 0", name=op.f("ck_trip_not_negative")),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"], name=op.f("fk_trip_org_unit_id")),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_trip_technician_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_trip_work_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trip")),
    )
    op.create_index("ix_trip_day", "trip", ["day"], unique=False)
    op.create_index("uq_trip_order", "trip", ["work_order_id", "set_out_at"], unique=True)


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("uq_trip_order", table_name="trip")
    op.drop_index("ix_trip_day", table_name="trip")
    op.drop_table("trip")
    op.drop_table("travel_median")
