"""Placing: from points to grids, from grids to people, and the promise of their minutes.

One order is placed like a thousand: every look into the database is made once for all of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_connection, new_id
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.queries import PersonOfGrid
from app.dispatch.rules import Ask, Candidate, Choice, Diary, Kind, Seat, Share
from app.grids import queries as grids
from app.technicians import availability
from app.technicians import queries as technicians
from app.technicians.availability import NOTHING, DayOf, Promised
from app.workorders.queries import Unit


class FilledMeanwhile(Exception):
    """Another transaction took the minutes that this one had found free: begin again, locking."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An order to place: what it asks for, in which grid, and that grid's org unit."""

    ask: Ask
    grid_id: UUID
    unit: Unit


async def choose_all(
    tx: AsyncSession,
    asked: Sequence[Asked],
    *,
    now: datetime,
    relieved: Mapping[DayOf, Promised] | None = None,
    locking: bool = False,
) -> list[Choice]:
    """Choose who gets each order, one after the other, and promise the minutes of their days.

    The diaries are read without locks, so that no order waits for another that wants other people;
    the promise itself locks each day it fills, in a fixed order, and tells what the day holds then.
    Raises FilledMeanwhile when somebody else has filled one since: the caller rolls back to its
    savepoint, which gives the days free, and begins again `locking` every day that may be asked
    for, which cannot fail. So no day is ever overbooked, and no grid gets more of a day than its
    share. `relieved` is what else the transaction does to days.
    """
    if not asked and not relieved:
        return []
    seats, diaries = await _people(tx, asked, now)
    horizons = await _horizons(tx, asked, now)
    days = [
        rules.days_to_try(one.ask, now, one.unit.zone, horizons[one.unit.path]) for one in asked
    ]
    if locking:
        await _lock(tx, [seats[one.grid_id] for one in asked], days)
    shares = await _shares(tx, seats, now)
    choices = []
    taken: dict[DayOf, Promised] = {}
    for one, to_try in zip(asked, days, strict=True):
        choice = rules.choose(one.ask, seats[one.grid_id], to_try)
        choices.append(choice)
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
    changes = dict(taken)
    for key, less in (relieved or {}).items():
        more = changes.get(key, NOTHING)
        changes[key] = Promised(more.minutes + less.minutes, more.orders + less.orders)
    held = await availability.change(tx, changes)
    for technician_id, day in taken:
        now_held = held.get((technician_id, day))
        if now_held is not None and rules.overbooked(diaries[technician_id], day, now_held):
            raise FilledMeanwhile
    if not locking:
        await _unchanged(tx, shares, now)
    return choices


async def _shares(
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
    tx: AsyncSession, seats: Sequence[Sequence[Seat]], days: Sequence[Sequence[date]]
) -> None:
    """Lock every day that may be asked for, and correct the diaries by what the days hold now."""
    diaries = {
        (seat.diary.technician_id, day): seat.diary
        for ours, to_try in zip(seats, days, strict=True)
        for seat in ours
        for day in to_try
    }
    held = await availability.lock(tx, diaries.keys())
    for key, diary in diaries.items():
        diary.promised[key[1]] = held[key]


async def _horizons(tx: AsyncSession, asked: Sequence[Asked], now: datetime) -> dict[str, int]:
    parameters = await parameters_in_force(tx)
    paths = {one.unit.path for one in asked}
    return {path: parameters.whole(rules.HORIZON, now, path) for path in paths}


async def _people(
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
        )
        for one in working.values()
    }


# A decision names so many of those passed over; a crowd would only hide the reason.
NAMED = 12


def written(choice: Choice) -> list[dict[str, Any]]:
    """Write who was considered in the short form in which decisions are kept."""
    entries: list[dict[str, Any]] = []
    more = choice.more
    for candidate, why in choice.tried:
        if why is not None and len(entries) >= NAMED:
            more += 1
            continue
        entry: dict[str, Any] = {"t": candidate.technician_id, "k": candidate.kind}
        if candidate.distance_m:
            entry["m"] = round(candidate.distance_m)
        else:
            entry["r"] = candidate.rank
        if why is not None:
            entry["w"] = why
        entries.append(entry)
    if more:
        entries.append({"n": more})
    return entries


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision to be written down."""

    order_id: UUID
    grid_id: UUID | None
    choice: Choice | None
    reason: str
    note: str | None = None


_DECISION = (
    "id, work_order_id, at, grid_id, technician_id, planned_day, reason, note, account_id,"
    " candidates"
)


async def write_decisions(
    tx: AsyncSession,
    decided: Sequence[Decided],
    *,
    at: datetime,
    account_id: UUID | None = None,
) -> None:
    """Write decisions down; the newest of an order is the one in force."""
    if not decided:
        return
    connection = await driver_connection(tx)
    async with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY dispatch_decision ({_DECISION}) FROM STDIN") as copy,
    ):
        for one in decided:
            choice = one.choice
            candidate = choice.candidate if choice else None
            await copy.write_row(
                (
                    new_id(),
                    one.order_id,
                    at,
                    one.grid_id,
                    candidate.technician_id if candidate else None,
                    choice.day if choice else None,
                    one.reason,
                    one.note,
                    account_id,
                    orjson.dumps(written(choice) if choice else []).decode(),
                )
            )
