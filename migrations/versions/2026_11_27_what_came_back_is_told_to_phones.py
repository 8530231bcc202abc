"""Of what came back of a sale, alone or as a whole, the phone of whoever sold it hears.

Revision: 0086, after 0085
"""

from alembic import op

revision: str = "0086"
down_revision: str | None = "0085"
branch_labels: str | None = None
depends_on: str | None = None

ITEMS = """
CREATE FUNCTION sync_sale_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync_row (technician_id, kind, row_id, xid)
    SELECT technician_id, 'sale', id, pg_current_xact_id()::text::bigint
    FROM sale WHERE id = NEW.sale_id
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid;
    RETURN NULL;
END $$
"""
# Table, what is run.
TRIGGERS = (("sale_item", "sync_sale_items()"), ("sale", "sync_own('sale')"))


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.execute(ITEMS)
    for table, called in TRIGGERS:
        op.execute(
            f"CREATE TRIGGER synced_reversed AFTER UPDATE OF reversed_at ON {table} FOR EACH ROW"
            f" WHEN (NEW.reversed_at IS DISTINCT FROM OLD.reversed_at) EXECUTE FUNCTION {called}"
        )


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET lock_timeout = '3s'")
    for table, _ in TRIGGERS:
        op.execute(f"DROP TRIGGER synced_reversed ON {table}")
    op.execute("DROP FUNCTION sync_sale_items()")
