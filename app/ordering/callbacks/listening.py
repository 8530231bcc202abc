"""Our listener on the other side's hub (TMF630): registered, looked after, and taken off again."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import new_id, shared_now
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.ordering import delivery
from app.ordering.client import OrderingClient
from app.ordering.models import OrderingListener
from app.ordering.rules import OrderingFailed
from app.ordering.service import Begin

# What we want to hear of; the hub's own form of a query (TMF630).
QUERY = "eventType=" + ",".join(
    (
        "ProductOrderCreateEvent",
        "ProductOrderStateChangeEvent",
        "ProductOrderAttributeValueChangeEvent",
        "CancelProductOrderStateChangeEvent",
    )
)
# While it fails, it is tried again so soon.
_AGAIN = timedelta(seconds=15)


async def look_after(
    begin: Begin, client: OrderingClient, callback: str, *, time_limit: float
) -> object:
    """Do what is due for our listener: register it at `callback`, see whether the other side still
    has it, move it when our address changed, take it off when `callback` is empty.

    Only one worker does so at a time. Returns None when nothing was due, an OrderingFailed where
    it failed: it is tried again by itself.
    """
    async with begin() as tx:
        known = await _claimed(tx, client.base, callback, time_limit)
    if known is None:
        return None
    remote_id, registered, why = known.remote_id, known.registered_at, None
    failed: OrderingFailed | None = None
    try:
        if known.callback != callback and remote_id is not None:
            await client.unregister(remote_id)
            remote_id = registered = None
        if callback:
            is_there = await client.is_registered(remote_id) if remote_id else False
            if not is_there:
                # Where it cannot be asked, registering again tells: one address counts once.
                remote_id = await client.register(callback, QUERY) or remote_id
                registered = wall()
    except OrderingFailed as problem:
        failed, why = problem, problem.told()
        log.warning("listener not registered", reason=why)
    async with begin() as tx:
        listener = await tx.get(OrderingListener, known.id, with_for_update=True)
        if listener is None:
            return failed or True
        now = await shared_now(tx)
        check = (await parameters_in_force(tx)).number(delivery.HUB_CHECK, now)
        listener.remote_id, listener.registered_at = remote_id, registered
        listener.last_error, listener.checked_at = why, now
        if failed is None:
            listener.callback, listener.failing_since = callback, None
        elif callback:
            listener.failing_since = listener.failing_since or now
        listener.next_try_at = now + (timedelta(seconds=check) if failed is None else _AGAIN)
    return failed or True


async def _claimed(
    tx: AsyncSession, base_url: str, callback: str, time_limit: float
) -> OrderingListener | None:
    """Claim what is due for the listener, so that nobody else does it meanwhile."""
    if callback:
        await tx.execute(
            upsert(OrderingListener)
            .values(id=new_id(), base_url=base_url, callback=callback, next_try_at=wall())
            .on_conflict_do_nothing(index_elements=[OrderingListener.base_url])
        )
    listener = (
        await tx.scalars(
            select(OrderingListener)
            .where(OrderingListener.base_url == base_url)
            .with_for_update(skip_locked=True)
        )
    ).one_or_none()
    if listener is None or (not callback and listener.remote_id is None):
        return None
    now = await shared_now(tx)
    changed = listener.callback != callback
    if listener.next_try_at > now and not (changed and listener.last_error is None):
        return None
    listener.next_try_at = now + timedelta(seconds=4 * time_limit)
    await tx.flush()
    tx.expunge(listener)
    return listener
