"""What can be installed now, as it was said last, is told to phones with what is offered.

Revision: 0087, after 0086
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0087"
down_revision: str | None = "0086"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "install_answer",
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("not_now", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_order_id"],
            ["work_order.id"],
            name=op.f("fk_install_answer_work_order_id"),
        ),
        sa.ForeignKeyConstraint(
            ["technician_id"],
            ["technician.id"],
            name=op.f("fk_install_answer_technician_id"),
        ),
        sa.PrimaryKeyConstraint("work_order_id", name=op.f("pk_install_answer")),
    )
    op.execute(
        "CREATE TRIGGER synced AFTER INSERT OR UPDATE ON install_answer"
        " FOR EACH ROW EXECUTE FUNCTION sync_suggested()"
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET lock_timeout = '3s'")
    op.drop_table("install_answer")
