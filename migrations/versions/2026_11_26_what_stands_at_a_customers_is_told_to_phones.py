"""A phone that shows a customer hears of what is fitted at their home and taken away.

Revision: 0061, after 0060
"""

from alembic import op

revision: str = "0061"
down_revision: str | None = "0060"
branch_labels: str | None = None
depends_on: str | None = None

XID = "pg_current_xact_id()::text::bigint"
KEPT = """
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid
"""
TOUCH = "INSERT INTO sync_row (technician_id, kind, row_id, xid)"
BEFORE = f"""
CREATE OR REPLACE FUNCTION sync_terminals() RETURNS trigger LANGUAGE plpgsql AS $$
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
# The row of a customer on a phone names the terminals at their home.
AFTERWARDS = BEFORE.replace(
    "    RETURN NULL;",
    f"""
    IF TG_OP = 'UPDATE' AND (OLD.customer_id IS NOT NULL OR NEW.customer_id IS NOT NULL) THEN
        {TOUCH}
        SELECT DISTINCT known.technician_id, 'customer', known.row_id, {XID}
        FROM sync_row AS known
        WHERE known.kind = 'customer' AND known.row_id IN (OLD.customer_id, NEW.customer_id)
        {KEPT};
    END IF;
    RETURN NULL;""",
)
IN_HANDS = "OLD.technician_id IS NOT NULL OR NEW.technician_id IS NOT NULL"
SHOWN = ["customer_id", "serial_number", "kind", "model", "service_number"]
AT_HOME = (
    "(OLD.customer_id IS NOT NULL OR NEW.customer_id IS NOT NULL)"
    f" AND ({', '.join(f'OLD.{name}' for name in SHOWN)})"
    f" IS DISTINCT FROM ({', '.join(f'NEW.{name}' for name in SHOWN)})"
)


def _watch_updates(condition: str) -> None:
    op.execute("DROP TRIGGER synced_update ON terminal")
    op.execute(
        f"CREATE TRIGGER synced_update AFTER UPDATE ON terminal"
        f" FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION sync_terminals()"
    )


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.execute(AFTERWARDS)
    _watch_updates(f"{IN_HANDS} OR ({AT_HOME})")
    # What is known of terminals comes by the hundred thousand, and most of them stand at customers'
    # whom no phone shows.
    op.execute(
        "CREATE TRIGGER synced_customers_insert AFTER INSERT ON terminal"
        " REFERENCING NEW TABLE AS changed"
        " FOR EACH STATEMENT EXECUTE FUNCTION sync_customers_by_customer_id()"
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("DROP TRIGGER synced_customers_insert ON terminal")
    _watch_updates(IN_HANDS)
    op.execute(BEFORE)
