"""Placing: from points to grids, from grids to people, and the promise of their minutes.

One order is placed like a thousand: every look into the database is made once for all of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.queries import PersonOfGrid
from app.dispatch.rules import Ask, Booked, Candidate, Choice, Diary, Kind, Seat, Share
from app.grids import queries as grids
from app.technicians import availability
from app.technicians import queries as technicians
from app.technicians.availability import NOTHING, DayOf, Promised
from app.workorders.queries import Unit


class FilledMeanwhile(Exception):
    """Another transaction took the minutes that this one had found free: begin again, locking."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An order to place: what it asks for, in which grid, and that grid's org unit.

    `prefer` are asked before all others, and the order is placed before those that prefer nobody:
    something is held for it. `only` is the one person to ask, if any.
    """

    ask: Ask
    grid_id: UUID
    unit: Unit
    prefer: tuple[UUID, ...] = ()
    only: UUID | None = None


Changes = Mapping[DayOf, Promised]


async def choose_within(
    tx: AsyncSession,
    asked: Sequence[Asked],
    *,
    now: datetime,
    freed: Changes | None = None,
    without: Collection[UUID] = (),
) -> list[Choice]:
    """Choose like `choose_all`, and begin again by itself when somebody was quicker."""
    try:
        async with tx.begin_nested():
            return await choose_all(tx, asked, now=now, freed=freed, without=without)
    except FilledMeanwhile:
        log.info("placing begins again", orders=len(asked))
        return await choose_all(tx, asked, now=now, freed=freed, without=without, locking=True)


async def choose_all(
    tx: AsyncSession,
    asked: Sequence[Asked],
    *,
    now: datetime,
    relieved: Changes | None = None,
    freed: Changes | None = None,
    without: Collection[UUID] = (),
    locking: bool = False,
) -> list[Choice]:
    """Choose who gets each order, one after the other, and promise the minutes of their days.

    The diaries are read without locks, so that no order waits for another that wants other people;
    the promise itself locks each day it fills, in a fixed order, and tells what the day holds then.
    Raises FilledMeanwhile when somebody else has filled one since: the caller rolls back to its
    savepoint, which gives the days free, and begins again `locking` every day that may be asked
    for, which cannot fail. So no day is ever overbooked, no grid gets more of a day than its share,
    and of several appointments that somebody has on a day each can be kept.

    `relieved` is what else the transaction does to days. `freed` is the same, but may be promised
    again at once; the appointments it stood for are left out by the ids `without` (of orders and
    of holds).
    """
    freed = freed or {}
    if not asked and not relieved and not freed:
        return []
    seats, diaries = await people_of(tx, asked, now)
    horizons = await _horizons(tx, asked, now)
    days = [
        rules.days_to_try(one.ask, now, one.unit.zone, horizons[one.unit.path]) for one in asked
    ]
    if locking:
        await _lock(tx, [seats[one.grid_id] for one in asked], days, freed)
    if asked:
        freed = together(freed, await _ended(tx, diaries, days, now))
    for (technician_id, day), less in freed.items():
        if technician_id in diaries:
            diaries[technician_id].relieve(day, *less)
    booked = await _booked(tx, asked, seats, days, now, without)
    for (technician_id, day), appointments in booked.items():
        diaries[technician_id].windows[day] = list(appointments)
    shares = await shares_of(tx, seats, now)
    choices: dict[int, Choice] = {}
    taken: dict[DayOf, Promised] = {}
    windowed: set[DayOf] = set()
    for place in sorted(range(len(asked)), key=lambda place: not asked[place].prefer):
        one = asked[place]
        choice = choices[place] = rules.choose(one.ask, _seats_for(one, seats), days[place])
        if choice.candidate is not None and choice.day is not None:
            technician_id = choice.candidate.technician_id
            rules.take(one.ask, diaries[technician_id], choice.day)
            share = shares.get((technician_id, one.grid_id))
            if share is not None:
                share.take(one.ask, diaries[technician_id], choice.day)
            known = taken.get((technician_id, choice.day), NOTHING)
            taken[technician_id, choice.day] = Promised(
                known.minutes + one.ask.minutes, known.orders + 1
            )
            if one.ask.window is not None:
                windowed.add((technician_id, choice.day))
    held = await availability.change(tx, together(taken, relieved or {}, freed))
    for technician_id, day in taken:
        now_held = held.get((technician_id, day))
        if now_held is not None and rules.overbooked(diaries[technician_id], day, now_held):
            raise FilledMeanwhile
    if not locking:
        await _unchanged(tx, shares, now)
        await _appointments_unchanged(tx, windowed, booked, now, without)
    return [choices[place] for place in range(len(asked))]


def _seats_for(one: Asked, seats: Mapping[UUID, Sequence[Seat]]) -> Sequence[Seat]:
    ours = seats[one.grid_id]
    if one.only is not None:
        return [seat for seat in ours if seat.candidate.technician_id == one.only]
    return rules.preferring(ours, one.prefer) if one.prefer else ours


def together(*changes: Changes) -> dict[DayOf, Promised]:
    """Add changes of days up."""
    added: dict[DayOf, Promised] = {}
    for change in changes:
        for key, by in change.items():
            known = added.get(key, NOTHING)
            added[key] = Promised(known.minutes + by.minutes, known.orders + by.orders)
    return added


async def _ended(
    tx: AsyncSession, diaries: Collection[UUID], days: Sequence[Sequence[date]], now: datetime
) -> dict[DayOf, Promised]:
    """End the holds on these people's days whose time is over, so that they never count."""
    tried = {day for to_try in days for day in to_try}
    return await queries.end_expired(tx, now=now, technician_ids=diaries, days=tried)


