"""Ways that were driven, what is learned from them every night, and which nights are done.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "night",
        sa.Column("work", sa.Text(), nullable=False),
        sa.Column("until", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("done_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "facts",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("work", "until", name=op.f("pk_night")),
    )
    op.create_table(
        "travel_median",
        sa.Column("from_grid_id", sa.Uuid(), nullable=False),
        sa.Column("to_grid_id", sa.Uuid(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("pace", sa.REAL(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("trips", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("hour BETWEEN -1 AND 23", name=op.f("ck_travel_median_hour")),
        sa.PrimaryKeyConstraint(
            "from_grid_id", "to_grid_id", "hour", name=op.f("pk_travel_median")
        ),
    )
    op.create_table(
        "travel_ratio",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("ratio", sa.REAL(), nullable=False),
        sa.Column("trips", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("hour BETWEEN -1 AND 23", name=op.f("ck_travel_ratio_hour")),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_travel_ratio_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("org_unit_id", "hour", name=op.f("pk_travel_ratio")),
    )
    op.create_table(
        "trip",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("set_out_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("from_grid_id", sa.Uuid(), nullable=True),
        sa.Column("to_grid_id", sa.Uuid(), nullable=True),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("by_distance", sa.BigInteger(), nullable=False),
        sa.Column("least", sa.BigInteger(), nullable=False),
        sa.Column("metres", sa.BigInteger(), nullable=False),
        sa.Column(
            "cut",
            sa.Enum(
                "too_short",
                "too_long",
                "too_near",
                "too_fast",
                "too_slow",
                name="cut",
                native_enum=False,
                length=40,
            ),
            nullable=True,
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
    op.create_index("ix_trip_unit", "trip", ["org_unit_id", "day"], unique=False)
    op.create_index(
        "ix_work_order_event_at",
        "work_order_event",
        ["at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_work_order_event_at", table_name="work_order_event", postgresql_using="brin")
    op.drop_index("ix_trip_unit", table_name="trip")
    op.drop_index("ix_trip_day", table_name="trip")
    op.drop_table("trip")
    op.drop_table("travel_ratio")
    op.drop_table("travel_median")
    op.drop_table("night")
