"""That a phone is to be emptied is news for it in the transaction that asks for it.

Revision: 0096, after 0095
"""

from alembic import op

revision: str = "0096"
down_revision: str | None = "0095"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.execute(
        """
        CREATE FUNCTION sync_wipes() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO sync_row (technician_id, kind, row_id, xid)
            SELECT a.technician_id, 'device', d.id, pg_current_xact_id()::text::bigint
            FROM device AS d JOIN account AS a ON a.id = d.account_id
            WHERE d.id = NEW.device_id AND a.technician_id IS NOT NULL
            ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
            WHERE sync_row.xid <> excluded.xid;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER synced_insert AFTER INSERT ON device_wipe FOR EACH ROW"
        " EXECUTE FUNCTION sync_wipes()"
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("DROP TRIGGER synced_insert ON device_wipe")
    op.execute("DROP FUNCTION sync_wipes()")
