"""What technicians earn by sales is kept in a ledger, and what became of visits is added up by day.

Revision: 0058, after 0057
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0058"
down_revision: str | None = "0057"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
COUNTED = (
    "completed no_customer held_back visits_suggested offers_shown offers_pitched offers_answered"
    " offers_accepted visits_confirmed sales_put_together sales_consented sales_confirmed"
    " sales_installed sales_acknowledged sales_activated sales_reversed"
)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "commission_entry",
        sa.Column("sale_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("cut_fen", sa.BigInteger(), nullable=False),
        sa.Column("counters_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(kind = 'taken_back') = (counters_id IS NOT NULL)",
            name=op.f("ck_commission_entry_a_counter_entry_counters"),
        ),
        sa.CheckConstraint(
            "(counters_id IS NULL) = (fen >= 0)", name=op.f("ck_commission_entry_signs")
        ),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["counters_id"], ["commission_entry.id"]),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission_entry")),
    )
    op.create_index(
        "uq_commission_entry_part",
        "commission_entry",
        ["sale_id", "kind"],
        unique=True,
        postgresql_where=sa.text("counters_id IS NULL"),
    )
    op.create_index(
        "uq_commission_entry_counter",
        "commission_entry",
        ["counters_id"],
        unique=True,
        postgresql_where=sa.text("counters_id IS NOT NULL"),
    )
    op.create_index(
        "ix_commission_entry_technician", "commission_entry", ["technician_id", "month", "id"]
    )
    op.create_index(
        "ix_commission_entry_unit", "commission_entry", ["org_unit_id", "month", "technician_id"]
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON commission_entry"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "commission_due",
        sa.Column("sale_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.PrimaryKeyConstraint("sale_id", name=op.f("pk_commission_due")),
    )
    op.create_index("ix_commission_due_at", "commission_due", ["due_at"])
    op.create_index("ix_commission_due_technician", "commission_due", ["technician_id"])
    op.create_table(
        "commission_progress",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("read_at", MOMENT, nullable=False),
        sa.Column("read_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_commission_progress_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission_progress")),
    )
    # What was acknowledged before was paid by other means: it is not reckoned a second time.
    op.execute(
        "INSERT INTO commission_progress (id, read_at, read_id)"
        " VALUES (1, clock_timestamp(), gen_random_uuid())"
    )
    op.create_table(
        "commission_flag",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("sale_id", sa.Uuid(), nullable=True),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reviewed_at", MOMENT, nullable=True),
        sa.Column("reviewed_by_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'open') = (reviewed_at IS NULL)",
            name=op.f("ck_commission_flag_reviewed_or_open"),
        ),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission_flag")),
    )
    op.create_index(
        "uq_commission_flag_sale",
        "commission_flag",
        ["sale_id", "kind"],
        unique=True,
        postgresql_where=sa.text("sale_id IS NOT NULL"),
    )
    op.create_index(
        "uq_commission_flag_month",
        "commission_flag",
        ["technician_id", "month", "kind"],
        unique=True,
        postgresql_where=sa.text("sale_id IS NULL"),
    )
    op.create_index(
        "ix_commission_flag_list", "commission_flag", ["org_unit_id", "state", "at", "id"]
    )
    op.create_table(
        "sale_funnel_day",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("work_type", sa.String(length=40), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTED.split()),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.PrimaryKeyConstraint("org_unit_id", "day", "work_type", name=op.f("pk_sale_funnel_day")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("sale_funnel_day")
    op.drop_table("commission_flag")
    op.drop_table("commission_progress")
    op.drop_table("commission_due")
    op.drop_table("commission_entry")