async def _booked(
    tx: AsyncSession,
    asked: Sequence[Asked],
    seats: Mapping[UUID, Sequence[Seat]],
    days: Sequence[Sequence[date]],
    now: datetime,
    without: Collection[UUID],
) -> dict[DayOf, list[Booked]]:
    """Read the appointments of whoever is asked for one more; mostly nobody is."""
    people: set[UUID] = set()
    tried: set[date] = set()
    for one, to_try in zip(asked, days, strict=True):
        if one.ask.window is not None:
            people.update(seat.candidate.technician_id for seat in seats[one.grid_id])
            tried.update(to_try)
    if not people or not tried:
        return {}
    return await queries.windows(tx, people, tried, now=now, without=without)


async def _appointments_unchanged(
    tx: AsyncSession,
    windowed: Collection[DayOf],
    booked: Mapping[DayOf, Sequence[Booked]],
    now: datetime,
    without: Collection[UUID],
) -> None:
    """Look again, now that the days are locked, at the appointments beside which one was given.

    Raises FilledMeanwhile.
    """
    if not windowed:
        return
    people, days = zip(*windowed, strict=True)
    again = await queries.windows(tx, set(people), set(days), now=now, without=without)
    if any(again.get(key, []) != booked.get(key, []) for key in windowed):
        raise FilledMeanwhile


async def shares_of(
    tx: AsyncSession, seats: Mapping[UUID, Sequence[Seat]], now: datetime
) -> dict[PersonOfGrid, Share]:
    """Read what grids hold of people's days where a membership gives them a part of the day.

    Mostly there is none, and nothing is read.
    """
    limited = {
        (seat.candidate.technician_id, grid_id): seat
        for grid_id, ours in seats.items()
        for seat in ours
        if seat.candidate.ratio < 100
    }
    if not limited:
        return {}
    shares = await queries.held_for_grids(tx, limited, first_day=_yesterday(now))
    for (technician_id, grid_id), share in shares.items():
        for seat in seats[grid_id]:
            if seat.candidate.technician_id == technician_id and seat.candidate.ratio < 100:
                seat.share = share
    return shares


