"""Placing: who gets each order, and the promise of their minutes and of a place on their way.

One order is placed like a thousand: every look into the database is made once for all of them.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Unavailable
from app.core.log import log
from app.dispatch import queries, rules
from app.dispatch.queries import PersonOfGrid
from app.dispatch.rules import Candidate, Choice, Diary, Kind, Seat, Share, Tried
from app.dispatch.rules.costs import SAME
from app.dispatch.rules.placing import Displaced, Full
from app.dispatch.rules.routes import Stop
from app.dispatch.rules.urgent import MOST_URGENT, who_gives_way
from app.dispatch.service.people import (
    Asked,
    asked_again,
    branch_of,
    candidates_of,
    diaries_again,
    horizons,
    read_days,
    read_vans,
    seated,
    shares_of,
    yesterday,
)
from app.dispatch.service.repeats import read_levels
from app.grids.rules import GridKind
from app.technicians import availability
from app.technicians.availability import NOTHING, DayOf, Promised
from app.technicians.rules import UNREAD, DayRead
from app.workorders import whereabouts

# How often a transaction begins again at most, since others filled a day or emptied a van.
ATTEMPTS = 5


# From how many orders on only those are placed again whose people somebody else gave something.
MANY = 10
# After so many orders others of this process get their turn.
BREATH = 50


class FilledMeanwhile(Exception):
    """Another transaction changed a day that this one had read: begin again, locking.

    `people` are those whose days they are, as far as known.
    """

    def __init__(self, people: Collection[UUID] = ()) -> None:
        super().__init__()
        self.people = set(people)


Changes = Mapping[DayOf, Promised]


async def choose_within(
    tx: AsyncSession,
    asked: Sequence[Asked],
    *,
    now: datetime,
    freed: Changes | None = None,
    without: Collection[UUID] = (),
) -> list[Choice]:
    """Choose like `choose_all`, and begin again by itself when somebody was quicker.

    Raises Unavailable when somebody was again and again.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with tx.begin_nested():
                return await choose_all(
                    tx, asked, now=now, freed=freed, without=without, locking=attempt > 1
                )
        except FilledMeanwhile:
            log.info("placing begins again", orders=len(asked), attempt=attempt)
    raise Unavailable(retry_after=1, reason="busy")


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
    """Choose who gets each order, one after the other; promise their minutes and a place on their
    way.

    The diaries are read without locks, so that no order waits for another that wants other people;
    the promise itself locks each day it fills, in a fixed order, if it still is as it was read.
    Raises FilledMeanwhile when somebody else has changed one since: the caller rolls back to its
    savepoint, which gives the days free, and begins again `locking` every day that may be asked
    for; that fails only for what lies outside them: a day to which somebody's lesser work goes, a
    van from which they take on other days. Of many orders first those alone are placed again, a few
    times, whose people's days have changed. So no day is ever overbooked, no grid gets more of a
    day than its share, nobody gets more terminals to fit than they have, and every visit of a day,
    with an appointment or without, can still be made.

    `relieved` is what else the transaction does to days. `freed` is the same, but may be promised
    again at once; what it stood for is left out by the ids `without` (of orders and of holds).
    """
    freed = freed or {}
    if not asked and not relieved and not freed:
        return []
    round_ = _Round(tx, asked, now, without)
    await round_.read(freed, locking=locking)
    choices: dict[int, Choice] = {}
    waiting: Sequence[int] = sorted(range(len(asked)), key=lambda place: not asked[place].prefer)
    for attempt in range(1, ATTEMPTS + 1):
        for number, place in enumerate(waiting, 1):
            choices[place] = await round_.place(asked[place], round_.days[place])
            if number % BREATH == 0:
                await asyncio.sleep(0)
        changes = together(round_.taken, relieved or {}, round_.freed)
        if len(asked) < MANY or locking or attempt == ATTEMPTS:
            await round_.promise(changes, locking=locking)
            break
        try:
            async with tx.begin_nested():
                await round_.promise(changes, locking=locking)
            break
        except FilledMeanwhile as filled:
            if not filled.people or round_.leaving:
                raise
            log.info("some are placed again", orders=len(asked), people=len(filled.people))
            waiting = await round_.take_back(filled.people, choices)
    return [choices[place] for place in range(len(asked))]


