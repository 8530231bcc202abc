"""Rules of levers, of care and of follow-ups are set and ended by people; terms say as which tier one counts.

Revision: 0100, after 0099
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0100"
down_revision: str | None = "0099"
branch_labels: str | None = None
depends_on: str | None = None

# By whom a rule was set, and by whom it was ended: null where a file did.
BY_WHOM = [
    ("suggestion_lever", "set_by"),
    ("suggestion_lever", "ended_by"),
    ("suggestion_campaign", "ended_by"),
    ("care_rule", "set_by"),
    ("care_rule", "ended_by"),
    ("follow_up_rule", "set_by"),
    ("follow_up_rule", "ended_by"),
]


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table, column in BY_WHOM:
        op.add_column(table, sa.Column(column, sa.Uuid(), nullable=True))
        op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, "account", [column], ["id"])
    # What ends on the day on which it was to begin never counted: it was taken back before.
    op.drop_constraint(op.f("ck_suggestion_lever_dates_in_order"), "suggestion_lever")
    op.create_check_constraint(
        op.f("ck_suggestion_lever_dates_in_order"),
        "suggestion_lever",
        "valid_to IS NULL OR valid_to >= valid_from",
    )
    op.add_column("special_terms", sa.Column("counted_tier", sa.String(length=40), nullable=True))
    op.add_column("retention_case", sa.Column("counted_tier", sa.String(length=40), nullable=True))


def downgrade() -> None:
    """Undo the change."""
    op.drop_column("retention_case", "counted_tier")
    op.drop_column("special_terms", "counted_tier")
    op.execute("DELETE FROM suggestion_lever WHERE valid_to = valid_from")
    op.drop_constraint(op.f("ck_suggestion_lever_dates_in_order"), "suggestion_lever")
    op.create_check_constraint(
        op.f("ck_suggestion_lever_dates_in_order"),
        "suggestion_lever",
        "valid_to IS NULL OR valid_to > valid_from",
    )
    for table, column in reversed(BY_WHOM):
        op.drop_column(table, column)
