"""Changes of orders that came to nothing wait until somebody closes them; since when we are not heard.

Revision: 0076, after 0075
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0076"
down_revision: str | None = "0075"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
COLUMNS = (
    ("closed_at", MOMENT),
    ("closed_by", sa.Uuid()),
    ("closed_reason", sa.String(length=40)),
    ("closed_note", sa.Text()),
    ("replaced_by", sa.Uuid()),
)
REFERENCES = (("closed_by", "account"), ("replaced_by", "order_change"))


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name, kind in COLUMNS:
        op.add_column("order_change", sa.Column(name, kind, nullable=True))
    for name, table in REFERENCES:
        op.create_foreign_key(
            op.f(f"fk_order_change_{name}"), "order_change", table, [name], ["id"]
        )
    op.create_index(
        "ix_order_change_failed",
        "order_change",
        ["org_unit_id", "created_at", "id"],
        postgresql_where=sa.text("state IN ('refused', 'given_up') AND closed_at IS NULL"),
    )
    op.add_column("ordering_listener", sa.Column("failing_since", MOMENT, nullable=True))


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("ordering_listener", "failing_since")
    op.drop_index("ix_order_change_failed", table_name="order_change")
    for name, _ in REFERENCES:
        op.drop_constraint(op.f(f"fk_order_change_{name}"), "order_change", type_="foreignkey")
    for name, _ in reversed(COLUMNS):
        op.drop_column("order_change", name)
