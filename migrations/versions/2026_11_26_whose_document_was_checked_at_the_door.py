"""Whose document was checked at the door, and with what outcome; the number is not kept.

Revision: 0049, after 0048
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0049"
down_revision: str | None = "0048"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "real_name_check",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("document", sa.String(length=40), nullable=False),
        sa.Column("id_key", sa.Text(), nullable=True),
        sa.Column("id_hash", sa.LargeBinary(), nullable=True),
        sa.Column("id_last4", sa.Text(), nullable=True),
        sa.Column("age_group", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("device_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("valid_until", MOMENT, nullable=True),
        sa.Column("next_look_at", MOMENT, nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "state = 'unknown' OR checked_at IS NOT NULL",
            name=op.f("ck_real_name_check_an_outcome_has_its_time"),
        ),
        sa.CheckConstraint(
            "state <> 'passed' OR valid_until IS NOT NULL",
            name=op.f("ck_real_name_check_what_passed_ends"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"]),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_real_name_check_customer", "real_name_check", ["customer_id", "asked_at"])
    op.create_index(op.f("ix_real_name_check_visit_id"), "real_name_check", ["visit_id"])
    op.create_index(
        "ix_real_name_check_due",
        "real_name_check",
        ["next_look_at"],
        postgresql_where=sa.text("state = 'unknown' AND next_look_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("real_name_check")
