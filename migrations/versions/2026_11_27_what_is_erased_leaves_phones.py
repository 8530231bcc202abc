"""What is erased of a sale, a picture or an action leaves phones as well.

Revision: 0108, after 0107
"""

from alembic import op

revision: str = "0108"
down_revision: str | None = "0107"
branch_labels: str | None = None
depends_on: str | None = None

# Table, kind, columns, and which rows phones may have. All other tables that are erased tell of
# every change.
ERASED = (
    ("sale", "sale", ("note", "rejected_reason"), ""),
    ("evidence", "photo", ("filename",), ""),
    # Phones show what was done for thirty days, and what is older is swept by the thousand.
    ("sync_action", "action", ("facts",), " AND NEW.created_at > now() - interval '31 days'"),
)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for table, kind, columns, shown in ERASED:
        differ = " OR ".join(f"NEW.{one} IS DISTINCT FROM OLD.{one}" for one in columns)
        op.execute(
            f"CREATE TRIGGER synced_erased AFTER UPDATE OF {', '.join(columns)} ON {table}"
            f" FOR EACH ROW WHEN (({differ}){shown}) EXECUTE FUNCTION sync_own('{kind}')"
        )


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for table, *_ in ERASED:
        op.execute(f"DROP TRIGGER synced_erased ON {table}")
