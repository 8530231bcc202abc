"""The new name of a grid is news for whoever holds an order in it: orders on phones name their grid.

Revision: 0068, after 0067
"""

from alembic import op

revision: str = "0068"
down_revision: str | None = "0067"
branch_labels: str | None = None
depends_on: str | None = None

# As in the other functions of the feed: the number of the transaction, and a line for each technician.
# What was completed stays on phones for fourteen days at most (sync.closed_days).
RENAMED = """
CREATE FUNCTION sync_renamed_grid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync_row (technician_id, kind, row_id, xid)
    SELECT whose.id, 'work_order', w.id, pg_current_xact_id()::text::bigint
    FROM work_order AS w
    CROSS JOIN LATERAL (
        SELECT w.holder_id WHERE w.holder_id IS NOT NULL
        UNION
        SELECT helps.technician_id FROM work_assist AS helps
        WHERE helps.work_order_id = w.id AND helps.ended_at IS NULL
    ) AS whose (id)
    WHERE w.grid_id = NEW.id AND w.state NOT IN ('cancelled', 'archived')
        AND (w.completed_at IS NULL OR w.completed_at > now() - interval '15 days')
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(RENAMED)
    op.execute(
        "CREATE TRIGGER synced_name AFTER UPDATE OF name ON grid"
        " FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION sync_renamed_grid()"
    )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TRIGGER synced_name ON grid")
    op.execute("DROP FUNCTION sync_renamed_grid()")
