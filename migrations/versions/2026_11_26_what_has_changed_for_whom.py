"""What has changed for which technician is written down, and what their phones did offline.

Revision: 0057, after 0056
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0057"
down_revision: str | None = "0056"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
JSON = postgresql.JSONB(astext_type=sa.Text())

# The number of the transaction that writes, which PostgreSQL gives out in the order in which
# transactions begin to write, and the line of a technician's feed that is written with it. A second
# change in one transaction finds its line as it should be and writes nothing.
XID = "pg_current_xact_id()::text::bigint"
KEPT = """
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid
"""
TOUCH = "INSERT INTO sync_row (technician_id, kind, row_id, xid)"
EVERYBODY = "'00000000-0000-0000-0000-000000000000'::uuid"
SHOWN = "('acknowledged', 'en_route', 'on_site', 'suspended', 'completed')"

# By the row, and only for rows that are or were somebody's: a technician's step changes one order,
# and a trigger of statements would gather it first. What is put away is no news. Whoever helps with
# an order hears of it as its holder does. A customer is looked at when an order of theirs begins or
# ceases to show them.
ORDERS = f"""
CREATE FUNCTION sync_orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        {TOUCH} VALUES (NEW.holder_id, 'holding', NEW.id, {XID}) {KEPT};
        IF NEW.state IN {SHOWN} AND NEW.customer_id IS NOT NULL THEN
            {TOUCH} VALUES (NEW.holder_id, 'customer', NEW.customer_id, {XID}) {KEPT};
        END IF;
        RETURN NULL;
    END IF;
    IF NEW.holder_id IS DISTINCT FROM OLD.holder_id
        OR (NEW.state = 'cancelled') <> (OLD.state = 'cancelled')
    THEN
        {TOUCH}
        SELECT DISTINCT whose.id, 'holding', NEW.id, {XID}
        FROM (VALUES (OLD.holder_id), (NEW.holder_id)) AS whose (id) WHERE whose.id IS NOT NULL
        {KEPT};
    ELSE
        {TOUCH} VALUES (NEW.holder_id, 'work_order', NEW.id, {XID}) {KEPT};
    END IF;
    {TOUCH}
    SELECT helps.technician_id, 'work_order', NEW.id, {XID}
    FROM work_assist AS helps WHERE helps.work_order_id = NEW.id AND helps.ended_at IS NULL
    {KEPT};
    IF NEW.customer_id IS DISTINCT FROM OLD.customer_id
        OR NEW.holder_id IS DISTINCT FROM OLD.holder_id
        OR (NEW.state IN {SHOWN}) <> (OLD.state IN {SHOWN})
        OR NEW.completed_at IS DISTINCT FROM OLD.completed_at
    THEN
        {TOUCH}
        SELECT DISTINCT whose.id, 'customer', customer.id, {XID}
        FROM (
            VALUES (OLD.holder_id), (NEW.holder_id)
            UNION SELECT helps.technician_id FROM work_assist AS helps
                WHERE helps.work_order_id = NEW.id AND helps.ended_at IS NULL
        ) AS whose (id),
        (VALUES (OLD.customer_id), (NEW.customer_id)) AS customer (id)
        WHERE whose.id IS NOT NULL AND customer.id IS NOT NULL
        {KEPT};
    END IF;
    RETURN NULL;
END $$
"""
HELP = f"""
CREATE FUNCTION sync_help() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH} VALUES (NEW.technician_id, 'holding', NEW.work_order_id, {XID}) {KEPT};
    {TOUCH}
    SELECT NEW.technician_id, 'customer', customer_id, {XID}
    FROM work_order WHERE id = NEW.work_order_id AND customer_id IS NOT NULL
    {KEPT};
    RETURN NULL;
END $$
"""
# A row that is one technician's own: its kind, and the column of its id.
OWN = f"""
CREATE FUNCTION sync_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH} VALUES (NEW.technician_id, TG_ARGV[0], NEW.id, {XID}) {KEPT};
    RETURN NULL;
END $$
"""
TERMINALS = f"""
CREATE FUNCTION sync_terminals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH}
    SELECT DISTINCT whose.id, 'terminal', NEW.id, {XID}
    FROM (VALUES (CASE TG_OP WHEN 'UPDATE' THEN OLD.technician_id END), (NEW.technician_id))
        AS whose (id)
    WHERE whose.id IS NOT NULL
    {KEPT};
    RETURN NULL;
