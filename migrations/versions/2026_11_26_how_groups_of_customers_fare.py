"""How groups of customers fare with suggestions is added up by the day.

Revision: 0075, after 0074
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0075"
down_revision: str | None = "0074"
branch_labels: str | None = None
depends_on: str | None = None

COUNTED = ("visits", "offered", "pitched", "accepted", "cancelled")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "policy_group_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTED),
        sa.PrimaryKeyConstraint(
            "day", "org_unit_id", "kind", "group", name=op.f("pk_policy_group_day")
        ),
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_table("policy_group_day")
