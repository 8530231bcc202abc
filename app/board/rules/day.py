"""One technician's day on the board: what they do, their route in time, and what is endangered.

Pure. Moments are whole seconds since 1970 (UTC), as in `dispatch.rules.routes`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from app.board.rules.parameters import Thresholds
from app.board.rules.words import Doing, Risk, Works
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.routes import (
    NEVER,
    Drive,
    Frame,
    Stop,
    Timed,
    follow,
    in_order,
)
from app.technicians.rules import Piece, working_time
from app.travel.rules import Place, Travel
from app.workorders.rules import UNDER_WAY, State
from app.worktypes.rules import WorkType


class Seen(NamedTuple):
    """About where somebody was at a moment: the middle of a square (WGS-84)."""

    at: datetime
    lon: float
    lat: float
    accuracy_m: int


class Presence(NamedTuple):
    """Whether somebody is there, as they and their phones say: since when they are on shift, when a
    phone was last heard of, whether one listens, and whether they agree to positions on the shift;
    `seen` is the last of these, where that was asked for."""

    on_shift_since: datetime | None
    last_seen_at: datetime | None
    streaming: bool
    shares_position: bool
    seen: Seen | None


class Person(NamedTuple):
    """Somebody on the board, as far as their day needs it; `org_unit_id` is their own unit.

    `last` is where they were last that day, and `route` the order in which it is to be done.
    """

    id: UUID
    code: str
    name: str
    org_unit_id: UUID
    works: Works
    active: bool
    zone: ZoneInfo
    shifts: Sequence[tuple[int, time, time]]
    leave: Sequence[Piece]
    home: tuple[float, float] | None
    last: Place | None
    route: Sequence[UUID]
    presence: Presence


class Visit(NamedTuple):
    """An order of the day: its own words, and when what happened to it; one that is not `ours`
    belongs to another unit, takes its time and is not shown.

    `since` is when it came into its state; `set_out` and `arrived` are of the last attempt;
    `resume` is when suspended work is to go on.
    """

    id: UUID
    holder_id: UUID
    ours: bool
    external_id: str
    work_type: WorkType
    priority: int
    state: State
    address: str
    locality: str | None
    grid_code: str | None
    place: Place | None
    minutes: int
    opens: int | None
    closes: int | None
    due: int | None
    planned_day: date
    version: int
    completed: int | None
    set_out: int | None
    arrived: int | None
    since: int | None
    pinned: bool
    repeats: int = 0
    nudges: int = 0
    resume: int | None = None


class Endangered(NamedTuple):
    """What endangers a visit, and by how much, in seconds.

    For what will be missed or only just kept: how much is left, below nothing when it is missed.
    Otherwise how long it has lasted too long, or how far beyond the end of the shift it goes.
    """

    risk: Risk
    seconds: int | None


class Timetable(NamedTuple):
    """A visit in time: what has happened, and from now on what is expected; None is not known.

    `late` is seconds after the promise, `slack` how many seconds later it may begin without
    anything becoming late that is not late anyway.
    """

    visit: Visit
    leaves: int | None
    arrives: int | None
    begins: int | None
    ends: int | None
    late: int
    slack: int | None
    risks: tuple[Endangered, ...]

    @property
    def missed(self) -> bool:
        """Tell whether its promise or its appointment is or will be missed."""
        closes = self.visit.closes
        return self.late > 0 or (
            closes is not None and self.arrives is not None and self.arrives > closes
        )


class PersonDay(NamedTuple):
    """Somebody's day: `doing` and `free_at` only today, `since` of what they do where it is known.

    `at_work` are the pieces of their shifts without leave, `breaks` those still ahead as they are
    expected. `elsewhere` counts visits of other units that are still to be made, which are followed
    and not shown. `free` is seconds of the shift that nothing takes.
    """

    person: Person
    doing: Doing | None
    since: int | None
    at_work: Sequence[Piece]
    breaks: Sequence[tuple[int, int]]
    done: Sequence[Timetable]
    ahead: Sequence[Timetable]
    elsewhere: int
    free_at: int | None
    free: int
    route_ends: int | None
    home: int | None


def day_of(
    who: Person,
    visits: Sequence[Visit],
    day: date,
    *,
    moment: int | None,
    travel: Travel,
    numbers: Thresholds,
) -> PersonDay:
    """Say what somebody's local day looks like at a moment of it; without one, as it is planned."""
    done = sorted(
        (_done(visit) for visit in visits if visit.completed is not None),
        key=lambda one: (one.ends or 0, one.visit.id),
    )
    by_id = {visit.id: visit for visit in visits if visit.completed is None}
    stops = in_order(map(_stop, by_id.values()), who.route)
    at_work = _pieces(who, day)
    frame = _frame(who, day, stops, moment, numbers)
    doing, since = _doing(who, at_work, stops, moment)
    ours = [visit for visit in by_id.values() if visit.ours]
    elsewhere = len(by_id) - len(ours)
    if frame is None:
        ahead = [_without_time(by_id[stop.order_id]) for stop in stops if by_id[stop.order_id].ours]
        return PersonDay(
            who, doing, since, at_work, (), done, ahead, elsewhere, None, 0, None, None
        )
    drive = follow(frame, stops, travel)
    slacks = slacks_of(drive, frame)
    begun = at_work[0][0].timestamp() if at_work else NEVER
    ahead = [
        _ahead(by_id[timed.stop.order_id], timed, slack, drive, frame, begun, moment, numbers)
        for timed, slack in zip(drive.visits, slacks, strict=True)
        if by_id[timed.stop.order_id].ours
    ]
    under_way = drive.visits[0] if drive.visits and drive.visits[0].stop.under_way else None
    free_at = None
    if moment is not None:
        free_at = under_way.end if under_way else frame.begins
        free_at = free_at if free_at < frame.ends else None
    return PersonDay(
        who,
        doing,
        since,
        at_work,
        _breaks(drive, frame),
        done,
        ahead,
        elsewhere,
        free_at,
        _free(drive, frame),
        drive.visits[-1].end if drive.visits else None,
        drive.home if drive.visits else None,
    )


