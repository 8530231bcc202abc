"""By which numbers the phones of an org unit were last told what to keep is noted.

Revision: 0082, after 0081
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0082"
down_revision: str | None = "0081"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "sync_unit",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("grace_hours", sa.Float(), nullable=False),
        sa.Column("closed_days", sa.Float(), nullable=False),
        sa.Column("sales_days", sa.Float(), nullable=False),
        sa.Column("offline_hours", sa.Float(), nullable=False),
        sa.Column("stale", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.PrimaryKeyConstraint("org_unit_id"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("sync_unit")
    op.execute("DELETE FROM sync_row WHERE kind = 'setting'")
