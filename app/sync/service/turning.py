"""The clock of sync: what leaves phones as time passes, and what is not remembered any longer."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.suggestions.queries import levers
from app.suggestions.rules.levers import levers_in_force
from app.sync import rules
from app.sync.queries import feed, turning
from app.sync.queries.turning import Numbers, Unit
from app.sync.service import epochs
from app.sync.service.reading import ACTIONS_SHOWN
from app.visits.rules import GRACE_HOURS

# It need not be told more often what has left by time: phones know until when they may show it.
AT_LEAST = timedelta(seconds=30)
# How far back is looked at the first time, and after the worker was away for longer.
AT_MOST = timedelta(days=16)
# By how much an order that has left phones by one clock may still be on them by another.
CLOCKS_APART = timedelta(days=1)
# So many old lines go in a round.
ROUND = 50_000


async def turn(tx: AsyncSession, now: datetime) -> int:
    """Write down what has left phones since this was last done, and note the moment.

    A customer leaves when the grace of their order is over, orders, sales and actions after some
    days; memberships, services and versions of offerings begin and end with a day. Where one of
    these spans, how long a phone may go without the server, or whose offers are the account
    manager's, is another one than phones were told by, they are told what that changes, the last by
    `tell_of_offers`, for which it is noted here; so are they of offers to whom special terms are
    over, or whose tier has changed. Returns how many lines were written. Two workers take turns,
    and the second finds nothing to do.
    """
    await feed.alone(tx)
    await epochs.mind_takeover(tx, now)
    last = await turning.last_moment(tx)
    if last is not None and now - last < AT_LEAST:
        return 0
    since = max(last, now - AT_MOST) if last is not None else now - AT_MOST
    numbers = await parameters_in_force(tx)
    ruled = await levers(tx)
    written = 0
    units = await turning.units(tx)
    changed: list[Unit] = []
    spans: list[dict[str, datetime]] = []
    for unit in units:
        in_force = Numbers(
            numbers.number(GRACE_HOURS, now, unit.path),
            numbers.number(rules.CLOSED_DAYS, now, unit.path),
            numbers.number(rules.SALES_DAYS, now, unit.path),
            numbers.number(rules.OFFLINE_HOURS, now, unit.path),
            rules.managers(
                levers_in_force(ruled, unit.path, now.astimezone(ZoneInfo(unit.zone)).date())
            ),
        )
        told = _told(unit, in_force)
        was, new = unit.told_by or in_force, told.told_by or in_force
        if was.managers != new.managers:
            told = told._replace(offers_due=True)
        if told != unit:
            changed.append(told)
        left = _left(since, was, now, new)
        if left not in spans:
            spans.append(left)
        if was.offline_hours != new.offline_hours:
            written += await turning.touch_phones(tx, unit.id)
    # A phone goes by the numbers of its own unit, and whoever is lent has orders of another. Few
    # units have numbers of their own, and to look again once too often does a phone no harm.
    for unit in units:
        given: dict[str, Any] = {"unit": unit.id, "zone": unit.zone, "since": since, "now": now}
        for left in spans:
            written += await turning.touch_unit(tx, {**given, **left})
    await turning.note_numbers(tx, changed)
    for before, today in sorted({_days(since, now, unit.zone) for unit in units}):
        if before < today:
            written += await turning.touch_of_days(tx, before, today)
    written += await turning.touch_sellers(tx, since, now)
    written += await turning.touch_actions(tx, since - ACTIONS_SHOWN, now - ACTIONS_SHOWN)
    await turning.note_moment(tx, now, first=last is None)
    return written


async def tell_of_offers(tx: AsyncSession, now: datetime) -> bool:
    """Let the phones of one of the units that `turn` has noted look again at what is to be offered
    at the doors they have; returns whether there was one.

    A transaction for each: a technician's answer at a door waits for its order's line until the
    one that has written it is over.
    """
    await feed.alone(tx)
    due = await turning.unit_due(tx)
    if due is None:
        return False
    unit_id, closed_days = due
    await turning.touch_offers(tx, unit_id, now - timedelta(days=closed_days) - CLOCKS_APART)
    return True


def _told(unit: Unit, in_force: Numbers) -> Unit:
    """Say by which numbers the phones of a unit are told from now on.

    They are told of other ones by the look after the one that finds them: some processes do not
    know them for some seconds, and a phone that one of these answers keeps what it was told.
    """
    if unit.told_by is None or unit.told_by == in_force or unit.stale:
        return unit._replace(told_by=in_force, stale=False)
    return unit._replace(stale=True)


def _left(since: datetime, was: Numbers, now: datetime, new: Numbers) -> dict[str, datetime]:
    """Give between which moments what was done has left phones since `since`, or came back to them
    where a span became longer, each without the first and with the last of its moments."""
    given: dict[str, datetime] = {}
    for name, before, length in (
        ("shown", timedelta(hours=was.grace_hours), timedelta(hours=new.grace_hours)),
        ("closed", timedelta(days=was.closed_days), timedelta(days=new.closed_days)),
        ("sold", timedelta(days=was.sales_days), timedelta(days=new.sales_days)),
    ):
        first, last = since - before, now - length
        given[f"{name}_from"], given[f"{name}_to"] = min(first, last), max(first, last)
    if was.grace_hours != new.grace_hours:
        # Until when they may show whom they still show is another moment now.
        given["shown_to"] = now
    return given


def _days(since: datetime, now: datetime, zone: str) -> tuple[date, date]:
    """Give the days on which two moments are in a zone."""
    there = ZoneInfo(zone)
    return since.astimezone(there).date(), now.astimezone(there).date()


async def forget(tx: AsyncSession, now: datetime) -> int:
    """Forget what changed longer ago than cursors are understood, and settle what an earlier life
    of the database has left.

    Returns how many lines of either were done, `ROUND` where there may be more.
    """
    days = (await parameters_in_force(tx)).number(rules.KEPT_DAYS, now, "")
    gone = await turning.forget(tx, now - timedelta(days=days), ROUND)
    return max(gone, await feed.settle(tx, ROUND))
