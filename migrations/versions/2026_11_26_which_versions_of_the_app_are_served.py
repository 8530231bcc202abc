"""Which version of the phone app is the lowest that is served, from when on.

Revision: 0062, after 0061
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0062"
down_revision: str | None = "0061"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "app_release",
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("lowest_version", sa.Text(), nullable=False),
        sa.Column("valid_from", MOMENT, nullable=False),
        sa.Column("get_it_at", sa.Text(), nullable=False),
        sa.Column("announced_at", MOMENT, nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["account.id"], name=op.f("fk_app_release_set_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_release")),
        sa.UniqueConstraint(
            "platform", "valid_from", name=op.f("uq_app_release_platform_valid_from")
        ),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("app_release")
