"""A message is asked for in the transaction of what it tells of, and delivered by a job.

An attempt is recorded before its first byte leaves, and nothing is open during the exchange
itself. That nobody gets a message twice rests on the provider, which knows it by its id.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs, retrying
from app.core.db import fetched, new_id, shared_now
from app.core.i18n import Lang
from app.core.log import log
from app.core.outside import Failed, Failure, tidy
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter
from app.messaging import queries, rules
from app.messaging.client import Messages, MessagingClient
from app.messaging.models import REMEMBERED, STILL_READ, Message, MessageReply
from app.messaging.rules import Came, FailReason, MessageKind, MessageState

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]


async def send(
    tx: AsyncSession,
    *,
    kind: MessageKind,
    to: str,
    org_unit_id: UUID,
    about: UUID | None,
    facts: Mapping[str, Any],
    now: datetime,
    lang: Lang = "zh",
    useful_for: timedelta | None = None,
    message_id: UUID | None = None,
) -> UUID:
    """Have a message sent once `tx` has committed, and return its id.

    `to` is a telephone number as it stands in foreign data; where it is none, the message is kept
    as failed, which supervisors see, and nothing is raised. `facts` are what the kind's text names.
    What cannot be delivered for so long is not sent any more; left out, `messaging.useful_hours`.
    Under a `message_id` of the caller's a message is sent once, and asking again changes nothing.
    """
    if message_id is not None and await tx.get(Message, message_id) is not None:
        return message_id
    number = rules.number_of(to)
    message = Message(
        id=message_id or new_id(),
        kind=kind,
        org_unit_id=org_unit_id,
        about=about,
        recipient=number,
        body=rules.text_of(kind, facts, lang),
        asked_at=now,
        useful_seconds=useful_for and round(useful_for.total_seconds()),
        state=MessageState.WAITING,
    )
    tx.add(message)
    if number is None:
        _give_up(message, FailReason.NO_NUMBER, await shared_now(tx))
        # Without a number nothing is known of anybody but what the text says.
        message.body = None
    else:
        await jobs.tell(tx, "message.asked", message_id=message.id)
    return message.id


@dataclass(frozen=True)
class _Attempt:
    message_id: UUID
    number: int
    kind: MessageKind
    to: str
    text: str


async def deliver(begin: Begin, client: Messages, message_id: UUID, *, time_limit: float) -> None:
    """Do the next try of a message, if one is due. Raises nothing of the exchange."""
    async with begin() as tx:
        attempt = await _claim(tx, message_id, time_limit)
    if attempt is None:
        return
    outcome: str | Failed | None
    try:
        outcome = await client.send(
            attempt.message_id, to=attempt.to, text=attempt.text, kind=attempt.kind
        )
    except Failed as failed:
        outcome = failed
    async with begin() as tx:
        await _settle(tx, attempt, outcome)


async def _claim(tx: AsyncSession, message_id: UUID, time_limit: float) -> _Attempt | None:
    message = await queries.for_change(tx, message_id)
    if message is None or message.state is not MessageState.WAITING:
        return None
    # Read only now: waiting for the row may have taken long.
    now = await shared_now(tx)
    if message.next_try_at is None or message.next_try_at > now:
        return None  # not due, or somebody else is at it
    parameters = await parameters_in_force(tx)
    useful_for = timedelta(hours=parameters.number(rules.USEFUL_HOURS, now))
    if message.useful_seconds is not None:
        useful_for = timedelta(seconds=message.useful_seconds)
    if now - message.created_at > useful_for:
        _give_up(message, FailReason.TOO_LATE, now)
        return None
    assert message.recipient is not None and message.body is not None
    message.attempts += 1
    # Should this worker die, another one takes the message up when its exchange is surely over.
    message.next_try_at = now + timedelta(seconds=3 * time_limit)
    return _Attempt(message.id, message.attempts, message.kind, message.recipient, message.body)


async def _settle(tx: AsyncSession, attempt: _Attempt, outcome: str | Failed | None) -> None:
    message = await queries.for_change(tx, attempt.message_id)
    if message is None or message.state is not MessageState.WAITING:
        return
    now = await shared_now(tx)
    if not isinstance(outcome, Failed):
        message.state, message.ended_at, message.next_try_at = MessageState.SENT, now, None
        message.provider_id, message.last_error = outcome, None
        return
    if attempt.number != message.attempts:
        return  # its time ran out and a later try has begun, which knows better
    # What the provider says may repeat what it was sent.
    message.last_error = outcome.said.replace(attempt.to, rules.masked_number(attempt.to))
    parameters = await parameters_in_force(tx)

    def seconds(parameter: Parameter) -> timedelta:
        return timedelta(seconds=parameters.number(parameter, now))

    if outcome.failure is Failure.REFUSED:
        _give_up(message, FailReason.REFUSED, now)
    elif message.attempts >= parameters.whole(rules.TRIES, now):
        _give_up(message, FailReason.TRIES_USED_UP, now)
    else:
        message.next_try_at = now + retrying.wait(
            message.attempts,
            first=seconds(rules.FIRST_DELAY),
            longest=seconds(rules.LONGEST_DELAY),
            luck=random.random(),
            asked=outcome.retry_after,
        )


def _give_up(message: Message, reason: FailReason, now: datetime) -> None:
    message.state, message.fail_reason = MessageState.FAILED, reason
    message.ended_at, message.next_try_at = now, None
    log.warning("message given up", message=str(message.id), reason=reason.value)


async def take_replies(tx: AsyncSession, came: Sequence[Came]) -> None:
    """Keep what customers sent back, and tell of what is new; a reply that was told of before, by
    callback or in the list, is the same one."""
    # A number that is none answers nothing that we asked.
    read = {
        each.provider_id: (rules.number_of(each.sender) or "", each)
        for each in came
        if each.provider_id
    }
    if not read:
        return
    rows = await fetched(
        tx,
        _TAKE,
        {
            "ids": [new_id() for _ in read],
            "provider_ids": list(read),
            "positions": [each.position for _, each in read.values()],
            "senders": [number for number, _ in read.values()],
            "bodies": [tidy(each.text)[: rules.REPLY_LIMIT] for _, each in read.values()],
            "said": [each.said_at for _, each in read.values()],
        },
    )
    for reply_id, fresh in rows:
        if fresh:
            await jobs.tell(tx, "message.replied", reply_id=reply_id)


_TAKE = """
INSERT INTO message_reply AS known (id, provider_id, position, sender, body, said_at)
SELECT * FROM unnest(%(ids)s::uuid[], %(provider_ids)s::text[], %(positions)s::bigint[],
                     %(senders)s::text[], %(bodies)s::text[], %(said)s::timestamptz[])
ON CONFLICT (provider_id) DO UPDATE SET position = coalesce(excluded.position, known.position)
RETURNING id, xmax = 0
"""


async def poll(begin: Begin, client: MessagingClient) -> int:
    """Read what is new in the provider's list of replies; returns how many were read.

    Raises `core.outside.Failed`.
    """
    async with begin() as tx:
        after = await queries.read_up_to(tx)
    came = await client.replies(after)
    if came:
        async with begin() as tx:
            await take_replies(tx, came)
    return len(came)


async def forget(tx: AsyncSession) -> None:
    """Forget number and text of messages that came to their end long enough ago."""
    now = await shared_now(tx)
    parameters = await parameters_in_force(tx)
    before = now - timedelta(days=parameters.number(rules.KEPT_DAYS, now))
    await tx.execute(
        update(Message)
        .where(REMEMBERED, Message.ended_at < before)
        .values(recipient=None, body=None)
        .execution_options(synchronize_session=False)
    )
    await tx.execute(
        update(MessageReply)
        .where(STILL_READ, MessageReply.created_at < before)
        .values(sender=None, body=None)
        .execution_options(synchronize_session=False)
    )
