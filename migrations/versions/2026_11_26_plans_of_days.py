"""Plans of days.

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "day_plan",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("day", "event", name="plankind", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "running",
                "draft",
                "published",
                "replaced",
                "discarded",
                "failed",
                name="planstate",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("asked", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("asked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("started_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("stop_asked_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("finished_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("published_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.Column("base_id", sa.Uuid(), nullable=True),
        sa.Column(
            "progress",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "score",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("inputs", sa.LargeBinary(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["base_id"], ["day_plan.id"], name=op.f("fk_day_plan_base_id")),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_day_plan_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_plan")),
    )
    op.create_index("ix_day_plan_day", "day_plan", ["day", "org_unit_id", "asked_at"], unique=False)
    op.create_index(
        "uq_day_plan_under_way",
        "day_plan",
        ["org_unit_id", "day"],
        unique=True,
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.create_table(
        "plan_route",
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("leaves_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("home_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("lunch_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("visits", sa.BigInteger(), nullable=False),
        sa.Column("travel", sa.BigInteger(), nullable=False),
        sa.Column("metres", sa.BigInteger(), nullable=False),
        sa.Column("work", sa.BigInteger(), nullable=False),
        sa.Column("wait", sa.BigInteger(), nullable=False),
        sa.Column("overtime", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_plan_route_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["day_plan.id"], name=op.f("fk_plan_route_plan_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_plan_route_technician_id")
        ),
        sa.PrimaryKeyConstraint("plan_id", "technician_id", name=op.f("pk_plan_route")),
    )
    op.create_table(
        "plan_visit",
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=True),
        sa.Column("before_id", sa.Uuid(), nullable=True),
        sa.Column("before_day", sa.Date(), nullable=True),
        sa.Column(
            "before_state",
            sa.Enum(
                "received",
                "located",
                "unplaced",
                "assigned",
                "acknowledged",
                "en_route",
                "on_site",
                "suspended",
                "completed",
                "archived",
                "cancelled",
                name="state",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("place", sa.BigInteger(), nullable=True),
        sa.Column("arrives_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("begins_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ends_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("way", sa.BigInteger(), nullable=True),
        sa.Column("wait", sa.BigInteger(), nullable=True),
        sa.Column("late", sa.BigInteger(), nullable=True),
        sa.Column("slack", sa.BigInteger(), nullable=True),
        sa.Column(
            "belongs",
            sa.Enum(
                "loan",
                "primary",
                "backup",
                "neighbour",
                "other",
                name="kind",
                native_enum=False,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("frozen", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "unplaced_reason",
            sa.Enum(
                "no_point",
                "shared_point",
                "no_grid",
                "nobody_assigned",
                "all_declined",
                "nobody_with_skill",
                "nobody_on_shift",
                "no_minutes_left",
                "window_unreachable",
                name="unplacedreason",
                native_enum=False,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column(
            "left_reason",
            sa.Enum(
                "closed",
                "under_way",
                "changed",
                "pinned",
                "window_changed",
                "away",
                "appointments",
                name="leftreason",
                native_enum=False,
                length=40,
            ),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["before_id"], ["technician.id"], name=op.f("fk_plan_visit_before_id")
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["day_plan.id"], name=op.f("fk_plan_visit_plan_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_plan_visit_technician_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_plan_visit_work_order_id")
        ),
        sa.PrimaryKeyConstraint("plan_id", "work_order_id", name=op.f("pk_plan_visit")),
    )
    op.create_index("ix_plan_visit_order", "plan_visit", ["work_order_id"], unique=False)


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_plan_visit_order", table_name="plan_visit")
    op.drop_table("plan_visit")
    op.drop_table("plan_route")
    op.drop_index(
        "uq_day_plan_under_way",
        table_name="day_plan",
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.drop_index("ix_day_plan_day", table_name="day_plan")
    op.drop_table("day_plan")