END $$
"""
SUGGESTED = f"""
CREATE FUNCTION sync_suggested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH} VALUES (NEW.technician_id, 'suggestion', NEW.work_order_id, {XID}) {KEPT};
    RETURN NULL;
END $$
"""
ANSWERED = f"""
CREATE FUNCTION sync_answered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH}
    SELECT d.technician_id, 'suggestion', d.work_order_id, {XID}
    FROM suggestion AS s JOIN suggestion_decision AS d ON d.id = s.decision_id
    WHERE s.id = NEW.suggestion_id
    {KEPT};
    RETURN NULL;
END $$
"""
# The route of a day; an id stands for the day.
DAYS = f"""
CREATE FUNCTION sync_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH} VALUES (
        NEW.technician_id, 'day',
        ('00000000-0000-0000-0000-0000' || to_char(NEW.day, 'YYYYMMDD'))::uuid, {XID}
    ) {KEPT};
    RETURN NULL;
END $$
"""
# What is known of customers comes by the hundred thousand, and few of them are on a phone.
CUSTOMERS = f"""
CREATE FUNCTION sync_customers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH}
    SELECT DISTINCT known.technician_id, 'customer', known.row_id, {XID}
    FROM changed JOIN sync_row AS known ON known.kind = 'customer' AND known.row_id = changed.{{id}}
    {KEPT};
    RETURN NULL;
END $$
"""
OFFERINGS = f"""
CREATE FUNCTION sync_offerings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH} SELECT {EVERYBODY}, 'offering', id, {XID} FROM changed {KEPT};
    RETURN NULL;
END $$
"""
MEMBERS = f"""
CREATE FUNCTION sync_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH} SELECT DISTINCT technician_id, 'grid', grid_id, {XID} FROM changed {KEPT};
    RETURN NULL;
END $$
"""
GRIDS = f"""
CREATE FUNCTION sync_grids() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH}
    SELECT DISTINCT m.technician_id, 'grid', m.grid_id, {XID}
    FROM changed JOIN grid_membership AS m ON m.grid_id = changed.{{id}}
    {KEPT};
    RETURN NULL;
