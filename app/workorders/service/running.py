"""How the clocks of orders run: by which promise and calendar, with which stops, until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from app.auth import audit
from app.promises import queries as promises
from app.promises.rules import NO_CALENDAR, Calendar, Clock, Promise, Span, with_stops
from app.workorders import queries
from app.workorders.models import ClockStop, WorkOrder
from app.workorders.queries import Unit


@dataclass(frozen=True, slots=True)
class Running:
    """How the clock of one order runs: by which promise, unit and calendar, with which stops."""

    order: WorkOrder
    unit: Unit
    promise: Promise | None
    calendar: Calendar
    stops: list[ClockStop]

    @property
    def clock(self) -> Clock:
        """Which hours count; all of them where no rule is known any more."""
        return Clock.CALENDAR if self.promise is None else self.promise.clock

    @property
    def counting(self) -> list[ClockStop]:
        """The stops that count, the earliest first."""
        standing = (one for one in self.stops if one.withdrawn_at is None)
        return sorted(standing, key=lambda one: one.began_at)

    @property
    def spans(self) -> list[Span]:
        """From when until when the clock stands still."""
        return [one.span for one in self.counting]

    @property
    def first_due(self) -> datetime | None:
        """Until when the order was due before its clock was ever stopped."""
        return self.stops[0].first_due_at if self.stops else self.order.due_at

    def open_at(self, moment: datetime) -> ClockStop | None:
        """Find the stop that nobody has ended yet and that still counts at a moment."""
        for one in self.counting:
            if one.ended_at is None and one.began_at <= moment < one.ends_by:
                return one
        return None

    def still_open(self, moment: datetime) -> list[ClockStop]:
        """List the stops that nobody has ended yet and that have not ended by themselves by a
        moment, the latest first; one before an appointment may lie ahead."""
        found = [one for one in self.counting if one.ended_at is None and moment < one.ends_by]
        return found[::-1]

    @property
    def due_at(self) -> datetime | None:
        """Until when the order is due with all its stops."""
        if self.first_due is None:
            return None
        return with_stops(
            self.first_due,
            self.spans,
            self.unit.zone,
            self.clock,
            self.unit.path,
            self.calendar,
        )


async def running(tx: AsyncSession, orders: Sequence[WorkOrder]) -> list[Running]:
    """Read how the clocks of some orders run, in their order."""
    promised = await promises.promises(tx)
    by_id = {one.id: one for one in promised}
    calendar = await promises.calendar(tx, promised) if promised else NO_CALENDAR
    units = await queries.org_units(tx, ids={order.org_unit_id for order in orders})
    stops: dict[UUID, list[ClockStop]] = {order.id: [] for order in orders}
    for one in await queries.clock_stops(tx, list(stops)):
        stops[one.work_order_id].append(one)
    return [
        Running(
            order,
            units.by_id[order.org_unit_id],
            by_id.get(order.promise_rule_id) if order.promise_rule_id else None,
            calendar,
            stops[order.id],
        )
        for order in orders
    ]


_DUE = text(
    """
    UPDATE work_order o SET due_at = given.due_at, version = o.version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:dues AS timestamptz[])) AS given (id, due_at)
    WHERE o.id = given.id
    RETURNING o.id, o.version
    """
)


async def settle(tx: AsyncSession, clocks: Sequence[Running]) -> None:
    """Work out anew until when locked orders are due, and write it in one statement for all."""
    moved = {
        each.order.id: (each.order, due)
        for each in clocks
        if (due := each.due_at) is not None and due != each.order.due_at
    }
    if not moved:
        return
    await tx.flush()
    given = {"ids": list(moved), "dues": [due for _, due in moved.values()]}
    for order_id, version in await tx.execute(_DUE, given):
        order, due = moved[order_id]
        # The session's own rows say the same, so that nothing is written twice.
        set_committed_value(order, "due_at", due)
        set_committed_value(order, "version", version)
    audit.note(tx, table="work_order", operation="update", ids=list(moved), columns=["due_at"])
