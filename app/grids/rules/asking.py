"""Who is asked for a grid's orders, on which days, and in which order."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

EVERY_DAY = 127


class Kind(StrEnum):
    """How a candidate comes to be asked, in the order of asking.

    A loan wins while it runs, since somebody has decided that this person works here on that day.
    Whoever is lent to the grid's org unit or belongs to it is asked where the grid's own people
    cost more. Anybody else is never asked, but a supervisor may give them an order by hand.
    """

    LOAN = "loan"
    PRIMARY = "primary"
    BACKUP = "backup"
    LENT = "lent"
    NEIGHBOUR = "neighbour"
    BRANCH = "branch"
    OTHER = "other"


_ORDER = {kind: place for place, kind in enumerate(Kind)}
_MEMBERS = frozenset({Kind.LOAN, Kind.PRIMARY, Kind.BACKUP})


class Candidate(NamedTuple):
    """Somebody who may be asked: dates are local days, `valid_to` excluded; Monday's bit is 1.

    `ratio` is the share of their day, in percent, that the grid's orders may take.
    """

    technician_id: UUID
    kind: Kind
    rank: int
    distance_m: float
    weekdays: int = EVERY_DAY
    valid_from: date = date.min
    valid_to: date | None = None
    ratio: int = 100

    def on(self, day: date) -> bool:
        """Tell whether this person belongs to the grid on a local day."""
        return in_force(day, self.valid_from, self.valid_to) and works_on(day, self.weekdays)


def in_force(day: date, valid_from: date, valid_to: date | None) -> bool:
    """Tell whether a local day lies within some days, the last excluded; null is open."""
    return valid_from <= day and (valid_to is None or day < valid_to)


def works_on(day: date, weekdays: int) -> bool:
    """Tell whether a bit mask, Monday 1 to Sunday 64, has a local day's weekday."""
    return bool(weekdays >> day.weekday() & 1)


def in_order_of_asking(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Sort: loans, the primary, backups by rank, then others, of neighbours' primaries the nearest
    first.

    Of equal rank, the one who has belonged to the grid longer is asked first. Somebody who belongs
    to the grid anyway, or is found in several other ways, is asked once.
    """
    ordered = sorted(
        candidates,
        key=lambda one: (
            _ORDER[one.kind],
            one.distance_m,
            one.rank,
            one.valid_from,
            one.technician_id,
        ),
    )
    known: set[UUID] = set()
    asked = []
    for one in ordered:
        if one.kind in _MEMBERS or one.technician_id not in known:
            asked.append(one)
        known.add(one.technician_id)
    return asked
