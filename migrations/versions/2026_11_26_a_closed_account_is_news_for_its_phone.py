"""That an account was closed, or opened again, is news for the phones of its technician.

Revision: 0060, after 0059
"""

from alembic import op

revision: str = "0060"
down_revision: str | None = "0059"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.execute(
        """
        CREATE FUNCTION sync_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO sync_row (technician_id, kind, row_id, xid)
            VALUES (NEW.technician_id, 'account', NEW.id, pg_current_xact_id()::text::bigint)
            ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
            WHERE sync_row.xid <> excluded.xid;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER synced_update AFTER UPDATE OF active ON account FOR EACH ROW"
        " WHEN (NEW.technician_id IS NOT NULL AND NEW.active <> OLD.active)"
        " EXECUTE FUNCTION sync_accounts()"
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("DROP TRIGGER synced_update ON account")
    op.execute("DROP FUNCTION sync_accounts()")
    op.execute("DELETE FROM sync_row WHERE kind = 'account'")
