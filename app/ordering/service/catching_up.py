"""Catching up: what a comparison with the other side has found is put right."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.core.db import shared_now
from app.core.errors import NotFound
from app.ordering import queries, rules
from app.ordering.delivery import SyncState
from app.ordering.models import OrderSync
from app.ordering.order import RemoteOrder
from app.ordering.rules import RemoteState, Source
from app.ordering.service.ending import end_change_of
from app.ordering.service.settling import learn, part_missing
from app.ordering.service.standing import note_standstill, settled
from app.sales import service as sales


async def _locked(tx: AsyncSession, sale_id: UUID) -> OrderSync:
    sync = (
        await queries.for_change(tx, sale_id)
        or await queries.begin_delivery(tx, sale_id)
        or await queries.for_change(tx, sale_id)
    )
    if sync is None:
        raise NotFound(sale_id=sale_id)
    return sync


async def take_in(tx: AsyncSession, sale_id: UUID, seen: RemoteOrder, now: datetime) -> bool:
    """Take in what a look at the other side's order has shown, as if we had asked; `now` is
    business time. Tells whether the delivery and the sale now say the same. Raises NotFound.
    """
    sync = await _locked(tx, sale_id)
    await learn(tx, sync, seen, outcome_at=None, source=Source.LOOK, now=now)
    if seen.state is not None and sync.remote_state == seen.state.value:
        # The delivery may have known it, and the sale not.
        said = rules.sale_state_of(seen.state)
        await sales.follow(tx, sale_id=sale_id, state=said, at=now, reason=seen.reason)
    return sync.remote_id == seen.id and (
        seen.state is None or sync.remote_state == seen.state.value
    )


async def link(tx: AsyncSession, sale_id: UUID, seen: RemoteOrder, now: datetime) -> bool:
    """Let an order of the other side be that of a sale whose order it does not know, or which had
    none; `now` is business time. Tells whether both now say the same. Raises NotFound."""
    sync = await _locked(tx, sale_id)
    if sync.remote_id != seen.id:
        sync.remote_id, sync.remote_href = seen.id, seen.href
        sync.remote_state = sync.remote_state_at = sync.stands_since = None
        sync.doubles = [each for each in sync.doubles if each != seen.id]
        if sync.state is SyncState.DELIVERED:
            sync.state = SyncState.WAITING
    return await take_in(tx, sale_id, seen, now)


async def wake(tx: AsyncSession, sale_id: UUID) -> bool:
    """See that a sale that was never sent is sent now, or once what was sent of it meanwhile has
    settled. Tells whether it waited. Raises NotFound."""
    sync = await _locked(tx, sale_id)
    if sync.state is not SyncState.WAITING:
        return False
    sync.next_try_at = await settled(tx, sync)
    await jobs.tell(tx, "sale.confirmed", sale_id=sale_id)
    return True


async def send_anew(tx: AsyncSession, sale_id: UUID) -> bool:
    """Send a sale that the other side does not know, or not any more; it is looked for first, once
    what was sent before has settled.

    Tells whether there was anything to send: what is on its way stays so. Raises NotFound.
    """
    sync = await _locked(tx, sale_id)
    if sync.state is SyncState.SENDING:
        return False
    sync.remote_id = sync.remote_href = sync.remote_state = sync.remote_state_at = None
    sync.stands_since = None
    sync.tries_not_sent = sync.tries_unknown = 0
    sync.state, sync.next_try_at = SyncState.WAITING, await settled(tx, sync)
    return True


async def take_over(tx: AsyncSession, sale_id: UUID, seen: RemoteOrder, now: datetime) -> None:
    """Let the other side's state of an order be that of the delivery and of the sale, also where
    no order moves so: a person has judged that it is right. `now` is business time.

    Raises NotFound.
    """
    sync = await _locked(tx, sale_id)
    if seen.state is None:
        return
    sync.remote_id, sync.remote_href = seen.id, seen.href
    sync.remote_state, sync.remote_state_at = seen.state.value, None
    note_standstill(sync, await shared_now(tx))
    ended = seen.state in rules.TERMINAL
    sync.state = SyncState.FINISHED if ended else SyncState.DELIVERED
    sync.next_try_at = None if ended else await shared_now(tx)
    sync.last_error = sync.last_cause = None
    if ended:
        await end_change_of(tx, sync, seen.state, await shared_now(tx))
    await sales.set_right(
        tx, sale_id=sale_id, state=rules.sale_state_of(seen.state), at=now, reason=seen.reason
    )
    if seen.state is RemoteState.PARTIAL:
        await part_missing(tx, sync, seen, now)
