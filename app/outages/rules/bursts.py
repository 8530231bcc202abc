"""Finding outages among the reports of the last hours. Pure.

A place bursts when it has more reports than its own usual rate explains. Of nested places that all
burst the most surprising one is taken: it is the narrowest that explains them all, since a wider
one has more usual reports, and a narrower one fewer of the unusual. What it explains is then taken
away, and what is left has to be surprising by itself.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from app.outages.rules.places import NARROWEST_FIRST, Place
from app.outages.rules.usual import Usual, exposure, surprise

MINUTES_A_WEEK = 7 * 24 * 60
# The window is looked at as a whole, by half and by quarter: sudden outages are found early in a
# short one, slow ones at all in a long one.
PARTS = (1.0, 0.5, 0.25)


class Report(NamedTuple):
    """A report of a fault: its order, when it was made (aware), by whom (two of one customer count
    once), and in which places it lies, the narrowest first."""

    order_id: UUID
    at: datetime
    who: UUID
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on reports are an outage: at least so many within `minutes`, and so surprising that
    chance alone proposes not more than `false_alarms` a week in the district."""

    least: int
    minutes: float
    false_alarms: float

    def surprise(self, places: int) -> float:
        """How surprising it has to be where so many places are watched."""
        looks = max(1, places) * len(PARTS) * MINUTES_A_WEEK / self.minutes
        return math.log10(looks / self.false_alarms)


@dataclass(frozen=True, slots=True)
class Burst:
    """A place that has failed by all that is known: the first report, those that it explains, and
    how surprising they are (see `usual.surprise`)."""

    place: Place
    since: datetime
    reports: tuple[Report, ...]
    surprise: float


def find(
    reports: Iterable[Report],
    usual: Usual,
    limits: Limits,
    now: datetime,
    *,
    quiet: Collection[Place] = (),
) -> list[Burst]:
    """Find what bursts among a district's reports, the most surprising first.

    `now` is in the district's own time zone; reports that lie longer back than the window do not
    count, and neither do those of the `quiet` places, but for narrower places within them.
    """
    begins = now - timedelta(minutes=limits.minutes)
    left = sorted(
        (one for one in reports if begins < one.at <= now), key=lambda one: (one.at, one.order_id)
    )
    needed = limits.surprise(usual.places)
    windows = [
        (limits.minutes * part, exposure(usual.rhythm, now, limits.minutes * part))
        for part in PARTS
    ]
    found: list[Burst] = []
    while True:
        burst = _most_surprising(left, usual, limits.least, windows, needed, now, quiet)
        if burst is None:
            return found
        found.append(burst)
        explained = {one.order_id for one in burst.reports}
        left = [one for one in left if one.order_id not in explained]


def _most_surprising(
    reports: Sequence[Report],
    usual: Usual,
    least: int,
    windows: Sequence[tuple[float, float]],
    needed: float,
    now: datetime,
    quiet: Collection[Place],
) -> Burst | None:
    groups: dict[Place, list[Report]] = defaultdict(list)
    for one in reports:
        for place in one.places:
            if place in quiet:
                break  # nor does it say anything of a wider place
            groups[place].append(one)
    level = _level(reports, usual, windows[0][1])
    best: tuple[float, int, Burst] | None = None
    for place, members in groups.items():
        if len({one.who for one in members}) < least:
            continue
        rate = usual.rate(place)
        for minutes, weeks in windows:
            begins = now - timedelta(minutes=minutes)
            recent = [one for one in members if one.at > begins]
            homes = len({one.who for one in recent})
            if homes < least:
                break
            much = surprise(homes, rate, weeks * level(place, len(members)))
            rank = -NARROWEST_FIRST[place.kind]
            if much >= needed and (best is None or (much, rank) > best[:2]):
                best = much, rank, Burst(place, recent[0].at, tuple(members), much)
    if best is None:
        return None
    return best[2]


def _level(reports: Sequence[Report], usual: Usual, weeks: float) -> "_Level":
    return _Level(len(reports), usual, weeks)


class _Level(NamedTuple):
    """How many times as many reports as usual the rest of the district has: in a thunderstorm every
    place has more, and none of them is an outage of its own."""

    reports: int
    usual: Usual
    weeks: float

    def __call__(self, place: Place, own: int) -> float:
        others = self.reports - own
        expected = max(0.0, self.usual.total - self.usual.rate(place).mean) * self.weeks
        # Few say little: a level is believed as far as many reports would be surprised by it.
        return max(1.0, (others + _CALM) / (expected + _CALM))


_CALM = 20.0


# --- what is there already ------------------------------------------------------------------------


class Known(NamedTuple):
    """An outage that is proposed already: since when, and which orders belong to it."""

    id: UUID
    place: Place
    since: datetime
    surprise: float
    orders: frozenset[UUID]


class Folded(NamedTuple):
    """What a burst comes to: `into` is the proposal it goes on with (None: a new one), `merged` are
    proposals that turn out to be the same outage; the place may be a wider one than before."""

    burst: Burst
    into: UUID | None
    merged: tuple[UUID, ...]
    place: Place
    surprise: float
    since: datetime


def fold(bursts: Iterable[Burst], known: Iterable[Known]) -> list[Folded]:
    """Let bursts go on with the proposals they belong to, so that none is proposed twice.

    A burst belongs to a proposal of the same place, and to one most of whose orders it explains
    too; the oldest of them goes on, and the others are merged into it.
    """
    left = sorted(known, key=lambda one: (one.since, one.id))
    folded = []
    for burst in bursts:
        explained = {one.order_id for one in burst.reports}
        theirs = [
            one
            for one in left
            if one.place == burst.place or 2 * len(one.orders & explained) > len(one.orders)
        ]
        left = [one for one in left if one not in theirs]
        first = theirs[0] if theirs else None
        place, much = burst.place, burst.surprise
        if first is not None and first.surprise > much:
            place, much = first.place, first.surprise
        folded.append(
            Folded(
                burst,
                first.id if first else None,
                tuple(one.id for one in theirs[1:]),
                place,
                much,
                min([burst.since, *(one.since for one in theirs)]),
            )
        )
    return folded


def belong(report: Report, places: Mapping[Place, UUID], apart: Collection[UUID]) -> UUID | None:
    """Say to which open outage a report belongs, the narrowest first; None to none. Whoever was
    set `apart` from an outage does not come back to it."""
    for place in report.places:
        outage_id = places.get(place)
        if outage_id is not None and outage_id not in apart:
            return outage_id
    return None


def unit_of(units: Iterable[UUID]) -> UUID:
    """Say which org unit has an outage: the one with most of its reports."""
    counted = Counter(units)
    return min(counted, key=lambda unit: (-counted[unit], unit))
