"""Routes of days, pinned orders, loans of technicians, and moves of many orders at once.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "bulk_move",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "give",
                "take_back",
                "reorder",
                "undo",
                name="bulkkind",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("days", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("left_out", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("undoes", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_bulk_move_org_unit_id")
        ),
        sa.ForeignKeyConstraint(["undoes"], ["bulk_move.id"], name=op.f("fk_bulk_move_undoes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_move")),
        sa.UniqueConstraint("undoes", name=op.f("uq_bulk_move_undoes")),
    )
    op.create_index("ix_bulk_move_account", "bulk_move", ["account_id", "at"], unique=False)
    op.create_table(
        "technician_loan",
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("agreed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("agreed_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        postgresql.ExcludeConstraint(
            (sa.column("technician_id"), "="),
            (sa.text("daterange(valid_from, valid_to)"), "&&"),
            where=sa.text("agreed_at IS NOT NULL AND ended_at IS NULL"),
            using="gist",
            name="ex_technician_loan_one_at_a_time",
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_technician_loan_days_in_order")),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_technician_loan_org_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_technician_loan_technician_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_technician_loan")),
    )
    op.create_index(
        "ix_technician_loan_unit", "technician_loan", ["org_unit_id", "valid_to"], unique=False
    )
    op.create_index(
        "ix_technician_loan_agreed",
        "technician_loan",
        ["valid_to"],
        unique=False,
        postgresql_where=sa.text("agreed_at IS NOT NULL AND ended_at IS NULL"),
    )
    op.create_table(
        "dispatch_pin",
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_dispatch_pin_technician_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_dispatch_pin_work_order_id")
        ),
        sa.PrimaryKeyConstraint("work_order_id", name=op.f("pk_dispatch_pin")),
    )
    # A pin says that this person keeps the order on this day; whoever moves or closes the order
    # ends it, by whatever way that is done.
    op.execute(
        """
        CREATE FUNCTION end_pin() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM dispatch_pin WHERE work_order_id = NEW.id;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER end_pin AFTER UPDATE OF state, holder_id, planned_day ON work_order
        FOR EACH ROW WHEN (
            OLD.holder_id IS NOT NULL AND (
                NEW.holder_id IS DISTINCT FROM OLD.holder_id
                OR NEW.planned_day IS DISTINCT FROM OLD.planned_day
                OR (NEW.state IS DISTINCT FROM OLD.state
                    AND NEW.state IN ('completed', 'archived', 'cancelled'))
            )
        )
        EXECUTE FUNCTION end_pin()
        """
    )
    op.add_column(
        "technician_day",
        sa.Column(
            "route", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False
        ),
    )
    op.add_column(
        "technician_day",
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("technician_day", "version")
    op.drop_column("technician_day", "route")
    op.execute("DROP TRIGGER end_pin ON work_order")
    op.execute("DROP FUNCTION end_pin()")
    op.drop_table("dispatch_pin")
    op.drop_index(
        "ix_technician_loan_agreed",
        table_name="technician_loan",
        postgresql_where=sa.text("agreed_at IS NOT NULL AND ended_at IS NULL"),
    )
    op.drop_index("ix_technician_loan_unit", table_name="technician_loan")
    op.drop_table("technician_loan")
    op.drop_index("ix_bulk_move_account", table_name="bulk_move")
    op.drop_table("bulk_move")
