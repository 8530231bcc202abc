"""Gates can be switched and campaigns set from a day on, and each decision says what was in force.

Revision: 0041, after 0040
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0041"
down_revision: str | None = "0040"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("suggestion_decision", sa.Column("rules_version", sa.Text(), nullable=True))
    op.add_column("suggestion", sa.Column("coordination", sa.String(length=40), nullable=True))
    op.create_table(
        "suggestion_gate",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        *_row(),
        sa.ForeignKeyConstraint(["set_by"], ["account.id"], name=op.f("fk_suggestion_gate_set_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suggestion_gate")),
    )
    op.create_index(
        "uq_suggestion_gate_version",
        "suggestion_gate",
        ["code", "org_path", "version"],
        unique=True,
    )
    op.create_table(
        "suggestion_campaign",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("org_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lever", sa.String(length=40), nullable=True),
        sa.Column("offering_code", sa.Text(), nullable=True),
        sa.Column("factor", sa.Float(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        *_row(),
        sa.CheckConstraint(
            "(lever IS NULL) <> (offering_code IS NULL)",
            name=op.f("ck_suggestion_campaign_about_one_thing"),
        ),
        sa.CheckConstraint(
            "factor BETWEEN 0.5 AND 2", name=op.f("ck_suggestion_campaign_within_bounds")
        ),
        sa.CheckConstraint(
            "valid_to > valid_from", name=op.f("ck_suggestion_campaign_dates_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["set_by"], ["account.id"], name=op.f("fk_suggestion_campaign_set_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suggestion_campaign")),
        sa.UniqueConstraint("code", name=op.f("uq_suggestion_campaign_code")),
    )


def _row() -> tuple["sa.Column[Any]", ...]:
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("suggestion_campaign")
    op.drop_table("suggestion_gate")
    op.drop_column("suggestion", "coordination")
    op.drop_column("suggestion_decision", "rules_version")
