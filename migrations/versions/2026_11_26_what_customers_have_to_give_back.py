"""What customers have to give back, the pick-ups that fetch it, and services that changed.

Revision: 0031, after 0030
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: str | None = None
depends_on: str | None = None

# Who changes a subscription need not know what follows from it. Of several changes that nobody has
# looked at yet the first says what the service was.
CHANGED = """
CREATE FUNCTION subscription_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO subscription_change (subscription_id, offering_code, category, monthly_price_fen,
        speed_mbps, changed_at, ready_on)
    VALUES (OLD.id, OLD.offering_code, OLD.category, OLD.monthly_price_fen, OLD.speed_mbps,
        now(), NEW.ended_on)
    ON CONFLICT (subscription_id) DO UPDATE SET ready_on = excluded.ready_on;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER changed AFTER UPDATE OF offering_code, category, ended_on ON subscription
FOR EACH ROW WHEN (
    (OLD.offering_code, OLD.category) IS DISTINCT FROM (NEW.offering_code, NEW.category)
    OR (NEW.ended_on IS NOT NULL AND NEW.ended_on IS DISTINCT FROM OLD.ended_on)
) EXECUTE FUNCTION subscription_changed()
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    id_and_created = (
        ("id", sa.Uuid(), False, None),
        ("created_at", sa.TIMESTAMP(timezone=True), False, sa.text("now()")),
    )
    _create(
        "recovery",
        ("org_unit_id", sa.Uuid(), False, None),
        ("customer_id", sa.Uuid(), False, None),
        ("since", sa.TIMESTAMP(timezone=True), False, None),
        ("due_at", sa.TIMESTAMP(timezone=True), False, None),
        ("work_order_id", sa.Uuid(), True, None),
        ("orders", sa.BigInteger(), False, sa.text("0")),
        ("taken_by_id", sa.Uuid(), True, None),
        ("taken_at", sa.TIMESTAMP(timezone=True), True, None),
        ("closed_at", sa.TIMESTAMP(timezone=True), True, None),
        *id_and_created,
        keys=("org_unit_id", "customer_id", "work_order_id", "taken_by_id"),
    )
    _create(
        "recovery_request",
        ("org_unit_id", sa.Uuid(), False, None),
        ("customer_id", sa.Uuid(), False, None),
        ("source", sa.Text(), False, None),
        ("external_id", sa.Text(), False, None),
        ("content_hash", sa.Text(), False, None),
        ("received_at", sa.TIMESTAMP(timezone=True), False, None),
        *id_and_created,
        keys=("org_unit_id", "customer_id"),
    )
    _create(
        "due_back",
        ("org_unit_id", sa.Uuid(), False, None),
        ("customer_id", sa.Uuid(), False, None),
        ("recovery_id", sa.Uuid(), False, None),
        ("request_id", sa.Uuid(), True, None),
        ("work_order_id", sa.Uuid(), True, None),
        ("serial_number", sa.Text(), False, None),
        ("kind", sa.String(length=40), False, None),
        ("cause", sa.String(length=40), False, None),
        ("since", sa.TIMESTAMP(timezone=True), False, None),
        ("due_at", sa.TIMESTAMP(timezone=True), False, None),
        ("state", sa.String(length=40), False, None),
        ("settled_at", sa.TIMESTAMP(timezone=True), True, None),
        ("technician_id", sa.Uuid(), True, None),
        ("account_id", sa.Uuid(), True, None),
        ("write_off_cause", sa.String(length=40), True, None),
        ("kept_cause", sa.String(length=40), True, None),
        *id_and_created,
        keys=(
            "org_unit_id",
            "customer_id",
            "recovery_id",
            "request_id",
            "work_order_id",
            "technician_id",
            "account_id",
        ),
    )
    op.create_check_constraint(
        op.f("ck_due_back_settled"), "due_back", "(state = 'open') = (settled_at IS NULL)"
    )
    op.create_table(
        "subscription_change",
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("offering_code", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("monthly_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("speed_mbps", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ready_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription_change")),
    )
    is_open = sa.text("closed_at IS NULL")
    for name, table, columns, unique, where in (
        ("uq_recovery_one_open", "recovery", ["customer_id"], True, is_open),
        ("ix_recovery_open", "recovery", ["org_unit_id", "due_at", "id"], False, is_open),
        ("ix_recovery_unit", "recovery", ["org_unit_id", "due_at", "id"], False, None),
        ("ix_recovery_work_order", "recovery", ["work_order_id"], False, None),
        ("uq_recovery_request_external", "recovery_request", ["source", "external_id"], True, None),
        ("uq_due_back_one_open", "due_back", ["serial_number"], True, sa.text("state = 'open'")),
        ("ix_due_back_customer", "due_back", ["customer_id", "since"], False, None),
        ("ix_due_back_recovery", "due_back", ["recovery_id"], False, None),
        (
            "ix_due_back_work_order",
            "due_back",
            ["work_order_id"],
            False,
            sa.text("work_order_id IS NOT NULL"),
        ),
        (
            "ix_due_back_request",
            "due_back",
            ["request_id"],
            False,
            sa.text("request_id IS NOT NULL"),
        ),
        ("ix_due_back_unit", "due_back", ["org_unit_id", "due_at"], False, None),
        ("ix_subscription_change_ready", "subscription_change", ["ready_on"], False, None),
    ):
        op.create_index(name, table, columns, unique=unique, postgresql_where=where)
    op.execute(CHANGED)
    op.execute(TRIGGER)


REFERS = {
    "org_unit_id": "org_unit",
    "customer_id": "customer",
    "recovery_id": "recovery",
    "request_id": "recovery_request",
    "work_order_id": "work_order",
    "technician_id": "technician",
    "taken_by_id": "technician",
    "account_id": "account",
}


def _create(table: str, *columns: Any, keys: tuple[str, ...]) -> None:
    op.create_table(
        table,
        *(
            sa.Column(name, kind, nullable=nullable, server_default=default)
            for name, kind, nullable, default in columns
        ),
        *(
            sa.ForeignKeyConstraint([key], [f"{REFERS[key]}.id"], name=op.f(f"fk_{table}_{key}"))
            for key in keys
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("DROP TRIGGER changed ON subscription")
    op.execute("DROP FUNCTION subscription_changed()")
    for table in ("subscription_change", "due_back", "recovery_request", "recovery"):
        op.drop_table(table)
