"""Moments beyond what Python holds, which a clock that was never set has said, are moved within it.

They are moved where phones still show them, each found by an index; what is older is on no phone.

Revision: 0109, after 0108
"""

from alembic import op

revision: str = "0109"
down_revision: str | None = "0108"
branch_labels: str | None = None
depends_on: str | None = None

FIRST, LAST = "'1900-01-01 00:00Z'::timestamptz", "'2999-12-31 00:00Z'::timestamptz"
# Orders on phones: what is held, and what was completed lately.
ON_PHONES = """
    SELECT id FROM work_order
    WHERE state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
    UNION ALL
    SELECT o.id FROM org_unit AS u JOIN work_order AS o ON o.org_unit_id = u.id
    WHERE o.completed_at > now() - interval '15 days'
"""
# Table, column, which rows.
SHOWN = (
    ("visit", "resume_at", f"work_order_id IN ({ON_PHONES})"),
    ("evidence", "taken_at", f"work_order_id IN ({ON_PHONES})"),
    ("sync_action", "device_at", "received_at > now() - interval '31 days'"),
)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for table, column, shown in SHOWN:
        op.execute(
            f"UPDATE {table} SET {column} = least(greatest({column}, {FIRST}), {LAST})"
            f" WHERE {column} NOT BETWEEN {FIRST} AND {LAST} AND {shown}"
        )


def downgrade() -> None:
    """Take the change back: what was said there could not be read, and is not known any more."""
