"""Changing: an order is cancelled or amended, in the same three steps as it was delivered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.core.clock import wall
from app.core.db import fetched, new_id, shared_now
from app.core.errors import Conflict, Invalid, SameIdOtherContent
from app.core.i18n import Words
from app.core.parameter_values import parameters_in_force
from app.ordering import delivery, queries, rules
from app.ordering.client import OrderingClient
from app.ordering.delivery import CHANGES_OPEN, ChangeKind, ChangeState, SyncState
from app.ordering.models import OrderChange, OrderSync
from app.ordering.order import (
    Amendment,
    OrderToPlace,
    OrderUnfit,
    RemoteCancellation,
    RemoteOrder,
)
from app.ordering.queries import Appointment
from app.ordering.rules import (
    Cause,
    Failure,
    OrderingFailed,
    Refused,
    RemoteState,
    Source,
    TaskState,
)
from app.ordering.service.ending import end
from app.ordering.service.settling import learn
from app.ordering.service.standing import ERROR_LIMIT, luck, settled_at
from app.sales import queries as sales_queries
from app.sales import rules as sale_rules
from app.sales import service as sales
from app.sales.models import Sale, SaleItem
from app.sales.rules import SaleState, reached

if TYPE_CHECKING:
    from app.ordering.service.exchanging import Begin

# The other side has the wish; it tells how it decided.
_TAKEN = frozenset({RemoteState.ASSESSING_CANCELLATION, RemoteState.PENDING_CANCELLATION})
_CANCELLED = frozenset({TaskState.DONE, TaskState.CANCELLED})
_TURNED_DOWN = frozenset({TaskState.REJECTED, TaskState.TERMINATED_WITH_ERROR})
_CAN_BE_AMENDED = frozenset({SaleState.CONFIRMED, SaleState.SENT, SaleState.ACKNOWLEDGED})


class ChangeUnderWay(Conflict):
    slug = "order-change-under-way"
    title = Words(zh="该订单已有变更在处理", en="A change of this order is under way")
    advice = Words(
        zh="请等待现有变更（{kind}，{state}）结束后再提交。",
        en="Wait for it to end ({kind}, {state}), then ask again.",
    )


class NothingToChange(Invalid):
    slug = "order-change-empty"
    title = Words(zh="没有要修改的内容", en="Nothing is to be different")
    advice = Words(
        zh="修改订单须给出新的开通时间或备注；撤单则两者都不填。",
        en="To amend, give a new start or a note; to cancel, give neither.",
    )


async def ask_for_change(
    tx: AsyncSession,
    *,
    change_id: UUID,
    sale_id: UUID,
    kind: ChangeKind,
    reason: str,
    amendment: Amendment,
    caller: Caller,
    now: datetime,
    item_id: UUID | None = None,
    hold_id: UUID | None = None,
) -> OrderChange:
    """Ask for the order of a sale to be cancelled or amended; `now` is business time. `item_id` is
    what is to be taken out of the order, if the amendment is about that alone, and `hold_id` the
    slot to tell, if it is about a moved appointment.

    A sale the other side has never heard of is cancelled at once. A wish of the same kind that came
    to nothing before is closed by this one. The same wish sent again is answered like the first
    time. Raises NotFound, SaleRefused, ChangeUnderWay, NothingToChange and
    SameIdOtherContent.
    """
    if (kind is ChangeKind.AMEND) is not (amendment != Amendment()):
        raise NothingToChange()
    # Who may not see the sale locks nothing. Deliveries are locked before changes and sales
    # everywhere, so that no two wait for each other.
    await sales_queries.one(tx, sale_id, caller)
    sync = await _sync_locked(tx, sale_id)
    known = await queries.change_for_change(tx, change_id)
    asked = (sale_id, kind, reason, amendment.note, amendment.requested_start)
    if known is not None:
        # Of an appointment the start follows the slot, which may be another by now.
        start = known.requested_start if hold_id is None else amendment.requested_start
        if asked != (known.sale_id, known.kind, known.reason, known.note, start):
            raise SameIdOtherContent(id=change_id)
        return known
    under_way = await queries.open_change(tx, sale_id)
    if under_way is not None:
        raise ChangeUnderWay(kind=under_way.kind, state=under_way.state)
    sale = await sales_queries.for_change(tx, sale_id)
    # It was read before it was locked.
    await tx.refresh(sale)
    real = await shared_now(tx)
    change = OrderChange(
        id=change_id,
        sale_id=sale_id,
        sale_item_id=item_id,
        appointment_hold_id=hold_id,
        org_unit_id=sale.org_unit_id,
        kind=kind,
        state=ChangeState.WAITING,
        reason=reason,
        note=amendment.note,
        requested_start=amendment.requested_start,
        asked_by=caller.account_id,
        asked_at=now,
        next_try_at=real,
    )
    if kind is ChangeKind.CANCEL:
        never_sent = sync is not None and sync.state is SyncState.WAITING and sync.attempts == 0
        await sales.ask_to_cancel(
            tx,
            sale,
            known_there=not never_sent,
            reason=reason,
            at=now,
            by=caller.account_id,
        )
        if never_sent:
            assert sync is not None
            sync.state, sync.next_try_at = SyncState.FINISHED, None
            end(change, ChangeState.DONE, real)
    elif sale.state not in _CAN_BE_AMENDED:
        raise sale_rules.SaleRefused(state=sale.state, wanted=SaleState.ACKNOWLEDGED)
    tx.add(change)
    await tx.flush()
    await _replace(tx, change, by=caller.account_id, now=now)
    return change


async def _replace(
    tx: AsyncSession, change: OrderChange, *, by: UUID | None, now: datetime
) -> None:
    """Close what came to nothing before and is asked for again by a change."""
    given = {"id": change.id, "by": by, "now": now}
    replaced = await fetched(tx, _REPLACE, given)
    if replaced:
        audit.note(tx, table="order_change", operation="replaced", ids=[id_ for (id_,) in replaced])


# What this system tells of an appointment takes the place of what it told of one before, and of
# nothing else.
_REPLACE = """
UPDATE order_change o
   SET closed_at = %(now)s, closed_by = %(by)s, replaced_by = new.id, version = o.version + 1
  FROM order_change new
 WHERE new.id = %(id)s AND o.sale_id = new.sale_id AND o.kind = new.kind
   AND o.sale_item_id IS NOT DISTINCT FROM new.sale_item_id
   AND (o.appointment_hold_id IS NOT NULL OR new.asked_by IS NOT NULL)
   AND o.state IN ('refused', 'given_up') AND o.closed_at IS NULL
