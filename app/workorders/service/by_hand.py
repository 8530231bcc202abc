"""Clocks that people and other systems stop and start by hand, and what is said of a promise."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core import jobs
from app.core.db import new_id
from app.core.errors import Invalid, NotFound, plain
from app.promises.rules import NoSuchTime, Promise, ProofKind, left
from app.workorders import queries, rules
from app.workorders.models import ClockStop, WorkOrder, WorkOrderEvent
from app.workorders.rules import State, Step, StepRefused
from app.workorders.service import clocks
from app.workorders.service.clocks import Stop
from app.workorders.service.running import Running, running, settle

# Until it is archived, what came to light late can still be said of an order.
_OVER = frozenset({State.CANCELLED, State.ARCHIVED})


@dataclass(frozen=True, slots=True)
class Standing:
    """How an order stands to its promise at a moment.

    `first_due_at` is without any stop. `judged_at` is when it was completed, or now. `left` is the
    time that is left of what was promised, below nothing once it is late.
    """

    running: Running
    judged_at: datetime
    first_due_at: datetime | None
    left: timedelta | None

    @property
    def order(self) -> WorkOrder:
        """The order it is about."""
        return self.running.order

    @property
    def promise(self) -> Promise | None:
        """The rule by which it is judged, whatever has changed since."""
        return self.running.promise

    @property
    def late(self) -> bool:
        """Whether the promise is broken, with all that stopped the clock taken into account."""
        return self.order.due_at is not None and self.judged_at > self.order.due_at

    @property
    def excused(self) -> list[ClockStop]:
        """The stops without which it would be late, or which exempt it though it is."""
        first = self.first_due_at
        if first is None or self.judged_at <= first:
            return []
        return [one for one in self.running.counting if not self.late or one.exempts]


async def standing(
    session: AsyncSession, order_id: UUID, caller: Caller, *, now: datetime
) -> Standing:
    """Say how an order of the caller's subtree stands to its promise. Raises NotFound."""
    await queries.one(session, order_id, caller)
    order = await session.get_one(WorkOrder, order_id, populate_existing=True)
    return _standing((await running(session, [order]))[0], now)


def _standing(running: Running, now: datetime) -> Standing:
    order = running.order
    judged_at = order.completed_at or now
    remaining = None
    if order.due_at is not None:
        remaining = left(
            judged_at,
            order.due_at,
            running.spans,
            running.unit.zone,
            running.clock,
            running.unit.path,
            running.calendar,
        )
    return Standing(running, judged_at, running.first_due, remaining)


async def stop(
    tx: AsyncSession, order_id: UUID, caller: Caller, asked: Stop, *, now: datetime
) -> ClockStop:
    """Stop an order's clock for a cause that is shown; asked for again it is answered like before.

    Raises NotFound, StepRefused once the order is over, Invalid when what is to show the cause is
    not of this order, NoSuchTime for what lies ahead, and what `clocks.stop` raises.
    """
    order = await queries.for_change(tx, order_id, caller)
    _not_over(order, Step.STOP_CLOCK)
    proof = asked.proof
    if proof.kind in (ProofKind.VISIT, ProofKind.EVIDENCE):
        of_order = proof.id is not None and await queries.belongs_to(
            tx, proof.kind, proof.id, order.id
        )
        if not of_order:
            field = {"field": "proof.id", "message": "names nothing of this order"}
            raise Invalid(errors=[field])
    ahead = [each for each in (asked.at, asked.ended_at) if each is not None and each > now]
    if ahead or (order.completed_at is not None and asked.ended_at is None):
        field = {
            "field": "began_at",
            "message": "must not lie ahead, and a done order needs an end",
        }
        raise NoSuchTime(most_hours=None, errors=[field])
    made = await clocks.stop(tx, order, replace(asked, account_id=caller.account_id), now=now)
    await _tell(tx, order)
    return made


async def end(
    tx: AsyncSession,
    order_id: UUID,
    stop_id: UUID,
    caller: Caller,
    *,
    at: datetime,
    now: datetime,
) -> ClockStop:
    """End a stop that stands open; one that has ended stays as it is.

    Raises NotFound, and NoSuchTime when it would end before it began, or ahead.
    """
    order = await queries.for_change(tx, order_id, caller)
    one = await _stop_of(tx, order, stop_id)
    if one.ended_at is not None or one.withdrawn_at is not None:
        return one
    if not one.began_at <= at <= now:
        field = {"field": "at", "message": "must lie between its beginning and now"}
        raise NoSuchTime(most_hours=None, errors=[field])
    await clocks.start(tx, order, at=at, now=now, stop_id=stop_id, account_id=caller.account_id)
    await _tell(tx, order)
    return await _stop_of(tx, order, stop_id)


async def withdraw(
    tx: AsyncSession, order_id: UUID, stop_id: UUID, caller: Caller, *, why: str, now: datetime
) -> ClockStop:
    """Take a stop back that was wrong: it stays to be seen and counts no more.

    Raises NotFound, and StepRefused once the order is over.
    """
    order = await queries.for_change(tx, order_id, caller)
    one = await _stop_of(tx, order, stop_id)
    if one.withdrawn_at is not None:
        return one
    _not_over(order, Step.START_CLOCK)
    (runs,) = await running(tx, [order])
    one.withdrawn_at, one.withdrawn_by_id, one.withdrawn_why = now, caller.account_id, why
    await settle(tx, [runs])
    tx.add(
        WorkOrderEvent(
            id=new_id(),
            work_order_id=order.id,
            at=now,
            account_id=caller.account_id,
            step=Step.START_CLOCK,
            from_state=order.state,
            to_state=order.state,
            reason=why,
            facts=plain({"clock_stop_id": one.id, "withdrawn": True, "due_at": order.due_at}),
        )
    )
    await _tell(tx, order)
    return one


async def _tell(tx: AsyncSession, order: WorkOrder) -> None:
    """Let what an order comes to be worked out anew, when that was done before."""
    await tx.flush()
    if order.completed_at is not None:
        await jobs.tell(tx, "promise.judged_anew", order_id=order.id)


async def _stop_of(tx: AsyncSession, order: WorkOrder, stop_id: UUID) -> ClockStop:
    one = await tx.get(ClockStop, stop_id, populate_existing=True)
    if one is None or one.work_order_id != order.id:
        raise NotFound()
    return one


def _not_over(order: WorkOrder, step: Step) -> None:
    if order.state in _OVER:
        raise StepRefused(state=order.state, step=step, allowed=rules.allowed(order.state))
