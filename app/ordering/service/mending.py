"""Mending: what a person does about a delivery that failed. Nothing is sent from here."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.core.db import fetched, shared_now
from app.core.errors import Conflict, Invalid, NotFound, SameIdOtherContent
from app.core.i18n import Words
from app.core.parameter_values import parameters_in_force
from app.ordering import correcting, delivery, queries, rules
from app.ordering.correcting import Correction
from app.ordering.delivery import (
    GIVE_UP_WORDS,
    ChangeKind,
    ChangeState,
    GiveUpReason,
    JudgedEnd,
    SyncState,
)
from app.ordering.models import OrderCorrection, OrderSync
from app.ordering.order import RemoteOrder
from app.ordering.rules import Cause
from app.ordering.service.changing import cancel_there
from app.ordering.service.ending import end
from app.ordering.service.entering import EnteredOrderUnclear, enter, was_entered
from app.ordering.service.standing import settled
from app.sales import queries as sales_queries
from app.sales import service as sales
from app.sales.rules import SaleState, SaleStep, reached
from app.sales.service.undelivered import not_delivered


class NotParked(Conflict):
    slug = "order-sync-not-parked"
    title = Words(zh="该订单同步无需人工处理", en="This delivery does not wait for a person")
    advice = Words(
        zh="当前状态为 {state}，系统会自动处理。", en="It is {state}; it goes on by itself."
    )


class TooLateToCorrect(Conflict):
    slug = "order-sync-too-late-to-correct"
    title = Words(zh="该订单已不能更正", en="It is too late to correct this order")
    advice = Words(
        zh="当前状态为 {state}。已送达的订单请用订单变更修改；发送中的请稍候。",
        en="It is {state}. Ask for an order that has arrived to be amended; wait while it is sent.",
    )


class GivenUpOtherwise(Conflict):
    slug = "order-sync-given-up-otherwise"
    title = Words(zh="该订单已因其他原因放弃", en="This delivery was given up for another reason")
    advice = Words(zh="已登记的原因是 {reason}。", en="The reason written down is {reason}.")


class CorrectionEmpty(Invalid):
    slug = "order-correction-empty"
    title = Words(zh="没有要更正的内容", en="Nothing is to be corrected")
    advice = Words(zh="请至少填写一项：{fields}。", en="Give one of these at least: {fields}.")


class MissingItemsUnclear(Invalid):
    slug = "missing-items-unclear"
    title = Words(zh="未完成的项目不明确", en="It is not clear which items are missing")
    advice = Words(
        zh="部分完成须列出未完成项目在订单中的序号（不能是全部）；其他结果不填。",
        en="Of an order that counts in part, give the places of what is missing, and not of all;"
        " of another end, give none.",
    )


async def retry(tx: AsyncSession, sync_id: UUID, caller: Caller) -> OrderSync:
    """Take a parked delivery up again at once; it is looked for before anything is sent.

    Raises NotFound and NotParked.
    """
    sync = await queries.for_change_by_caller(tx, sync_id, caller)
    if sync.state is not SyncState.PARKED:
        raise NotParked(state=sync.state)
    await _take_up(tx, sync)
    return sync


async def _take_up(tx: AsyncSession, sync: OrderSync) -> None:
    sync.state = SyncState.DELIVERED if sync.remote_id else SyncState.WAITING
    sync.tries_not_sent = sync.tries_unknown = 0
    sync.next_try_at = await settled(tx, sync)


async def retry_many(
    tx: AsyncSession, caller: Caller, *, cause: Cause, org_unit_id: UUID | None, most: int
) -> tuple[int, int]:
    """Take up again the parked deliveries of one cause in the caller's part of the organisation,
    those that have waited longest first; returns how many were, and how many are left.

    They come due one after the other, fifty a second, so that what failed together does not
    return together.
    """
    numbers = delivery.retry_numbers(await parameters_in_force(tx), await shared_now(tx))
    given = {
        "cause": cause.value,
        "path": caller.org_path,
        "unit": org_unit_id,
        "most": most,
        "settle": numbers.settle.total_seconds(),
    }
    taken = await fetched(tx, _RETRY_MANY, given)
    ((left,),) = await fetched(tx, _LEFT, given)
    if taken:
        audit.note(tx, table="order_sync", operation="retried", ids=[id_ for (id_,) in taken])
    return len(taken), left


_PARKED = """
      FROM order_sync o JOIN org_unit u ON u.id = o.org_unit_id
     WHERE o.state = 'parked' AND o.last_cause = %(cause)s AND starts_with(u.path, %(path)s)
       AND o.org_unit_id = coalesce(%(unit)s::uuid, o.org_unit_id)
