"""One item of a sale is taken back alone: its ledger, its order and its commission know which.

Revision: 0069, after 0068
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0069"
down_revision: str | None = "0068"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
NEWS = "step IN ('acknowledged', 'reversed', 'item_reversed')"
NEWS_BEFORE = "step IN ('acknowledged', 'reversed')"


def _news(where: str) -> None:
    op.drop_index("ix_sale_event_new", table_name="sale_event")
    op.create_index(
        "ix_sale_event_new", "sale_event", ["created_at", "id"], postgresql_where=sa.text(where)
    )


def _counters(where: str) -> None:
    op.drop_index("uq_commission_entry_counter", table_name="commission_entry")
    op.create_index(
        "uq_commission_entry_counter",
        "commission_entry",
        ["counters_id"],
        unique=True,
        postgresql_where=sa.text(where),
    )


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("sale_item", sa.Column("reversed_at", MOMENT, nullable=True))
    op.add_column("sale_item", sa.Column("removed_at", MOMENT, nullable=True))
    for table in ("order_change", "commission_entry"):
        op.add_column(table, sa.Column("sale_item_id", sa.Uuid(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_{table}_sale_item_id"), table, "sale_item", ["sale_item_id"], ["id"]
        )
    op.create_index(
        "ix_order_change_item",
        "order_change",
        ["sale_item_id"],
        postgresql_where=sa.text("sale_item_id IS NOT NULL"),
    )
    _news(NEWS)
    op.create_index(
        "uq_sale_event_item_reversed",
        "sale_event",
        ["sale_id", sa.text("(facts ->> 'item_id')")],
        unique=True,
        postgresql_where=sa.text("step = 'item_reversed'"),
    )
    _counters("counters_id IS NOT NULL AND sale_item_id IS NULL")
    op.create_index(
        "uq_commission_entry_item",
        "commission_entry",
        ["counters_id", "sale_item_id"],
        unique=True,
        postgresql_where=sa.text("sale_item_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Take the change back; it cannot be while items were taken back alone."""
    op.drop_index("uq_commission_entry_item", table_name="commission_entry")
    _counters("counters_id IS NOT NULL")
    op.drop_index("uq_sale_event_item_reversed", table_name="sale_event")
    _news(NEWS_BEFORE)
    op.drop_index("ix_order_change_item", table_name="order_change")
    for table in ("commission_entry", "order_change"):
        op.drop_constraint(op.f(f"fk_{table}_sale_item_id"), table, type_="foreignkey")
        op.drop_column(table, "sale_item_id")
    for column in ("removed_at", "reversed_at"):
        op.drop_column("sale_item", column)
