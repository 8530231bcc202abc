"""All that supervisors are alerted to stands in one table, and addresses can be told of it.

Revision: 0066, after 0065
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0066"
down_revision: str | None = "0065"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, length=40)


KIND = _enum(
    "alertkind",
    "order_lag",
    "orders_failed",
    "differences_open",
    "promises_missed",
    "model_drifted",
    "webhook_failing",
)
EVENT = _enum(
    "alertevent",
    "alert.raised",
    "alert.stands",
    "alert.acknowledged",
    "alert.ended",
    "alert.test",
)
STATE = _enum("deliverystate", "waiting", "sent", "given_up")
GIVEN_UP = _enum("givenup", "refused", "tries_used_up", "gone", "switched_off")
WAITING = "state = 'waiting'"

# What was alerted to so far, under the names of now.
BRING = """
INSERT INTO alert (id, created_at, org_unit_id, kind, subject, at, figure, most, told_at, ended_at,
                   acknowledged_at, acknowledged_by, note)
SELECT id, created_at, org_unit_id, CASE kind WHEN 'lag' THEN 'order_lag' ELSE 'orders_failed' END,
       '', at, figure, most, at, ended_at, acknowledged_at, acknowledged_by, note
  FROM order_alert
    ON CONFLICT DO NOTHING
"""
RENAMED = (
    ("ordering.alert_every_minutes", "alerts.every_minutes"),
    ("privacy.order_alerts_days", "privacy.alerts_days"),
)


def _row() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
    ]


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "alert",
        *_row(),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("figure", sa.Float(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.Column("told_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("acknowledged_at", MOMENT, nullable=True),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_alert_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["account.id"], name=op.f("fk_alert_acknowledged_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(
        "uq_alert_open",
        "alert",
        ["org_unit_id", "kind", "subject"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_alert_list", "alert", ["at", "id"])
    op.create_table(
        "alert_webhook",
        *_row(),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("last_sent_at", MOMENT, nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_alert_webhook_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_webhook")),
    )
    op.create_index("ix_alert_webhook_unit", "alert_webhook", ["org_unit_id"])
    op.create_table(
        "alert_delivery",
        *_row(),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=True),
        sa.Column("event", EVENT, nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", MOMENT, server_default=sa.text("now()"), nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("given_up", GIVEN_UP, nullable=True),
        sa.Column("answered", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["alert_webhook.id"], name=op.f("fk_alert_delivery_webhook_id")
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name=op.f("fk_alert_delivery_alert_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_delivery")),
    )
    op.create_index(
        "ix_alert_delivery_due",
        "alert_delivery",
        ["next_try_at"],
        postgresql_where=sa.text(WAITING),
    )
    op.create_index("ix_alert_delivery_webhook", "alert_delivery", ["webhook_id", "id"])
    op.create_index("ix_alert_delivery_alert", "alert_delivery", ["alert_id"])
    op.execute(BRING)
    op.drop_table("order_alert")
    for before, after in RENAMED:
        op.execute(f"UPDATE parameter_value SET name = '{after}' WHERE name = '{before}'")


def downgrade() -> None:
    """Take the change back; alerts of orders are found again by the next look."""
    for before, after in RENAMED:
        op.execute(f"UPDATE parameter_value SET name = '{before}' WHERE name = '{after}'")
    op.create_table(
        "order_alert",
        *_row(),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", _enum("alertkind", "lag", "failed"), nullable=False),
        sa.Column("period_from", MOMENT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("figure", sa.Float(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("acknowledged_at", MOMENT, nullable=True),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_order_alert_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["account.id"], name=op.f("fk_order_alert_acknowledged_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_alert")),
    )
    op.create_index(
        "uq_order_alert_period", "order_alert", ["org_unit_id", "kind", "period_from"], unique=True
    )
    op.create_index("ix_order_alert_list", "order_alert", ["org_unit_id", "at", "id"])
    op.create_index(
        "ix_order_alert_open",
        "order_alert",
        ["org_unit_id"],
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    for table in ("alert_delivery", "alert_webhook", "alert"):
        op.drop_table(table)
