"""A night's learning: check-ins become trips, and trips become medians; and what a routing engine
says of roads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import nights
from app.core.db import Database
from app.core.geo import distance_m
from app.core.nights import Night
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.grids.rules import GridKind
from app.travel import rules
from app.travel.queries import known, travel_in_force
from app.travel.queries import nights as queries
from app.travel.queries import roads as roads_queries
from app.travel.queries.known import WORK
from app.travel.queries.nights import Counts, NewTrip
from app.travel.roads import Roads
from app.travel.rules import Bounds, Place, Travel
from app.workorders.queries import Units, org_units


class Due(NamedTuple):
    """Nights to be learned from: the last one done (None: never), and the latest that is over."""

    done: datetime | None
    cut: datetime

    @property
    def nights(self) -> int:
        """How many nights that are, at most; without any done, one is known of."""
        return 1 if self.done is None else max(0, (self.cut - self.done).days)


@dataclass(frozen=True, slots=True)
class Learning:
    """What a night brought: trips found and those of them not learned from, what is known now."""

    until: datetime
    trips: int
    cut: int
    known: Counts


async def due(session: AsyncSession, now: datetime) -> Due | None:
    """Tell which nights are to be learned from; None when the last one is done."""
    numbers = await parameters_in_force(session)
    zone = top_zone(await org_units(session))
    cut = nights.last_cut(now, zone, numbers.whole(rules.LEARN_HOUR, now))
    done = await nights.done_until(session, WORK)
    return None if done is not None and done >= cut else Due(done, cut)


def top_zone(units: Units) -> ZoneInfo:
    """Return the time zone by which nights are told: that of the top of the organisation."""
    top = min(units.by_id.values(), key=lambda unit: len(unit.path), default=None)
    return top.zone if top else ZoneInfo("Asia/Shanghai")


async def learn(tx: AsyncSession, now: datetime) -> Learning | None:
    """Learn from the next night that is over; None when there is none, or somebody is at it.

    Nights are taken one by one, also after a standstill, so that what is expected of a way never
    knows of later ones. What lies longer back than what is learned from is passed over.
    """
    if not await nights.alone(tx, WORK):
        return None
    wanted = await due(tx, now)
    if wanted is None:
        return None
    numbers = await parameters_in_force(tx)
    units = await org_units(tx)
    hour, zone = numbers.whole(rules.LEARN_HOUR, now), top_zone(units)
    window = timedelta(days=numbers.whole(rules.WINDOW_DAYS, now))
    since = wanted.done if wanted.done is not None else wanted.cut - window
    since = max(since, wanted.cut - window)
    until = nights.next_cut(since, zone, hour)
    if wanted.done is None:
        first = await queries.first_arrival(tx, since, wanted.cut)
        until = nights.next_cut(first, zone, hour) if first is not None else wanted.cut
    known.forget(tx)
    trips = await _trips(tx, since, until, now, numbers, units)
    if trips:
        await queries.write(tx, trips)
    day = until.astimezone(zone).date()
    await queries.forget(tx, day - timedelta(days=numbers.whole(rules.KEPT_DAYS, now)))
    learned = await queries.refresh(
        tx,
        day - window,
        least_trips=numbers.whole(rules.LEAST_TRIPS, now),
        least_unit_trips=numbers.whole(rules.LEAST_UNIT_TRIPS, now),
    )
    dropped = sum(trip.cut is not None for trip in trips)
    facts = {"trips": len(trips), "cut": dropped, **learned._asdict()}
    tx.add(Night(work=WORK, until=until, done_at=now, facts=facts))
    await tx.flush()
    known.forget(tx)
    return Learning(until, len(trips), dropped, learned)


async def _trips(
    tx: AsyncSession,
    since: datetime,
    until: datetime,
    now: datetime,
    numbers: Parameters,
    units: Units,
) -> list[NewTrip]:
    travels: dict[UUID, tuple[Travel, Bounds]] = {}
    found: list[NewTrip] = []
    for row in await queries.driven(tx, since, until):
        if row.org_unit_id not in travels:
            path = units.by_id[row.org_unit_id].path
            travels[row.org_unit_id] = (
                await travel_in_force(tx, now, path),
                bounds_of(numbers, now, path),
            )
        found.append(_trip(row, *travels[row.org_unit_id]))
    return found


def bounds_of(numbers: Parameters, now: datetime, org_path: str) -> Bounds:
    """Read what a way has to keep to for being learned from."""
    return Bounds(
        least_seconds=numbers.number(rules.TRIP_LEAST, now, org_path),
        most_seconds=numbers.number(rules.TRIP_MOST, now, org_path),
        least_metres=numbers.number(rules.TRIP_LEAST_METRES, now, org_path),
        slowest_kmh=numbers.number(rules.TRIP_SLOWEST, now, org_path),
        fastest_kmh=numbers.number(rules.TRIP_FASTEST, now, org_path),
    )


def _trip(row: Row[Any], travel: Travel, bounds: Bounds) -> NewTrip:
    start = Place(row.from_lon, row.from_lat, row.from_grid_id, _kind(row.from_kind))
    end = Place(row.to_lon, row.to_lat, row.to_grid_id, _kind(row.to_kind))
    metres = round(distance_m(start.lon, start.lat, end.lon, end.lat))
    seconds = rules.took(row.by_device, row.by_server, bounds)
    return NewTrip(
        id=row.id,
        work_order_id=row.work_order_id,
        technician_id=row.technician_id,
        org_unit_id=row.org_unit_id,
        set_out_at=row.set_out_at,
        day=row.day,
        hour=row.hour,
        from_grid_id=row.from_grid_id,
        to_grid_id=row.to_grid_id,
        seconds=seconds,
        expected=travel.seconds(start, end, row.hour),
        by_distance=travel.by_distance(start, end),
        least=travel.least,
        metres=metres,
        cut=rules.cut(seconds, metres, bounds),
    )


def _kind(kind: str | None) -> GridKind | None:
    return GridKind(kind) if kind else None


# So many grids are asked about at a time.
ROADS_AT_A_TIME = 100


async def roads_left(session: AsyncSession, now: datetime) -> int:
    """Count the grids about whose roads a routing engine is to be asked."""
    return await roads_queries.left(session, await _long_ago(session, now))


async def ask_roads(database: Database, roads: Roads, now: datetime) -> int:
    """Ask a routing engine about the roads from some grids of which nobody has asked for long, each
    written down by itself; return how many grids that were, none when all are known.

    What it says is known of with the next night's learning. Raises RoadsUnavailable.
    """
    async with database.read() as read:
        numbers = await parameters_in_force(read)
        starts = await roads_queries.to_ask(
            read,
            since=await _long_ago(read, now),
            size=ROADS_AT_A_TIME,
            reach_m=numbers.number(rules.ROADS_REACH, now),
            most=numbers.whole(rules.ROADS_MOST, now),
        )
    for start in starts:
        ends = [(one.lon, one.lat) for one in start.near]
        seconds = await roads.seconds((start.lon, start.lat), ends) if ends else []
        async with database.begin() as tx:
            audit.acting(tx, "travel.ask_roads")
            await roads_queries.say(tx, start, seconds, at=now)
    return len(starts)


async def _long_ago(session: AsyncSession, now: datetime) -> datetime:
    numbers = await parameters_in_force(session)
    return now - timedelta(days=numbers.whole(rules.ROADS_KEPT_DAYS, now))


def total(learnings: Sequence[Learning]) -> tuple[int, int]:
    """Add up the trips of several nights: all of them, and those not learned from."""
    return sum(one.trips for one in learnings), sum(one.cut for one in learnings)
