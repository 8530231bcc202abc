"""Who serves a grid on the coming days, and which grids nobody does."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.grids import queries as grids
from app.grids.rules.asking import Candidate, Kind
from app.technicians import queries as technicians
from app.technicians.queries import Working
from app.technicians.rules import Away, presence
from app.territory.queries import counts, keeping
from app.territory.queries.keeping import Kept
from app.territory.rules.cover import CoverDay, cover
from app.territory.rules.vacancies import Warned, WarningKind, warnings


class Covered(NamedTuple):
    """Who is asked for a grid's orders on some days, and who those people are."""

    days: list[CoverDay]
    people: dict[UUID, Working]


async def cover_of(
    session: AsyncSession, grid_id: UUID, *, first: date, days: int, now: datetime
) -> Covered:
    """Say who is asked for a grid's orders on some local days; the caller may see the grid."""
    last = first + timedelta(days=days - 1)
    keepers = await grids.keepers(session, [grid_id], first_day=first, last_day=last)
    people = await _people(session, {one.technician_id for one in keepers}, first, last)
    candidates = [
        Candidate(one.technician_id, Kind(one.kind) if one.kind else Kind.NEIGHBOUR, *one[3:])
        for one in keepers
    ]
    return Covered(cover(candidates, people, first, days, now=now), people)


class Told(NamedTuple):
    """A warning with its grid, the customers it touches, and the person whose time ends, if any."""

    grid: Kept
    warned: Warned
    customers: int
    person: Working | None

    @property
    def place(self) -> tuple[int, str, str, str]:
        """Where it stands in the list: the most customers first, then by code, day and kind."""
        return (
            -self.customers,
            self.grid.code,
            self.warned.valid_from.isoformat(),
            self.warned.kind.value,
        )


async def vacancies(
    session: AsyncSession,
    org_path: str,
    *,
    first: date,
    days: int,
    kinds: Collection[WarningKind],
) -> list[Told]:
    """List what is wrong with the grids of an org unit's subtree on some local days, worst first.

    In four statements, however many grids there are.
    """
    known = await keeping.kept(session, org_path, first_day=first)
    dates = [first + timedelta(days=n) for n in range(days)]
    people = await _people(
        session,
        {term.technician_id for grid in known for term in grid.terms},
        dates[0],
        dates[-1],
    )
    # Of a whole province that is half a second of thinking, in which others get their turns.
    warned = await asyncio.to_thread(_warned, known, dates, people)
    found = [(grid, one) for grid, one in warned if one.kind in kinds]
    customers = await counts.customers_in(session, {grid.id for grid, _ in found})
    told = [
        Told(
            grid,
            one,
            customers.get(grid.id, 0),
            people[one.term.technician_id] if one.term else None,
        )
        for grid, one in found
    ]
    return sorted(told, key=lambda one: one.place)


def _warned(
    known: Sequence[Kept], days: Sequence[date], people: dict[UUID, Working]
) -> list[tuple[Kept, Warned]]:
    away: dict[tuple[UUID, date], Away | None] = {}

    def why(technician_id: UUID, day: date) -> Away | None:
        key = (technician_id, day)
        if key not in away:
            _, away[key] = presence(people[technician_id], day)
        return away[key]

    return [(grid, one) for grid in known for one in warnings(grid.id, grid.terms, days, why)]


async def _people(
    session: AsyncSession, technician_ids: Collection[UUID], first: date, last: date
) -> dict[UUID, Working]:
    # A day to either side covers every zone on Earth.
    midnight = datetime.combine(first, time.min, UTC)
    return await technicians.working(
        session,
        technician_ids,
        from_moment=midnight - timedelta(days=1),
        until_moment=midnight + timedelta(days=(last - first).days + 2),
        last_day=last,
    )
