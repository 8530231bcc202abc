"""What customers allow, channel by channel, and the device of each look at their data.

Revision: 0040, after 0039
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0040"
down_revision: str | None = "0039"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    for column in ("channels_allowed", "channels_refused"):
        op.add_column(
            "customer",
            sa.Column(
                column, postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
            ),
        )
    op.add_column("audit_entry", sa.Column("device", sa.Text(), nullable=True))
    op.create_table(
        "contact_consent",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("proof", sa.String(length=40), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("said_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("device_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_contact_consent_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_consent")),
    )
    op.create_index("ix_contact_consent_customer", "contact_consent", ["customer_id", "said_at"])


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("contact_consent")
    op.drop_column("audit_entry", "device")
    op.drop_column("customer", "channels_refused")
    op.drop_column("customer", "channels_allowed")
