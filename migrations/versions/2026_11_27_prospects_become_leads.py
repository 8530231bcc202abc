"""People met at work who are no customers are noted, and become leads.

Revision: 0091, after 0090
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0091"
down_revision: str | None = "0090"
branch_labels: str | None = None
depends_on: str | None = None

ABOUT_SOMEBODY = (
    "CASE WHEN prospect_id IS NULL"
    " THEN num_nulls(customer_id, suggestion_id, offering_code) = 0"
    " ELSE num_nonnulls(customer_id, suggestion_id) = 0 END"
)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "prospect",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("grid_id", sa.Uuid(), nullable=True),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("consent", sa.String(length=40), nullable=True),
        sa.Column("competitor", sa.Text(), nullable=True),
        sa.Column("offer", sa.Text(), nullable=True),
        sa.Column("monthly_price_fen", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("device_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("forgotten_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "consent IS NOT NULL OR (name IS NULL AND phone IS NULL)",
            name=op.f("ck_prospect_named_with_consent"),
        ),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_prospect_{column}"))
            for column, table in (
                ("org_unit_id", "org_unit"),
                ("grid_id", "grid"),
                ("visit_id", "visit"),
                ("technician_id", "technician"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prospect")),
    )
    op.create_index(
        "ix_prospect_phone", "prospect", ["phone"], postgresql_where=sa.text("phone IS NOT NULL")
    )
    for column in ("customer_id", "suggestion_id", "offering_code"):
        op.alter_column("sales_lead", column, nullable=True)
    op.add_column("sales_lead", sa.Column("prospect_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_sales_lead_prospect_id"), "sales_lead", "prospect", ["prospect_id"], ["id"]
    )
    op.create_check_constraint(op.f("ck_sales_lead_about_somebody"), "sales_lead", ABOUT_SOMEBODY)


def downgrade() -> None:
    """Undo the change; leads about nobody's customers go with their prospects."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_constraint(op.f("ck_sales_lead_about_somebody"), "sales_lead")
    op.execute("DELETE FROM sales_lead WHERE prospect_id IS NOT NULL")
    op.drop_column("sales_lead", "prospect_id")
    for column in ("customer_id", "suggestion_id", "offering_code"):
        op.alter_column("sales_lead", column, nullable=False)
    op.drop_table("prospect")
