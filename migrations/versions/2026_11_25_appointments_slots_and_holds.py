"""Appointments: templates of slots, limits, holds, and a record of those that were moved.

Revision: 0010, after 0009
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None


WORK_TYPE = sa.Enum(
    "install",
    "relocate",
    "remove",
    "repair",
    "care",
    name="worktype",
    native_enum=False,
    length=40,
)
STATE = sa.Enum(
    "held", "confirmed", "released", "expired", name="holdstate", native_enum=False, length=40
)
CAUSE = sa.Enum(
    "customer_request",
    "customer_absent",
    "network_fault",
    "resource_missing",
    "technician_absent",
    "running_late",
    "access_refused",
    "weather",
    name="cause",
    native_enum=False,
    length=40,
)
MOMENT = sa.TIMESTAMP(timezone=True)


def _row() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
    ]


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "slot_template",
        *_row(),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("work_types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("weekdays", sa.BigInteger(), server_default=sa.text("127"), nullable=False),
        sa.Column("starts_at", sa.Time(), nullable=False),
        sa.Column("ends_at", sa.Time(), nullable=False),
        sa.Column("closes_at", sa.Time(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_slot_template_times_in_order")),
        sa.CheckConstraint("weekdays BETWEEN 1 AND 127", name=op.f("ck_slot_template_weekdays")),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_slot_template_days_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_template")),
        sa.UniqueConstraint("code", name=op.f("uq_slot_template_code")),
    )
    op.create_table(
        "slot_limit",
        *_row(),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("category", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("slot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("most >= 0", name=op.f("ck_slot_limit_not_negative")),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_slot_limit_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_limit")),
    )
    op.create_index(
        "uq_slot_limit_day", "slot_limit", ["org_unit_id", "day", "category", "slot"], unique=True
    )
    op.create_index(op.f("ix_slot_limit_day"), "slot_limit", ["day"])
    op.create_table(
        "appointment_hold",
        *_row(),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("grid_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=True),
        sa.Column("state", STATE, nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("work_type", WORK_TYPE, nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("skills", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("begins_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("reserved_minutes", sa.BigInteger(), nullable=False),
        sa.Column("reserved_orders", sa.BigInteger(), nullable=False),
        sa.Column("held_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("ends_at > begins_at", name=op.f("ck_appointment_hold_times_in_order")),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_appointment_hold_org_unit_id")
        ),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name=op.f("fk_appointment_hold_grid_id")),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_appointment_hold_technician_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_appointment_hold_work_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment_hold")),
    )
    op.create_index(
        "ix_appointment_hold_open",
        "appointment_hold",
        ["technician_id", "day"],
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_appointment_hold_order",
        "appointment_hold",
        ["work_order_id"],
        postgresql_where=sa.text("work_order_id IS NOT NULL"),
    )
    op.create_table(
        "appointment_change",
        *_row(),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("cause", CAUSE, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("overridden", sa.Boolean(), nullable=False),
        sa.Column("before_from", MOMENT, nullable=False),
        sa.Column("before_until", MOMENT, nullable=False),
        sa.Column("after_from", MOMENT, nullable=False),
        sa.Column("after_until", MOMENT, nullable=False),
        sa.Column("technician_before_id", sa.Uuid(), nullable=True),
        sa.Column("technician_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_appointment_change_work_order_id")
        ),
        sa.PrimaryKeyConstraint("work_order_id", "id", name=op.f("pk_appointment_change")),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON appointment_change"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("appointment_change")
    op.drop_table("appointment_hold")
    op.drop_table("slot_limit")
    op.drop_table("slot_template")
