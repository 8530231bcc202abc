"""Phones hear anew what may be sold at a door when special terms, or a customer's tier, change.

Revision: 0107, after 0106
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0107"
down_revision: str | None = "0106"
branch_labels: str | None = None
depends_on: str | None = None

XID = "pg_current_xact_id()::text::bigint"
# A customer's orders that phones may have: what is held, and what was completed lately.
ORDERS = """
    FROM work_order AS o
    WHERE o.customer_id = {customer} AND (
        o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        OR o.completed_at > now() - interval '15 days'
    )
"""
TERMS = f"""
CREATE FUNCTION sync_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync_row (technician_id, kind, row_id, xid)
    SELECT DISTINCT whose.id, 'suggestion', door.id, {XID}
    FROM (SELECT o.id, o.holder_id {ORDERS.format(customer="NEW.customer_id")}) AS door
    CROSS JOIN LATERAL (
        SELECT door.holder_id
        UNION SELECT technician_id FROM work_assist WHERE work_order_id = door.id
    ) AS whose (id)
    WHERE whose.id IS NOT NULL
    ORDER BY 1, 3
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid;
    RETURN NULL;
END $$
"""
# A line that is written stays locked until its transaction is over, and a night's takes its time: by
# its own note, which nobody else writes, it holds up no technician's answer. The night forbids
# nested loops for its own statement, and here nothing else finds a customer's few orders at once.
TIERS = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = on AS $$
BEGIN
    INSERT INTO sync_tier (xid, customer_id)
    SELECT {xid}, changed.customer_id FROM {changed} WHERE EXISTS (SELECT {orders})
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.create_table(
        "sync_tier",
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("xid", "customer_id", name=op.f("pk_sync_tier")),
    )
    # What phones know so far is right where nothing is the account manager's; phones of units where
    # something is are told by the next looks.
    op.add_column(
        "sync_unit",
        sa.Column("managers", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column(
        "sync_unit",
        sa.Column("offers_due", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.execute(TERMS)
    # Nobody is told of what is asked for, refused, or forgets why it was asked for.
    op.execute(
        "CREATE TRIGGER synced_insert AFTER INSERT ON special_terms"
        " FOR EACH ROW WHEN (NEW.state = 'approved') EXECUTE FUNCTION sync_terms()"
    )
    op.execute(
        "CREATE TRIGGER synced_update AFTER UPDATE ON special_terms FOR EACH ROW WHEN ("
        "'approved' IN (OLD.state, NEW.state)"
        " AND (OLD.state, OLD.expires_at, OLD.customer_id, OLD.offering_code)"
        " IS DISTINCT FROM (NEW.state, NEW.expires_at, NEW.customer_id, NEW.offering_code)"
        ") EXECUTE FUNCTION sync_terms()"
    )
    orders = ORDERS.format(customer="changed.customer_id")
    for name, changed in (
        ("sync_tiers", "changed"),
        ("sync_tier_of", "(VALUES (NEW.customer_id)) AS changed (customer_id)"),
    ):
        op.execute(TIERS.format(name=name, changed=changed, xid=XID, orders=orders))
    op.execute(
        "CREATE TRIGGER synced_insert AFTER INSERT ON customer_lifecycle"
        " REFERENCING NEW TABLE AS changed"
        " FOR EACH STATEMENT EXECUTE FUNCTION sync_tiers()"
    )
    op.execute(
        "CREATE TRIGGER synced_update AFTER UPDATE ON customer_lifecycle"
        " FOR EACH ROW WHEN (OLD.tier IS DISTINCT FROM NEW.tier) EXECUTE FUNCTION sync_tier_of()"
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TRIGGER synced_update ON customer_lifecycle")
    op.execute("DROP TRIGGER synced_insert ON customer_lifecycle")
    op.execute("DROP TRIGGER synced_update ON special_terms")
    op.execute("DROP TRIGGER synced_insert ON special_terms")
    for name in ("sync_tier_of", "sync_tiers", "sync_terms"):
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_column("sync_unit", "offers_due")
    op.drop_column("sync_unit", "managers")
    op.drop_table("sync_tier")
