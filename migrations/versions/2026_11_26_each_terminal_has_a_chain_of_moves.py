"""Each terminal has a chain of moves, and what is scanned, batched, handed over and counted.

Revision: 0025, after 0024
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | None = None
depends_on: str | None = None


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.Uuid(), nullable=False)


def _created_at() -> sa.Column[object]:
    return sa.Column(
        "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def _word(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String(length=40), nullable=nullable)


def _link(name: str, table: str, of: str, *, nullable: bool = True) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(name, sa.Uuid(), nullable=nullable),
        sa.ForeignKeyConstraint([name], [f"{of}.id"], name=op.f(f"fk_{table}_{name}")),
    ]


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("terminal", sa.Column("service_number", sa.Text(), nullable=True))
    op.add_column(
        "terminal",
        sa.Column("last_move", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("terminal", _moment("placed_at", nullable=True))
    op.drop_constraint(op.f("ck_terminal_booked_where_it_is"), "terminal", type_="check")
    # Validated by itself, it is looked through without keeping others from writing.
    op.execute(
        "ALTER TABLE terminal ADD CONSTRAINT ck_terminal_booked_where_it_is CHECK"
        " ((pool <> 'van' OR technician_id IS NOT NULL)"
        " AND (technician_id IS NULL OR pool IN ('van', 'recovered'))"
        " AND (pool = 'customer' OR (customer_id IS NULL AND service_number IS NULL))) NOT VALID"
    )
    op.execute("ALTER TABLE terminal VALIDATE CONSTRAINT ck_terminal_booked_where_it_is")
    op.drop_index("ix_terminal_van", table_name="terminal")
    op.create_index(
        "ix_terminal_in_van",
        "terminal",
        ["technician_id", "kind"],
        postgresql_where=sa.text("pool = 'van'"),
    )
    op.create_index(
        "ix_terminal_in_hands",
        "terminal",
        ["technician_id"],
        postgresql_where=sa.text("pool = 'recovered' AND technician_id IS NOT NULL"),
    )
    op.create_index(
        "ix_terminal_service_number",
        "terminal",
        ["service_number"],
        postgresql_where=sa.text("service_number IS NOT NULL"),
    )
    # Serial numbers are looked for in capital letters from now on.
    op.execute(
        "UPDATE terminal AS t SET serial_number = upper(serial_number)"
        " WHERE serial_number <> upper(serial_number) AND NOT EXISTS (SELECT FROM terminal AS u"
        " WHERE u.id <> t.id AND upper(u.serial_number) = upper(t.serial_number))"
    )
    _moves()
    _work_on_many()
    op.create_table(
        "terminal_scan",
        *_link("visit_id", "terminal_scan", "visit", nullable=False),
        _word("action"),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("replaced_serial_number", sa.Text(), nullable=True),
        _word("kind"),
        _word("reason"),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("warnings", postgresql.ARRAY(sa.Text()), nullable=False),
        _moment("device_at"),
        _moment("at"),
        _moment("undone_at", nullable=True),
        _id(),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminal_scan")),
    )
    op.create_index("ix_terminal_scan_visit", "terminal_scan", ["visit_id", "at"])
    op.drop_column("visit", "terminals")


def _moves() -> None:
    table = "terminal_move"
    op.create_table(
        table,
        *_link("terminal_id", table, "terminal", nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        _word("handling"),
        _word("why"),
        _moment("at"),
        _moment("device_at", nullable=True),
        _word("from_pool", nullable=True),
        *_link("from_org_unit_id", table, "org_unit"),
        *_link("from_technician_id", table, "technician"),
        *_link("from_customer_id", table, "customer"),
        sa.Column("from_service_number", sa.Text(), nullable=True),
        _word("to_pool"),
        *_link("to_org_unit_id", table, "org_unit", nullable=False),
        *_link("to_technician_id", table, "technician"),
        *_link("to_customer_id", table, "customer"),
        sa.Column("to_service_number", sa.Text(), nullable=True),
        *_link("by_technician_id", table, "technician"),
        *_link("account_id", table, "account"),
        *_link("work_order_id", table, "work_order"),
        *_link("visit_id", table, "visit"),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        *_link("undoes_id", table, table),
        _id(),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminal_move")),
    )
    op.create_index("uq_terminal_move_number", table, ["terminal_id", "number"], unique=True)
    op.create_index("uq_terminal_move_undone", table, ["undoes_id"], unique=True)
    for name, columns, where in (
        ("work_order", ["work_order_id"], "work_order_id IS NOT NULL"),
        ("batch", ["batch_id"], "batch_id IS NOT NULL"),
        ("lost", ["at"], "to_pool = 'lost'"),
        ("from_technician", ["from_technician_id", "at"], "from_technician_id IS NOT NULL"),
    ):
        op.create_index(f"ix_terminal_move_{name}", table, columns, postgresql_where=sa.text(where))
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON terminal_move"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def _work_on_many() -> None:
    op.create_table(
        "terminal_batch",
        *_link("account_id", "terminal_batch", "account", nullable=False),
        _word("handling"),
        _word("why"),
        *_link("technician_id", "terminal_batch", "technician"),
        sa.Column("serial_numbers", postgresql.ARRAY(sa.Text()), nullable=False),
        _moment("at"),
        _id(),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminal_batch")),
    )
    op.create_table(
        "terminal_handover",
        *_link("terminal_id", "terminal_handover", "terminal", nullable=False),
        *_link("from_technician_id", "terminal_handover", "technician", nullable=False),
        *_link("to_technician_id", "terminal_handover", "technician", nullable=False),
        _word("state"),
        _moment("device_at"),
        _moment("offered_at"),
        _moment("answered_at", nullable=True),
        _id(),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminal_handover")),
    )
    op.create_index(
        "uq_terminal_handover_one_open",
        "terminal_handover",
        ["terminal_id"],
        unique=True,
        postgresql_where=sa.text("state = 'offered'"),
    )
    op.create_index(
        "ix_terminal_handover_to",
        "terminal_handover",
        ["to_technician_id"],
        postgresql_where=sa.text("state = 'offered'"),
    )
    op.create_table(
        "stock_count",
        *_link("org_unit_id", "stock_count", "org_unit", nullable=False),
        *_link("technician_id", "stock_count", "technician", nullable=False),
        *_link("account_id", "stock_count", "account", nullable=False),
        _word("state"),
        _moment("device_at", nullable=True),
        _moment("counted_at"),
        sa.Column("counted", postgresql.JSONB(), nullable=False),
        sa.Column("differences", postgresql.JSONB(), nullable=False),
        _moment("settled_at", nullable=True),
        *_link("settled_by", "stock_count", "account"),
        _id(),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_count")),
    )
    op.create_index(
        "uq_stock_count_one_open",
        "stock_count",
        ["technician_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_stock_count_unit", "stock_count", ["org_unit_id", "counted_at"])


def downgrade() -> None:
    """Take the change back; what has been lost, or is in hands since, goes to the recovered."""
    op.add_column(
        "visit", sa.Column("terminals", postgresql.JSONB(none_as_null=True), nullable=True)
    )
    for table in (
        "terminal_scan",
        "stock_count",
        "terminal_handover",
        "terminal_batch",
        "terminal_move",
    ):
        op.drop_table(table)
    op.drop_index("ix_terminal_service_number", table_name="terminal")
    op.drop_index("ix_terminal_in_hands", table_name="terminal")
    op.drop_index("ix_terminal_in_van", table_name="terminal")
    op.create_index("ix_terminal_van", "terminal", ["technician_id", "kind"])
    op.drop_constraint(op.f("ck_terminal_booked_where_it_is"), "terminal", type_="check")
    op.execute("UPDATE terminal SET technician_id = NULL WHERE pool <> 'van'")
    op.execute(
        "UPDATE terminal SET pool = 'recovered' WHERE pool IN ('lost', 'void')"
        " OR (pool = 'customer' AND customer_id IS NULL)"
    )
    op.create_check_constraint(
        op.f("ck_terminal_booked_where_it_is"),
        "terminal",
        "(pool = 'van') = (technician_id IS NOT NULL)"
        " AND (pool = 'customer') = (customer_id IS NOT NULL)",
    )
    for column in ("placed_at", "last_move", "service_number"):
        op.drop_column("terminal", column)
