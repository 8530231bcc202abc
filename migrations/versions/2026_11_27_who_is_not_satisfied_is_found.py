"""Answers of who is not satisfied are found without reading all answers.

Revision: 0099, after 0098
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0099"
down_revision: str | None = "0098"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index(
        "ix_suggestion_answer_dissatisfied",
        "suggestion_answer",
        ["customer_id", "at"],
        postgresql_where=sa.text("reason = 'dissatisfied'"),
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_index("ix_suggestion_answer_dissatisfied", table_name="suggestion_answer")
