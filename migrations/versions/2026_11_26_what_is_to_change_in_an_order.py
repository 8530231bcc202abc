"""What is to change in an order, when the ordering system is left alone, and who listens to it.

Revision: 0047, after 0046
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0047"
down_revision: str | None = "0046"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
OPEN = sa.text("state IN ('waiting', 'sending', 'sent')")


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "order_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("sale_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("requested_start", MOMENT, nullable=True),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries_not_sent", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries_unknown", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("last_tried_at", MOMENT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("remote_state", sa.Text(), nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["asked_by"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_order_change_open", "order_change", ["sale_id"], unique=True, postgresql_where=OPEN
    )
    op.create_index("ix_order_change_due", "order_change", ["next_try_at"], postgresql_where=OPEN)
    op.create_index("ix_order_change_sale", "order_change", ["sale_id", "asked_at"])
    op.create_index("ix_order_change_remote", "order_change", ["remote_id"])
    op.create_index(op.f("ix_order_change_org_unit_id"), "order_change", ["org_unit_id"])
    op.create_table(
        "ordering_endpoint",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=True),
        sa.Column("open_until", MOMENT, nullable=True),
        sa.Column("probing_until", MOMENT, nullable=True),
        sa.Column("pause_seconds", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("times_opened", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "ordering_listener",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("callback", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("registered_at", MOMENT, nullable=True),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("next_try_at", MOMENT, nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_ordering_listener_base", "ordering_listener", ["base_url"], unique=True)


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("ordering_listener")
    op.drop_table("ordering_endpoint")
    op.drop_table("order_change")
