"""Doing what a person has chosen about a difference."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.core import jobs
from app.core.errors import Invalid, Problem
from app.core.jobs import Worker
from app.ordering import queries as ordering_queries
from app.ordering import service as ordering
from app.ordering.courier.reaching import asked, courier_of
from app.ordering.delivery import Endpoint, GiveUpReason
from app.ordering.order import RemoteOrder
from app.ordering.rules import Cause, Failure, OrderingFailed, RemoteState
from app.reconciliation import queries
from app.reconciliation.models import ReconciliationCase
from app.reconciliation.rules import (
    CaseClosed,
    CaseOutdated,
    DifferenceKind,
    DifferenceState,
    Explanation,
    NotConfirmed,
    NotForThisCase,
    Resolution,
    checked,
)
from app.reconciliation.rules.comparing import NO_EFFECT
from app.sales import queries as sales
from app.sales.rules import SaleState, SaleStep
from app.sales.service import entered

# What has to be told to the other side is told by a job, so many times.
_BY_A_JOB = frozenset({Resolution.TAKE_OVER_THEIRS, Resolution.CANCEL_THEIRS, Resolution.LINK})
_TRIES = 6
_HELD_UP = timedelta(seconds=30)
_ENDING = NO_EFFECT | {RemoteState.ASSESSING_CANCELLATION, RemoteState.PENDING_CANCELLATION}
_ENDED = frozenset({SaleState.CANCELLED, SaleState.CANCELLING, SaleState.REJECTED})


@dataclass(frozen=True)
class Choice:
    """What a person has chosen: to explain needs an explanation, to link a sale; `order_id` says
    which of several orders is meant."""

    resolution: Resolution
    explanation: Explanation | None = None
    sale_id: UUID | None = None
    order_id: str | None = None
    note: str | None = None


async def resolve(
    tx: AsyncSession, case_id: UUID, caller: Caller, choice: Choice, *, now: datetime
) -> ReconciliationCase:
    """Do what was chosen about a difference, or have it done by a job; `now` is business time.

    The same choice again is answered like the first time. Raises NotFound, NotForThisCase,
    CaseClosed, CaseOutdated, NotConfirmed and Invalid.
    """
    case = await queries.case_for_change(tx, case_id, caller)
    checked(case.kind, choice.resolution)
    order_id = choice.order_id or _order_meant(case, choice.resolution)
    wanted = (choice.resolution, choice.explanation, choice.sale_id, order_id)
    if case.state is not DifferenceState.OPEN:
        before = (
            case.resolution,
            case.explanation,
            case.resolution_sale_id,
            case.resolution_order_id,
        )
        if before != wanted:
            raise CaseClosed(state=case.state, resolution=case.resolution)
        return case
    _complete(case, choice, order_id)
    if choice.sale_id is not None:
        sale = await sales.one(tx, choice.sale_id, caller)
        if sale.confirmed_at is None:
            raise NotConfirmed(state=sale.state)
    case.resolution, case.explanation, case.resolution_sale_id, case.resolution_order_id = wanted
    case.note, case.resolved_by, case.resolved_at = choice.note, caller.account_id, now
    case.attempts, case.last_error = 0, None
    if choice.resolution in _BY_A_JOB:
        case.state = DifferenceState.RESOLVING
        await jobs.tell(tx, "reconciliation.chosen", case_id=case.id)
    else:
        case.state, case.closed_at = DifferenceState.RESOLVED, now
        await _done_here(tx, case, caller, choice, now)
    concerned = case.sale_id or choice.sale_id
    if concerned is not None:
        facts = {"case_id": case.id, "resolution": choice.resolution.value}
        await entered(tx, concerned, SaleStep.RECONCILED, at=now, by=caller.account_id, facts=facts)
    await tx.flush()
    return case


def _order_meant(case: ReconciliationCase, resolution: Resolution) -> str | None:
    if resolution is not Resolution.CANCEL_THEIRS or case.kind is not DifferenceKind.DOUBLED:
        return case.order_id if resolution in _BY_A_JOB else None
    # Of several the one that does not count for the sale, unless told otherwise.
    living = [o for o in case.facts.get("others", ()) if o["state"] not in NO_EFFECT]
    return str(living[0]["order_id"]) if living else None


def _complete(case: ReconciliationCase, choice: Choice, order_id: str | None) -> None:
    """Check that a choice says all it needs. Raises Invalid."""
    known = {case.order_id, *(each["order_id"] for each in case.facts.get("others", ()))}
    wrong = {
        "explanation": (choice.resolution is Resolution.EXPLAIN)
        is not (choice.explanation is not None),
        "sale_id": (choice.resolution is Resolution.LINK) is not (choice.sale_id is not None),
        "order_id": order_id is not None and order_id not in known,
    }
    errors = [
        {"field": name, "message": f"does not fit {choice.resolution.value}"}
        for name, is_wrong in wrong.items()
        if is_wrong
    ]
    if errors:
        raise Invalid(errors=errors)


async def _done_here(
    tx: AsyncSession, case: ReconciliationCase, caller: Caller, choice: Choice, now: datetime
) -> None:
    match choice.resolution:
        case Resolution.EXPLAIN | Resolution.SETTLED:
            case.state = DifferenceState.EXPLAINED
        case Resolution.GIVE_UP:
            assert case.sale_id is not None
            await _not_moved_on(tx, case, case.sale_id)
            await ordering.abandon(
                tx,
                case.sale_id,
                reason=GiveUpReason.OTHER,
                note=choice.note,
                by=caller.account_id,
                now=now,
            )
        case Resolution.SEND_AGAIN:
            assert case.sale_id is not None
            await _not_moved_on(tx, case, case.sale_id)
            sale = await sales.one(tx, case.sale_id, caller)
            if sale.state in _ENDED:
                allowed = [Resolution.EXPLAIN.value]
                raise NotForThisCase(kind=case.kind, allowed=allowed)
            await ordering.send_anew(tx, case.sale_id)


async def _not_moved_on(tx: AsyncSession, case: ReconciliationCase, sale_id: UUID) -> None:
    """Check that we know of the order of a sale what was known when it was compared: somebody may
    have seen to its delivery elsewhere since, or it may have arrived. Raises CaseOutdated."""
    sync = await ordering_queries.for_change(tx, sale_id)
    known = (sync.remote_id, sync.remote_state) if sync is not None else (None, None)
    compared = case.facts["ours"]
    if known != (compared["order_id"], compared["order_state"]):
        raise CaseOutdated(order_id=known[0], state=known[1])


# --- what is told to the other side ---------------------------------------------------------------


async def carry_out(worker: Worker, case_id: UUID) -> None:
    """Do what was chosen and needs the other side; what fails is done again later, a few times,
    and then waits for a person as before."""
    async with worker.database.read() as read:
        case = await read.get(ReconciliationCase, case_id)
    if case is None or case.state is not DifferenceState.RESOLVING:
        return
    order: RemoteOrder | None = None
    failed: OrderingFailed | None = None
    try:
        order = await _told(worker, case)
    except OrderingFailed as error:
        failed = error
    now = worker.clock.now()
    async with worker.database.begin() as tx:
        audit.acting(tx, "reconciliation.chosen")
        held = await tx.get_one(
            ReconciliationCase, case_id, with_for_update=True, populate_existing=True
        )
        if held.state is not DifferenceState.RESOLVING:
            return
        if failed is not None:
            await _failed(tx, held, failed)
            return
        if order is None and held.resolution is not Resolution.CANCEL_THEIRS:
            held.state = DifferenceState.OPEN
            held.last_error = "the ordering system does not know the order"
            return
        try:
            async with tx.begin_nested():
                await _settled(tx, held, order, now)
        except Problem as refused:
            # What is away for a moment is done later; the rest waits for a person as before, such
            # as a sale whose approval code another one has used since.
            if refused.status >= 500:
                raise
            held.state = DifferenceState.OPEN
            held.last_error = f"{refused.slug}: {refused.detail('en')}"[:500]
            return
        held.state, held.closed_at, held.last_error = DifferenceState.RESOLVED, now, None


async def _told(worker: Worker, case: ReconciliationCase) -> RemoteOrder | None:
    """Look at the order, and ask for it to be cancelled where that was chosen and is not done."""
    courier = await courier_of(worker)
    order_id = case.resolution_order_id
    assert order_id is not None and case.resolved_at is not None
    order = await asked(courier, lambda client: client.get(order_id), Endpoint.ASK)
    if case.resolution is not Resolution.CANCEL_THEIRS:
        return order
    if order is not None and order.state not in _ENDING:
        reason, at = case.note or "cancelled by reconciliation", case.resolved_at
        await asked(
            courier,
            lambda client: client.cancel(order_id, reason, at, looked=True),
            Endpoint.CHANGE,
        )
    return order


async def _settled(
    tx: AsyncSession, case: ReconciliationCase, order: RemoteOrder | None, now: datetime
) -> None:
    if order is None:
        return
    if case.resolution is Resolution.LINK:
        assert case.resolution_sale_id is not None
        await ordering.link(tx, case.resolution_sale_id, order, now)
    elif case.resolution is Resolution.TAKE_OVER_THEIRS:
        assert case.sale_id is not None
        await ordering.take_over(tx, case.sale_id, order, now)


async def _failed(tx: AsyncSession, case: ReconciliationCase, failed: OrderingFailed) -> None:
    # What was held up on our side is a try that was never made; while many wait for a turn, one
    # that is thrown away is one the less for them.
    held_up = failed.cause is Cause.TOO_LATE
    case.attempts += not held_up
    case.last_error = failed.told()[:500]
    if failed.failure is Failure.REFUSED or case.attempts >= _TRIES:
        case.state = DifferenceState.OPEN
        return
    later = _HELD_UP if held_up else timedelta(seconds=2**case.attempts)
    await jobs.tell(tx, "reconciliation.chosen", delay=later, case_id=case.id)