async def _unchanged(tx: AsyncSession, shares: Mapping[PersonOfGrid, Share], now: datetime) -> None:
    """Look again, now that the days are locked, at the shares that this transaction took from.

    A day may have room for what somebody else put there meanwhile, and the grid's share not.
    Raises FilledMeanwhile.
    """
    touched = {key: share for key, share in shares.items() if share.given}
    if not touched:
        return
    held = await queries.held_for_grids(tx, touched, first_day=_yesterday(now))
    for key, share in touched.items():
        if any(held[key].open.get(day) != share.open.get(day) for day in share.given):
            raise FilledMeanwhile


def _yesterday(now: datetime) -> date:
    # A day before the one in UTC covers every zone on Earth.
    return (now - timedelta(days=1)).date()


async def _lock(
    tx: AsyncSession,
    seats: Sequence[Sequence[Seat]],
    days: Sequence[Sequence[date]],
    also: Collection[DayOf],
) -> None:
    """Lock every day that may be asked for, and correct the diaries by what the days hold now.

    `also` are days that the transaction will change besides.
    """
    diaries = {
        (seat.diary.technician_id, day): seat.diary
        for ours, to_try in zip(seats, days, strict=True)
        for seat in ours
        for day in to_try
    }
    held = await availability.lock(tx, {*diaries, *also})
    for key, diary in diaries.items():
        diary.promised[key[1]] = held[key]


async def _horizons(tx: AsyncSession, asked: Sequence[Asked], now: datetime) -> dict[str, int]:
    parameters = await parameters_in_force(tx)
    paths = {one.unit.path for one in asked}
    return {path: parameters.whole(rules.HORIZON, now, path) for path in paths}


async def people_of(
    tx: AsyncSession, asked: Sequence[Asked], now: datetime
) -> tuple[dict[UUID, list[Seat]], dict[UUID, Diary]]:
    """Read whom the orders' grids may ask, in the order of asking, and those people's diaries."""
    if not asked:
        return {}, {}
    # A day to either side covers every zone on Earth.
    horizon = max((await _horizons(tx, asked, now)).values())
    until = max(
        [now + timedelta(days=horizon), *(one.ask.window[1] for one in asked if one.ask.window)]
    ) + timedelta(days=1)
    keepers = await grids.keepers(
        tx,
        {one.grid_id for one in asked},
        first_day=(now - timedelta(days=1)).date(),
        last_day=until.date() + timedelta(days=1),
    )
    diaries = await diaries_of(tx, {one.technician_id for one in keepers}, now=now, until=until)
    candidates: dict[UUID, list[Candidate]] = {}
    for one in keepers:
        kind = Kind(one.kind) if one.kind else Kind.NEIGHBOUR
        candidates.setdefault(one.grid_id, []).append(Candidate(one.technician_id, kind, *one[3:]))
    return {
        grid_id: [
            Seat(candidate, diaries[candidate.technician_id])
            for candidate in rules.in_order_of_asking(candidates.get(grid_id, ()))
        ]
        for grid_id in {one.grid_id for one in asked}
    }, diaries


async def diaries_of(
    tx: AsyncSession, technician_ids: Collection[UUID], *, now: datetime, until: datetime
) -> dict[UUID, Diary]:
    """Read people's diaries from now until a moment, without locking anything."""
    parameters = await parameters_in_force(tx)
    working = await technicians.working(
        tx,
        technician_ids,
        # A leave of this morning counts where a share of the whole day is worked out.
        from_moment=now - timedelta(days=1),
        until_moment=until,
        last_day=until.date() + timedelta(days=1),
    )
    return {
        one.technician_id: Diary(
            technician_id=one.technician_id,
            active=one.active,
            skills=one.skills,
            zone=one.zone,
            daily_minutes=one.daily_minutes,
            shifts=one.shifts,
            leave=one.leave,
            promised=dict(one.promised),
            now=now,
            allowance=parameters.number(rules.TRAVEL_ALLOWANCE, now, one.org_path),
            org_path=one.org_path,
            home=one.home,
        )
        for one in working.values()
    }
