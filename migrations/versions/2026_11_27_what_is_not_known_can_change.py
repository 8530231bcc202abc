"""A tier or a class of risk that becomes known, or is known no more, is a change.

Revision: 0097, after 0096
"""

from alembic import op

revision: str = "0097"
down_revision: str | None = "0096"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.alter_column("lifecycle_change", "before", nullable=True)
    op.alter_column("lifecycle_change", "after", nullable=True)


def downgrade() -> None:
    """Undo the change."""
    op.execute("DELETE FROM lifecycle_change WHERE before IS NULL OR after IS NULL")
    op.alter_column("lifecycle_change", "after", nullable=False)
    op.alter_column("lifecycle_change", "before", nullable=False)
