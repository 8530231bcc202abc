"""Acceptance codes, and asking customers afterwards how it was.

Revision: 0029, after 0028
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0029"
down_revision: str | None = "0028"
branch_labels: str | None = None
depends_on: str | None = None


def _row(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _key(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def _moment(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("visit", _moment("accepted_at"))
    op.create_table(
        "acceptance_code",
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        _moment("sent_at", nullable=False),
        _moment("expires_at", nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column(
            "wrong",
            postgresql.ARRAY(sa.LargeBinary()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        _moment("accepted_at"),
        _key("acceptance_code", "visit_id", "visit"),
        *_row("acceptance_code"),
    )
    op.create_index("ix_acceptance_code_visit", "acceptance_code", ["visit_id", "sent_at"])
    op.create_table(
        "follow_up_rule",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("work_type", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("share_percent", sa.Float(), nullable=False),
        sa.Column("delay_hours", sa.Float(), nullable=False),
        sa.Column("valid_days", sa.BigInteger(), nullable=False),
        sa.Column("quiet_days", sa.BigInteger(), nullable=False),
        sa.Column("spares_do_not_disturb", sa.Boolean(), nullable=False),
        sa.CheckConstraint("share_percent BETWEEN 0 AND 100", name=op.f("ck_follow_up_rule_share")),
        sa.UniqueConstraint("code", name=op.f("uq_follow_up_rule_code")),
        *_row("follow_up_rule"),
    )
    op.create_index(
        "ix_follow_up_rule_type", "follow_up_rule", ["work_type", "org_path", "valid_from"]
    )
    op.create_table(
        "follow_up",
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        _moment("completed_at", nullable=False),
        _moment("ask_at", nullable=False),
        _moment("expires_at", nullable=False),
        _moment("asked_at"),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        _moment("claimed_until"),
        sa.Column("tries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("no_answer", sa.String(length=40), nullable=True),
        sa.Column("mark", sa.BigInteger(), nullable=True),
        sa.Column(
            "reasons", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("note", sa.Text(), nullable=True),
        _moment("answered_at"),
        sa.Column("answer_hash", sa.Text(), nullable=True),
        sa.Column("care_order_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("mark BETWEEN 1 AND 5", name=op.f("ck_follow_up_mark")),
        sa.CheckConstraint(
            "(state = 'answered') = (mark IS NOT NULL)", name=op.f("ck_follow_up_answered")
        ),
        _key("follow_up", "work_order_id", "work_order"),
        _key("follow_up", "rule_id", "follow_up_rule"),
        _key("follow_up", "org_unit_id", "org_unit"),
        _key("follow_up", "customer_id", "customer"),
        _key("follow_up", "technician_id", "technician"),
        _key("follow_up", "claimed_by", "account"),
        _key("follow_up", "care_order_id", "work_order"),
        sa.UniqueConstraint("work_order_id", name=op.f("uq_follow_up_work_order_id")),
        *_row("follow_up"),
    )
    for name, columns, where in (
        ("to_send", ["ask_at"], "state = 'waiting' AND channel = 'survey'"),
        ("to_call", ["org_unit_id", "ask_at", "id"], "state = 'waiting' AND channel = 'call'"),
        ("open", ["expires_at"], "state IN ('waiting', 'asked')"),
        ("customer", ["customer_id", "completed_at"], "customer_id IS NOT NULL"),
    ):
        op.create_index(
            f"ix_follow_up_{name}", "follow_up", columns, postgresql_where=sa.text(where)
        )
    op.create_index("ix_follow_up_list", "follow_up", ["org_unit_id", "completed_at", "id"])
    op.create_index("ix_follow_up_technician", "follow_up", ["technician_id", "completed_at", "id"])
    op.create_index(
        "uq_follow_up_token",
        "follow_up",
        ["token_hash"],
        unique=True,
        postgresql_where=sa.text("token_hash IS NOT NULL"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("follow_up")
    op.drop_table("follow_up_rule")
    op.drop_table("acceptance_code")
    op.drop_column("visit", "accepted_at")