"""
# Nobody waits for a row that somebody else holds: it is being taken up already.
_RETRY_MANY = f"""
WITH held AS (
    SELECT o.id, o.created_at {_PARKED}
     ORDER BY o.created_at, o.id LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
), turn AS (
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS nth FROM held
)
UPDATE order_sync o
   SET state = CASE WHEN o.remote_id IS NULL THEN 'waiting' ELSE 'delivered' END,
       tries_not_sent = 0, tries_unknown = 0, version = o.version + 1,
       next_try_at = greatest(clock_timestamp(),
           coalesce(o.last_tried_at, clock_timestamp()) + make_interval(secs => %(settle)s))
           + make_interval(secs => turn.nth / 50.0)
  FROM turn WHERE o.id = turn.id
RETURNING o.id
"""  # noqa: S608 - made of the constants above
_LEFT = f"SELECT count(*) {_PARKED}"


async def correct(
    tx: AsyncSession,
    sync_id: UUID,
    caller: Caller,
    *,
    correction_id: UUID,
    values: Correction,
    reason: str,
    now: datetime,
) -> OrderSync:
    """Put values in place of what the sale says, and take the delivery up again; `now` is business
    time. The sale stays as the customer agreed to it, and what was sent before is kept.

    Sent again with the same id, it is answered like the first time. Raises NotFound,
    CorrectionEmpty, Invalid, TooLateToCorrect and SameIdOtherContent.
    """
    sync = await queries.for_change_by_caller(tx, sync_id, caller)
    put = correcting.written(values)
    known = await tx.get(OrderCorrection, correction_id)
    if known is not None:
        wanted = {name: change["to"] for name, change in known.changes.items()}
        if (known.order_sync_id, wanted, known.reason) != (sync_id, put, reason):
            raise SameIdOtherContent(id=correction_id)
        return sync
    if not put:
        raise CorrectionEmpty(fields=list(Correction.__slots__))
    if sync.state not in (SyncState.PARKED, SyncState.WAITING):
        raise TooLateToCorrect(state=sync.state)
    sale = await sales_queries.one(tx, sync.sale_id, caller)
    assert sale.confirmed_at is not None
    correcting.check_start(values.requested_start, sale.confirmed_at)
    before: Mapping[str, str] = sync.corrections or {}
    tx.add(
        OrderCorrection(
            id=correction_id,
            order_sync_id=sync.id,
            at=now,
            account_id=caller.account_id,
            reason=reason,
            changes={name: {"from": before.get(name), "to": value} for name, value in put.items()},
            body_before=sync.body,
        )
    )
    sync.corrections = {**before, **put}
    if sync.state is SyncState.PARKED:
        await _take_up(tx, sync)
    await tx.flush()
    return sync


async def give_up(
    tx: AsyncSession,
    sync_id: UUID,
    caller: Caller,
    *,
    reason: GiveUpReason,
    note: str | None,
    now: datetime,
    order: RemoteOrder | None = None,
) -> OrderSync:
    """Decide that a parked delivery is not delivered by us; `now` is business time.

    Its sale is cancelled: at once, or by the other side where that has the order. An `order` that
    was entered by hand, as `look_up_entered` has found it, becomes that of the sale instead.

    The same decision again is answered like the first time. Raises NotFound, NotParked,
    GivenUpOtherwise, EnteredOrderUnclear and EnteredOrderOfAnother.
    """
    if (reason is GiveUpReason.ENTERED_BY_HAND) is (order is None):
        raise EnteredOrderUnclear()
    sync = await queries.for_change_by_caller(tx, sync_id, caller)
    if sync.state is SyncState.GIVEN_UP:
        if sync.given_up_reason is not reason:
            raise GivenUpOtherwise(reason=sync.given_up_reason)
        return sync
    if sync.state is not SyncState.PARKED:
        if order is not None and was_entered(sync, order):
            return sync
        raise NotParked(state=sync.state)
    by = caller.account_id
    if order is not None:
        await enter(tx, sync, order, by=by, now=now)
        _note_given_up(sync, reason=reason, note=note, by=by, now=now)
        await tx.flush()
        return sync
    # What it does not know any more it cannot cancel.
    there = sync.remote_id is not None and sync.last_cause is not Cause.FORGOTTEN
    await _given_up(tx, sync, there=there, reason=reason, note=note, by=by, now=now)
    return sync


async def abandon(
    tx: AsyncSession,
    sale_id: UUID,
    *,
    reason: GiveUpReason,
    note: str | None,
    by: UUID,
    now: datetime,
) -> None:
    """Give up the delivery of a sale that only we have, and cancel the sale, also one that was
    completed; `now` is business time.

    Raises NotParked while it is on its way, and NotFound.
    """
    sync = await queries.for_change(tx, sale_id)
    if sync is None:
        raise NotFound(sale_id=sale_id)
    if sync.state in (SyncState.WAITING, SyncState.SENDING):
        raise NotParked(state=sync.state)
    if sync.state is not SyncState.GIVEN_UP:
        await _given_up(tx, sync, there=False, reason=reason, note=note, by=by, now=now)
    sale = await sales_queries.for_change(tx, sale_id)
    if sale.state is SaleState.COMPLETED:
        # No sale moves so by itself: a person has judged that what was lost was never delivered.
        await sales.set_right(
            tx, sale_id=sale_id, state=SaleState.CANCELLED, at=now, reason=_why(reason)
        )


async def _given_up(
    tx: AsyncSession,
    sync: OrderSync,
    *,
    there: bool,
    reason: GiveUpReason,
    note: str | None,
    by: UUID,
    now: datetime,
) -> None:
    """Give up a delivery, and have its order cancelled where the other side has it (`there`)."""
    sync.state, sync.next_try_at = SyncState.GIVEN_UP, None
    _note_given_up(sync, reason=reason, note=note, by=by, now=now)
    why = _why(reason)
    change = await queries.open_change(tx, sync.sale_id)
    cancelling = change is not None and change.kind is ChangeKind.CANCEL
    if change is not None and not (there and cancelling):
        ended_as = ChangeState.DONE if cancelling else ChangeState.REFUSED
        end(change, ended_as, await shared_now(tx), why)
        # It has to have ended before another begins.
        await tx.flush()
    sale = await sales_queries.for_change(tx, sync.sale_id)
    if there and not cancelling:
        await cancel_there(tx, sale, reason=why, by=by, now=now)
    elif not there and reached(sale.state, SaleState.CANCELLED):
        await sales.ask_to_cancel(tx, sale, known_there=False, reason=why, at=now, by=by)
    await tx.flush()


def _why(reason: GiveUpReason) -> str:
    words = GIVE_UP_WORDS[reason]
    return f"{words.zh} / {words.en}"


def _note_given_up(
    sync: OrderSync, *, reason: GiveUpReason, note: str | None, by: UUID, now: datetime
) -> None:
    sync.given_up_reason, sync.given_up_note = reason, note
    sync.given_up_by, sync.given_up_at = by, now


async def judge_end(
    tx: AsyncSession,
    sync_id: UUID,
    caller: Caller,
    *,
    ended_as: JudgedEnd,
    missing: Sequence[int],
    now: datetime,
) -> OrderSync:
    """Say as what an order counts that ended in part, in two ways, or though it was given up;
    `now` is business time.

    `missing` are the places in the order of what was not delivered, of one that counts in part;
    none where the other side has named them. Raises NotFound, NotParked for one that nobody has to
    judge, and MissingItemsUnclear.
    """
    sync = await queries.for_change_by_caller(tx, sync_id, caller)
    if sync.state is not SyncState.FINISHED or sync.last_cause not in rules.TO_BE_JUDGED:
        raise NotParked(state=sync.state)
    sale = await sales_queries.for_change(tx, sync.sale_id)
    # It says of itself what it does not count as, or what is missing of it.
    otherwise = sync.last_cause is not Cause.PART_MISSING
    named = sale.state is SaleState.COMPLETED and not otherwise
    in_part = ended_as is JudgedEnd.PARTIAL
    if (missing and not in_part) or (in_part and not missing and not named):
        raise MissingItemsUnclear()
    places = [str(each) for each in missing]
    if places and not await not_delivered(tx, sale_id=sync.sale_id, positions=places, at=now):
        raise MissingItemsUnclear()
    cancelled = ended_as is JudgedEnd.CANCELLED
    state = SaleState.CANCELLED if cancelled else SaleState.COMPLETED
    # What is set right is no reason to forget that the customer took it back meanwhile.
    await sales.follow(tx, sale_id=sync.sale_id, state=state, at=now)
    await sales.set_right(tx, sale_id=sync.sale_id, state=state, at=now)
    facts = {"ended_as": ended_as.value, "missing": places}
    await sales.entered(
        tx, sync.sale_id, SaleStep.RECONCILED, at=now, by=caller.account_id, facts=facts
    )
    if otherwise:
        sync.remote_state = ended_as.value
    sync.last_error = sync.last_cause = None
    await tx.flush()
    return sync