def slacks_of(drive: Drive, frame: Frame) -> list[int]:
    """Say of each visit how many seconds later it may begin without anything becoming late.

    What is late anyway asks nothing of those before it, and has no slack itself. More than a
    lifetime means that nothing bounds it.
    """
    slacks: list[int] = []
    left = _evening(drive, frame) if drive.home <= frame.ends else NEVER
    for timed in reversed(drive.visits):
        own = min(timed.stop.closes - timed.begin, timed.stop.due - timed.end)
        slack = 0 if own < 0 else min(own, left)
        slacks.append(slack)
        left = timed.wait + (slack if own >= 0 else left)
    slacks.reverse()
    return slacks


def _pieces(who: Person, day: date) -> list[Piece]:
    if not who.active:
        return []
    midnight = datetime.combine(day, time.min, who.zone)
    pieces, _ = working_time(who.shifts, who.leave, who.zone, day, midnight)
    return pieces


def _frame(
    who: Person,
    day: date,
    stops: Sequence[Stop],
    moment: int | None,
    numbers: Thresholds,
) -> Frame | None:
    if not who.active:
        return None
    now = (
        datetime.combine(day, time.min, who.zone)
        if moment is None
        else datetime.fromtimestamp(moment, UTC)
    )
    return frame_of(
        who,
        day,
        now=now,
        lunch_slack=numbers.lunch_slack,
        last=who.last,
        under_way=bool(stops) and stops[0].under_way,
    )


def _stop(visit: Visit) -> Stop:
    since = visit.set_out if visit.state is State.EN_ROUTE else visit.since
    return Stop(
        visit.id,
        visit.place,
        visit.minutes * 60,
        visit.opens or 0,
        visit.closes or NEVER,
        visit.due or NEVER,
        visit.priority,
        visit.state,
        since if visit.state in UNDER_WAY else None,
        visit.pinned,
    )


