"""A night's learning: how many reports are usual at every place, and at which hours."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import nights
from app.core.nights import Night
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.outages import rules
from app.outages.queries import rates as queries
from app.outages.queries.rates import Counted
from app.outages.rules import NARROWEST_FIRST, Place, PlaceKind, Rate
from app.workorders.queries import Units, org_units

WORK = "outages.rates"
# A district's rhythm leans to that of all as if it had so many reports of it.
RHYTHM_STRENGTH = 168.0


async def due(session: AsyncSession, now: datetime) -> datetime | None:
    """Say until when the last night that is over takes reports in; None when it is done."""
    numbers = await parameters_in_force(session)
    top = _top(await org_units(session))
    if top is None:
        return None
    cut = nights.last_cut(now, top, numbers.whole(rules.LEARN_HOUR, now))
    done = await nights.done_until(session, WORK)
    return None if done is not None and done >= cut else cut


def _top(units: Units) -> ZoneInfo | None:
    top = min(units.by_id.values(), key=lambda unit: len(unit.path), default=None)
    return top.zone if top else None


async def learn(tx: AsyncSession, now: datetime) -> bool:
    """Learn from the weeks before the last night, in place of what was known before; False when it
    is done, or somebody is at it.

    What it costs does not grow with history: reports are forgotten after those weeks.
    """
    if not await nights.alone(tx, WORK):
        return False
    until = await due(tx, now)
    if until is None:
        return False
    numbers = await parameters_in_force(tx)
    units = await org_units(tx)
    weeks = numbers.number(rules.LEARN_WEEKS, until)
    since = until - timedelta(weeks=weeks)
    first = await queries.first_report(tx, since)
    # A system that has run for a week has had a week to have reports in.
    seen = max(until - (first or until), timedelta(days=1)) / timedelta(weeks=1)
    counted = await queries.counted(tx, since, until)
    there = await queries.there(tx)
    zone = _top(units)
    assert zone is not None
    hours = await queries.hours_of(tx, since, until, zone.key)
    learned = rates_of(counted, there, min(seen, weeks), numbers, until)
    await queries.write(tx, learned, rhythms_of(hours, there, min(seen, weeks)))
    await queries.forget(tx, since - timedelta(days=1))
    tx.add(Night(work=WORK, until=until, done_at=now, facts={"places": len(learned)}))
    await tx.flush()
    return True


def rates_of(
    counted: Sequence[Counted],
    there: Sequence[Counted],
    weeks: float,
    numbers: Parameters,
    at: datetime,
) -> dict[Place, Rate]:
    """Learn the rates of all places from their counts of so many weeks; each leans to the mean of
    its kind in its district, a port to that of its OLT's ports."""
    counts: dict[Place, int] = {one.place: 0 for one in there}
    district: dict[Place, str] = {one.place: one.district_path for one in there}
    for one in counted:
        counts[one.place] = counts.get(one.place, 0) + one.reports
        district.setdefault(one.place, one.district_path)
    number: Counter[tuple[str, PlaceKind]] = Counter()
    total: Counter[tuple[str, PlaceKind]] = Counter()
    ports: Counter[str] = Counter()
    for place, reports in counts.items():
        number[district[place], place.kind] += 1
        total[district[place], place.kind] += reports
        if place.kind is PlaceKind.PORT:
            ports[rules.olt_of(place.key)] += 1
    rates: dict[Place, Rate] = {}
    for place in sorted(counts, key=lambda one: -NARROWEST_FIRST[one.kind]):
        path = district[place]
        strength = numbers.number(rules.STRENGTH, at, path)
        # Where nothing was ever reported of a kind, a guess is better than never.
        guess = rules.unlearned(place.kind)
        around = (total[path, place.kind] + guess.reports) / (
            number[path, place.kind] * weeks + guess.weeks
        )
        if place.kind is PlaceKind.PORT:
            olt = rules.olt_of(place.key)
            around = rates[Place(PlaceKind.OLT, olt)].mean / ports[olt]
        rates[place] = rules.shrunk(counts[place], weeks, around, strength)
    return rates


def rhythms_of(
    hours: Mapping[str, Mapping[int, int]], there: Sequence[Counted], weeks: float
) -> dict[str, tuple[list[float], float, int]]:
    """Learn every district's rhythm, how many reports it has a week, and count its places."""
    places = Counter(one.district_path for one in there)
    everywhere: dict[int, int] = defaultdict(int)
    for counts in hours.values():
        for hour, number in counts.items():
            everywhere[hour] += number
    wide = rules.rhythm(everywhere, None, RHYTHM_STRENGTH)
    return {
        path: (
            rules.rhythm(hours.get(path, {}), wide, RHYTHM_STRENGTH),
            sum(hours.get(path, {}).values()) / weeks,
            max(1, places[path]),
        )
        for path in {*hours, *places}
    }
