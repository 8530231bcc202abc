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
# lent to, hears of them alone.
TELL_ORDERS = """
CREATE FUNCTION tell_orders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched touched_order[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg((id, org_unit_id, holder_id, planned_day, {waits})::touched_order)
        INTO touched FROM changed;
    ELSE
        -- What is put away is no news.
        SELECT array_agg(
            (one.id, one.org_unit_id, one.holder_id, one.planned_day, one.waits)::touched_order
        ) INTO touched
        FROM (
            SELECT id, org_unit_id, holder_id, planned_day, {waits} AS waits FROM changed
            WHERE state <> 'archived'
            UNION
            SELECT before.id, before.org_unit_id, before.holder_id, before.planned_day,
                {before_waits}
            FROM before JOIN changed ON changed.id = before.id AND changed.state <> 'archived'
        ) AS one;
    END IF;
    IF touched IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM tell_change(
        told.path,
        array_agg(DISTINCT told.technician_id) FILTER (WHERE told.technician_id IS NOT NULL),
        array_agg(DISTINCT told.order_id) FILTER (WHERE told.order_id IS NOT NULL),
        bool_or(told.waits)
    )
    FROM (
        SELECT u.path, one.holder_id AS technician_id, one.id AS order_id, one.waits
        FROM unnest(touched) AS one JOIN org_unit u ON u.id = one.org_unit_id
        UNION ALL
        SELECT u.path, t.id, NULL, false
        FROM (SELECT DISTINCT holder_id, org_unit_id FROM unnest(touched)) AS one
        JOIN technician t ON t.id = one.holder_id AND t.org_unit_id <> one.org_unit_id
        JOIN org_unit u ON u.id = t.org_unit_id
        UNION ALL
        SELECT u.path, l.technician_id, NULL, false
        FROM (
            SELECT holder_id, max(planned_day) AS last_day FROM unnest(touched) GROUP BY holder_id
        ) AS one
        JOIN technician_loan l ON l.technician_id = one.holder_id AND l.ended_at IS NULL
            AND l.valid_from <= one.last_day AND one.last_day < l.valid_to
        JOIN org_unit u ON u.id = l.org_unit_id
    ) AS told
    GROUP BY told.path;
    RETURN NULL;
END $$
""".replace("{waits}", WAITS).replace("{before_waits}", f"before.{WAITS}")

# What changes of somebody's day without an order: their unit hears of it, and whom they are or
# were lent to.
TELL_PEOPLE = """
CREATE FUNCTION tell_people() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    people uuid[];
BEGIN
    IF TG_TABLE_NAME <> 'technician_day' THEN
        SELECT array_agg(DISTINCT technician_id) INTO people FROM changed;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT technician_id) INTO people FROM changed WHERE route <> '{}';
    ELSE
        SELECT array_agg(DISTINCT changed.technician_id) INTO people
        FROM changed JOIN before USING (technician_id, day)
        WHERE changed.route IS DISTINCT FROM before.route;
    END IF;
    IF people IS NULL THEN
        RETURN NULL;
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
TOLD = (
    ("work_order", "tell_orders", {"INSERT": NEW, "UPDATE": BOTH}),
    ("technician_day", "tell_people", {"INSERT": NEW, "UPDATE": BOTH}),
    ("leave", "tell_people", {"INSERT": NEW, "UPDATE": NEW, "DELETE": OLD}),
    ("technician_loan", "tell_people", {"INSERT": NEW, "UPDATE": NEW, "DELETE": OLD}),
    ("dispatch_pin", "tell_people", {"INSERT": NEW, "UPDATE": NEW, "DELETE": OLD}),
)


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
    op.execute(
        "CREATE TYPE touched_order AS"
        " (id uuid, org_unit_id uuid, holder_id uuid, planned_day date, waits boolean)"
    )
    op.execute(TELL_CHANGE)
    op.execute(TELL_ORDERS)
    op.execute(TELL_PEOPLE)
    for table, function, tables in TOLD:
        for operation, referencing in tables.items():
            op.execute(
                f"CREATE TRIGGER told_{operation.lower()} AFTER {operation} ON {table}"
                f" REFERENCING {referencing} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            )


def downgrade() -> None:
    """Take the change back."""
    for table, _, tables in TOLD:
        for operation in tables:
            op.execute(f"DROP TRIGGER told_{operation.lower()} ON {table}")
    op.execute("DROP FUNCTION tell_people()")
    op.execute("DROP FUNCTION tell_orders()")
    op.execute("DROP FUNCTION tell_change(text, uuid[], uuid[], boolean)")
    op.execute("DROP TYPE touched_order")
    op.execute("DROP SEQUENCE change_id")
    for name in ("completed", "unit_waiting", "unit_day", "held"):
        op.drop_index(f"ix_work_order_{name}", table_name="work_order")
    op.create_index(
        "ix_work_order_held", "work_order", ["holder_id"], postgresql_where=sa.text(HELD)
    )
