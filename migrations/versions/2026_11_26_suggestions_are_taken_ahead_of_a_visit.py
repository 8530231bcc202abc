"""Suggestions are taken ahead of a visit, and say how long they are valid.

Revision: 0052, after 0051
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0052"
down_revision: str | None = "0051"
branch_labels: str | None = None
depends_on: str | None = None

HOLDER, AHEAD = "ck_contact_slot_one_holder", "ck_contact_slot_ahead_by_somebody"
ONE = "num_nonnulls(visit_id, reservation_id, work_order_id) = 1"


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.alter_column("suggestion_decision", "visit_id", nullable=True)
    op.add_column(
        "suggestion_decision", sa.Column("valid_until", sa.TIMESTAMP(timezone=True), nullable=True)
    )
    # None of the rows there are belongs into it.
    op.create_index(
        "ix_suggestion_decision_ahead",
        "suggestion_decision",
        ["work_order_id", "id"],
        postgresql_where=sa.text("visit_id IS NULL"),
    )
    op.add_column("contact_slot", sa.Column("work_order_id", sa.Uuid(), nullable=True))
    op.add_column("contact_slot", sa.Column("technician_id", sa.Uuid(), nullable=True))
    for column, table in (("work_order_id", "work_order"), ("technician_id", "technician")):
        op.create_foreign_key(
            op.f(f"fk_contact_slot_{column}"), "contact_slot", table, [column], ["id"]
        )
    op.create_index(op.f("ix_contact_slot_work_order_id"), "contact_slot", ["work_order_id"])
    op.drop_constraint(op.f(HOLDER), "contact_slot", type_="check")
    op.create_check_constraint(op.f(HOLDER), "contact_slot", ONE)
    op.create_check_constraint(
        op.f(AHEAD), "contact_slot", "(work_order_id IS NULL) = (technician_id IS NULL)"
    )


def downgrade() -> None:
    """Take the change back; what was taken ahead is not known to older code."""
    op.execute("DELETE FROM contact_slot WHERE work_order_id IS NOT NULL")
    op.drop_constraint(op.f(AHEAD), "contact_slot", type_="check")
    op.drop_constraint(op.f(HOLDER), "contact_slot", type_="check")
    op.create_check_constraint(
        op.f(HOLDER), "contact_slot", "(visit_id IS NULL) <> (reservation_id IS NULL)"
    )
    op.drop_column("contact_slot", "technician_id")
    op.drop_column("contact_slot", "work_order_id")
    op.drop_index("ix_suggestion_decision_ahead", "suggestion_decision")
    op.execute(
        "DELETE FROM suggestion WHERE decision_id IN"
        " (SELECT id FROM suggestion_decision WHERE visit_id IS NULL)"
    )
    op.execute("DELETE FROM suggestion_decision WHERE visit_id IS NULL")
    op.drop_column("suggestion_decision", "valid_until")
    op.alter_column("suggestion_decision", "visit_id", nullable=False)
