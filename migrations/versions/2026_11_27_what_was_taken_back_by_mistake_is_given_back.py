"""A sale whose order had not ended after all is not reversed any more, and its commission returns.

Revision: 0095, after 0094
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0095"
down_revision: str | None = "0094"
branch_labels: str | None = None
depends_on: str | None = None

NEWS = "step IN ('acknowledged', 'reversed', 'item_reversed', 'reversal_undone')"
NEWS_BEFORE = "step IN ('acknowledged', 'reversed', 'item_reversed')"


def _ledger(news: str, reversed_once: list[str | sa.TextClause]) -> None:
    op.drop_index("ix_sale_event_new", table_name="sale_event")
    op.create_index(
        "ix_sale_event_new", "sale_event", ["created_at", "id"], postgresql_where=sa.text(news)
    )
    op.drop_index("uq_sale_event_reversed", table_name="sale_event")
    op.create_index(
        "uq_sale_event_reversed",
        "sale_event",
        reversed_once,
        unique=True,
        postgresql_where=sa.text("step = 'reversed'"),
    )


def _checks(counters: str, signs: str) -> None:
    for name, condition in (("a_counter_entry_counters", counters), ("signs", signs)):
        named = op.f(f"ck_commission_entry_{name}")
        op.drop_constraint(named, "commission_entry", type_="check")
        op.create_check_constraint(named, "commission_entry", condition)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _ledger(NEWS, ["sale_id", sa.text("(coalesce(facts ->> 'again', ''))")])
    _checks(
        "(kind IN ('taken_back', 'given_back')) = (counters_id IS NOT NULL)",
        "(kind = 'taken_back') = (fen < 0)",
    )


def downgrade() -> None:
    """Take the change back; it cannot be once anything was given back."""
    _checks(
        "(kind = 'taken_back') = (counters_id IS NOT NULL)", "(counters_id IS NULL) = (fen >= 0)"
    )
    _ledger(NEWS_BEFORE, ["sale_id"])
