"""Late orders are found by an index, escalated by dated steps, and compensated.

Revision: 0033, after 0032
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0033"
down_revision: str | None = "0032"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
WORD = sa.String(length=40)
WORDS = postgresql.ARRAY(sa.Text())


def _row() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
    )


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "escalation_rule",
        *_row(),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("work_types", WORDS, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("level", WORD, nullable=False),
        sa.Column("minutes_after_due", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalation_rule")),
        sa.UniqueConstraint("code", name=op.f("uq_escalation_rule_code")),
    )
    op.create_table(
        "escalation",
        *_row(),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("level", WORD, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("rule_code", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("lapsed_at", MOMENT, nullable=True),
        sa.Column("acknowledged_at", MOMENT, nullable=True),
        sa.Column("acknowledged_by_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_escalation_work_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_escalation_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalation")),
    )
    op.create_index(
        "uq_escalation_step", "escalation", ["work_order_id", "level", "due_at"], unique=True
    )
    op.create_index("ix_escalation_list", "escalation", ["org_unit_id", "at", "id"])
    op.create_index(
        "ix_escalation_open",
        "escalation",
        ["org_unit_id", "at", "id"],
        postgresql_where=sa.text("acknowledged_at IS NULL AND lapsed_at IS NULL"),
    )
    op.create_index(
        "ix_escalation_holder",
        "escalation",
        ["holder_id"],
        postgresql_where=sa.text(
            "acknowledged_at IS NULL AND lapsed_at IS NULL AND level = 'technician'"
        ),
    )
    op.create_table(
        "compensation",
        *_row(),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("promise_rule_id", sa.Uuid(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("first_due_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("late_until", MOMENT, nullable=False),
        sa.Column("late_days", sa.BigInteger(), nullable=False),
        sa.Column("per", WORD, nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("cap_fen", sa.BigInteger(), nullable=False),
        sa.Column("causes", WORDS, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_compensation_work_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_compensation_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["promise_rule_id"], ["promise_rule.id"], name=op.f("fk_compensation_promise_rule_id")
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["compensation.id"], name=op.f("fk_compensation_reverses_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compensation")),
    )
    op.create_index(
        "uq_compensation_order",
        "compensation",
        ["work_order_id"],
        unique=True,
        postgresql_where=sa.text("reverses_id IS NULL"),
    )
    op.create_index(
        "uq_compensation_reversal",
        "compensation",
        ["reverses_id"],
        unique=True,
        postgresql_where=sa.text("reverses_id IS NOT NULL"),
    )
    op.create_index("ix_compensation_list", "compensation", ["org_unit_id", "changed_at", "id"])
    op.create_index(
        "ix_compensation_proposed",
        "compensation",
        ["work_order_id"],
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_index(
        "ix_work_order_due",
        "work_order",
        ["org_unit_id", "due_at", "id"],
        postgresql_where=sa.text(
            "state NOT IN ('completed', 'archived', 'cancelled') AND due_at IS NOT NULL"
        ),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_work_order_due", table_name="work_order")
    op.drop_table("compensation")
    op.drop_table("escalation")
    op.drop_table("escalation_rule")
