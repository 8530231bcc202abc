"""How customers agree to what is sold: asked by message, by signature, and a second time.

Revision: 0053, after 0052
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0053"
down_revision: str | None = "0052"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column(
        "customer",
        sa.Column("protected", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("sale_item", sa.Column("contract_months", sa.BigInteger(), nullable=True))
    op.execute(
        "ALTER TABLE sale DROP CONSTRAINT ck_sale_no_sale_without_consent,"
        " ADD CONSTRAINT ck_sale_no_sale_without_consent CHECK (state IN ('draft', 'cancelled')"
        " OR (consent_kind IS NOT NULL AND consent_hash IS NOT NULL"
        " AND (confirmed_at IS NOT NULL OR state = 'second_confirmation'))) NOT VALID"
    )
    # What the old one has let in, the new one lets in as well; looking costs no lock on writers.
    op.execute("ALTER TABLE sale VALIDATE CONSTRAINT ck_sale_no_sale_without_consent")
    op.create_table(
        "message_reply",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("said_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider_id", name=op.f("uq_message_reply_provider_id")),
    )
    op.create_index(
        "ix_message_reply_position",
        "message_reply",
        ["position"],
        postgresql_where=sa.text("position IS NOT NULL"),
    )
    op.create_index(
        "ix_message_reply_remembered",
        "message_reply",
        ["created_at"],
        postgresql_where=sa.text("sender IS NOT NULL"),
    )
    op.create_table(
        "consent_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("sale_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("device_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column(
            "wrong",
            postgresql.ARRAY(sa.LargeBinary()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("reply_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"]),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["reply_id"], ["message_reply.id"]),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_consent_request_sale", "consent_request", ["sale_id", "asked_at"])
    op.create_index("ix_consent_request_customer", "consent_request", ["customer_id", "asked_at"])
    op.create_index(
        "ix_consent_request_awaiting",
        "consent_request",
        ["recipient"],
        postgresql_where=sa.text("state = 'asked' AND kind = 'sms_reply'"),
    )
    op.create_table(
        "consent_signature",
        sa.Column("sale_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("image_sha256", sa.Text(), nullable=False),
        sa.Column("stroke_sha256", sa.Text(), nullable=False),
        sa.Column("stroke_count", sa.BigInteger(), nullable=False),
        sa.Column("shown_sha256", sa.Text(), nullable=False),
        sa.Column("signed_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("arrived_at", MOMENT, nullable=True),
        sa.Column("flagged_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["work_order_id"], ["work_order.id"]),
        sa.PrimaryKeyConstraint("sale_id"),
    )
    op.create_index(
        "ix_consent_signature_due",
        "consent_signature",
        ["due_at"],
        postgresql_where=sa.text("arrived_at IS NULL"),
    )
    op.create_index(
        "ix_consent_signature_flagged",
        "consent_signature",
        ["org_unit_id", "flagged_at"],
        postgresql_where=sa.text("arrived_at IS NULL AND flagged_at IS NOT NULL"),
    )
    op.create_table(
        "second_confirmation",
        sa.Column("sale_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("relation", sa.String(length=40), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("cancel_until", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["request_id"], ["consent_request.id"]),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.PrimaryKeyConstraint("sale_id"),
    )
    op.create_index(
        "ix_second_confirmation_due",
        "second_confirmation",
        ["due_at"],
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index(
        "ix_second_confirmation_unit",
        "second_confirmation",
        ["org_unit_id", "asked_at", "sale_id"],
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("second_confirmation")
    op.drop_table("consent_signature")
    op.drop_table("consent_request")
    op.drop_table("message_reply")
    op.execute(
        "ALTER TABLE sale DROP CONSTRAINT ck_sale_no_sale_without_consent,"
        " ADD CONSTRAINT ck_sale_no_sale_without_consent CHECK (state IN ('draft', 'cancelled')"
        " OR (consent_kind IS NOT NULL AND consent_hash IS NOT NULL"
        " AND confirmed_at IS NOT NULL))"
    )
    op.drop_column("sale_item", "contract_months")
    op.drop_column("customer", "protected")