END $$
"""


def _made(template: str, name: str, column: str) -> str:
    return template.replace(f"{name}()", f"{name}_by_{column}()").replace("{id}", column)


FUNCTIONS = (
    ORDERS,
    HELP,
    OWN,
    TERMINALS,
    SUGGESTED,
    ANSWERED,
    DAYS,
    _made(CUSTOMERS, "sync_customers", "id"),
    _made(CUSTOMERS, "sync_customers", "customer_id"),
    OFFERINGS,
    MEMBERS,
    _made(GRIDS, "sync_grids", "id"),
    _made(GRIDS, "sync_grids", "grid_id"),
)
NAMES = (
    "sync_orders",
    "sync_help",
    "sync_own",
    "sync_terminals",
    "sync_suggested",
    "sync_answered",
    "sync_days",
    "sync_customers_by_id",
    "sync_customers_by_customer_id",
    "sync_offerings",
    "sync_members",
    "sync_grids_by_id",
    "sync_grids_by_grid_id",
)

# Table, event with its condition, what is run.
BY_ROW = (
    ("work_order", "INSERT", "NEW.holder_id IS NOT NULL", "sync_orders()"),
    (
        "work_order",
        "UPDATE",
        "NEW.state <> 'archived' AND (OLD.holder_id IS NOT NULL OR NEW.holder_id IS NOT NULL)",
        "sync_orders()",
    ),
    ("work_assist", "INSERT", "true", "sync_help()"),
    ("work_assist", "UPDATE", "true", "sync_help()"),
    ("visit", "INSERT", "true", "sync_own('visit')"),
    ("visit", "UPDATE", "true", "sync_own('visit')"),
    ("evidence", "INSERT", "true", "sync_own('photo')"),
    # Each piece that comes changes how much there is; a phone knows that of its own pictures.
    (
        "evidence",
        "UPDATE",
        "NEW.state <> OLD.state OR NEW.far IS DISTINCT FROM OLD.far"
        " OR NEW.forgotten_at IS DISTINCT FROM OLD.forgotten_at",
        "sync_own('photo')",
    ),
    ("sale", "INSERT", "true", "sync_own('sale')"),
    ("sale", "UPDATE", "NEW.state <> OLD.state", "sync_own('sale')"),
    ("terminal", "INSERT", "NEW.technician_id IS NOT NULL", "sync_terminals()"),
    (
        "terminal",
        "UPDATE",
        "OLD.technician_id IS NOT NULL OR NEW.technician_id IS NOT NULL",
        "sync_terminals()",
    ),
    ("suggestion_decision", "INSERT", "true", "sync_suggested()"),
    ("suggestion_answer", "INSERT", "true", "sync_answered()"),
    ("technician_day", "INSERT", "NEW.route <> '{}'", "sync_days()"),
    ("technician_day", "UPDATE OF route", "NEW.route IS DISTINCT FROM OLD.route", "sync_days()"),
)
NEW, OLD = "NEW TABLE AS changed", "OLD TABLE AS changed"
ALL = {"INSERT": NEW, "UPDATE": NEW, "DELETE": OLD}
BY_STATEMENT = (
    ("customer", {"UPDATE": NEW}, "sync_customers_by_id()"),
    ("service_address", ALL, "sync_customers_by_customer_id()"),
    ("subscription", ALL, "sync_customers_by_customer_id()"),
    ("product_offering", ALL, "sync_offerings()"),
    ("grid_membership", ALL, "sync_members()"),
    ("grid", {"UPDATE": NEW}, "sync_grids_by_id()"),
    ("grid_boundary", ALL, "sync_grids_by_grid_id()"),
)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "sync_row",
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("technician_id", "kind", "row_id"),
    )
    op.create_index("ix_sync_row_news", "sync_row", ["technician_id", "xid"])
    op.create_index(
        "ix_sync_row_customer",
        "sync_row",
        ["row_id"],
        postgresql_where=sa.text("kind = 'customer'"),
    )
    op.create_index("ix_sync_row_old", "sync_row", ["xid"])
    op.create_table(
        "sync_moment",
        sa.Column("xid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("xid"),
    )
    op.create_table(
        "sync_epoch",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("cluster", sa.BigInteger(), nullable=False),
        sa.Column("database", sa.BigInteger(), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_sync_epoch_one_row")),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "sync_action",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("base_version", sa.BigInteger(), nullable=True),
        sa.Column("device_at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=40), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("words_zh", sa.Text(), nullable=True),
        sa.Column("words_en", sa.Text(), nullable=True),
        sa.Column("facts", JSON, nullable=True),
        sa.Column("work_order_id", sa.Uuid(), nullable=True),
        sa.Column("judgement", sa.String(length=40), nullable=True),
        sa.Column("moved_to", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_sync_action_technician", "sync_action", ["technician_id", "received_at"])
    op.create_index(
        "ix_sync_action_conflict",
        "sync_action",
        ["work_order_id"],
        postgresql_where=sa.text("verdict = 'conflict' AND work_order_id IS NOT NULL"),
    )
    op.create_index("ix_sync_action_received", "sync_action", ["received_at"])
    for function in FUNCTIONS:
        op.execute(function)
    for table, event, condition, called in BY_ROW:
        op.execute(
            f"CREATE TRIGGER synced_{event.split()[0].lower()} AFTER {event} ON {table}"
            f" FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {called}"
        )
    for table, events, called in BY_STATEMENT:
        for event, referencing in events.items():
            op.execute(
                f"CREATE TRIGGER synced_{event.lower()} AFTER {event} ON {table}"
                f" REFERENCING {referencing} FOR EACH STATEMENT EXECUTE FUNCTION {called}"
            )


def downgrade() -> None:
    """Take the change back."""
    triggers = [(table, event.split()[0]) for table, event, _, _ in BY_ROW]
    triggers += [(table, event) for table, events, _ in BY_STATEMENT for event in events]
    for table, event in triggers:
        op.execute(f"DROP TRIGGER synced_{event.lower()} ON {table}")
    for name in NAMES:
        op.execute(f"DROP FUNCTION {name}()")
    for table in ("sync_action", "sync_epoch", "sync_moment", "sync_row"):
        op.drop_table(table)
