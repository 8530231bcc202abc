"""Evaluations of policies, their steps towards being in force, alarms, and figures of days.

Revision: 0045, after 0044
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0045"
down_revision: str | None = "0044"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
WORD = sa.String(length=40)
JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    _create(
        "policy_evaluation",
        _column("model_id", sa.Uuid()),
        _column("state", WORD),
        _column("asked_at", MOMENT),
        _column("asked_by", sa.Uuid(), nullable=True),
        _column("since", MOMENT),
        _column("until", MOMENT),
        _column("result", JSON, nullable=True),
        _column("error", sa.Text(), nullable=True),
        _column("done_at", MOMENT, nullable=True),
        keys={"model_id": "policy_model", "asked_by": "account"},
    )
    op.create_index("ix_policy_evaluation_model", "policy_evaluation", ["model_id", "asked_at"])
    _create(
        "policy_step",
        _column("model_id", sa.Uuid()),
        _column("from_state", WORD),
        _column("to_state", WORD),
        _column("state", WORD),
        _column("reason", sa.Text()),
        _column("asked_at", MOMENT),
        _column("asked_by", sa.Uuid(), nullable=True),
        _column("agreed_at", MOMENT, nullable=True),
        _column("agreed_by", sa.Uuid(), nullable=True),
        _column("findings", JSON),
        keys={"model_id": "policy_model", "asked_by": "account", "agreed_by": "account"},
    )
    op.create_index("ix_policy_step_model", "policy_step", ["model_id", "asked_at"])
    for table in ("policy_evaluation", "policy_step"):
        op.create_index(
            f"uq_{table}_waiting",
            table,
            ["model_id"],
            unique=True,
            postgresql_where=sa.text("state = 'waiting'"),
        )
    _create(
        "policy_alarm",
        _column("model_version", sa.Text()),
        _column("at", MOMENT),
        _column("figures", JSON),
        _column("ended_at", MOMENT, nullable=True),
        keys={},
    )
    op.create_index("ix_policy_alarm_at", "policy_alarm", ["at"])
    op.create_index(
        "uq_policy_alarm_open",
        "policy_alarm",
        ["model_version"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "policy_day",
        _column("day", sa.Date()),
        _column("org_unit_id", sa.Uuid()),
        _column("version", sa.Text()),
        _column("metric", WORD),
        _column("part", sa.Float()),
        _column("whole", sa.Float()),
        _column("left_out", sa.BigInteger()),
        sa.PrimaryKeyConstraint(
            "day", "org_unit_id", "version", "metric", name=op.f("pk_policy_day")
        ),
    )


def _column(name: str, kind: Any, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable)


def _create(table: str, *columns: sa.Column[Any], keys: dict[str, str]) -> None:
    op.create_table(
        table,
        *columns,
        _column("id", sa.Uuid()),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        *(
            sa.ForeignKeyConstraint([name], [f"{to}.id"], name=op.f(f"fk_{table}_{name}"))
            for name, to in keys.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def downgrade() -> None:
    """Take the change back."""
    for table in ("policy_day", "policy_alarm", "policy_step", "policy_evaluation"):
        op.drop_table(table)
