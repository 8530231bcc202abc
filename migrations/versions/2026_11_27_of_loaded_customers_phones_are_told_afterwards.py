"""What phones are told of a load is noted until it is there, and what a promoted standby goes on from.

Revision: 0102, after 0101
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0102"
down_revision: str | None = "0101"
branch_labels: str | None = None
depends_on: str | None = None

XID = "pg_current_xact_id()::text::bigint"
# A line that is written stays locked until its transaction is over, and a load takes its time: by
# its own note, which nobody else writes, it holds up no technician's step. Whoever does not ask for
# it tells phones at once, as an older version of the product does.
LATER = f"""
    IF current_setting('yingwei.phones_later', true) = 'on' THEN
        INSERT INTO sync_loaded (xid, customer_id)
        SELECT DISTINCT {XID}, known.row_id
        FROM changed JOIN sync_row AS known
            ON known.kind = 'customer' AND known.row_id = changed.{{id}}
        ON CONFLICT DO NOTHING;
        RETURN NULL;
    END IF;
"""
CUSTOMERS = f"""
CREATE OR REPLACE FUNCTION sync_customers_by_{{id}}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {{later}}
    INSERT INTO sync_row (technician_id, kind, row_id, xid)
    SELECT DISTINCT known.technician_id, 'customer', known.row_id, {XID}
    FROM changed JOIN sync_row AS known ON known.kind = 'customer' AND known.row_id = changed.{{id}}
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid;
    RETURN NULL;
END $$
"""
BY = ("id", "customer_id")
# As it stands in the name of the log that is written now.
TIMELINE = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"
GOES_ON = ("timeline", "before", "since", "until")


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.create_table(
        "sync_loaded",
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("xid", "customer_id", name=op.f("pk_sync_loaded")),
    )
    for column in BY:
        op.execute(CUSTOMERS.format(id=column, later=LATER.format(id=column)))
    for name in GOES_ON:
        op.add_column("sync_epoch", sa.Column(name, sa.BigInteger(), nullable=True))
    # A timeline that is not known would be found to be another one at the next look, and an older
    # version of the product, which goes on beside the new one, turns cursors of two epochs away.
    op.execute(f"UPDATE sync_epoch SET timeline = {TIMELINE}")


def downgrade() -> None:
    """Take the change back."""
    for name in GOES_ON:
        op.drop_column("sync_epoch", name)
    for column in BY:
        op.execute(CUSTOMERS.format(id=column, later=""))
    # Of whom phones were not told yet they are told now.
    op.execute(
        f"""
        UPDATE sync_row SET xid = {XID}
        WHERE kind = 'customer' AND row_id IN (SELECT customer_id FROM sync_loaded)
        """
    )
    op.drop_table("sync_loaded")
