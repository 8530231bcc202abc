"""Among all follow-ups, those with an answer are found by themselves.

Revision: 0034, after 0033
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0034"
down_revision: str | None = "0033"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_index(
        "ix_follow_up_answers",
        "follow_up",
        ["org_unit_id", "completed_at", "id", "mark"],
        postgresql_where=sa.text("mark IS NOT NULL"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_follow_up_answers", "follow_up")
