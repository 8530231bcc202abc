"""Where customers stand in the lifecycle, and what they paid and used month by month.

Revision: 0039, after 0038
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0039"
down_revision: str | None = "0038"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
WORD = sa.String(length=40)
WORDS = postgresql.ARRAY(sa.Text())
DOCUMENT = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("customer", sa.Column("disconnected_on", sa.Date(), nullable=True))
    op.add_column("customer", sa.Column("leaving_reason", sa.Text(), nullable=True))
    op.add_column("customer", sa.Column("blacklisted", sa.Boolean(), nullable=True))
    op.add_column("customer", sa.Column("competitor", sa.Text(), nullable=True))
    op.create_table(
        "customer_month",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("income_fen", sa.BigInteger(), nullable=True),
        sa.Column("new_service_income_fen", sa.BigInteger(), nullable=True),
        sa.Column("usage_gb", sa.BigInteger(), nullable=True),
        sa.Column("arrears_fen", sa.BigInteger(), nullable=True),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_month_customer_id")
        ),
        sa.PrimaryKeyConstraint("customer_id", "month", name=op.f("pk_customer_month")),
    )
    op.create_table(
        "customer_lifecycle",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("stage", WORD, nullable=False),
        sa.Column("stage_since", sa.Date(), nullable=False),
        sa.Column("stage_rule", sa.Text(), nullable=False),
        sa.Column("tier", WORD, nullable=True),
        sa.Column("tier_before", WORD, nullable=True),
        sa.Column("tier_since", sa.Date(), nullable=True),
        sa.Column("tier_forecast", WORD, nullable=True),
        sa.Column("hidden_high_value", sa.Boolean(), nullable=False),
        sa.Column("value_12m_fen", sa.BigInteger(), nullable=True),
        sa.Column("churn_score", sa.Float(), nullable=True),
        sa.Column("churn_class", WORD, nullable=True),
        sa.Column("churn_reasons", DOCUMENT, nullable=False),
        sa.Column("signals", WORDS, nullable=False),
        sa.Column("last_signal_on", sa.Date(), nullable=True),
        sa.Column("card_version", sa.Text(), nullable=True),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("computed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customer.id"],
            name=op.f("fk_customer_lifecycle_customer_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_lifecycle")),
    )
    op.create_index(
        "ix_customer_lifecycle_unit",
        "customer_lifecycle",
        ["org_unit_id", "stage", "tier", "churn_class", "hidden_high_value"],
    )
    op.create_table(
        "lifecycle_change",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("inputs", DOCUMENT, nullable=False),
        sa.Column("warns", sa.Boolean(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifecycle_change")),
    )
    op.create_index("ix_lifecycle_change_customer", "lifecycle_change", ["customer_id", "at", "id"])
    op.create_index("ix_lifecycle_change_list", "lifecycle_change", ["org_unit_id", "at", "id"])
    op.create_index(
        "ix_lifecycle_change_warned",
        "lifecycle_change",
        ["run_id", "customer_id"],
        postgresql_where=sa.text("warns"),
    )
    op.create_table(
        "lifecycle_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("customers", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("written", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("changes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("warnings", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifecycle_run")),
    )
    op.create_index(
        "ix_lifecycle_run_finished",
        "lifecycle_run",
        ["finished_at"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_table(
        "lifecycle_cut",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("a_from_fen", sa.BigInteger(), nullable=True),
        sa.Column("b_from_fen", sa.BigInteger(), nullable=True),
        sa.Column("c_from_fen", sa.BigInteger(), nullable=True),
        sa.Column("mean_fen", sa.BigInteger(), nullable=True),
        sa.Column("usage_high_gb", sa.Float(), nullable=True),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("computed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_lifecycle_cut_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("org_unit_id", name=op.f("pk_lifecycle_cut")),
    )
    op.create_table(
        "lifecycle_due",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_lifecycle_due")),
    )
    op.create_table(
        "churn_card",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("source", WORD, nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.Column("figures", DOCUMENT, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["set_by"], ["account.id"], name=op.f("fk_churn_card_set_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_churn_card")),
        sa.UniqueConstraint("version", name=op.f("uq_churn_card_version")),
    )
    op.create_index("ix_churn_card_valid", "churn_card", ["valid_from", "id"])
    op.create_table(
        "churn_sample",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("fields", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "month", name=op.f("pk_churn_sample")),
    )
    op.create_index("ix_churn_sample_day", "churn_sample", ["day", "customer_id"])


def downgrade() -> None:
    """Take the change back."""
    for table in (
        "churn_sample",
        "churn_card",
        "lifecycle_due",
        "lifecycle_cut",
        "lifecycle_run",
        "lifecycle_change",
        "customer_lifecycle",
        "customer_month",
    ):
        op.drop_table(table)
    for column in ("competitor", "blacklisted", "leaving_reason", "disconnected_on"):
        op.drop_column("customer", column)
