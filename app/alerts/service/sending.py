"""Addresses are told what waits for them, tried again later each time, and given up at last."""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries, rules
from app.alerts.client import Webhooks
from app.alerts.models import AlertDelivery, AlertWebhook
from app.alerts.queries import Due
from app.alerts.rules import AlertEvent, AlertKind, DeliveryState, Found, GivenUp
from app.alerts.service import finding
from app.alerts.service.webhooks import opened
from app.auth import audit
from app.core import jobs, retrying
from app.core.db import shared_now
from app.core.log import log
from app.core.outside import Failed, Failure, NoAnswer, failed
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter
from app.core.sealing import CannotBeOpened, Sealer

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

_GONE = 410


async def send_due(
    begin: Begin,
    client: Webhooks,
    sealer: Sealer | None,
    *,
    most: int,
    time_limit: float,
    now: datetime,
) -> int:
    """Tell addresses what is due for them, nothing open meanwhile; returns how much was tried.

    `sealer` opens their secrets: what cannot be signed is tried again like what does not arrive.
    `now` is business time, of the alert to an address that cannot be reached.
    """
    async with begin() as tx:
        taken = await queries.take_due(tx, most=most, taken_for=timedelta(seconds=3 * time_limit))
    waiting = {due.id: due for due in taken}

    async def send(delivery_id: UUID) -> None:
        due = waiting[delivery_id]
        answered, failure = await _told(client, due, sealer) if due.wanted else (None, None)
        async with begin() as tx:
            audit.acting(tx, "alerts.send")
            await _settle(tx, due, answered, failure, now)

    await jobs.for_each(waiting, send, at_once=most)
    return len(taken)


async def _told(
    client: Webhooks, due: Due, sealer: Sealer | None
) -> tuple[int | None, Failed | None]:
    try:
        secret = opened(due.secret, due.webhook_id, sealer)
        reply = await client.tell(due.id, due.body, url=due.url, secret=secret)
    except CannotBeOpened as locked:
        return None, Failed(Failure.NOT_SENT, f"its secret cannot be opened: {locked}")
    except NoAnswer as nothing:
        return None, failed(nothing)
    return reply.status, None if 200 <= reply.status < 300 else failed(reply)


async def _settle(
    tx: AsyncSession, due: Due, answered: int | None, failure: Failed | None, now: datetime
) -> None:
    delivery = await queries.delivery_for_change(tx, due.id)
    if delivery is None or delivery.attempts != due.attempt:
        return  # its time ran out and a later try has begun, which knows better
    real = await shared_now(tx)
    # Others may refer to it meanwhile: whoever raises an alert does, and we may wait for them.
    webhook = await tx.get_one(AlertWebhook, due.webhook_id, with_for_update={"key_share": True})
    delivery.answered = answered
    if not due.wanted:
        _give_up(delivery, GivenUp.SWITCHED_OFF, real)
        return
    if failure is None:
        delivery.state, delivery.ended_at = DeliveryState.SENT, real
        delivery.next_try_at = delivery.last_error = None
        recovered, webhook.failures = webhook.failures > 0, 0
        webhook.last_sent_at = real
        if recovered:
            await finding.end(tx, AlertKind.WEBHOOK_FAILING, str(webhook.id), now=now)
        return
    delivery.last_error = failure.said
    numbers = await parameters_in_force(tx)

    def seconds(parameter: Parameter) -> timedelta:
        return timedelta(seconds=numbers.number(parameter, now))

    if answered == _GONE:
        webhook.active = False
        why = GivenUp.GONE
    elif failure.failure is Failure.REFUSED:
        why = GivenUp.REFUSED
    elif delivery.attempts >= numbers.whole(rules.TRIES, now):
        why = GivenUp.TRIES_USED_UP
    else:
        delivery.next_try_at = real + retrying.wait(
            delivery.attempts,
            first=seconds(rules.FIRST_DELAY),
            longest=seconds(rules.LONGEST_DELAY),
            luck=random.random(),
            asked=failure.retry_after,
        )
        return
    _give_up(delivery, why, real)
    webhook.failures += 1
    await tx.flush()
    if delivery.event is not AlertEvent.TEST:
        # Whoever is left hears of it: boards, phones, and the other addresses.
        found = Found(
            AlertKind.WEBHOOK_FAILING, webhook.org_unit_id, webhook.failures, 0, str(webhook.id)
        )
        await finding.stands(tx, found, now=now)


def _give_up(delivery: AlertDelivery, why: GivenUp, real: datetime) -> None:
    delivery.state, delivery.given_up = DeliveryState.GIVEN_UP, why
    delivery.ended_at, delivery.next_try_at = real, None
    log.warning("an address was not told of an alert", delivery=str(delivery.id), reason=why.value)
