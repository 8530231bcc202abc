"""What is sold on special terms keeps them, and how much they take off for how long.

Revision: 0098, after 0097
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0098"
down_revision: str | None = "0097"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("sale_item", sa.Column("special_terms_id", sa.Uuid(), nullable=True))
    op.add_column("sale_item", sa.Column("discount_percent", sa.Float(), nullable=True))
    op.add_column("sale_item", sa.Column("discount_months", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_sale_item_special_terms_id"),
        "sale_item",
        "special_terms",
        ["special_terms_id"],
        ["id"],
    )
    op.create_check_constraint(
        op.f("ck_sale_item_terms_as_a_whole"),
        "sale_item",
        "num_nulls(special_terms_id, discount_percent, discount_months) IN (0, 3)",
    )
    op.create_check_constraint(
        op.f("ck_sale_item_terms_for_one"),
        "sale_item",
        "special_terms_id IS NULL OR quantity = 1",
    )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("sale_item", "discount_months")
    op.drop_column("sale_item", "discount_percent")
    op.drop_column("sale_item", "special_terms_id")
