"""Every channel asks before it speaks to a customer, and what became of suggestions is kept.

Revision: 0044, after 0043
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0044"
down_revision: str | None = "0043"
branch_labels: str | None = None
depends_on: str | None = None

OPEN = sa.text("state IN ('open', 'taken')")


def _row(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _key(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def _id(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid(), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def _word(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=40), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "contact_reservation",
        _id("customer_id"),
        _id("account_id"),
        _word("channel"),
        _text("subject"),
        _word("state"),
        _moment("reserved_at"),
        _moment("held_until"),
        _moment("ended_at", nullable=True),
        _moment("contacted_at", nullable=True),
        _word("outcome", nullable=True),
        _id("contact_id", nullable=True),
        sa.CheckConstraint(
            "(state = 'confirmed') = (contact_id IS NOT NULL)",
            name=op.f("ck_contact_reservation_confirmed_is_a_contact"),
        ),
        _key("contact_reservation", "customer_id", "customer"),
        _key("contact_reservation", "account_id", "account"),
        _key("contact_reservation", "contact_id", "interaction"),
        *_row("contact_reservation"),
    )
    op.create_index(
        "ix_contact_reservation_customer", "contact_reservation", ["customer_id", "reserved_at"]
    )
    op.alter_column("contact_slot", "visit_id", nullable=True)
    op.add_column("contact_slot", _id("reservation_id", nullable=True))
    op.create_foreign_key(
        op.f("fk_contact_slot_reservation_id"),
        "contact_slot",
        "contact_reservation",
        ["reservation_id"],
        ["id"],
    )
    op.create_index(op.f("ix_contact_slot_reservation_id"), "contact_slot", ["reservation_id"])
    op.create_check_constraint(
        op.f("ck_contact_slot_one_holder"),
        "contact_slot",
        "(visit_id IS NULL) <> (reservation_id IS NULL)",
    )
    op.alter_column("suggestion_answer", "answer", nullable=True)
    op.add_column(
        "suggestion_answer",
        sa.Column("pitched", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.add_column("suggestion_answer", _word("held_back", nullable=True))
    # Answers are never changed by anybody else; what follows from them is filled in once.
    op.execute("ALTER TABLE suggestion_answer DISABLE TRIGGER append_only")
    op.execute("UPDATE suggestion_answer SET pitched = false WHERE answer = 'not_pitched'")
    op.execute("ALTER TABLE suggestion_answer ENABLE TRIGGER append_only")
    op.create_check_constraint(
        op.f("ck_suggestion_answer_says_something"),
        "suggestion_answer",
        "pitched OR answer IS NOT NULL",
    )
    op.create_index("ix_suggestion_answer_at", "suggestion_answer", ["at"])
    op.create_table(
        "competitor_note",
        _id("org_unit_id"),
        _id("grid_id", nullable=True),
        _id("customer_id"),
        _id("technician_id"),
        _text("who"),
        _text("offer", nullable=True),
        sa.Column("monthly_price_fen", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        _moment("at"),
        _key("competitor_note", "org_unit_id", "org_unit"),
        _key("competitor_note", "grid_id", "grid"),
        _key("competitor_note", "customer_id", "customer"),
        _key("competitor_note", "technician_id", "technician"),
        *_row("competitor_note"),
    )
    op.create_index("ix_competitor_note_unit", "competitor_note", ["org_unit_id", "at", "id"])
    op.create_index("ix_competitor_note_grid", "competitor_note", ["grid_id", "at", "id"])
    op.create_table(
        "sales_lead",
        _id("org_unit_id"),
        _id("customer_id"),
        _id("suggestion_id"),
        _text("offering_code"),
        _id("technician_id"),
        _word("handed_to"),
        _text("note", nullable=True),
        _word("state"),
        _id("taken_by", nullable=True),
        _text("ended_note", nullable=True),
        _moment("at"),
        _moment("device_at"),
        _moment("changed_at"),
        _key("sales_lead", "org_unit_id", "org_unit"),
        _key("sales_lead", "customer_id", "customer"),
        _key("sales_lead", "technician_id", "technician"),
        _key("sales_lead", "taken_by", "account"),
        *_row("sales_lead"),
    )
    op.create_index("ix_sales_lead_unit", "sales_lead", ["org_unit_id", "at", "id"])
    op.create_index(
        "uq_sales_lead_open",
        "sales_lead",
        ["customer_id", "offering_code"],
        unique=True,
        postgresql_where=OPEN,
    )
    op.create_table(
        "suggestion_outcome",
        _id("suggestion_id"),
        _id("decision_id"),
        _id("customer_id"),
        _moment("answered_at"),
        sa.Column("pitched", sa.Boolean(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("kept_30", sa.Boolean(), nullable=True),
        sa.Column("complained_14", sa.Boolean(), nullable=True),
        _moment("settled_at"),
        _key("suggestion_outcome", "customer_id", "customer"),
        sa.PrimaryKeyConstraint("suggestion_id", name=op.f("pk_suggestion_outcome")),
    )
    op.create_index("ix_suggestion_outcome_decision", "suggestion_outcome", ["decision_id"])


def downgrade() -> None:
    """Take the change back; answers that only tell of a pitch go, and slots of other channels."""
    op.drop_table("suggestion_outcome")
    op.drop_table("sales_lead")
    op.drop_table("competitor_note")
    op.drop_index("ix_suggestion_answer_at", "suggestion_answer")
    op.drop_constraint("ck_suggestion_answer_says_something", "suggestion_answer")
    op.execute("ALTER TABLE suggestion_answer DISABLE TRIGGER append_only")
    op.execute("DELETE FROM suggestion_answer WHERE answer IS NULL")
    op.execute("ALTER TABLE suggestion_answer ENABLE TRIGGER append_only")
    op.drop_column("suggestion_answer", "held_back")
    op.drop_column("suggestion_answer", "pitched")
    op.alter_column("suggestion_answer", "answer", nullable=False)
    op.execute("DELETE FROM contact_slot WHERE visit_id IS NULL")
    op.drop_constraint("ck_contact_slot_one_holder", "contact_slot")
    op.drop_column("contact_slot", "reservation_id")
    op.alter_column("contact_slot", "visit_id", nullable=False)
    op.drop_table("contact_reservation")
