"""The exchange of an attempt with the other side; no transaction is open meanwhile."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.ordering import rules
from app.ordering.client import OrderingClient
from app.ordering.order import RemoteOrder
from app.ordering.rules import NotSent, OrderingFailed, Unknown
from app.ordering.service.claiming import Attempt, Doing, claim
from app.ordering.service.settling import settle

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]


async def exchange(client: OrderingClient, attempt: Attempt) -> Sequence[RemoteOrder]:
    """Do what an attempt is to do; returns every order of ours that the other side told of.

    None at all means that a delivered order is not known any more; more than one, that it was
    doubled. Raises NotSent, Unknown or Refused.
    """
    if attempt.doing is Doing.ASK:
        assert attempt.remote_id is not None
        asked = await client.get(attempt.remote_id)
        return [asked] if asked else []
    assert attempt.order is not None
    looks = attempt.doing is Doing.LOOK_THEN_SEND
    if looks:
        found = await _looked(client, attempt.order.external_id)
        if found:
            return found
    # The process may have been held up (stopped, starved, a slow commit, a long wait for its turn).
    # Sent too late, the order could still be on its way when the lease is over and somebody else
    # looks for it in vain.
    return [await client.place(attempt.order, by=attempt.send_before, looked=looks)]


async def _looked(client: OrderingClient, external_id: str) -> Sequence[RemoteOrder]:
    """Look for our order. Where the other side says nothing at all, this attempt has surely not
    sent anything: an outage must not use up the few tries of orders that may have been taken."""
    try:
        return await client.find_all(external_id)
    except Unknown as failed:
        if failed.cause not in rules.SILENT:
            raise
        raise NotSent(failed.cause, said=failed.said, retry_after=failed.retry_after) from failed


async def outcome_of(
    client: OrderingClient, attempt: Attempt
) -> Sequence[RemoteOrder] | OrderingFailed:
    """Do what an attempt is to do; a failure is an outcome like any other."""
    try:
        return await exchange(client, attempt)
    except OrderingFailed as failed:
        return failed


async def deliver(
    begin: Begin,
    client: OrderingClient,
    sale_id: UUID,
    *,
    time_limit: float,
    business_now: Callable[[], datetime],
) -> Sequence[RemoteOrder] | OrderingFailed | None:
    """Do the next attempt of a sale's delivery; returns what came of it, None when none is due."""
    async with begin() as tx:
        attempt = await claim(
            tx,
            sale_id,
            time_limit=time_limit,
            business_now=business_now(),
            codec=client.codec,
        )
    if attempt is None:
        return None
    outcome = await outcome_of(client, attempt)
    async with begin() as tx:
        await settle(tx, attempt, outcome, business_now())
    return outcome
