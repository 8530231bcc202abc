"""Levers are for stages of the lifecycle, some for the account manager; offers need some usage.

Revision: 0073, after 0072
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0073"
down_revision: str | None = "0072"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("product_offering", sa.Column("least_usage_gb", sa.BigInteger(), nullable=True))
    op.add_column("product_offering", sa.Column("most_usage_gb", sa.BigInteger(), nullable=True))
    op.create_table(
        "suggestion_lever",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("lever", sa.String(length=40), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("stages", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column(
            "manager_tiers", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from",
            name=op.f("ck_suggestion_lever_dates_in_order"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suggestion_lever")),
        sa.UniqueConstraint("code", name=op.f("uq_suggestion_lever_code")),
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("suggestion_lever")
    op.drop_column("product_offering", "most_usage_gb")
    op.drop_column("product_offering", "least_usage_gb")
