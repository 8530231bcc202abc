"""What whoever takes a grid over finds there."""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.auth.queries import technician_works_in
from app.core.errors import Invalid, NotFound
from app.grids import memberships
from app.grids.rules.bulk import Person
from app.grids.rules.terms import Term
from app.territory.queries import counts
from app.territory.queries import handover as queries
from app.territory.rules.handover import OrderFigures, Part, Parties, parties


class Handed(NamedTuple):
    """A grid that is handed over on a day, and what lies in it."""

    grid_id: UUID
    code: str
    name: str
    parties: Parties
    customers: int
    orders: OrderFigures
    terminals_due_back: int


class Handovers(NamedTuple):
    """Grids by their codes, and who the people of their memberships are."""

    grids: list[Handed]
    people: dict[UUID, Person]


async def which(
    session: AsyncSession,
    caller: Caller,
    *,
    technician_id: UUID | None,
    part: Part,
    grid_ids: Collection[UUID],
    day: date,
) -> Collection[UUID]:
    """Say which grids are meant: those somebody takes or hands over on a local day, or those named.

    Raises NotFound for a technician of others, Invalid unless either is given.
    """
    if (technician_id is None) == (not grid_ids):
        message = "name either a technician or grids"
        raise Invalid(errors=[{"field": "technician_id", "message": message}])
    if technician_id is None:
        return set(grid_ids)
    if not await technician_works_in(session, technician_id, caller.org_path):
        raise NotFound(technician_id=technician_id)
    return await queries.grids_handed(session, technician_id, part, day)


async def handovers(
    session: AsyncSession,
    grid_ids: Collection[UUID],
    caller: Caller,
    *,
    day: date,
    now: datetime,
) -> Handovers:
    """Read what is handed over with grids on a local day, in six statements however many.

    Grids that are not the caller's, or retired, are left out. Orders that the predecessor has stay
    with them unless somebody moves them.
    """
    known = await memberships.grids_within(session, grid_ids, caller, locking=False)
    terms: dict[UUID, list[Term]] = {grid_id: [] for grid_id in known}
    for term in await memberships.terms(session, known, first_day=day):
        terms[term.grid_id].append(term)
    concerned = {grid_id: parties(found, day) for grid_id, found in terms.items()}
    people = await memberships.people(
        session, {term.technician_id for found in terms.values() for term in found}, caller
    )
    customers = await counts.customers_in(session, known)
    figures = await queries.order_figures(
        session,
        {
            grid_id: found.predecessor.technician_id if found.predecessor else None
            for grid_id, found in concerned.items()
        },
        caller,
        now=now,
    )
    due_back = await queries.terminals_due_back(session, known, day=day)
    grids = [
        Handed(
            grid_id,
            code,
            name,
            concerned[grid_id],
            customers.get(grid_id, 0),
            figures.get(grid_id, OrderFigures()),
            due_back.get(grid_id, 0),
        )
        for grid_id, (code, name) in known.items()
    ]
    return Handovers(sorted(grids, key=lambda one: one.code), people)
