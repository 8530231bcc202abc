"""Templates of work types, and what an order keeps of how it began.

Revision: 0021, after 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "work_template",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("work_type", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["set_by"], ["account.id"], name=op.f("fk_work_template_set_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_template")),
    )
    op.create_index("uq_work_template_version", "work_template", ["code", "version"], unique=True)
    for column, table in (
        ("template_id", "work_template"),
        ("promise_rule_id", "promise_rule"),
        ("repeat_of_id", "work_order"),
    ):
        op.add_column("work_order", sa.Column(column, sa.Uuid(), nullable=True))
        # Every row is null there, so nothing has to be looked through under the lock.
        op.create_foreign_key(
            op.f(f"fk_work_order_{column}"),
            "work_order",
            table,
            [column],
            ["id"],
            postgresql_not_valid=True,
        )
    op.add_column("work_order", sa.Column("outage_id", sa.Uuid(), nullable=True))
    op.add_column(
        "work_order",
        sa.Column("nudges", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "visit",
        sa.Column(
            "checked", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("visit", "checked")
    for column in ("nudges", "outage_id", "repeat_of_id", "promise_rule_id", "template_id"):
        op.drop_column("work_order", column)
    op.drop_table("work_template")
