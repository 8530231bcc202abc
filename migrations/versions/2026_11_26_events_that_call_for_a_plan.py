"""Events of a day that call for planning the rest of it anew.

Revision: 0015, after 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0015"
down_revision: str | None = "0013"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "plan_event",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "leave",
                "inactive",
                "long_visit",
                "urgent_order",
                "by_hand",
                name="eventkind",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=True),
        sa.Column("work_order_id", sa.Uuid(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("found_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_plan_event_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_plan_event_technician_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_plan_event_work_order_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["day_plan.id"], name=op.f("fk_plan_event_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_event")),
    )
    op.create_index(
        "uq_plan_event_key", "plan_event", ["org_unit_id", "day", "kind", "key"], unique=True
    )
    op.create_index(
        "ix_plan_event_waiting",
        "plan_event",
        ["found_at"],
        postgresql_where=sa.text("plan_id IS NULL"),
    )
    op.create_index(
        "ix_plan_event_plan",
        "plan_event",
        ["plan_id"],
        postgresql_where=sa.text("plan_id IS NOT NULL"),
    )
    op.add_column(
        "plan_visit", sa.Column("before_begins_at", sa.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column("plan_visit", sa.Column("before_late", sa.BigInteger(), nullable=True))
    # A look for what has happened comes every few seconds, and must not read years of leave or all
    # open orders for it.
    op.create_index("ix_leave_ends_at", "leave", ["ends_at"])
    op.create_index(
        "ix_work_order_unplaced",
        "work_order",
        ["priority"],
        postgresql_where=sa.text("state = 'unplaced'"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_work_order_unplaced", "work_order")
    op.drop_index("ix_leave_ends_at", "leave")
    op.drop_column("plan_visit", "before_late")
    op.drop_column("plan_visit", "before_begins_at")
    op.drop_table("plan_event")