RETURNING o.id
"""


async def tell_of_no_install(tx: AsyncSession, sale_id: UUID, *, now: datetime) -> bool:
    """Have an order amended whose install in the visit was called off, so that somebody else is
    sent: its items are told again, without who installs them. `now` is business time.

    Tells whether that is done with: False while another change of the order is under way. An order
    that was never sent is sent as it is now, one that has ended stays as it is, and one whose sale
    was returned, or of which nothing is left to be installed, is to be installed by nobody.
    """
    if not await sales_queries.left_to_install(tx, sale_id):
        return True
    return await _ask_by_ourselves(tx, sale_id, ChangeKind.AMEND, _CALLED_OFF, now=now)


async def tell_of_returned_item(
    tx: AsyncSession, sale_id: UUID, item_id: UUID, *, now: datetime
) -> bool:
    """Have an item taken out of an order that is under way, since it was returned: its items are
    told again, that one to be deleted. `now` is business time.

    Tells whether that is done with, as `tell_of_no_install` does: what was returned after the order
    had ended is no matter of that order.
    """
    return await _ask_by_ourselves(
        tx, sale_id, ChangeKind.AMEND, _ITEM_RETURNED, now=now, item_id=item_id
    )


async def tell_of_moved_appointment(
    tx: AsyncSession, work_order_id: UUID, *, now: datetime
) -> bool:
    """Have an order amended that is under way, since the appointment of its install was moved: its
    items are told again with the slot that counts now, which the order then begins with. `now` is
    business time.

    Tells whether that is done with, as `tell_of_no_install` does. Each slot is told once, and of
    those that come and go while another change is under way only the last. An install that no sale
    has booked is no matter of ours.
    """
    sale_id = await queries.booked_for(tx, work_order_id)
    appointment = None if sale_id is None else await queries.appointment_of(tx, sale_id)
    if sale_id is None or appointment is None:
        return True
    return await _ask_by_ourselves(
        tx, sale_id, ChangeKind.AMEND, _MOVED, now=now, appointment=appointment
    )


async def tell_of_returned_sale(tx: AsyncSession, sale_id: UUID, *, now: datetime) -> bool:
    """Have an order cancelled that is under way, since its sale was returned as a whole. `now` is
    business time.

    Tells whether that is done with, as `tell_of_no_install` does. It is asked once: an order that
    the other side will not cancel, or that ends first, is a person's to see to, and every night
    shows it to them.
    """
    return await _ask_by_ourselves(tx, sale_id, ChangeKind.CANCEL, _RETURNED, now=now)


async def _ask_by_ourselves(
    tx: AsyncSession,
    sale_id: UUID,
    kind: ChangeKind,
    why: Words,
    *,
    now: datetime,
    item_id: UUID | None = None,
    appointment: Appointment | None = None,
) -> bool:
    sync = await _sync_locked(tx, sale_id)
    sale = await sales_queries.for_change(tx, sale_id)
    if sync is None or sync.attempts == 0:
        return True
    if kind is ChangeKind.AMEND and sync.state is SyncState.FINISHED:
        return True
    # What the other side has refused once is not asked again and again.
    hold_id = appointment.hold_id if appointment else None
    once = kind is ChangeKind.CANCEL or item_id is not None or hold_id is not None
    if once and await queries.asked_by_ourselves(
        tx, sale_id, kind, item_id=item_id, hold_id=hold_id
    ):
        return True
    if await queries.open_change(tx, sale_id) is not None:
        return False
    if sale.state not in _CAN_BE_AMENDED:
        return True
    words = f"{why.zh} / {why.en}"
    if kind is ChangeKind.CANCEL:
        await sales.ask_to_cancel(tx, sale, known_there=True, reason=words, at=now, by=None)
    elif sale.reversed_at is not None:
        return True
    change = OrderChange(
        id=new_id(),
        sale_id=sale_id,
        sale_item_id=item_id,
        appointment_hold_id=hold_id,
        org_unit_id=sale.org_unit_id,
        kind=kind,
        state=ChangeState.WAITING,
        reason=why.zh,
        note=words if kind is ChangeKind.AMEND else None,
        requested_start=appointment.begins_at if appointment else None,
        asked_at=now,
        next_try_at=await shared_now(tx),
    )
    tx.add(change)
    await tx.flush()
    if appointment is not None:
        # An earlier slot that did not arrive is nobody's trouble any more.
        await _replace(tx, change, by=None, now=now)
    return True


_MOVED = Words(zh="安装预约已改期", en="the appointment of the install was moved")
_CALLED_OFF = Words(
    zh="同次上门安装已取消，请另行安排安装",
    en="it is not installed in the visit after all; please have it installed",
)
_ITEM_RETURNED = Words(
    zh="客户退订其中一项，请从订单中移除",
    en="the customer returned one item; please take it out of the order",
)
_RETURNED = Words(
    zh="客户已退订，请撤销订单", en="the customer returned it; please cancel the order"
)


async def _sync_locked(tx: AsyncSession, sale_id: UUID) -> OrderSync | None:
    """Lock the delivery of a confirmed sale, beginning it where its job has not come yet; None for
    a sale that is not confirmed."""
    return (
        await queries.for_change(tx, sale_id)
        or await queries.begin_delivery(tx, sale_id)
        or await queries.for_change(tx, sale_id)
    )


async def cancel_there(
    tx: AsyncSession, sale: Sale, *, reason: str, by: UUID, now: datetime
) -> None:
    """Have the order of a locked sale cancelled that the other side has, no change of it being
    under way; `now` is business time. A sale that has ended stays as it is."""
    if reached(sale.state, SaleState.CANCELLING):
        await sales.ask_to_cancel(tx, sale, known_there=True, reason=reason, at=now, by=by)
    change = OrderChange(
        id=new_id(),
        sale_id=sale.id,
        org_unit_id=sale.org_unit_id,
        kind=ChangeKind.CANCEL,
        state=ChangeState.WAITING,
        reason=reason,
        asked_by=by,
        asked_at=now,
        next_try_at=await shared_now(tx),
    )
    tx.add(change)
    await tx.flush()
    await _replace(tx, change, by=by, now=now)


@dataclass(frozen=True)
class _Attempt:
    """A claimed attempt at a change: nobody else works on it until its lease has run out."""

    change_id: UUID
    sale_id: UUID
    kind: ChangeKind
    number: int
    # To amend it; to cancel it, or to look for it, it need not be known.
    order: OrderToPlace | None
    # The other side's id of the order; None where it is not known whether it has it.
    remote_id: str | None
    task_id: str | None
    ask_only: bool
    reason: str
    amendment: Amendment
    asked_at: datetime
    send_before: datetime


@dataclass(frozen=True)
class _Told:
    """What came of an exchange: the order, the task of cancelling it, or neither."""

    order: RemoteOrder | None = None
    task: RemoteCancellation | None = None
    amended: bool = False


async def carry_out(
    begin: "Begin",
    client: OrderingClient,
    change_id: UUID,
    *,
    time_limit: float,
    business_now: Callable[[], datetime],
) -> object:
    """Do the next attempt at a change; returns what came of it, an OrderingFailed where it failed,
    None when none is due."""
    async with begin() as tx:
        attempt = await _claim(tx, change_id, timedelta(seconds=time_limit))
    if attempt is None:
        return None
    outcome: _Told | OrderingFailed
    try:
        outcome = await _exchange(client, attempt)
    except OrderingFailed as failed:
        outcome = failed
    async with begin() as tx:
        await _settle(tx, attempt, outcome, business_now())
    return outcome


async def _claim(tx: AsyncSession, change_id: UUID, limit: timedelta) -> _Attempt | None:
    send_before = wall() + 3 * limit
    named = await tx.get(OrderChange, change_id)
    if named is None:
        return None
    # Deliveries are locked before changes everywhere, so that no two wait for each other.
    sync = await queries.for_change(tx, named.sale_id)
    change = await queries.open_change(tx, named.sale_id)
    if change is None or change.id != change_id or sync is None:
        return None
    now = await shared_now(tx)
    if change.next_try_at is not None and change.next_try_at > now:
        return None
    parameters = await parameters_in_force(tx)
    numbers = delivery.retry_numbers(parameters, now)
    if sync.remote_id is None and sync.state in (SyncState.WAITING, SyncState.SENDING):
        # What is not there yet cannot be changed; its delivery goes on by itself.
        change.next_try_at = now + timedelta(seconds=parameters.number(delivery.POLL_SOONEST, now))
        return None
    settled = settled_at(sync, numbers, now)
    if sync.remote_id is None and settled > now:
        # Nothing would be found of what was sent and may still be at work over there.
        change.next_try_at = settled
        return None
    order = None
    if change.kind is ChangeKind.AMEND and sync.remote_id is not None:
        try:
            order = await queries.order_to_place(tx, change.sale_id)
        except OrderUnfit as unfit:
            # Trying again would not mend it; a person can, and then asks again.
            end(change, ChangeState.REFUSED, now, f"{Cause.UNFIT.value}: {unfit.detail('en')}")
            return None
    ask_only = change.state is ChangeState.SENT
    if not ask_only:
        change.state = ChangeState.SENDING
        change.attempts += 1
    change.last_tried_at, change.next_try_at = now, now + 4 * limit + numbers.settle
    if change.appointment_hold_id is not None:
        # Read before the order is: of a slot that comes in between, a change of its own follows.
        newest = await queries.appointment_of(tx, change.sale_id)
        if newest is not None:
            change.appointment_hold_id, change.requested_start = newest
    told = await queries.notes_told(tx, change.sale_id) if change.note else ()
    return _Attempt(
        change_id=change_id,
        sale_id=change.sale_id,
        kind=change.kind,
        number=change.attempts,
        order=order,
        remote_id=sync.remote_id,
        task_id=change.remote_id,
        ask_only=ask_only,
        reason=change.reason,
        amendment=Amendment(change.requested_start, change.note, str(change_id), told),
        asked_at=change.asked_at,
        send_before=send_before,
    )


async def _exchange(client: OrderingClient, attempt: _Attempt) -> _Told:
    if attempt.remote_id is None:
        found = await client.find_all(str(attempt.sale_id))
        return _Told(order=found[0] if found else None)
    if attempt.kind is ChangeKind.AMEND:
        return await _amended(client, attempt, attempt.remote_id)
    looks = attempt.ask_only or attempt.number > 1
    if looks:
        told = await _looked(client, attempt.remote_id, attempt.task_id)
        if attempt.ask_only or told.task is not None or _is_taken(told.order):
            return told
    task = await client.cancel(
        attempt.remote_id,
        attempt.reason,
        attempt.asked_at,
        by=attempt.send_before,
        looked=looks,
    )
    return _Told(task=task)


async def _amended(client: OrderingClient, attempt: _Attempt, remote_id: str) -> _Told:
    """Amend an order. The same values again make no difference, so nothing need be looked for
    first; but an order that ended meanwhile turns them down, and itself tells whether an earlier
    try had its effect."""
    assert attempt.order is not None
    try:
        await client.amend(remote_id, attempt.order, attempt.amendment)
    except Refused:
        order = await client.get(remote_id) if attempt.number > 1 else None
        if order is None or order.state not in rules.TERMINAL:
            raise
        return _Told(order=order)
    return _Told(amended=True)


def _is_taken(order: RemoteOrder | None) -> bool:
    return order is not None and (order.state in _TAKEN or order.state in rules.TERMINAL)


async def _looked(client: OrderingClient, remote_id: str, task_id: str | None) -> _Told:
    """Ask for the order, and for the task of cancelling it: which, if it is not known."""
    order = await client.get(remote_id)
    if task_id is not None:
        return _Told(order, await client.cancellation(task_id))
    tasks = await client.cancellations(remote_id)
    return _Told(order, tasks[-1] if tasks else None)


async def _settle(
    tx: AsyncSession, attempt: _Attempt, outcome: _Told | OrderingFailed, now: datetime
) -> None:
    sync = await queries.for_change(tx, attempt.sale_id)
    assert sync is not None
    if isinstance(outcome, _Told) and outcome.order is not None:
        await learn(tx, sync, outcome.order, outcome_at=None, source=Source.LOOK, now=now)
    change = await queries.open_change(tx, attempt.sale_id)
    if change is None or change.id != attempt.change_id or change.attempts != attempt.number:
        return  # it has ended meanwhile, or a later attempt knows better
    real = await shared_now(tx)
    parameters = await parameters_in_force(tx)
    if isinstance(outcome, OrderingFailed):
        await _failed(tx, change, sync, outcome, real, now)
    elif outcome.amended:
        await _amendment_done(tx, change, real, now)
    elif attempt.remote_id is None:
        if outcome.order is None:
            # Its delivery was given up, and the other side surely does not have it.
            await _never_there(tx, change, sync, real, now)
        else:
            change.state, change.next_try_at = ChangeState.WAITING, real
    elif change.kind is ChangeKind.AMEND and outcome.order is not None:
        await _ended_meanwhile(tx, change, outcome.order, real, now)
    elif outcome.task is not None:
        await _decided(tx, change, sync, outcome.task, real, now)
    if change.state is ChangeState.SENDING:
        change.state = ChangeState.SENT
    if change.state is ChangeState.SENT:
        change.next_try_at = delivery.next_poll(
            parameters, confirmed_at=change.created_at, now=real
        )


async def _amendment_done(
    tx: AsyncSession, change: OrderChange, real: datetime, now: datetime
) -> None:
    end(change, ChangeState.DONE, real)
    if change.sale_item_id is not None:
        await sales.item_removed(tx, sale_id=change.sale_id, item_id=change.sale_item_id, at=now)


async def _ended_meanwhile(
    tx: AsyncSession, change: OrderChange, order: RemoteOrder, real: datetime, now: datetime
) -> None:
    """End an amendment of an order that has ended: it tells whether the item was taken out."""
    item = await tx.get(SaleItem, change.sale_item_id) if change.sale_item_id else None
    if item is not None and order.lacks(str(item.position)):
        await _amendment_done(tx, change, real, now)
    else:
        end(change, ChangeState.REFUSED, real, f"the order ended first: {order.state_text}")


async def _never_there(
    tx: AsyncSession, change: OrderChange, sync: OrderSync, real: datetime, now: datetime
) -> None:
    if change.kind is ChangeKind.AMEND:
        end(change, ChangeState.REFUSED, real, "the ordering system does not have the order")
        return
    sync.state, sync.next_try_at = SyncState.FINISHED, None
    sync.last_error = sync.last_cause = None
    end(change, ChangeState.DONE, real)
    await sales.follow(
        tx, sale_id=change.sale_id, state=SaleState.CANCELLED, at=now, reason=change.reason
    )


async def _decided(
    tx: AsyncSession,
    change: OrderChange,
    sync: OrderSync,
    task: RemoteCancellation,
    real: datetime,
    now: datetime,
) -> None:
    """Take in how far the other side is with a cancellation."""
    change.remote_id, change.remote_state = task.id, task.state_text
    if task.state in _TURNED_DOWN:
        await _refused(tx, change, sync, task.reason or f"{task.state_text}", real, now)
        return
    change.state = ChangeState.SENT
    if task.state in _CANCELLED and sync.state is SyncState.DELIVERED:
        # The order's own state is what counts, and it is asked for at once.
        sync.next_try_at = real


async def _refused(
    tx: AsyncSession,
    change: OrderChange,
    sync: OrderSync,
    why: str,
    real: datetime,
    now: datetime,
) -> None:
    end(change, ChangeState.REFUSED, real, why)
    await _let_go_on(tx, change, sync, real, now)


async def _let_go_on(
    tx: AsyncSession, change: OrderChange, sync: OrderSync, real: datetime, now: datetime
) -> None:
    if change.kind is not ChangeKind.CANCEL:
        return
    state = SaleState.SENT
    if sync.remote_state:
        state = rules.sale_state_of(RemoteState(sync.remote_state))
    elif sync.remote_id is None:
        state = SaleState.CONFIRMED
    await sales.go_on(tx, sale_id=change.sale_id, state=state, at=now)
    if sync.state is SyncState.GIVEN_UP and sync.remote_id is not None:
        # It was given up for it to be cancelled, and that was not done: it is asked for again.
        sync.state, sync.next_try_at = SyncState.DELIVERED, real
        sync.last_error = sync.last_cause = None


async def _failed(
    tx: AsyncSession,
    change: OrderChange,
    sync: OrderSync,
    failed: OrderingFailed,
    real: datetime,
    now: datetime,
) -> None:
    """Count a failed attempt and say whether the change is tried again, or ends."""
    if failed.failure is Failure.REFUSED:
        await _refused(tx, change, sync, failed.told(), real, now)
        return
    if failed.failure is Failure.UNKNOWN:
        change.tries_unknown += 1
        tries = change.tries_unknown
    elif failed.cause is Cause.TOO_LATE:
        tries = 0  # it was held up on our side: a try that was never made
    else:
        change.tries_not_sent += 1
        tries = change.tries_not_sent
    numbers = delivery.retry_numbers(await parameters_in_force(tx), real)
    then = rules.after_failure(tries, failed.failure, failed.retry_after, numbers, luck())
    if isinstance(then, rules.Park):
        end(change, ChangeState.GIVEN_UP, real, failed.told())
        await _let_go_on(tx, change, sync, real, now)
        return
    if change.state is ChangeState.SENDING:
        change.state = ChangeState.WAITING
    change.last_error = failed.told()[:ERROR_LIMIT]
    change.last_tried_at, change.next_try_at = real, real + then.after


async def hear(
    tx: AsyncSession, task: RemoteCancellation, now: datetime
) -> tuple[UUID | None, str]:
    """Take in a callback about a cancellation; returns whose delivery it is of and what became of
    it; `now` is business time. The states of a task only ever lead to its end, so late news of one
    that has ended is stale."""
    sale_id = await queries.sale_of_remote_task(tx, task.id, task.order_id)
    sync = await queries.for_change(tx, sale_id) if sale_id is not None else None
    if sync is None:
        return None, "not_ours"
    change = await queries.open_change(tx, sync.sale_id)
    if change is None or change.kind is not ChangeKind.CANCEL:
        return sync.id, "stale"
    if change.remote_id not in (None, task.id):
        return sync.id, "stale"
    real = await shared_now(tx)
    await _decided(tx, change, sync, task, real, now)
    if change.state in CHANGES_OPEN:
        change.next_try_at = real + timedelta(
            seconds=(await parameters_in_force(tx)).number(delivery.POLL_SOONEST, real)
        )
    return sync.id, "move"
