"""What can be done with phones: register one, ask for a wipe, see to it, and wake them."""

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.auth.service.sign_in import end_session
from app.core import jobs, retrying
from app.core.clock import wall
from app.core.db import new_id
from app.core.errors import SameIdOtherContent, Unauthorized
from app.core.log import log
from app.core.outside import Failed, Failure
from app.core.parameter_values import parameters_in_force
from app.devices import queries, rules
from app.devices.client import Pushes
from app.devices.models import Device, DeviceWipe
from app.devices.queries import Due
from app.devices.rules import PushProvider, Wipe, WipeAsked

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

# A push that was taken up by a worker which died is taken up again after so many seconds.
TAKEN_FOR = 60.0
FIRST_AGAIN, LONGEST_AGAIN = timedelta(seconds=10), timedelta(minutes=30)


async def register(
    tx: AsyncSession,
    caller: Caller,
    name: str,
    *,
    platform: str | None,
    app_version: str | None,
    push_provider: PushProvider | None,
    push_token: str | None,
    now: datetime,
) -> Device:
    """Write down what a phone is and how it is woken; without a token it is not woken any more."""
    found = await queries.note_seen(tx, [(caller.account_id, name, now, caller.session_id)])
    if not found:
        raise Unauthorized()
    device = await tx.get_one(Device, found[0], populate_existing=True)
    device.platform, device.app_version = platform, app_version
    device.push_provider, device.push_token = push_provider, push_token
    if push_token is None:
        device.news_at = None
    await tx.flush()
    return device


def refuse(wipe: Wipe | None) -> None:
    """Refuse a phone that is to be emptied. Raises WipeAsked; Unauthorized for one that was emptied
    and has not signed in since."""
    if wipe is None:
        return
    if wipe.confirmed_at is not None:
        raise Unauthorized()
    raise WipeAsked(asked_at=wipe.asked_at, wipe_id=wipe.id)


async def ask_wipe(
    tx: AsyncSession, caller: Caller, device_id: UUID, *, wipe_id: UUID, reason: str, now: datetime
) -> DeviceWipe:
    """Have a phone emptied; one that is to be emptied already is answered with that wipe.

    Sent again it is answered alike. Raises NotFound and SameIdOtherContent.
    """
    device = await queries.device_within(tx, caller, device_id)
    known = await tx.get(DeviceWipe, wipe_id)
    if known is not None:
        if (known.device_id, known.reason) != (device_id, reason):
            raise SameIdOtherContent(id=wipe_id)
        return known
    [wipe] = await _ask(tx, caller, [device], reason, now, wipe_id=wipe_id)
    return wipe


async def ask_wipes(
    tx: AsyncSession, caller: Caller, account_id: UUID, *, reason: str, now: datetime
) -> list[DeviceWipe]:
    """Have every phone of an account emptied that it is known to use. Raises NotFound."""
    devices = await queries.devices_of(tx, caller, account_id)
    return await _ask(tx, caller, devices, reason, now)


async def _ask(
    tx: AsyncSession,
    caller: Caller,
    devices: Iterable[Device],
    reason: str,
    now: datetime,
    *,
    wipe_id: UUID | None = None,
) -> list[DeviceWipe]:
    asked = []
    for device in devices:
        wipe = await queries.open_wipe(tx, device.id)
        if wipe is None:
            wipe = DeviceWipe(
                id=wipe_id or new_id(),
                device_id=device.id,
                asked_at=now,
                asked_by=caller.account_id,
                reason=reason,
            )
            tx.add(wipe)
            await tx.flush()
            await jobs.tell(tx, "device.wipe_asked", device_id=device.id)
        asked.append(wipe)
    return asked


async def withdraw_wipe(
    tx: AsyncSession, caller: Caller, device_id: UUID, *, now: datetime
) -> DeviceWipe:
    """Let a phone be, whose wipe was asked for and is not done; again is like once.

    Raises NotFound, and WipeOver when it has been emptied.
    """
    device = await queries.device_within(tx, caller, device_id)
    wipe = await queries.open_wipe(tx, device.id)
    if wipe is not None:
        wipe.withdrawn_at, wipe.withdrawn_by = now, caller.account_id
        await tx.flush()
        return wipe
    last = await queries.last_wipe(tx, device.id)
    if last.withdrawn_at is None:
        raise rules.WipeOver(state=rules.wipe_state(last.confirmed_at, None))
    return last


async def confirm_wipe(
    tx: AsyncSession, caller: Caller, name: str, wipe_id: UUID, *, unsent: int, now: datetime
) -> DeviceWipe:
    """Write down that the phone which says so has been emptied, and end its sign-in; again is like
    once.

    `unsent` is how many actions it could not push before. Raises NotFound, also for a wipe that is
    meant for another phone of the account, and WipeOver for one that was withdrawn.
    """
    wipe = await queries.wipe_for_change(tx, caller, name, wipe_id)
    if wipe.withdrawn_at is not None:
        raise rules.WipeOver(state=rules.WipeState.WITHDRAWN)
    if wipe.confirmed_at is None:
        wipe.confirmed_at, wipe.session_id, wipe.unsent = now, caller.session_id, unsent
        device = await tx.get_one(Device, wipe.device_id)
        device.push_provider = device.push_token = device.news_at = None
        if caller.session_id is not None:
            await end_session(tx, caller.session_id, wall())
        audit.note(tx, table="device", operation="wiped", ids=[wipe.device_id])
        await tx.flush()
    return wipe


async def wake(begin: Begin, pushes: Pushes, *, most: int) -> int:
    """Wake phones that are due, nothing open meanwhile; returns how many were tried.

    What cannot be delivered is tried again, later each time, and given up at last: the phone finds
    out by itself when it next asks.
    """
    async with begin() as tx:
        taken = await queries.due(tx, most=most, again=TAKEN_FOR)
    for one in taken:
        failure: Failed | None = None
        try:
            await pushes.push(
                new_id(),
                device_id=one.id,
                provider=one.provider,
                token=one.token,
                why=one.why,
            )
        except Failed as error:
            failure = error
        async with begin() as tx:
            audit.acting(tx, "devices.wake")
            await _settle(tx, one, failure)
    return len(taken)


async def _settle(tx: AsyncSession, one: Due, failure: Failed | None) -> None:
    numbers = await parameters_in_force(tx)
    again = numbers.number(rules.PUSH_LEAST_SECONDS, wall())
    if failure is None:
        await queries.settle(tx, one, done=True, forget_token=False, again=again)
        return
    refused = failure.failure is Failure.REFUSED
    given_up = one.tries >= numbers.whole(rules.PUSH_TRIES, wall())
    if refused or given_up:
        log.warning("push given up", device=str(one.id), said=failure.said.replace(one.token, "…"))
    wait = retrying.wait(
        one.tries,
        first=FIRST_AGAIN,
        longest=LONGEST_AGAIN,
        luck=random.random(),
        asked=failure.retry_after,
    )
    await queries.settle(
        tx,
        one,
        done=given_up,
        forget_token=refused,
        again=max(again, wait.total_seconds()),
    )
