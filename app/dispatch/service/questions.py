"""What somebody asks slots for, with all that is known of the place and the work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import Invalid, NotFound
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.dispatch import queries, rules
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import Terms, Wish
from app.dispatch.service.placing import together
from app.grids import locating
from app.grids.index import Territory
from app.grids.rules import NEAR_BORDER
from app.promises import queries as promises
from app.promises.rules import first_due, promise_for
from app.technicians.availability import DayOf, Promised
from app.workorders import queries as workorders
from app.workorders import whereabouts
from app.workorders.queries import Unit
from app.workorders.service.steps import promised_of
from app.workorders.whereabouts import Whereabouts
from app.worktypes import queries as worktypes
from app.worktypes.rules import BUILT_IN, WorkType, template_for


def reserved_by(hold: AppointmentHold) -> dict[DayOf, Promised]:
    """Say what a hold has promised of whose day."""
    promised = Promised(hold.reserved_minutes, hold.reserved_orders)
    return {(hold.technician_id, hold.day): promised}


@dataclass(frozen=True, slots=True)
class Question:
    """A wish with all that is known of it.

    `own` is what its order takes of somebody's day, `held` what is held for the order, and
    `without` are the ids of them: a new appointment takes their place.
    """

    grid_id: UUID
    unit: Unit
    point: tuple[float, float] | None
    work_type: WorkType
    minutes: int
    skills: frozenset[str]
    terminals: tuple[str, ...]
    urgent: bool
    terms: Terms
    activation: bool
    order_id: UUID | None
    holder_id: UUID | None
    own: Mapping[DayOf, Promised]
    held: Mapping[DayOf, Promised]
    without: Sequence[UUID]


async def question(session: AsyncSession, wish: Wish, caller: Caller, *, now: datetime) -> Question:
    """Find out what a wish needs to know. Raises NotFound, Invalid or PlaceNotCovered."""
    parameters = await parameters_in_force(session)
    # An order's columns, as the caller may see them.
    order: Any = await workorders.one(session, wish.order_id, caller) if wish.order_id else None
    work_type = order.work_type if order else wish.work_type
    if work_type is None:
        raise Invalid(errors=[{"field": "work_type", "message": "say what is to be done"}])
    grid, unit, point, tier = await _place(session, wish, order, caller, parameters, now)
    holds = await queries.open_holds_of(session, order.id, now=now) if order else []
    if order is not None:
        minutes, due = order.estimated_minutes, order.due_at
        skills, terminals = frozenset(order.skills), tuple(order.terminals)
    else:
        reported_at = wish.reported_at or now
        day = reported_at.astimezone(unit.zone).date()
        dated = (await worktypes.templates(session)).values()
        in_force = template_for(dated, work_type, unit.path, day)
        template = in_force.template if in_force else BUILT_IN[work_type]
        minutes = wish.minutes or template.minutes
        skills, terminals = wish.skills.union(template.skills), template.needs
        promised = await promises.promises(session)
        promise = promise_for(
            promised,
            work_type,
            unit.path,
            day,
            value_tier=tier,
            grid_kind=grid.kind,
            same_visit=wish.activation,
        )
        calendar = await promises.calendar(session, promised)
        due = first_due(reported_at, unit.zone, promise, unit.path, calendar) if promise else None
    return Question(
        grid_id=grid.id,
        unit=unit,
        point=point,
        work_type=work_type,
        minutes=minutes,
        skills=skills,
        terminals=terminals,
        urgent=rules.is_urgent(order.priority if order else wish.priority, work_type),
        terms=Terms(now, wish.earliest, due, wish.later_agreed),
        activation=wish.activation,
        order_id=order.id if order else None,
        holder_id=order.holder_id if order else None,
        own=promised_of(order) if order else {},
        held=together(*(reserved_by(one) for one in holds)),
        without=[order.id, *(one.id for one in holds)] if order else [],
    )


async def _place(
    session: AsyncSession,
    wish: Wish,
    order: Any,
    caller: Caller,
    parameters: Parameters,
    now: datetime,
) -> tuple[Territory, Unit, tuple[float, float] | None, str | None]:
    """Find the grid that a wish is about, its unit, its point if that had to be looked at, and
    the tier of the customer it names.

    Raises PlaceNotCovered or NotFound.
    """
    index = await locating.for_reading(session)
    grid_id, point = order.grid_id if order else wish.grid_id, wish.point
    tier: str | None = None
    if grid_id is None:
        near_m = parameters.number(NEAR_BORDER, now, caller.org_path)
        place, address, tier = await _whereabouts(session, wish, order, caller)
        where = None
        if index.lists and address is not None:
            where = await whereabouts.as_listed(session, index.lists, [address])
        [found] = index.locate([place[0]], [place[1]], near_m=near_m, where=where).places()
        grid_id = found.grid_id
        if place[0] is not None and place[1] is not None:
            point = (place[0], place[1])
    known = None if grid_id is None else index.find(grid_id)
    if known is None or not known.within(caller.org_path):
        # A grid named outright is not there for others; any other place is merely not covered.
        raise NotFound() if wish.grid_id else rules.PlaceNotCovered()
    units = await workorders.org_units(session, ids=[known.org_unit_id])
    return known, units.by_id[known.org_unit_id], point, tier


async def _whereabouts(
    session: AsyncSession, wish: Wish, order: Any, caller: Caller
) -> tuple[tuple[float | None, float | None], Whereabouts | None, str | None]:
    tier = None
    if order is not None:
        address = (await whereabouts.of_orders(session, [order.id]))[order.id]
    elif wish.customer_code is not None:
        address, tier = await queries.customer_place(session, caller, wish.customer_code)
    else:
        return wish.point or (None, None), None, None
    return (address.lon, address.lat), address, tier
