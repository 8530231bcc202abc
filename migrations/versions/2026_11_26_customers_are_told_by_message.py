"""Messages to customers, each delivered by itself.

Revision: 0022, after 0021
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "message",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("about", sa.Uuid(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_try_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=True,
        ),
        sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("fail_reason", sa.String(length=40), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_message_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    for name, columns, where in (
        ("due", ["next_try_at"], "state = 'waiting'"),
        ("waiting", ["org_unit_id", "created_at"], "state = 'waiting'"),
        ("failed", ["org_unit_id", "ended_at"], "state = 'failed'"),
        ("remembered", ["ended_at"], "ended_at IS NOT NULL AND recipient IS NOT NULL"),
    ):
        op.create_index(f"ix_message_{name}", "message", columns, postgresql_where=sa.text(where))


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("message")
