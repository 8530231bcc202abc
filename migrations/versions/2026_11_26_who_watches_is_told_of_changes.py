"""Whoever watches is told which orders and whose days have changed; a unit's day is found at once.

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | None = None
depends_on: str | None = None

HELD = "state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')"
WAITS = "state IN ('received', 'located', 'unplaced')"

# A message may have 8,000 bytes, so at most 180 ids are named (39 bytes each, beside a path of up
# to five codes). Where they are more, the orders are left off, and where that does not help, the
# people: null then says that there are many. `id` tells one message from all others.
TELL_CHANGE = """
CREATE FUNCTION tell_change(path text, technicians uuid[], orders uuid[], unplaced boolean)
RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('changes', json_build_object(
        'id', nextval('change_id')::text,
        'path', path,
        'technicians', CASE WHEN coalesce(cardinality(technicians), 0) <= 180
            THEN coalesce(technicians, '{}') END,
        'orders', CASE
            WHEN coalesce(cardinality(technicians), 0) + coalesce(cardinality(orders), 0) <= 180
            THEN coalesce(orders, '{}') END,
        'unplaced', unplaced
    )::text)
$$
"""

# An order's unit hears of it and of who has it or had it; another unit that these are of, or are
# lent to, hears of them alone. One query for all of it: most statements change one order, and each
# further query of a trigger costs about as much as the change itself.
TOLD = """
    PERFORM tell_change(
        told.path,
        array_agg(DISTINCT told.technician_id) FILTER (WHERE told.technician_id IS NOT NULL),
        array_agg(DISTINCT told.order_id) FILTER (WHERE told.order_id IS NOT NULL),
        bool_or(told.waits)
    )
    FROM (
        WITH touched AS ({touched})
        SELECT u.path, one.holder_id AS technician_id, one.id AS order_id, one.waits
        FROM touched AS one JOIN org_unit u ON u.id = one.org_unit_id
        UNION ALL
        SELECT u.path, t.id, NULL, false
        FROM touched AS one
        JOIN technician t ON t.id = one.holder_id AND t.org_unit_id <> one.org_unit_id
        JOIN org_unit u ON u.id = t.org_unit_id
        UNION ALL
        SELECT u.path, l.technician_id, NULL, false
        FROM touched AS one
        JOIN technician_loan l ON l.technician_id = one.holder_id AND l.ended_at IS NULL
            AND l.valid_from <= one.planned_day AND one.planned_day < l.valid_to
        JOIN org_unit u ON u.id = l.org_unit_id
    ) AS told
    GROUP BY told.path;
"""
ADDED = f"SELECT id, org_unit_id, holder_id, planned_day, {WAITS} AS waits FROM changed"
# What is put away is no news.
CHANGED = f"""
    {ADDED} WHERE state <> 'archived'
    UNION
    SELECT before.id, before.org_unit_id, before.holder_id, before.planned_day, before.{WAITS}
    FROM before JOIN changed ON changed.id = before.id AND changed.state <> 'archived'
"""
TELL_ORDERS = f"""
CREATE FUNCTION tell_orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN {TOLD.format(touched=ADDED)}
    ELSE {TOLD.format(touched=CHANGED)}
    END IF;
    RETURN NULL;
END $$
"""

# What changes of somebody's day without an order: their unit hears of it, and whom they are or
# were lent to.
TELL_PEOPLE = """
CREATE FUNCTION tell_people() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    people uuid[];
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        people := ARRAY[NEW.technician_id];
    ELSE
        SELECT array_agg(DISTINCT technician_id) INTO people FROM changed;
    END IF;
    PERFORM tell_change(told.path, array_agg(DISTINCT told.id), '{}', false)
    FROM (
        SELECT u.path, t.id FROM technician t JOIN org_unit u ON u.id = t.org_unit_id
        WHERE t.id = ANY(people)
        UNION ALL
        SELECT u.path, l.technician_id FROM technician_loan l
        JOIN org_unit u ON u.id = l.org_unit_id
        WHERE l.technician_id = ANY(people)
    ) AS told
    GROUP BY told.path;
    RETURN NULL;
END $$
"""

NEW, OLD = "NEW TABLE AS changed", "OLD TABLE AS changed"
BOTH = "OLD TABLE AS before NEW TABLE AS changed"
STATEMENTS = (
    ("work_order", "tell_orders", {"INSERT": NEW, "UPDATE": BOTH}),
    ("leave", "tell_people", {"INSERT": NEW, "UPDATE": NEW, "DELETE": OLD}),
    ("technician_loan", "tell_people", {"INSERT": NEW, "UPDATE": NEW, "DELETE": OLD}),
    ("dispatch_pin", "tell_people", {"INSERT": NEW, "UPDATE": NEW, "DELETE": OLD}),
)
# By the row, since a day's minutes change with every step of an order, and only so they cost
# nothing: a trigger of statements would run for each.
ROUTES = {
    "INSERT": "WHEN (NEW.route <> '{}')",
    "UPDATE OF route": "WHEN (NEW.route IS DISTINCT FROM OLD.route)",
}


def upgrade() -> None:
    """Apply the change."""
    op.drop_index("ix_work_order_held", table_name="work_order")
    for name, columns, where in (
        ("ix_work_order_held", ["holder_id", "planned_day"], HELD),
        ("ix_work_order_unit_day", ["org_unit_id", "planned_day"], HELD),
        ("ix_work_order_unit_waiting", ["org_unit_id"], WAITS),
        ("ix_work_order_completed", ["org_unit_id", "completed_at"], "completed_at IS NOT NULL"),
    ):
        op.create_index(name, "work_order", columns, postgresql_where=sa.text(where))
    op.execute("CREATE SEQUENCE change_id")
    op.execute(TELL_CHANGE)
    op.execute(TELL_ORDERS)
    op.execute(TELL_PEOPLE)
    for table, function, tables in STATEMENTS:
        for operation, referencing in tables.items():
            op.execute(
                f"CREATE TRIGGER told_{operation.lower()} AFTER {operation} ON {table}"
                f" REFERENCING {referencing} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            )
    for operation, condition in ROUTES.items():
        op.execute(
            f"CREATE TRIGGER told_{operation.split()[0].lower()} AFTER {operation}"
            f" ON technician_day FOR EACH ROW {condition} EXECUTE FUNCTION tell_people()"
        )


def downgrade() -> None:
    """Take the change back."""
    for table, operations in (
        *((table, tables) for table, _, tables in STATEMENTS),
        ("technician_day", ROUTES),
    ):
        for operation in operations:
            op.execute(f"DROP TRIGGER told_{operation.split()[0].lower()} ON {table}")
    op.execute("DROP FUNCTION tell_people()")
    op.execute("DROP FUNCTION tell_orders()")
    op.execute("DROP FUNCTION tell_change(text, uuid[], uuid[], boolean)")
    op.execute("DROP SEQUENCE change_id")
    for name in ("completed", "unit_waiting", "unit_day", "held"):
        op.drop_index(f"ix_work_order_{name}", table_name="work_order")
    op.create_index(
        "ix_work_order_held", "work_order", ["holder_id"], postgresql_where=sa.text(HELD)
    )
