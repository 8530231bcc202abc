"""Judging a command that moves many orders: what becomes of each row, every reason why not, and
what the days concerned gain or lose by it.

Pure: the orders, people and days are handed in as they stand; whoever carries the command out does
all of it or nothing. Orders leave their days first, so that two people can swap; then each row
takes its place in the order of the command.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from app.dispatch.rules.insertion import Line, line_of
from app.dispatch.rules.moves import (
    DayOf,
    Effect,
    Found,
    Ground,
    Judged,
    Person,
    Plan,
    Standing,
    Wish,
)
from app.dispatch.rules.routes import Broken, Drive, Frame, Rule, Stop, follow, in_order
from app.dispatch.rules.why_not import FARTHEST_DAYS, OVERRIDABLE, WhyNot
from app.dispatch.rules.windows import Booked, kept_together
from app.travel.rules import Travel
from app.workorders.rules import CLOSED, HELD, State

# A day with more visits than this is nobody's to do, and is not followed: it only takes on more
# when somebody insists.
MOST_FOLLOWED = 40


def judge(wishes: Sequence[Wish], ground: Ground, *, override: bool = False) -> Plan:
    """Judge every row of a command. With `override` what may be insisted on takes its place too."""
    return _Court(ground, override).judge(wishes)


def target(
    wish: Wish, order: Found, people: Mapping[UUID, Person]
) -> tuple[UUID | None, date | None]:
    """Say to whom and on which local day a row wants its order to go; nobody is taking it back.

    What its day does not say stays as it is; given to somebody else, what is left from a day gone
    by is theirs today.
    """
    if wish.take_back:
        return None, None
    technician_id = wish.technician_id or order.holder_id
    day = wish.day or order.planned_day
    if wish.day is None and day is not None and technician_id != order.holder_id:
        person = people.get(technician_id) if technician_id else None
        day = max(day, person.diary.today) if person is not None else day
    return technician_id, day


def counted(technician_id: UUID, day: date, people: Mapping[UUID, Person]) -> DayOf:
    """Say on which day work counts: what days gone by hold is still to be done today."""
    return technician_id, max(day, people[technician_id].diary.today)


@dataclass(slots=True)
class _Open:
    """A day that the command concerns: its visits in their order before it and now. `line` is the
    same, ready to take more; a day that is not followed has none."""

    frame: Frame | None
    before: list[Stop]
    line: Line | None
    stops: list[Stop]

    @property
    def now(self) -> list[Stop]:
        return self.stops if self.line is None else self.line.stops


class _Court:
    def __init__(self, ground: Ground, override: bool) -> None:
        self._ground = ground
        self._override = override
        self._days: dict[DayOf, _Open] = {}
        self._held_first = {key: self._held(key) for key in ground.days}
        self._booked = {key: list(booked) for key, booked in ground.booked.items()}

    def judge(self, wishes: Sequence[Wish]) -> Plan:
        rows = [self._met(wish, seen) for wish, seen in zip(wishes, _seen(wishes), strict=True)]
        leaving: dict[DayOf, set[UUID]] = {}
        left_before = {key: self._left(key) for key in self._ground.days}
        for row in rows:
            order = row.order
            if order is None or not row.moves or not OVERRIDABLE.issuperset(row.reasons):
                continue
            if order.holder_id is not None and order.planned_day is not None:
                person = self._ground.people[order.holder_id]
                person.diary.relieve(order.planned_day, -order.minutes, -1)
                person.diary.days.clear()
                person.diary.van.give_back(order.id)
                leaving.setdefault(
                    counted(order.holder_id, order.planned_day, self._ground.people), set()
                ).add(order.id)
        for key, standing in self._ground.days.items():
            self._days[key] = self._opened(key, standing, leaving.get(key, set()))
        rows = [self._placed(row) for row in rows]
        drives = {key: self._drive(key) for key in self._days}
        return Plan(
            [self._timed(row, drives) for row in rows],
            {key: self._effect(key, left_before[key], drives[key]) for key in self._days},
            {key: [stop.order_id for stop in day.before] for key, day in self._days.items()},
            {key: route for key in self._days if (route := self._route(key)) is not None},
        )

    def _opened(self, key: DayOf, standing: Standing, gone: set[UUID]) -> _Open:
        frame, travel = standing.frame, self._ground.people[key[0]].travel
        before = in_order(standing.stops, standing.route)
        if frame is None or len(before) > MOST_FOLLOWED:
            rest = [stop for stop in before if stop.order_id not in gone]
            return _Open(frame, before, None, rest)
        before = line_of(frame, before, standing.route, travel).stops
        rest = [stop for stop in before if stop.order_id not in gone]
        return _Open(frame, before, Line(frame, rest, travel), [])

    def _met(self, wish: Wish, seen: bool) -> Judged:
        """Say what the order itself, and the person, have against a row."""
        order = self._ground.orders.get(wish.order_id)
        if order is None:
            return Judged(wish, None, None, None, False, (WhyNot.UNKNOWN,))
        technician_id, day = target(wish, order, self._ground.people)
        reasons: list[WhyNot] = []
        if seen:
            reasons.append(WhyNot.NAMED_TWICE)
        if wish.version is not None and order.version != wish.version:
            reasons.append(WhyNot.TOUCHED if wish.back_to else WhyNot.CHANGED)
        if order.state in CLOSED:
            reasons.append(WhyNot.CLOSED)
        elif order.state in HELD and order.state not in (State.ASSIGNED, State.ACKNOWLEDGED):
            reasons.append(WhyNot.UNDER_WAY)
        if technician_id is None:
            if not wish.take_back:
                reasons.append(WhyNot.UNKNOWN_TECHNICIAN)
            elif order.state not in HELD and WhyNot.CLOSED not in reasons:
                reasons.append(WhyNot.NOT_HELD)
            return Judged(wish, order, None, None, True, tuple(reasons))
        person = self._ground.people.get(technician_id)
        if person is None or not (wish.back_to or day is None or person.counted_on(day)):
            reasons.append(WhyNot.UNKNOWN_TECHNICIAN)
        elif not person.diary.active:
            reasons.append(WhyNot.INACTIVE)
        if day is None or (
            person is not None and wish.back_to is None and not _in_range(day, person.diary.today)
        ):
            reasons.append(WhyNot.DAY_OUT_OF_RANGE)
        moves = (technician_id, day) != (order.holder_id, order.planned_day)
        return Judged(wish, order, technician_id, day, moves, tuple(reasons))

    def _placed(self, row: Judged) -> Judged:
        """Let a row take its place on the day it goes to, or say what the day has against it."""
        if (
            row.order is None
            or row.technician_id is None
            or row.day is None
            or not row.moves
            or not OVERRIDABLE.issuperset(row.reasons)
        ):
            return row
        order, key = row.order, counted(row.technician_id, row.day, self._ground.people)
        person, open_ = self._ground.people[row.technician_id], self._days[key]
        reasons = [*row.reasons, *self._against(order, person, key[1], row.wish)]
        at, broken = self._spot(open_, person.travel, row)
        if row.wish.back_to is None:
            reasons += [why for why in _whys(order, broken) if why not in reasons]
        if not reasons or (self._override and OVERRIDABLE.issuperset(reasons)):
            _take(open_, order.stop._replace(state=State.ASSIGNED), at)
            person.diary.relieve(row.day, order.minutes, 1)
            person.diary.days.clear()
            person.diary.van.take(order.terminals)
            if order.window is not None:
                self._booked.setdefault(key, []).append(Booked(*order.window, order.minutes))
        return row._replace(reasons=tuple(reasons))

    def _against(self, order: Found, person: Person, day: date, wish: Wish) -> list[WhyNot]:
        """Say what the person's skills and day have against an order, but for its place in it.

        What goes back to where it was is only asked whether there is room for it still.
        """
        diary = person.diary
        plan = diary.day(day)
        away = [] if plan.away is None else [WhyNot(plan.away.value)]
        full = plan.away is None and plan.left < order.minutes + diary.allowance
        minutes = [WhyNot.NO_MINUTES_LEFT] if full else []
        if not diary.van.holds(order.terminals):
            minutes.insert(0, WhyNot.NO_STOCK)
        if wish.back_to is not None:
            return [*(why for why in away if why is WhyNot.ON_LEAVE), *minutes]
        found = [WhyNot.LENT] if person.lent(day) else []
        if not order.skills <= diary.skills:
            found.append(WhyNot.NO_SKILL)
        found += [*away, *minutes]
        booked = self._booked.get((diary.technician_id, day), ())
        if order.window is not None and booked and plan.at_work:
            together = [*booked, Booked(*order.window, order.minutes)]
            if not kept_together(together, plan.at_work, diary.allowance):
                found.append(WhyNot.WINDOW_TAKEN)
        return found

    def _spot(self, open_: _Open, travel: Travel, row: Judged) -> tuple[int, Sequence[Broken]]:
        """Find the place of an order on a day, and what breaks by it there."""
        order = row.order
        assert order is not None
        stops, frame = open_.now, open_.frame
        back = row.wish.back_to
        if back is not None:
            places = {stop.order_id: at for at, stop in enumerate(stops)}
            first = sum(stop.under_way for stop in stops)
            if back.behind is None:
                return first, ()
            if back.behind in places:
                return max(first, places[back.behind] + 1), ()
        if frame is None:
            return len(stops), ()
        if open_.line is None:
            return len(stops), [Broken(Rule.SHIFT, None)]
        spot = open_.line.spot(order.stop)
        if spot is not None:
            return spot.at, ()
        return _least_bad(frame, stops, order.stop, travel)

    def _left(self, key: DayOf) -> float:
        return self._ground.people[key[0]].diary.day(key[1]).left

    def _held(self, key: DayOf) -> tuple[int, int]:
        """Add up the minutes and orders that a day holds, with what is left from before it."""
        diary, day = self._ground.people[key[0]].diary, key[1]
        held = [
            promised
            for on, promised in diary.promised.items()
            if on == day or (day == diary.today and on < day)
        ]
        return sum(minutes for minutes, _ in held), sum(orders for _, orders in held)

    def _drive(self, key: DayOf) -> tuple[Drive | None, Drive | None]:
        open_, travel = self._days[key], self._ground.people[key[0]].travel
        return _followed(open_.frame, open_.before, travel), _followed(
            open_.frame, open_.now, travel
        )

    def _timed(
        self, row: Judged, drives: Mapping[DayOf, tuple[Drive | None, Drive | None]]
    ) -> Judged:
        if row.order is None or row.technician_id is None or row.day is None:
            return row
        key = (row.technician_id, row.day)
        if row.technician_id in self._ground.people:
            key = counted(*key, self._ground.people)
        drive = drives.get(key, (None, None))[1]
        for visit in drive.visits if drive is not None else ():
            if visit.stop.order_id == row.order.id:
                return row._replace(begin=visit.begin, late=visit.late)
        return row

    def _effect(self, key: DayOf, left: float, drives: tuple[Drive | None, Drive | None]) -> Effect:
        before, after = drives
        first, then = self._held_first[key], self._held(key)
        return Effect(
            minutes=(first[0], then[0]),
            orders=(first[1], then[1]),
            left=(round(left), round(self._left(key))),
            missed=(_missed(before), _missed(after)),
            late=(_late(before), _late(after)),
            home=(before.home if before else None, after.home if after else None),
        )

    def _route(self, key: DayOf) -> list[UUID] | None:
        """Give a day's order where it has to be written down: where it was, or where the order in
        which visits are shown without a route would break what another one keeps."""
        open_, written = self._days[key], self._ground.days[key].route
        now = [stop.order_id for stop in open_.now]
        if now == [stop.order_id for stop in open_.before]:
            return None
        if written:
            return now
        frame, travel = open_.frame, self._ground.people[key[0]].travel
        shown = _unrouted(open_.now)
        drive = _followed(frame, shown, travel)
        if drive is None or drive.holds or shown == open_.now:
            return None
        return now


def _take(open_: _Open, stop: Stop, at: int) -> None:
    if open_.line is not None and len(open_.line.stops) >= MOST_FOLLOWED:
        open_.stops, open_.line = open_.line.stops, None
    if open_.line is None:
        open_.stops.insert(at, stop)
    else:
        open_.line.take(stop, at)


def _followed(frame: Frame | None, stops: Sequence[Stop], travel: Travel) -> Drive | None:
    """Follow a day, unless nobody works or could do so much on it."""
    if frame is None or len(stops) > MOST_FOLLOWED:
        return None
    return follow(frame, stops, travel)


def _unrouted(stops: Iterable[Stop]) -> list[Stop]:
    """Put visits into the order in which a phone shows them without a route."""
    return sorted(
        stops,
        key=lambda stop: (
            not stop.under_way,
            stop.opens or float("inf"),
            stop.closes,
            stop.priority,
            stop.due,
            stop.order_id,
        ),
    )


def _seen(wishes: Sequence[Wish]) -> list[bool]:
    known: set[UUID] = set()
    seen = []
    for wish in wishes:
        seen.append(wish.order_id in known)
        known.add(wish.order_id)
    return seen


def _in_range(day: date, today: date) -> bool:
    return today <= day <= today + timedelta(days=FARTHEST_DAYS)


def _least_bad(
    frame: Frame, stops: Sequence[Stop], stop: Stop, travel: Travel
) -> tuple[int, list[Broken]]:
    """Find the place at which a visit that fits nowhere breaks least, and what it breaks there."""
    first = sum(one.under_way for one in stops)
    known = set(follow(frame, stops, travel).broken)
    tried = []
    for at in range(first, len(stops) + 1):
        drive = follow(frame, [*stops[:at], stop, *stops[at:]], travel)
        broken = [one for one in drive.broken if one not in known]
        tried.append((len(broken), drive.home, at, broken))
    _, _, at, broken = min(tried, key=lambda one: one[:3])
    # A day that ends too late as it is breaks nothing anew, and has no room all the same.
    return at, broken or [Broken(Rule.SHIFT, None)]


def _whys(order: Found, broken: Sequence[Broken]) -> list[WhyNot]:
    whys: dict[WhyNot, None] = {}
    for one in broken:
        if one.rule is Rule.SHIFT:
            whys[WhyNot.SHIFT_END] = None
        elif one.rule is Rule.BREAK:
            whys[WhyNot.NO_BREAK] = None
        elif one.order_id == order.id:
            whys[WhyNot.WINDOW_UNREACHABLE] = None
        else:
            whys[WhyNot.WINDOW_TAKEN] = None
    return list(whys)


def _missed(drive: Drive | None) -> int:
    return sum(one.rule is Rule.WINDOW for one in drive.broken) if drive else 0


def _late(drive: Drive | None) -> int:
    return sum(visit.late > 0 for visit in drive.visits) if drive else 0
