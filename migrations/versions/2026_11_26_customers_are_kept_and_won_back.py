"""Toolkits, cases, special terms and customers who have left.

Revision: 0042, after 0041
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0042"
down_revision: str | None = "0041"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "care_rule",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("causes", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("tiers", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "churn_classes", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("handling", sa.String(length=40), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("priority BETWEEN 1 AND 4", name=op.f("ck_care_rule_priority")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_care_rule")),
        sa.UniqueConstraint("code", name=op.f("uq_care_rule_code")),
    )
    op.create_index("ix_care_rule_unit", "care_rule", ["org_path", "valid_from"], unique=False)
    op.create_table(
        "retention_toolkit",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["set_by"], ["account.id"], name=op.f("fk_retention_toolkit_set_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_toolkit")),
    )
    op.create_index(
        "uq_retention_toolkit_version", "retention_toolkit", ["code", "version"], unique=True
    )
    op.create_table(
        "former_customer",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("left_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("competitor", sa.Text(), nullable=True),
        sa.Column("reachable", sa.Boolean(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=True),
        sa.Column("tier", sa.String(length=40), nullable=True),
        sa.Column("value_12m_fen", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("refused_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("returned_on", sa.Date(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_former_customer_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_former_customer_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_former_customer_work_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_customer")),
    )
    op.create_index(
        "ix_former_customer_customer", "former_customer", ["customer_id", "left_on"], unique=False
    )
    op.create_index(
        "ix_former_customer_unit", "former_customer", ["org_unit_id", "left_on", "id"], unique=False
    )
    op.create_index(
        "uq_former_customer_gone",
        "former_customer",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("returned_on IS NULL"),
    )
    op.create_table(
        "retention_case",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("grid_id", sa.Uuid(), nullable=True),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("handling", sa.String(length=40), nullable=False),
        sa.Column("arm", sa.String(length=40), nullable=False),
        sa.Column("share_percent", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("tier", sa.String(length=40), nullable=True),
        sa.Column("churn_class", sa.String(length=40), nullable=True),
        sa.Column("value_12m_fen", sa.BigInteger(), nullable=True),
        sa.Column("rule_id", sa.Uuid(), nullable=True),
        sa.Column("toolkit_id", sa.Uuid(), nullable=True),
        sa.Column("change_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ask_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ends_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=True),
        sa.Column("technician_id", sa.Uuid(), nullable=True),
        sa.Column("taken_by", sa.Uuid(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("claimed_until", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("tries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("competitor", sa.Text(), nullable=True),
        sa.Column("offering_code", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("said_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("answer_hash", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(state = 'held_out') = (arm = 'held_out')", name=op.f("ck_retention_case_left_alone")
        ),
        sa.CheckConstraint(
            "(state = 'open') = (closed_at IS NULL)", name=op.f("ck_retention_case_closed")
        ),
        sa.ForeignKeyConstraint(
            ["claimed_by"], ["account.id"], name=op.f("fk_retention_case_claimed_by")
        ),
        sa.ForeignKeyConstraint(
            ["closed_by"], ["account.id"], name=op.f("fk_retention_case_closed_by")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_retention_case_customer_id")
        ),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name=op.f("fk_retention_case_grid_id")),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_retention_case_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["care_rule.id"], name=op.f("fk_retention_case_rule_id")
        ),
        sa.ForeignKeyConstraint(
            ["taken_by"], ["account.id"], name=op.f("fk_retention_case_taken_by")
        ),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_retention_case_technician_id")
        ),
        sa.ForeignKeyConstraint(
            ["toolkit_id"], ["retention_toolkit.id"], name=op.f("fk_retention_case_toolkit_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_retention_case_work_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_case")),
    )
    op.create_index(
        "ix_retention_case_customer", "retention_case", ["customer_id", "decided_at"], unique=False
    )
    op.create_index(
        "ix_retention_case_list",
        "retention_case",
        ["org_unit_id", "decided_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_retention_case_open",
        "retention_case",
        ["org_unit_id", "ask_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_retention_case_order",
        "retention_case",
        ["work_order_id"],
        unique=False,
        postgresql_where=sa.text("work_order_id IS NOT NULL"),
    )
    op.create_index(
        "ix_retention_case_technician",
        "retention_case",
        ["technician_id", "ask_at"],
        unique=False,
        postgresql_where=sa.text("technician_id IS NOT NULL"),
    )
    op.create_index(
        "uq_retention_case_one_open",
        "retention_case",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "special_terms",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("toolkit_id", sa.Uuid(), nullable=False),
        sa.Column("offering_code", sa.Text(), nullable=False),
        sa.Column("discount_percent", sa.Double(), nullable=False),
        sa.Column("months", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("tier", sa.String(length=40), nullable=True),
        sa.Column("churn_class", sa.String(length=40), nullable=True),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked_as", sa.String(length=40), nullable=False),
        sa.Column("asked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("path", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("redeemed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("redeemed_for", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "discount_percent BETWEEN 0 AND 100", name=op.f("ck_special_terms_discount")
        ),
        sa.ForeignKeyConstraint(
            ["asked_by"], ["account.id"], name=op.f("fk_special_terms_asked_by")
        ),
        sa.ForeignKeyConstraint(
            ["case_id"], ["retention_case.id"], name=op.f("fk_special_terms_case_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_special_terms_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_special_terms_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["toolkit_id"], ["retention_toolkit.id"], name=op.f("fk_special_terms_toolkit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_special_terms")),
    )
    op.create_index("ix_special_terms_asker", "special_terms", ["asked_by", "id"], unique=False)
    op.create_index(
        "ix_special_terms_customer", "special_terms", ["customer_id", "id"], unique=False
    )
    op.create_index("ix_special_terms_list", "special_terms", ["org_unit_id", "id"], unique=False)
    op.create_index(
        "ix_special_terms_open",
        "special_terms",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'approved')"),
    )
    op.create_index(
        "ix_special_terms_waiting",
        "special_terms",
        ["org_unit_id", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "uq_special_terms_code",
        "special_terms",
        ["code_hash"],
        unique=True,
        postgresql_where=sa.text("code_hash IS NOT NULL"),
    )
    op.create_index(
        "uq_special_terms_one_open",
        "special_terms",
        ["customer_id", "offering_code"],
        unique=True,
        postgresql_where=sa.text("state IN ('waiting', 'approved')"),
    )
    op.create_table(
        "terms_verdict",
        sa.Column("terms_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("hand", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_terms_verdict_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["terms_id"], ["special_terms.id"], name=op.f("fk_terms_verdict_terms_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms_verdict")),
    )
    op.create_index("uq_terms_verdict_step", "terms_verdict", ["terms_id", "step"], unique=True)


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("terms_verdict")
    op.drop_table("special_terms")
    op.drop_table("retention_case")
    op.drop_table("former_customer")
    op.drop_table("care_rule")
    op.drop_table("retention_toolkit")
