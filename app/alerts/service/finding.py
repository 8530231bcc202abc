"""Alerts are raised, told again and ended by what rooms find, and taken up by people."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries, rules
from app.alerts.models import Alert
from app.alerts.rules import AlertEvent, AlertKind, Found, Open
from app.alerts.service.telling import tell
from app.auth import audit
from app.auth.callers import Caller
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter


async def stand(
    tx: AsyncSession, kinds: Collection[AlertKind], found: Sequence[Found], *, now: datetime
) -> int:
    """Say all that is not as it should be of some kinds, as it is found at a moment of business
    time; returns how many alerts were raised or told again.

    What is new is raised, what stands and nobody has taken up is told again after a while, and what
    is not found any more is over. Whoever looks again finds the same and raises nothing.
    """
    await queries.alone(tx)
    return await _judge(tx, await queries.open_of(tx, kinds), found, now)


async def too_many(
    tx: AsyncSession,
    kind: AlertKind,
    counts: Mapping[UUID, int],
    limit: Parameter,
    *,
    now: datetime,
) -> list[Found]:
    """Name the units of which as many are counted as the limit that is in force for them (business
    time), or more."""
    numbers = await parameters_in_force(tx)
    paths = await queries.paths(tx, counts)
    found = []
    for unit, count in counts.items():
        most = numbers.whole(limit, now, paths[unit])
        if count >= most:
            found.append(Found(kind, unit, count, most))
    return found


async def stands(tx: AsyncSession, found: Found, *, now: datetime) -> None:
    """Say of one thing that it is not as it should be, whatever else of its kind there may be."""
    await queries.alone(tx)
    same = [one for one in await queries.open_of(tx, [found.kind]) if one.subject == found.subject]
    await _judge(tx, same, [found], now)


async def end(tx: AsyncSession, kind: AlertKind, subject: str, *, now: datetime) -> None:
    """Say that the one thing of a kind that a subject names is as it should be."""
    await queries.alone(tx)
    same = [one for one in await queries.open_of(tx, [kind]) if one.subject == subject]
    await _judge(tx, same, [], now)


async def _judge(
    tx: AsyncSession, known: Sequence[Open], found: Sequence[Found], now: datetime
) -> int:
    parameters = await parameters_in_force(tx)
    paths = await queries.paths(tx, {one.org_unit_id for one in found})
    every = {
        unit: timedelta(minutes=parameters.number(rules.EVERY_MINUTES, now, path))
        for unit, path in paths.items()
    }
    verdict = rules.judged(known, found, now=now, every=every)
    raised = await queries.raise_(tx, verdict.raised, now) if verdict.raised else []
    if verdict.standing or verdict.ended:
        await queries.go_on(tx, verdict.standing, verdict.again, verdict.ended, now)
    for event, ids in (
        (AlertEvent.RAISED, raised),
        (AlertEvent.STANDS, verdict.again),
        (AlertEvent.ENDED, verdict.ended),
    ):
        if ids:
            audit.note(tx, table="alert", operation=event.value, ids=ids)
            await tell(tx, event, ids, now)
    if raised:
        log.warning("supervisors alerted", kinds=sorted({one.kind for one in verdict.raised}))
    return len(raised) + len(verdict.again)


async def acknowledge(
    tx: AsyncSession, alert_id: UUID, caller: Caller, *, note: str, now: datetime
) -> Alert:
    """Take an alert up with a word on what is done; whoever was first stays. Raises NotFound."""
    alert = await queries.alert_for_change(tx, alert_id, caller)
    if alert.acknowledged_at is None:
        alert.acknowledged_at, alert.acknowledged_by, alert.note = now, caller.account_id, note
        await tx.flush()
        await tell(tx, AlertEvent.ACKNOWLEDGED, [alert_id], now)
    return alert
