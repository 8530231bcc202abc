"""What somebody's day has to fit into: from their shifts and leave to a frame for a route."""

from collections.abc import Sequence
from datetime import date, datetime, time
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from app.dispatch.rules.routes import Break, Frame
from app.technicians.rules import Piece, working_time
from app.travel.rules import Place


class Employed(Protocol):
    """What tells when and from where somebody works: a Diary is one, and technicians' Working."""

    @property
    def zone(self) -> ZoneInfo: ...
    @property
    def shifts(self) -> Sequence[tuple[int, time, time]]: ...
    @property
    def leave(self) -> Sequence[Piece]: ...
    @property
    def home(self) -> tuple[float, float] | None: ...


def frame_of(
    who: Employed,
    day: date,
    *,
    now: datetime,
    lunch_slack: int,
    last: Place | None = None,
    under_way: bool = False,
) -> Frame | None:
    """Say what somebody's local day has to fit into; None when they do not work on it at all.

    The time between two shifts is lunch, which may begin `lunch_slack` seconds earlier or later;
    leave in the middle of the day is a break at its own time, and leave at an edge shortens the
    day. From the middle of a day on, it begins `now`, where they were `last` (home when that is
    not known); a break that is over is had. Whoever has a visit `under_way` is not at lunch.

    A day whose end has passed is given all the same: nothing fits into it.
    """
    midnight = datetime.combine(day, time.min, who.zone)
    pieces, _ = working_time(who.shifts, who.leave, who.zone, day, midnight)
    if not pieces:
        return None
    times = [(int(begins.timestamp()), int(ends.timestamp())) for begins, ends in pieces]
    away = [(begins.timestamp(), ends.timestamp()) for begins, ends in who.leave]
    moment = int(now.timestamp())
    begins, ends = max(times[0][0], moment), times[-1][1]
    breaks = []
    for (_, before), (after, _) in pairwise(times):
        if after <= before or after <= moment:
            continue
        if before <= moment and not under_way:
            begins = after
            continue
        on_leave = any(since < after and before < until for since, until in away)
        breaks.append(Break(before, after - before, 0 if on_leave else lunch_slack))
    offset = midnight.utcoffset()
    home = None if who.home is None else Place(*who.home)
    return Frame(
        begins,
        ends,
        last if last is not None and moment > times[0][0] else home,
        home,
        tuple(breaks),
        0 if offset is None else int(offset.total_seconds()),
    )
