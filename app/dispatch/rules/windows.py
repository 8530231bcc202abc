"""Whether one person can keep several appointments of a day, one after the other."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

Piece = tuple[datetime, datetime]  # aware moments, from and until


class Booked(NamedTuple):
    """An appointment: work of so many minutes has to begin within the window. Aware moments."""

    begins: datetime
    until: datetime
    minutes: int


def reachable(window: Piece, minutes: int, at_work: Iterable[Piece]) -> bool:
    """Tell whether work of so many minutes can begin within a window and end within a shift."""
    work = timedelta(minutes=minutes)
    return any(
        max(begins, window[0]) <= window[1] and max(begins, window[0]) + work <= ends
        for begins, ends in at_work
    )


def kept_together(booked: Sequence[Booked], at_work: Sequence[Piece], allowance: float) -> bool:
    """Tell whether an order of work was found in which all these appointments are kept.

    `at_work` is the pieces of time at work, the first first, and `allowance` the minutes of the way
    from one door to the next. To find an order always is too hard a problem for the time there is;
    two simple ones are tried: by the latest moment at which each has to be done, and the same among
    those that can be begun at once. A day that passes can be kept; one that fails may have had
    another order.

    What can no longer be kept, since its window is over before any work begins, binds nobody.
    """
    if not at_work:
        return False
    first = at_work[0][0]
    open_still = [one for one in booked if one.until >= first]
    return any(
        _kept(open_still, at_work, allowance, which) for which in (_most_pressing, _ready_first)
    )


Which = Callable[[Sequence[Booked], datetime], Booked]


def _kept(
    booked: Sequence[Booked], at_work: Sequence[Piece], allowance: float, which: Which
) -> bool:
    left, free = list(booked), at_work[0][0]
    while left:
        one = which(left, free)
        left.remove(one)
        begins = _earliest(at_work, max(free, one.begins), one.minutes)
        if begins is None or begins > one.until:
            return False
        free = begins + timedelta(minutes=one.minutes + allowance)
    return True


def _most_pressing(left: Sequence[Booked], _free: datetime) -> Booked:
    # The window binds the beginning, so of two with one window the shorter work comes first.
    return min(left, key=lambda one: (one.until + timedelta(minutes=one.minutes), one.begins))


def _ready_first(left: Sequence[Booked], free: datetime) -> Booked:
    ready = [one for one in left if one.begins <= free]
    return _most_pressing(ready, free) if ready else min(left)


def _earliest(at_work: Iterable[Piece], not_before: datetime, minutes: int) -> datetime | None:
    work = timedelta(minutes=minutes)
    for begins, ends in at_work:
        start = max(begins, not_before)
        if start + work <= ends:
            return start
    return None
