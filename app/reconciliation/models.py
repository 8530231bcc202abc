"""Comparisons of days, what they came to branch by branch, and the differences they found."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.reconciliation.rules import (
    DifferenceKind,
    DifferenceState,
    Explanation,
    Heal,
    Resolution,
    RunState,
)


class ReconciliationRun(Row, Base):
    """One comparison of a day, for a part of the organisation; `org_unit_id` is its root.

    `alive_until` is real time by the database's clock: when it has passed, whoever was at it has
    died, and the comparison is begun anew. `orders_read` of `orders_expected` tells how far it is.
    Other times are business time.
    """

    __tablename__ = "reconciliation_run"
    __table_args__ = (
        Index("ix_reconciliation_run_day", "day", "asked_at", "id"),
        Index(
            "ix_reconciliation_run_open",
            "asked_at",
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
    )

    day: Mapped[date]
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    state: Mapped[RunState] = mapped_column(text_enum(RunState))
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    asked_at: Mapped[datetime]
    alive_until: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    orders_read: Mapped[int] = mapped_column(server_default=text("0"))
    orders_expected: Mapped[int | None]
    sales: Mapped[int | None]
    last_error: Mapped[str | None]


class ReconciliationDay(Base):
    """What the latest comparison of a day came to for one unit.

    `sales` is equal, healed, open and explained together; what is healed, open or explained by a
    person is counted from the cases. `under_way` is explained by itself. `orders` are those of the
    other side that belong to no sale of the day and should not be there; `unheard` of them ended
    without effect.
    """

    __tablename__ = "reconciliation_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("reconciliation_run.id"))
    at: Mapped[datetime]
    sales: Mapped[int]
    equal: Mapped[int]
    under_way: Mapped[int]
    orders: Mapped[int]
    unheard: Mapped[int]


class ReconciliationCase(Row, Base):
    """A difference: the same every night, until it is gone.

    `subject` is the sale or the order it is about. `ours` and `theirs` in `facts` are codes and
    amounts in fen as they were when it was last seen. A healed one tells what was put right.
    """

    __tablename__ = "reconciliation_case"
    __table_args__ = (
        Index("uq_reconciliation_case_subject", "day", "subject", unique=True),
        Index("ix_reconciliation_case_list", "org_unit_id", "first_seen_at", "id"),
        Index(
            "ix_reconciliation_case_open",
            "org_unit_id",
            "first_seen_at",
            "id",
            postgresql_where=text("state IN ('open', 'resolving')"),
        ),
        Index("ix_reconciliation_case_sale", "sale_id"),
    )

    day: Mapped[date]
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    subject: Mapped[str]
    kind: Mapped[DifferenceKind | None] = mapped_column(text_enum(DifferenceKind))
    heal: Mapped[Heal | None] = mapped_column(text_enum(Heal))
    state: Mapped[DifferenceState] = mapped_column(text_enum(DifferenceState))
    sale_id: Mapped[UUID | None] = mapped_column(ForeignKey("sale.id"))
    order_id: Mapped[str | None]
    facts: Mapped[dict[str, Any]]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("reconciliation_run.id"))
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    times_seen: Mapped[int] = mapped_column(server_default=text("1"))
    resolution: Mapped[Resolution | None] = mapped_column(text_enum(Resolution))
    explanation: Mapped[Explanation | None] = mapped_column(text_enum(Explanation))
    resolution_sale_id: Mapped[UUID | None] = mapped_column(ForeignKey("sale.id"))
    resolution_order_id: Mapped[str | None]
    note: Mapped[str | None]
    resolved_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    resolved_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    closed_at: Mapped[datetime | None]
