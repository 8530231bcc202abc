"""What is kept of persons can be exported and erased, and ends when its time is over.

A record of what happened still cannot be rewritten. What is personal in one may be emptied, and a
row may go when it is older than the law wants it kept; the trigger itself knows from when on, so
that no number in the settings can shorten it.

Revision: 0043, after 0042
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0043"
down_revision: str | None = "0042"
branch_labels: str | None = None
depends_on: str | None = None

# How old a row has to be before it may go, and which columns may be emptied.
GUARDS = (
    ("audit_entry", "183 days", ""),
    ("suggestion_answer", "183 days", "competitor"),
    ("contact_consent", "150 days", ""),
    ("work_order_event", "", "reason,facts"),
    ("dispatch_decision", "", "note"),
    ("appointment_change", "", "note"),
    ("terminal_move", "", "from_service_number,to_service_number"),
)
# Written with this change; the others were guarded before.
NEW = frozenset({"contact_consent"})

GUARD = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    age text := coalesce(TG_ARGV[0], '');
    emptied text[] := string_to_array(coalesce(TG_ARGV[1], ''), ',');
BEGIN
    IF TG_OP = 'DELETE' AND age <> '' THEN
        IF OLD.created_at < now() - age::interval THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'UPDATE' AND emptied <> '{}'
        AND to_jsonb(NEW) - emptied = to_jsonb(OLD) - emptied
        AND NOT EXISTS (
            SELECT FROM unnest(emptied) AS name
            WHERE to_jsonb(NEW) -> name IS DISTINCT FROM to_jsonb(OLD) -> name
            AND to_jsonb(NEW) -> name NOT IN ('null', '""', '{}')
        ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION USING
        MESSAGE = TG_TABLE_NAME || ' is append-only', ERRCODE = 'restrict_violation';
END $$
"""
GUARD_BEFORE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = TG_TABLE_NAME || ' is append-only', ERRCODE = 'restrict_violation';
END $$
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("customer", sa.Column("erased_at", sa.TIMESTAMP(timezone=True), nullable=True))
    op.create_table(
        "privacy_request",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("customer_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("agreed_by", sa.Uuid(), nullable=True),
        sa.Column("agreed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("done_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "told",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_privacy_request_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_request")),
    )
    op.create_index("ix_privacy_request_list", "privacy_request", ["org_unit_id", "id"])
    op.execute(GUARD)
    for table, age, emptied in GUARDS:
        if table not in NEW:
            op.execute(f"DROP TRIGGER append_only ON {table}")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION refuse_change('{age}', '{emptied}')"
        )


def downgrade() -> None:
    """Take the change back."""
    for table, _age, _emptied in GUARDS:
        op.execute(f"DROP TRIGGER append_only ON {table}")
        if table not in NEW:
            op.execute(
                f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
    op.execute(GUARD_BEFORE)
    op.drop_table("privacy_request")
    op.drop_column("customer", "erased_at")
