"""Who serves a grid on a day: who is asked in which order, and who of them is away and why."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from app.grids.rules.asking import Candidate, in_order_of_asking
from app.technicians.rules import Away, Works, presence


class Asked(NamedTuple):
    """Somebody who is asked on a day, with the minutes they work; when none, why."""

    candidate: Candidate
    minutes: float
    away: Away | None


class CoverDay(NamedTuple):
    """A local day: who is asked, the first asked first."""

    day: date
    asked: list[Asked]

    @property
    def served_by(self) -> Asked | None:
        """The first who is there; an order that needs another skill may go further."""
        return next((one for one in self.asked if one.away is None), None)


def cover(
    candidates: Iterable[Candidate],
    people: Mapping[UUID, Works],
    first: date,
    days: int,
    *,
    now: datetime,
) -> list[CoverDay]:
    """Say who is asked on each of some local days, as placing would ask them.

    Of today only what is left counts. Who does not belong to the grid on a day is not asked on it.
    """
    ordered = in_order_of_asking(candidates)
    found = []
    for day in (first + timedelta(days=n) for n in range(days)):
        asked = [
            Asked(one, *presence(people[one.technician_id], day, not_before=now))
            for one in ordered
            if one.on(day)
        ]
        found.append(CoverDay(day, asked))
    return found