def _doing(
    who: Person, at_work: Sequence[Piece], stops: Sequence[Stop], moment: int | None
) -> tuple[Doing | None, int | None]:
    if moment is None:
        return None, None
    if stops and stops[0].under_way:
        at_door = stops[0].state is State.ON_SITE
        return Doing.AT_DOOR if at_door else Doing.ON_THE_WAY, stops[0].since
    now = datetime.fromtimestamp(moment, UTC)
    if any(begins <= now < ends for begins, ends in at_work):
        return Doing.FREE, None
    for begins, ends in who.leave:
        if begins <= now < ends:
            return Doing.ON_LEAVE, int(begins.timestamp())
    if at_work and at_work[0][0] <= now < at_work[-1][1]:
        return Doing.ON_BREAK, None
    return Doing.OFF_SHIFT, None


def _done(visit: Visit) -> Timetable:
    end = visit.completed
    late = max(0, end - visit.due) if end is not None and visit.due is not None else 0
    return Timetable(visit, visit.set_out, visit.arrived, visit.arrived, end, late, None, ())


def _without_time(visit: Visit) -> Timetable:
    risks = (Endangered(Risk.NOT_AT_WORK, None),)
    return Timetable(visit, None, None, None, None, 0, None, risks)


def _ahead(
    visit: Visit,
    timed: Timed,
    slack: int,
    drive: Drive,
    frame: Frame,
    begun: float,
    moment: int | None,
    numbers: Thresholds,
) -> Timetable:
    stop = timed.stop
    arrives = timed.arrive
    if stop.state is State.ON_SITE and visit.arrived is not None:
        arrives = visit.arrived
    leaves = visit.set_out if stop.under_way and visit.set_out is not None else timed.leave
    risks = []
    if not stop.under_way and stop.closes - timed.begin < numbers.at_risk:
        risks.append(Endangered(Risk.WINDOW, stop.closes - timed.begin))
    if stop.due - timed.end < numbers.at_risk:
        risks.append(Endangered(Risk.PROMISE, stop.due - timed.end))
    if moment is not None:
        if stop.state is State.ON_SITE and stop.since is not None:
            over = moment - stop.since - stop.seconds
            if over >= numbers.runs_long:
                risks.append(Endangered(Risk.RUNS_LONG, over))
        elif stop.state is State.ASSIGNED and begun <= moment < frame.ends:
            waits = moment - int(max(visit.since or begun, begun))
            if waits >= numbers.unacknowledged:
                risks.append(Endangered(Risk.UNACKNOWLEDGED, waits))
        elif visit.resume is not None and moment > visit.resume:
            risks.append(Endangered(Risk.RESUME_OVERDUE, moment - visit.resume))
    beyond = timed.end - frame.ends
    if timed is drive.visits[-1]:
        beyond = drive.home - frame.ends
    if beyond > 0:
        risks.append(Endangered(Risk.SHIFT_END, beyond))
    return Timetable(
        visit, leaves, arrives, timed.begin, timed.end, timed.late, slack, tuple(risks)
    )


def _breaks(drive: Drive, frame: Frame) -> list[tuple[int, int]]:
    """Say when the breaks ahead are had; those that nothing pushes are had at their own time."""
    had = list(drive.breaks)
    had += [pause.begins for pause in frame.breaks[len(had) :]]
    return [
        (begins, begins + pause.length) for begins, pause in zip(had, frame.breaks, strict=False)
    ]


def _evening(drive: Drive, frame: Frame) -> int:
    """Seconds of the shift that are left after the way home, but for breaks not had by then."""
    since = max(drive.home, frame.begins) if drive.visits else frame.begins
    ahead = frame.breaks[len(drive.breaks) :]
    return max(0, frame.ends - since - sum(pause.length for pause in ahead))


def _free(drive: Drive, frame: Frame) -> int:
    """Add up the seconds until the end of the shift that no visit, way or break takes."""
    idle = sum(timed.wait for timed in drive.visits if not timed.stop.under_way)
    return _evening(drive, frame) + idle
