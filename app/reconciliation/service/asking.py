"""Asking for a comparison, and which nights have had theirs."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core import jobs, nights
from app.core.db import fetched
from app.core.errors import NotFound, SameIdOtherContent
from app.core.nights import Night
from app.core.parameter_values import parameters_in_force
from app.reconciliation import queries
from app.reconciliation.models import ReconciliationRun
from app.reconciliation.rules import KEEP_AT, NIGHT_HOUR, NotOver, RunState, days_of_night
from app.reconciliation.rules.numbers import AGAIN_EVERY, AGAIN_UNTIL, ALERT_HOUR

WORK = "reconciliation"
# What was being entered while the last night looked is looked for once more.
_ENTERED_MEANWHILE = timedelta(hours=1)
_ROOT = "SELECT id, time_zone FROM org_unit ORDER BY length(path), path LIMIT 1"


async def root(session: AsyncSession) -> tuple[UUID, ZoneInfo] | None:
    """Find the unit at the top and its time zone, by which days are counted; None without any."""
    rows = await fetched(session, _ROOT, {})
    return (rows[0][0], ZoneInfo(rows[0][1])) if rows else None


async def day_of(session: AsyncSession, day: date) -> tuple[datetime, datetime]:
    """Say when a day begins and ends, by the clock at the top of the organisation."""
    top = await root(session)
    assert top is not None
    return (
        datetime.combine(day, time(), top[1]),
        datetime.combine(day + timedelta(days=1), time(), top[1]),
    )


async def ask(
    tx: AsyncSession,
    *,
    run_id: UUID,
    day: date,
    org_unit_id: UUID,
    org_path: str,
    by: UUID | None,
    now: datetime,
) -> ReconciliationRun:
    """Ask for a day to be compared for a unit and all under it; the job is in the same transaction.

    `org_path` is the part of the organisation that whoever asks may see. The same once more is
    answered like the first time. Raises NotFound, NotOver and SameIdOtherContent.
    """
    known = await tx.get(ReconciliationRun, run_id)
    if known is not None:
        if (known.day, known.org_unit_id) != (day, org_unit_id):
            raise SameIdOtherContent(id=run_id)
        return known
    path = await tx.scalar(select(OrgUnit.path).where(OrgUnit.id == org_unit_id))
    if path is None or not path.startswith(org_path):
        raise NotFound(org_unit_id=org_unit_id)
    begins, _ = await day_of(tx, day)
    if begins > now:
        raise NotOver(today=now.astimezone(begins.tzinfo).date())
    run = ReconciliationRun(
        id=run_id,
        day=day,
        org_unit_id=org_unit_id,
        state=RunState.WAITING,
        asked_by=by,
        asked_at=now,
    )
    tx.add(run)
    await jobs.tell(tx, "reconciliation.asked", run_id=run_id)
    return run


# --- the night ------------------------------------------------------------------------------------


async def night_due(
    session: AsyncSession, now: datetime, real: Callable[[datetime], datetime]
) -> tuple[datetime, list[date]] | None:
    """Say which night is to be done, and the days to be compared in it, None when the last night is
    done: the one before it, those of nights that were missed, those whose differences are still
    open, those of sales that have lost what they stood on, and those whose turn it is again, since
    what has ended there may end otherwise later. A day whose turn does not come any more is among
    them when something sold on it was returned since the last night. `real` tells the real time of
    a business one."""
    top = await root(session)
    if top is None:
        return None
    numbers = await parameters_in_force(session)
    cut = nights.last_cut(now, top[1], numbers.whole(NIGHT_HOUR, now))
    done = await nights.done_until(session, WORK)
    if done is not None and done >= cut:
        return None
    yesterday = cut.astimezone(top[1]).date() - timedelta(days=1)
    oldest = yesterday - timedelta(days=numbers.whole(KEEP_AT, now))
    still_open = await queries.days_to_look_at_again(session, oldest, yesterday)
    every, until = numbers.whole(AGAIN_EVERY, now), numbers.whole(AGAIN_UNTIL, now)
    # An order is often turned down days after it was placed, and what stands on it goes on.
    still_open += await queries.days_of_lost(session, oldest, yesterday, top[1], now=now)
    if done is not None:
        # What is returned of later sales is found when their day comes round.
        last_turn = yesterday - timedelta(days=until // every * every)
        since = real(done) - _ENTERED_MEANWHILE
        still_open += await queries.days_of_returns(session, since, top[1], last_turn)
    missed = yesterday if done is None else done.astimezone(top[1]).date()
    days = days_of_night(
        yesterday,
        missed_since=max(missed, oldest),
        still_open=still_open,
        every=every,
        until=until,
    )
    return cut, days


async def night_late(session: AsyncSession, now: datetime) -> tuple[float, int] | None:
    """Tell for how many hours the last night has been due, and by which hour of the day it had to
    be done; None while it is not late, and where no night was ever begun."""
    top = await root(session)
    if top is None:
        return None
    numbers = await parameters_in_force(session)
    cut = nights.last_cut(now, top[1], numbers.whole(NIGHT_HOUR, now))
    hour = numbers.whole(ALERT_HOUR, now)
    if now < nights.next_cut(cut, top[1], hour):
        return None
    done = await nights.done_until(session, WORK)
    if done is None:
        # On the first day of all nobody is late; what was tried and failed is.
        tried = select(ReconciliationRun.id).where(
            ReconciliationRun.asked_by.is_(None), ReconciliationRun.state == RunState.FAILED
        )
        if await session.scalar(tried.limit(1)) is None:
            return None
    elif done >= cut:
        return None
    return (now - cut) / timedelta(hours=1), hour


async def of_the_night(
    tx: AsyncSession, run_id: UUID, day: date, now: datetime
) -> ReconciliationRun:
    """Begin a comparison of the whole organisation that nobody asked for."""
    top = await root(tx)
    assert top is not None
    run = ReconciliationRun(
        id=run_id, day=day, org_unit_id=top[0], state=RunState.WAITING, asked_at=now
    )
    tx.add(run)
    await tx.flush()
    return run


async def night_done(tx: AsyncSession, cut: datetime, days: list[date], now: datetime) -> None:
    """Write down that a night is done; somebody else may have been quicker."""
    if await tx.get(Night, (WORK, cut)) is None:
        tx.add(Night(work=WORK, until=cut, done_at=now, facts={"days": len(days)}))
