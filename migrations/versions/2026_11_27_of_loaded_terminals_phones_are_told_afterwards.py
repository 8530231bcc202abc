"""Of customers at whose homes a load has placed terminals phones are told once the load is there.

Revision: 0103, after 0102
"""

from alembic import op

revision: str = "0103"
down_revision: str | None = "0102"
branch_labels: str | None = None
depends_on: str | None = None

XID = "pg_current_xact_id()::text::bigint"
KEPT = """
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid
"""
TOUCH = "INSERT INTO sync_row (technician_id, kind, row_id, xid)"
AT_HOME = """
        FROM sync_row AS known
        WHERE known.kind = 'customer' AND known.row_id IN (OLD.customer_id, NEW.customer_id)
"""
AT_ONCE = f"""
        {TOUCH}
        SELECT DISTINCT known.technician_id, 'customer', known.row_id, {XID}
        {AT_HOME}
        {KEPT};
"""
# What a load of customers asks for is heeded here, too: see there. A terminal's own line is written
# at once all the same: nobody writes it but who holds the terminal.
LATER = f"""
        IF current_setting('yingwei.phones_later', true) = 'on' THEN
            INSERT INTO sync_loaded (xid, customer_id)
            SELECT DISTINCT {XID}, known.row_id
            {AT_HOME}
            ON CONFLICT DO NOTHING;
            RETURN NULL;
        END IF;
"""
TERMINALS = f"""
CREATE OR REPLACE FUNCTION sync_terminals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH}
    SELECT DISTINCT whose.id, 'terminal', NEW.id, {XID}
    FROM (VALUES (CASE TG_OP WHEN 'UPDATE' THEN OLD.technician_id END), (NEW.technician_id))
        AS whose (id)
    WHERE whose.id IS NOT NULL
    {KEPT};
    IF TG_OP = 'UPDATE' AND (OLD.customer_id IS NOT NULL OR NEW.customer_id IS NOT NULL) THEN
        {{later}}
        {AT_ONCE}
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute(TERMINALS.format(later=LATER))


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute(TERMINALS.format(later=""))
