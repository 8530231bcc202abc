"""What is a record of what happened can be added to and read, never changed.

Revision: 0003, after 0002
"""

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

LOGS = (
    "audit_entry",
    "work_order_event",
    "dispatch_decision",
    "suggestion_decision",
    "suggestion",
    "suggestion_answer",
)


def upgrade() -> None:
    """Apply the change."""
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION USING
                MESSAGE = TG_TABLE_NAME || ' is append-only', ERRCODE = 'restrict_violation';
        END $$
        """
    )
    for table in LOGS:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    """Take the change back."""
    for table in LOGS:
        op.execute(f"DROP TRIGGER append_only ON {table}")
    op.execute("DROP FUNCTION refuse_change()")
