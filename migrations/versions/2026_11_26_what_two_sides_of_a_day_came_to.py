"""Comparisons of days with the ordering system, their sums, and the differences they found.

Revision: 0055, after 0054
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0055"
down_revision: str | None = "0054"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "reconciliation_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("alive_until", MOMENT, nullable=True),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("orders_read", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("orders_expected", sa.BigInteger(), nullable=True),
        sa.Column("sales", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["asked_by"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reconciliation_run_day", "reconciliation_run", ["day", "asked_at", "id"])
    op.create_index(
        "ix_reconciliation_run_open",
        "reconciliation_run",
        ["asked_at"],
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.create_table(
        "reconciliation_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("sales", sa.BigInteger(), nullable=False),
        sa.Column("equal", sa.BigInteger(), nullable=False),
        sa.Column("under_way", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.Column("unheard", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_run.id"]),
        sa.PrimaryKeyConstraint("day", "org_unit_id"),
    )
    op.create_table(
        "reconciliation_case",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=True),
        sa.Column("heal", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("sale_id", sa.Uuid(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("times_seen", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("resolution", sa.String(length=40), nullable=True),
        sa.Column("explanation", sa.String(length=40), nullable=True),
        sa.Column("resolution_sale_id", sa.Uuid(), nullable=True),
        sa.Column("resolution_order_id", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_run.id"]),
        sa.ForeignKeyConstraint(["resolution_sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["resolved_by"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_reconciliation_case_subject", "reconciliation_case", ["day", "subject"], unique=True
    )
    op.create_index(
        "ix_reconciliation_case_list", "reconciliation_case", ["org_unit_id", "first_seen_at", "id"]
    )
    op.create_index(
        "ix_reconciliation_case_open",
        "reconciliation_case",
        ["org_unit_id", "first_seen_at", "id"],
        postgresql_where=sa.text("state IN ('open', 'resolving')"),
    )
    op.create_index("ix_reconciliation_case_sale", "reconciliation_case", ["sale_id"])


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("reconciliation_case")
    op.drop_table("reconciliation_day")
    op.drop_table("reconciliation_run")
