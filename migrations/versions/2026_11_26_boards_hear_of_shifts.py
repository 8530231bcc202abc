"""Whoever watches a board is told when a shift begins, ends, or positions are agreed to.

Revision: 0067, after 0066
"""

from alembic import op

revision: str = "0067"
down_revision: str | None = "0066"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for operation in ("INSERT", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER told_{operation.lower()} AFTER {operation} ON duty"
            " REFERENCING NEW TABLE AS changed"
            " FOR EACH STATEMENT EXECUTE FUNCTION tell_people()"
        )


def downgrade() -> None:
    """Take the change back."""
    for operation in ("insert", "update"):
        op.execute(f"DROP TRIGGER told_{operation} ON duty")
