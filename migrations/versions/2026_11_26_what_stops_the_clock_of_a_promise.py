"""Promises for tiers and kinds of place, working calendars, and what stops a promise's clock.

Revision: 0026, after 0025
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
WORD = sa.String(length=40)


def _row() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
    )


def _dated() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
    )


def _keys(table: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("code", name=op.f(f"uq_{table}_code")),
    )


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("customer", sa.Column("value_tier", sa.Text(), nullable=True))
    op.add_column("promise_rule", sa.Column("value_tier", sa.Text(), nullable=True))
    op.add_column("promise_rule", sa.Column("grid_kind", WORD, nullable=True))
    op.add_column(
        "promise_rule",
        sa.Column("clock", WORD, server_default=sa.text("'calendar'"), nullable=False),
    )
    op.create_table(
        "clock_stop_rule",
        *_row(),
        *_dated(),
        sa.Column("cause", WORD, nullable=False),
        sa.Column(
            "work_types",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("stops", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "proofs", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("most_hours", sa.Double(), nullable=False),
        sa.Column("exempts", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("most_hours > 0", name=op.f("ck_clock_stop_rule_lasts")),
        *_keys("clock_stop_rule"),
    )
    op.create_table(
        "working_hours",
        *_row(),
        *_dated(),
        sa.Column("weekdays", sa.BigInteger(), nullable=False),
        sa.Column("opens_at", sa.Time(), nullable=False),
        sa.Column("closes_at", sa.Time(), nullable=False),
        sa.CheckConstraint("closes_at > opens_at", name=op.f("ck_working_hours_times_in_order")),
        sa.CheckConstraint("weekdays BETWEEN 1 AND 127", name=op.f("ck_working_hours_weekdays")),
        *_keys("working_hours"),
    )
    op.create_table(
        "calendar_day",
        *_row(),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_day")),
    )
    op.create_index("uq_calendar_day", "calendar_day", ["org_path", "day"], unique=True)
    op.create_table(
        "clock_stop",
        *_row(),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("rule_code", sa.Text(), nullable=False),
        sa.Column("exempts", sa.Boolean(), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("ends_by", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("proof_kind", WORD, nullable=False),
        sa.Column("proof_id", sa.Uuid(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("technician_id", sa.Uuid(), nullable=True),
        sa.Column("device_began_at", MOMENT, nullable=True),
        sa.Column("device_ended_at", MOMENT, nullable=True),
        sa.Column("ended_by_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("withdrawn_by_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_why", sa.Text(), nullable=True),
        sa.Column("first_due_at", MOMENT, nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("work_order_id"), "="),
            (sa.text("tstzrange(began_at, coalesce(ended_at, ends_by))"), "&&"),
            where=sa.text("withdrawn_at IS NULL"),
            using="gist",
            name="ex_clock_stop_one_at_a_time",
        ),
        sa.CheckConstraint(
            "ended_at >= began_at AND ends_by >= began_at", name=op.f("ck_clock_stop_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_clock_stop_work_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_stop")),
    )
    op.create_index("ix_clock_stop_order", "clock_stop", ["work_order_id", "id"])


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("clock_stop")
    op.drop_table("calendar_day")
    op.drop_table("working_hours")
    op.drop_table("clock_stop_rule")
    for column in ("clock", "grid_kind", "value_tier"):
        op.drop_column("promise_rule", column)
    op.drop_column("customer", "value_tier")
