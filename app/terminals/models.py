"""Terminals by serial number, and the chain of moves that brought each where it is."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.terminals.rules import (
    CountState,
    DueCause,
    DueState,
    Handling,
    HandoverState,
    KeptCause,
    Pool,
    TerminalKind,
    Why,
    WriteOffCause,
)


class Terminal(Row, Base):
    """One device and where it is, which is always where its last move brought it.

    `technician_id` has it in their van, or has recovered it and not handed it in; `customer_id`
    and `service_number` say at whose line it stands, as far as that is known. `last_move` is the
    number of its last move, 0 while none is known, and `placed_at` since when it is there.
    """

    __tablename__ = "terminal"
    __table_args__ = (
        CheckConstraint(
            "(pool <> 'van' OR technician_id IS NOT NULL)"
            " AND (technician_id IS NULL OR pool IN ('van', 'recovered'))"
            " AND (pool = 'customer' OR (customer_id IS NULL AND service_number IS NULL))",
            name="booked_where_it_is",
        ),
        # Placing counts what is in a van, and reads nothing but this index for it.
        Index("ix_terminal_in_van", "technician_id", "kind", postgresql_where=text("pool = 'van'")),
        Index(
            "ix_terminal_in_hands",
            "technician_id",
            postgresql_where=text("pool = 'recovered' AND technician_id IS NOT NULL"),
        ),
        Index("ix_terminal_customer", "customer_id"),
        Index(
            "ix_terminal_service_number",
            "service_number",
            postgresql_where=text("service_number IS NOT NULL"),
        ),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    serial_number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[TerminalKind] = mapped_column(text_enum(TerminalKind))
    model: Mapped[str]
    pool: Mapped[Pool] = mapped_column(text_enum(Pool))
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer.id"))
    service_number: Mapped[str | None]
    last_move: Mapped[int] = mapped_column(server_default=text("0"))
    placed_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class TerminalMove(Row, Base):
    """One move of one terminal; moves are numbered from 1 and never changed.

    `at` is the server's time and `device_at` the phone's. `by_technician_id` or `account_id` did
    it; `batch_id` is the scan, the depot's batch, the hand-over or the count that it belongs to.
    What was undone stays and is followed by a move that undoes it.
    """

    __tablename__ = "terminal_move"
    __table_args__ = (
        Index("uq_terminal_move_number", "terminal_id", "number", unique=True),
        Index("uq_terminal_move_undone", "undoes_id", unique=True),
        Index(
            "ix_terminal_move_work_order",
            "work_order_id",
            postgresql_where=text("work_order_id IS NOT NULL"),
        ),
        Index("ix_terminal_move_batch", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
        Index("ix_terminal_move_lost", "at", postgresql_where=text("to_pool = 'lost'")),
        Index(
            "ix_terminal_move_from_technician",
            "from_technician_id",
            "at",
            postgresql_where=text("from_technician_id IS NOT NULL"),
        ),
    )

    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"))
    number: Mapped[int]
    handling: Mapped[Handling] = mapped_column(text_enum(Handling))
    why: Mapped[Why] = mapped_column(text_enum(Why))
    at: Mapped[datetime]
    device_at: Mapped[datetime | None]
    from_pool: Mapped[Pool | None] = mapped_column(text_enum(Pool))
    from_org_unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("org_unit.id"))
    from_technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    from_customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer.id"))
    from_service_number: Mapped[str | None]
    to_pool: Mapped[Pool] = mapped_column(text_enum(Pool))
    to_org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    to_technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    to_customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer.id"))
    to_service_number: Mapped[str | None]
    by_technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))
    batch_id: Mapped[UUID | None]
    undoes_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminal_move.id"))


class TerminalBatch(Row, Base):
    """One piece of work of a depot, on up to a thousand serial numbers; its maker makes the id."""

    __tablename__ = "terminal_batch"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    handling: Mapped[Handling] = mapped_column(text_enum(Handling))
    why: Mapped[Why] = mapped_column(text_enum(Why))
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    serial_numbers: Mapped[list[str]] = mapped_column(ARRAY(Text))
    at: Mapped[datetime]


class TerminalHandover(Row, Base):
    """A terminal that one technician gives to another, who has to say that it is there.

    The giver's phone makes the id. It stays in the giver's van until it is accepted.
    """

    __tablename__ = "terminal_handover"
    __table_args__ = (
        Index(
            "uq_terminal_handover_one_open",
            "terminal_id",
            unique=True,
            postgresql_where=text("state = 'offered'"),
        ),
        Index(
            "ix_terminal_handover_to",
            "to_technician_id",
            postgresql_where=text("state = 'offered'"),
        ),
    )

    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"))
    from_technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    to_technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    state: Mapped[HandoverState] = mapped_column(text_enum(HandoverState))
    device_at: Mapped[datetime]
    offered_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class StockCount(Row, Base):
    """What was found in a technician's van, and how it differs from what is booked there.

    Whoever counts makes the id. `counted` is what was scanned, with kinds where they were given;
    `differences` are what was found then, each with its cause once a supervisor has settled it.
    """

    __tablename__ = "stock_count"
    __table_args__ = (
        Index(
            "uq_stock_count_one_open",
            "technician_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_stock_count_unit", "org_unit_id", "counted_at"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    state: Mapped[CountState] = mapped_column(text_enum(CountState))
    device_at: Mapped[datetime | None]
    counted_at: Mapped[datetime]
    counted: Mapped[list[dict[str, Any]]]
    differences: Mapped[list[dict[str, Any]]]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class DueBack(Row, Base):
    """A terminal that a customer has to give back, from a moment on and until a deadline.

    `recovery_id` is the pick-up it belongs to and `work_order_id` that one's order. `technician_id`
    has recovered it. A serial number that is not known yet is known once it is scanned.
    """

    __tablename__ = "due_back"
    __table_args__ = (
        Index(
            "uq_due_back_one_open",
            "serial_number",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_due_back_customer", "customer_id", "since"),
        Index("ix_due_back_recovery", "recovery_id"),
        Index(
            "ix_due_back_work_order",
            "work_order_id",
            postgresql_where=text("work_order_id IS NOT NULL"),
        ),
        Index("ix_due_back_request", "request_id", postgresql_where=text("request_id IS NOT NULL")),
        Index("ix_due_back_unit", "org_unit_id", "due_at"),
        CheckConstraint("(state = 'open') = (settled_at IS NULL)", name="settled"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    recovery_id: Mapped[UUID] = mapped_column(ForeignKey("recovery.id"))
    request_id: Mapped[UUID | None] = mapped_column(ForeignKey("recovery_request.id"))
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    serial_number: Mapped[str]
    kind: Mapped[TerminalKind] = mapped_column(text_enum(TerminalKind))
    cause: Mapped[DueCause] = mapped_column(text_enum(DueCause))
    since: Mapped[datetime]
    due_at: Mapped[datetime]
    state: Mapped[DueState] = mapped_column(text_enum(DueState))
    settled_at: Mapped[datetime | None]
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    write_off_cause: Mapped[WriteOffCause | None] = mapped_column(text_enum(WriteOffCause))
    kept_cause: Mapped[KeptCause | None] = mapped_column(text_enum(KeptCause))