class _Round:
    """Some orders on their way to somebody, with all that was read for them."""

    def __init__(
        self, tx: AsyncSession, asked: Sequence[Asked], now: datetime, without: Collection[UUID]
    ) -> None:
        self.tx, self.asked, self.now, self.without = tx, asked, now, without
        self.seats: dict[UUID, list[Seat]] = {}
        self.diaries: dict[UUID, Diary] = {}
        self.neighbours: dict[UUID, list[Candidate]] = {}
        self.kinds: dict[UUID, GridKind] = {}
        self.shares: dict[PersonOfGrid, Share] = {}
        self.days: list[list[date]] = []
        self.open_days: set[date] = set()
        self.freed: dict[DayOf, Promised] = {}
        self.taken: dict[DayOf, Promised] = {}
        self.unnamed = {one.grid_id for one in asked if one.order_id is None}
        self.full: dict[tuple[UUID, frozenset[str]], Full] = {}
        self.branch_read = False
        self.vans_read = any(one.ask.terminals for one in asked)
        self.levels_read = any(_wants_better(one) for one in asked)
        self.leaving: set[UUID] = set()
        self.staying: set[UUID] = set()

    async def read(self, freed: Changes, *, locking: bool) -> None:
        """Read whom the grids ask first, and their days."""
        self.freed = dict(freed)
        if not self.asked:
            if locking:
                await availability.lock(self.tx, freed)
            return
        tx, asked, now = self.tx, self.asked, self.now
        candidates = await candidates_of(tx, asked, now)
        if not any(one.prefer or one.only for one in asked):
            # Neighbours' people cost so much more that mostly nobody has to know of their days.
            for grid_id, theirs in candidates.items():
                ours = [one for one in theirs if one.kind is not Kind.NEIGHBOUR]
                self.neighbours[grid_id], candidates[grid_id] = theirs[len(ours) :], ours
        self.seats, self.diaries = await seated(tx, asked, candidates, now)
        ahead = await horizons(tx, asked, now)
        self.days = [
            rules.days_to_try(one.ask, now, one.unit.zone, ahead[one.unit.path]) for one in asked
        ]
        self.open_days = {day for to_try in self.days for day in to_try}
        # What gives way to an urgent order may go to a day beyond the one that is promised for it.
        self.open_days |= {
            now.astimezone(one.unit.zone).date() + timedelta(days=ahead[one.unit.path])
            for one in asked
            if one.ask.priority == MOST_URGENT
        }
        if locking:
            self.branch_read = True
            await self._read_branch(asked)
            await self._lock()
        await self._open(self.diaries)
        self.shares = await shares_of(tx, self.seats, now)

    async def _read_branch(self, asked: Sequence[Asked]) -> dict[UUID, Diary]:
        return await branch_of(self.tx, asked, self.seats, self.diaries, self.now, self.neighbours)

    async def _open(self, diaries: Mapping[UUID, Diary]) -> None:
        """Read what people's days hold, and end the holds whose time is over."""
        kinds, over = await read_days(
            self.tx,
            diaries,
            self.open_days,
            now=self.now,
            without=self.without,
            grid_ids={one.grid_id for one in self.asked},
        )
        self.kinds |= kinds
        if self.vans_read:
            await read_vans(self.tx, diaries, without=self._left_out())
        if self.levels_read:
            await read_levels(self.tx, diaries, diaries)
        if over:
            ended = await queries.end_expired(
                self.tx, now=self.now, technician_ids=over, days=self.open_days
            )
            self.freed = together(self.freed, ended)
        for (technician_id, day), less in self.freed.items():
            if technician_id in diaries:
                diaries[technician_id].relieve(day, *less)

    def _left_out(self) -> set[UUID]:
        return {*self.without, *self.leaving}

    async def _lock(self) -> None:
        """Lock every day that may be asked for, and correct the diaries by what they hold now."""
        diaries = {
            (seat.diary.technician_id, day): seat.diary
            for one, to_try in zip(self.asked, self.days, strict=True)
            for seat in self.seats[one.grid_id]
            for day in to_try
        }
        held = await availability.lock(self.tx, {*diaries, *self.freed})
        for key, diary in diaries.items():
            diary.promised[key[1]] = held[key]

    async def place(self, one: Asked, days: Sequence[date]) -> Choice:
        """Choose who gets one order, and take their minutes in memory.

        The rest of the org unit is read once somebody costs more than any of them costs at least.
        """
        visit = one.visit(self.kinds)
        choice = self._choose(one, visit, days)
        if not self.branch_read and one.only is None and self._may_be_beaten(one, choice, days):
            self.branch_read = True
            more = await self._read_branch(self.asked)
            await self._open(more)
            self.full.clear()
            choice = self._choose(one, visit, days)
        if self._may_displace(one, choice, days):
            in_stead = await self._displace(one, visit, days[0])
            choice = in_stead or choice
            if in_stead is not None:
                return choice
        if choice.candidate is None or choice.day is None:
            return choice
        rules.take(
            one.ask,
            self.diaries[choice.candidate.technician_id],
            choice.day,
            visit,
            choice.cost,
        )
        self._note(one, choice.candidate.technician_id, choice.day)
        return choice

    def _choose(self, one: Asked, visit: Stop, days: Sequence[date]) -> Choice:
        full = None
        if one.only is None:
            full = self.full.setdefault((one.grid_id, one.ask.skills), Full())
        return rules.choose(one.ask, self._seats(one), days, visit, one.prefer, full)

    def _note(self, one: Asked, technician_id: UUID, day: date) -> None:
        """Note what a day has to promise for an order."""
        key = technician_id, day
        share = self.shares.get((technician_id, one.grid_id))
        if share is not None:
            share.take(one.ask.minutes, self.diaries[technician_id], day)
        known = self.taken.get(key, NOTHING)
        self.taken[key] = Promised(known.minutes + one.ask.minutes, known.orders + 1)

    def _may_displace(self, one: Asked, choice: Choice, days: Sequence[date]) -> bool:
        """Tell whether lesser work may give way to an order that nobody has room for today."""
        today = self.now.astimezone(one.unit.zone).date()
        return (
            one.ask.priority == MOST_URGENT
            and one.order_id is not None
            and one.only is None
            and today in days[:1]
            and choice.day != today
            and any(seat.terms is not None and seat.terms.displaces for seat in self._seats(one))
        )

    async def _displace(self, one: Asked, visit: Stop, day: date) -> Choice | None:
        """Let the cheapest lesser work of a day give way to an order, and place it anew at once.

        None where there is none. An order that somebody else has locked is left to them: nobody is
        waited for, so that none wait for each other.
        """
        staying = {placed.order_id for placed in self.asked if placed.order_id is not None}
        staying |= self.staying
        while True:
            found = who_gives_way(one.ask, self._seats(one), day, visit, staying)
            if found is None:
                return None
            diary = found.seat.diary
            order = await queries.order_to_give_way(
                self.tx, found.visit.order_id, diary.technician_id
            )
            if order is not None and order.grid_id is not None and order.planned_day is not None:
                break
            staying.add(found.visit.order_id)
        self.staying.add(order.id)
        self.leaving.add(order.id)
        diary.van.give_back(order.id)
        diary.day(day).left += order.estimated_minutes + diary.allowance
        self.full.clear()
        diary.lines[day] = found.rest
        less = {(diary.technician_id, order.planned_day): Promised(-order.estimated_minutes, -1)}
        self.freed = together(self.freed, less)
        rules.take(one.ask, diary, day, visit, found.cost)
        self._note(one, diary.technician_id, day)
        places = await whereabouts.of_orders(self.tx, [order.id])
        [again] = await asked_again(self.tx, [order], places, now=self.now)
        choice = await self.place(again, await self._add(again))
        candidate = found.seat.candidate
        tried = [Tried(candidate, None, found.cost)]
        return Choice(candidate, day, None, tried, 0, found.cost, Displaced(order.id, choice))

    async def _add(self, one: Asked) -> list[date]:
        """Read whom one more order may ask, and say on which days."""
        if one.ask.terminals and not self.vans_read:
            self.vans_read = True
            await read_vans(self.tx, self.diaries, without=self._left_out())
        if _wants_better(one) and not self.levels_read:
            self.levels_read = True
            await read_levels(self.tx, self.diaries, self.diaries)
        if one.grid_id not in self.seats:
            candidates = await candidates_of(self.tx, [one], self.now)
            seats, new = await seated(self.tx, [one], candidates, self.now, self.diaries)
            self.seats |= seats
            self.diaries |= new
            more = await self._read_branch([one])
            await self._open(new | more)
        ahead = await horizons(self.tx, [one], self.now)
        days = rules.days_to_try(one.ask, self.now, one.unit.zone, ahead[one.unit.path])
        return [day for day in days if day <= max(self.open_days)]

    def _seats(self, one: Asked) -> Sequence[Seat]:
        ours = self.seats[one.grid_id]
        if one.only is not None:
            return [seat for seat in ours if seat.candidate.technician_id == one.only]
        return ours

    def _may_be_beaten(self, one: Asked, choice: Choice, days: Sequence[date]) -> bool:
        """Tell whether one of the org unit might do it sooner, or cheaper."""
        if choice.cost is None or choice.candidate is None:
            return True
        if choice.candidate.technician_id in one.prefer:
            return False
        least = self.least(one)
        return choice.day != days[0] or choice.cost.total > least

    def least(self, one: Asked) -> int:
        """Say what one of the org unit costs at least: for who they are, and for one way more."""
        seat = next((seat for seat in self.seats[one.grid_id] if seat.terms), None)
        if seat is None or seat.terms is None:
            return 0
        way = 0 if seat.diary.travel is None else seat.diary.travel.least
        return seat.terms.owned(SAME) + way

    async def promise(self, changes: Changes, *, locking: bool) -> None:
        """Write down what days hold now and in which order. Raises FilledMeanwhile."""
        routes: dict[DayOf, tuple[DayRead, list[UUID]]] = {}
        for technician_id, day in self.taken:
            diary = self.diaries[technician_id]
            line = diary.line(day)
            if line is not None:
                # What is only held for an order to come has no place in the day's order yet.
                route = [
                    stop.order_id
                    for stop in line.stops
                    if stop.order_id not in diary.holds and stop.order_id not in self.unnamed
                ]
                routes[technician_id, day] = diary.written.get(day, UNREAD), route
        held_now = await availability.fill(self.tx, changes, routes)
        filled = set()
        for technician_id, day in self.taken:
            now_held = held_now.get((technician_id, day))
            if now_held is None or rules.overbooked(self.diaries[technician_id], day, now_held):
                filled.add(technician_id)
        if filled:
            raise FilledMeanwhile(filled)
        if not locking:
            await self._shares_unchanged()
        await self._vans_unchanged()

    async def take_back(self, people: Collection[UUID], choices: Mapping[int, Choice]) -> list[int]:
        """Read some people's days anew, without what they were given here; return the places of the
        orders that have to be placed again."""
        diaries = await diaries_again(self.tx, self.asked, people, self.now)
        self.diaries |= diaries
        theirs = {
            grid_id: [seat for seat in seats if seat.candidate.technician_id in diaries]
            for grid_id, seats in self.seats.items()
        }
        for seats in theirs.values():
            for seat in seats:
                seat.diary = diaries[seat.candidate.technician_id]
                seat.plans.clear()
        await self._open(diaries)
        self.shares |= await shares_of(self.tx, theirs, self.now)
        self.taken = {key: by for key, by in self.taken.items() if key[0] not in diaries}
        self.full.clear()
        return [
            place
            for place, choice in choices.items()
            if choice.candidate is not None and choice.candidate.technician_id in diaries
        ]

    async def _shares_unchanged(self) -> None:
        """Look again, now that the days are locked, at the shares that were taken from.

        A day may have room for what somebody else put there meanwhile, and the grid's share not.
        Raises FilledMeanwhile.
        """
        touched = {key: share for key, share in self.shares.items() if share.given}
        if not touched:
            return
        held = await queries.held_for_grids(self.tx, touched, first_day=yesterday(self.now))
        for key, share in touched.items():
            if any(held[key].open.get(day) != share.open.get(day) for day in share.given):
                raise FilledMeanwhile

    async def _vans_unchanged(self) -> None:
        """Look again at the vans that were taken from, now that nobody else takes from them.

        A van is not promised with a day: somebody may have taken from it for another day, or
        booked something out of it. Raises FilledMeanwhile.
        """
        touched = {key: one.van for key, one in self.diaries.items() if one.van.taken}
        if not touched:
            return
        await queries.take_from_vans(self.tx, touched)
        held = await queries.vans(self.tx, touched, without=self._left_out(), now=self.now)
        if any(van.overdrawn(held[key]) for key, van in touched.items()):
            raise FilledMeanwhile


def _wants_better(one: Asked) -> bool:
    return one.ask.repeat is not None and one.ask.repeat.levels is not None


def together(*changes: Changes) -> dict[DayOf, Promised]:
    """Add changes of days up."""
    added: dict[DayOf, Promised] = {}
    for change in changes:
        for key, by in change.items():
            known = added.get(key, NOTHING)
            added[key] = Promised(known.minutes + by.minutes, known.orders + by.orders)
    return added
