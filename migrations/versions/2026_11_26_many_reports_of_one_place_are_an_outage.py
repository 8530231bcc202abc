"""Many reports of one place are an outage: proposed, confirmed, worked on as one order, closed.

Revision: 0032, after 0031
"""

import geoalchemy2
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0032"
down_revision: str | None = "0031"
branch_labels: str | None = None
depends_on: str | None = None

OPEN = "state IN ('proposed', 'confirmed')"

# Whoever watches a board hears that what nobody has is to be asked for again.
TELL_OUTAGES = """
CREATE FUNCTION tell_outages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_change(told.path, '{}', '{}', true)
    FROM (
        SELECT DISTINCT u.path FROM changed JOIN org_unit u ON u.id = changed.org_unit_id
    ) AS told;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "outage",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("place_kind", sa.String(length=40), nullable=False),
        sa.Column("place_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("since", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("found_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("last_report_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("surprise", sa.Float(), nullable=True),
        sa.Column(
            "point",
            geoalchemy2.Geometry("POINT", srid=4326, spatial_index=False),
            nullable=True,
        ),
        sa.Column("cause", sa.String(length=40), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "when_over", sa.String(length=40), server_default=sa.text("'test'"), nullable=False
        ),
        sa.Column("expected_end", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("restored_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("quiet_until", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("parent_order_id", sa.Uuid(), nullable=True),
        sa.Column("merged_into_id", sa.Uuid(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("asked", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_outage_org_unit_id")
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["account.id"], name=op.f("fk_outage_decided_by")),
        sa.ForeignKeyConstraint(
            ["parent_order_id"], ["work_order.id"], name=op.f("fk_outage_parent_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["merged_into_id"], ["outage.id"], name=op.f("fk_outage_merged_into_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage")),
    )
    op.create_index("ix_outage_list", "outage", [sa.text("(ended_at IS NULL)"), "found_at", "id"])
    for name, column, where in (
        ("ix_outage_open", "org_unit_id", "ended_at IS NULL"),
        ("ix_outage_quiet", "quiet_until", "quiet_until IS NOT NULL"),
        ("ix_outage_parent", "parent_order_id", "parent_order_id IS NOT NULL"),
    ):
        op.create_index(name, "outage", [column], postgresql_where=sa.text(where))
    op.create_index(
        "uq_outage_open_place",
        "outage",
        ["place_kind", "place_key"],
        unique=True,
        postgresql_where=sa.text(OPEN),
    )
    op.create_table(
        "fault_report",
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("received_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("who", sa.Uuid(), nullable=False),
        sa.Column("district_path", sa.Text(), nullable=False),
        sa.Column("grid_id", sa.Uuid(), nullable=True),
        sa.Column("locality", sa.Text(), nullable=True),
        sa.Column("port", sa.Text(), nullable=True),
        sa.Column("usual", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("judged", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "apart_from",
            postgresql.ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_fault_report_work_order_id")
        ),
        sa.PrimaryKeyConstraint("work_order_id", name=op.f("pk_fault_report")),
    )
    op.create_index("ix_fault_report_district", "fault_report", ["district_path", "at"])
    op.create_index("ix_fault_report_received", "fault_report", ["received_at"])
    op.create_index(
        "ix_fault_report_new",
        "fault_report",
        ["district_path"],
        postgresql_where=sa.text("NOT judged"),
    )
    op.create_table(
        "outage_rate",
        sa.Column("place_kind", sa.String(length=40), nullable=False),
        sa.Column("place_key", sa.Text(), nullable=False),
        sa.Column("reports", sa.Float(), nullable=False),
        sa.Column("weeks", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("place_kind", "place_key", name=op.f("pk_outage_rate")),
    )
    op.create_table(
        "outage_rhythm",
        sa.Column("district_path", sa.Text(), nullable=False),
        sa.Column("hours", postgresql.ARRAY(sa.Float()), nullable=False),
        sa.Column("a_week", sa.Float(), nullable=False),
        sa.Column("places", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("district_path", name=op.f("pk_outage_rhythm")),
    )
    # Every row is null there, so nothing has to be looked through under the lock.
    op.create_foreign_key(
        op.f("fk_work_order_outage_id"),
        "work_order",
        "outage",
        ["outage_id"],
        ["id"],
        postgresql_not_valid=True,
    )
    op.create_index(
        "ix_work_order_outage",
        "work_order",
        ["outage_id"],
        postgresql_where=sa.text("outage_id IS NOT NULL"),
    )
    op.create_index(
        "ix_work_order_reports",
        "work_order",
        ["received_at"],
        postgresql_where=sa.text("work_type = 'repair'"),
    )
    op.create_index(
        "ix_service_address_port",
        "service_address",
        ["olt_port"],
        postgresql_ops={"olt_port": "text_pattern_ops"},
        postgresql_where=sa.text("olt_port IS NOT NULL"),
    )
    op.execute(TELL_OUTAGES)
    for operation in ("INSERT", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER told_{operation.lower()} AFTER {operation} ON outage"
            " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_outages()"
        )


def downgrade() -> None:
    """Take the change back."""
    for operation in ("insert", "update"):
        op.execute(f"DROP TRIGGER told_{operation} ON outage")
    op.execute("DROP FUNCTION tell_outages()")
    op.drop_index("ix_service_address_port", table_name="service_address")
    op.drop_index("ix_work_order_reports", table_name="work_order")
    op.drop_index("ix_work_order_outage", table_name="work_order")
    op.drop_constraint("fk_work_order_outage_id", "work_order", type_="foreignkey")
    for table in ("outage_rhythm", "outage_rate", "fault_report", "outage"):
        op.drop_table(table)
