"""Why a delivery failed, what a person did about it, and when supervisors were alerted.

Revision: 0050, after 0049
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0050"
down_revision: str | None = "0049"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)


def _row() -> tuple[sa.Column[object], ...]:
    """Make the columns that every table has."""
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
    )


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("order_sync", sa.Column("last_cause", sa.String(length=40), nullable=True))
    op.add_column(
        "order_sync",
        sa.Column("corrections", postgresql.JSONB(none_as_null=True), nullable=True),
    )
    op.add_column("order_sync", sa.Column("given_up_reason", sa.String(length=40), nullable=True))
    op.add_column("order_sync", sa.Column("given_up_note", sa.Text(), nullable=True))
    op.add_column("order_sync", sa.Column("given_up_by", sa.Uuid(), nullable=True))
    op.add_column("order_sync", sa.Column("given_up_at", MOMENT, nullable=True))
    op.create_foreign_key(
        op.f("fk_order_sync_given_up_by"), "order_sync", "account", ["given_up_by"], ["id"]
    )
    # Until now the cause stood before the colon; what has none there was found by ourselves.
    op.execute(
        """
        UPDATE order_sync SET last_cause = CASE
            WHEN split_part(last_error, ':', 1) IN (
                'unreachable', 'busy', 'sign_in', 'wrong_address', 'timed_out', 'cut',
                'server_error', 'conflict', 'unreadable', 'filter_ignored', 'refused', 'too_late',
                'never_told') THEN split_part(last_error, ':', 1)
            WHEN last_error LIKE 'order % is not known%' THEN 'forgotten'
            ELSE 'unfit' END
         WHERE last_error IS NOT NULL AND state <> 'finished'
        """
    )
    op.create_index(
        "ix_order_sync_trouble",
        "order_sync",
        ["org_unit_id", "created_at", "id"],
        postgresql_where=sa.text(
            "last_cause IS NOT NULL AND state IN ('waiting', 'sending', 'parked')"
        ),
    )
    op.create_index(
        "ix_sale_confirmed",
        "sale",
        ["confirmed_at"],
        postgresql_where=sa.text("confirmed_at IS NOT NULL"),
    )
    op.create_table(
        "order_attempt",
        *_row(),
        sa.Column("order_sync_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("trying", sa.String(length=40), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("failure", sa.String(length=40), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=True),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("sent_as", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["order_sync_id"], ["order_sync.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_order_attempt_sync", "order_attempt", ["order_sync_id", "at"])
    op.create_table(
        "order_correction",
        *_row(),
        sa.Column("order_sync_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.Column("body_before", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["order_sync_id"], ["order_sync.id"]),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_order_correction_sync", "order_correction", ["order_sync_id", "at"])
    op.create_table(
        "order_alert",
        *_row(),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("period_from", MOMENT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("figure", sa.Float(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("acknowledged_at", MOMENT, nullable=True),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_order_alert_period",
        "order_alert",
        ["org_unit_id", "kind", "period_from"],
        unique=True,
    )
    op.create_index("ix_order_alert_list", "order_alert", ["org_unit_id", "at", "id"])
    op.create_index(
        "ix_order_alert_open",
        "order_alert",
        ["org_unit_id"],
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("order_alert")
    op.drop_table("order_correction")
    op.drop_table("order_attempt")
    op.drop_index("ix_sale_confirmed", "sale")
    op.drop_index("ix_order_sync_trouble", "order_sync")
    for name in (
        "given_up_at",
        "given_up_by",
        "given_up_note",
        "given_up_reason",
        "corrections",
        "last_cause",
    ):
        op.drop_column("order_sync", name)
