"""A terminal that a colleague gives, and the shift that goes on, are told to phones.

Revision: 0083, after 0082
"""

from alembic import op

revision: str = "0083"
down_revision: str | None = "0082"
branch_labels: str | None = None
depends_on: str | None = None

XID = "pg_current_xact_id()::text::bigint"
KEPT = """
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid
"""
TOUCH = "INSERT INTO sync_row (technician_id, kind, row_id, xid)"
BOTH = "unnest(ARRAY[h.from_technician_id, h.to_technician_id]) AS whose (id)"
HANDOVERS = f"""
CREATE FUNCTION sync_handovers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH}
    SELECT DISTINCT whose.id, 'handover', h.id, {XID} FROM (SELECT NEW.*) AS h, {BOTH}
    {KEPT};
    RETURN NULL;
END $$
"""
# What has left the giver's van cannot be accepted any more, and what is brought back can.
IN_VANS = f"""
CREATE FUNCTION sync_handovers_in_vans() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {TOUCH}
    SELECT DISTINCT whose.id, 'handover', h.id, {XID} FROM terminal_handover AS h, {BOTH}
    WHERE h.terminal_id = NEW.id AND h.state = 'offered'
    {KEPT};
    RETURN NULL;
END $$
"""
# Name, table, event with its condition, what is run. Only open ones are on phones.
TRIGGERS = (
    ("synced_insert", "terminal_handover", "INSERT", "true", "sync_handovers()"),
    ("synced_update", "terminal_handover", "UPDATE", "NEW.state <> OLD.state", "sync_handovers()"),
    (
        "synced_handovers",
        "terminal",
        "UPDATE",
        "'van' IN (OLD.pool, NEW.pool)"
        " AND (OLD.pool, OLD.technician_id) IS DISTINCT FROM (NEW.pool, NEW.technician_id)",
        "sync_handovers_in_vans()",
    ),
    ("synced_insert", "duty", "INSERT", "NEW.ended_at IS NULL", "sync_own('shift')"),
    (
        "synced_update",
        "duty",
        "UPDATE",
        "(OLD.ended_at, OLD.consent_from) IS DISTINCT FROM (NEW.ended_at, NEW.consent_from)",
        "sync_own('shift')",
    ),
)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    for function in (HANDOVERS, IN_VANS):
        op.execute(function)
    for name, table, event, condition, called in TRIGGERS:
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table}"
            f" FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {called}"
        )


def downgrade() -> None:
    """Take the change back."""
    for name, table, *_ in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in ("sync_handovers", "sync_handovers_in_vans"):
        op.execute(f"DROP FUNCTION {name}()")
    op.execute("DELETE FROM sync_row WHERE kind IN ('handover', 'shift')")
