"""Where addresses belong is written without foreign keys: they cost more than they watch over.

Revision: 0009, after 0008
"""

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

KEYS = (
    ("address_grid", "grid_id", "grid"),
    ("address_grid", "drawn_grid_id", "grid"),
    ("address_to_locate", "service_address_id", "service_address"),
    ("address_to_locate", "grid_change_id", "grid_change"),
)


def upgrade() -> None:
    """Apply the change; it rewrites nothing."""
    for table, column, _ in KEYS:
        op.drop_constraint(op.f(f"fk_{table}_{column}"), table, type_="foreignkey")


def downgrade() -> None:
    """Take the change back."""
    for table, column, other in KEYS:
        op.create_foreign_key(
            op.f(f"fk_{table}_{column}"),
            table,
            other,
            [column],
            ["id"],
            ondelete="CASCADE" if other == "service_address" else None,
        )
