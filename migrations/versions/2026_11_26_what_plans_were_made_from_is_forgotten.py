"""Which plans still have what they were made from.

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_index(
        "ix_day_plan_inputs",
        "day_plan",
        ["day"],
        postgresql_where=sa.text("inputs IS NOT NULL"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_day_plan_inputs", table_name="day_plan")
