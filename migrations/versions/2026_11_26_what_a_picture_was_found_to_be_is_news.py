"""What a picture was found to be is news for the phone that took it: old, or seen before.

Whether it was far away was news already, which is not known of pictures without a position.

Revision: 0070, after 0069
"""

from alembic import op

revision: str = "0070"
down_revision: str | None = "0069"
branch_labels: str | None = None
depends_on: str | None = None

BEFORE = (
    "NEW.state <> OLD.state OR NEW.far IS DISTINCT FROM OLD.far"
    " OR NEW.forgotten_at IS DISTINCT FROM OLD.forgotten_at"
)
NOW = f"{BEFORE} OR NEW.old IS DISTINCT FROM OLD.old OR NEW.reused IS DISTINCT FROM OLD.reused"


def upgrade() -> None:
    """Apply the change."""
    _told_of(NOW)


def downgrade() -> None:
    """Undo the change."""
    _told_of(BEFORE)


def _told_of(condition: str) -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TRIGGER synced_update ON evidence")
    op.execute(
        "CREATE TRIGGER synced_update AFTER UPDATE ON evidence FOR EACH ROW"
        f" WHEN ({condition}) EXECUTE FUNCTION sync_own('photo')"
    )
