"""Placing orders that are there already: given back, never placed, or unplaced until now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.dispatch import rules
from app.dispatch.service import standins
from app.dispatch.service.decisions import carry_out, write_decisions
from app.dispatch.service.people import asked_again
from app.dispatch.service.placing import choose_within
from app.dispatch.service.urgent import displacing, give_way
from app.grids import locating
from app.grids.rules import NEAR_BORDER
from app.outages import queries as outages
from app.workorders import queries as workorders
from app.workorders import whereabouts
from app.workorders.models import WorkOrder
from app.workorders.rules import WAITING, State, Step, UnplacedReason
from app.workorders.service import take_step
from app.workorders.whereabouts import Whereabouts


async def place_again(tx: AsyncSession, orders: Sequence[WorkOrder], *, now: datetime) -> None:
    """Place orders that the transaction holds locked; those that somebody holds are left alone.

    Whoever has declined an order is not asked again, nor for a while who has handed it back. An
    order that stays unplaced for the same reason gets no further event.
    """
    waiting = [order for order in orders if order.state in WAITING]
    if not waiting:
        return
    # Past the ORM: a try alone is no change that a version or the audit trail should tell of.
    await tx.execute(
        update(WorkOrder)
        .where(WorkOrder.id.in_([order.id for order in waiting]))
        .values(tried_at=now)
        .execution_options(synchronize_session=False)
    )
    places = await whereabouts.of_orders(tx, [order.id for order in waiting])
    reasons = await _locate(tx, waiting, places, now=now)
    reasons |= await _held_by_outages(tx, waiting)
    located = [order for order in waiting if order.id not in reasons]
    asked = await asked_again(tx, located, places, now=now)
    choices = dict(
        zip([order.id for order in located], await choose_within(tx, asked, now=now), strict=True)
    )
    decided = []
    for order in waiting:
        choice = choices.get(order.id)
        reason = reasons.get(order.id) or (choice.unplaced if choice else None)
        if reason is not None and order.unplaced_reason is reason:
            continue
        facts = displacing(choice) if choice else {}
        decided.append(await carry_out(tx, order, choice, reason, facts=facts, now=now))
    decided += await give_way(tx, choices, now=now)
    await tx.flush()
    await write_decisions(tx, decided, at=now)


async def _held_by_outages(
    tx: AsyncSession, orders: Sequence[WorkOrder]
) -> dict[UUID, UnplacedReason]:
    """Say which orders wait for the end of their outage; without any of one it costs nothing."""
    of = {order.id: order.outage_id for order in orders if order.outage_id is not None}
    holding = await outages.holding(tx, set(of.values()))
    return {
        order_id: UnplacedReason.OUTAGE
        for order_id, outage_id in of.items()
        if outage_id in holding
    }


async def _locate(
    tx: AsyncSession,
    orders: Sequence[WorkOrder],
    places: Mapping[UUID, Whereabouts],
    *,
    now: datetime,
) -> dict[UUID, UnplacedReason]:
    """Find the grids of orders without one, and say of the rest why they have none."""
    points = {
        order_id: rules.key_of(place.lon, place.lat)
        for order_id, place in places.items()
        if place.lon is not None and place.lat is not None
    }
    untrusted = await standins.untrusted(tx, set(points.values())) if points else set()
    reasons: dict[UUID, UnplacedReason] = {}
    for order in orders:
        if order.id not in points:
            reasons[order.id] = UnplacedReason.NO_POINT
        elif points[order.id] in untrusted:
            reasons[order.id] = UnplacedReason.SHARED_POINT
        elif order.grid_id is None:
            reasons[order.id] = UnplacedReason.NO_GRID
    if reasons:
        doubtful = [order for order in orders if order.id in reasons]
        for order_id in await _find(tx, doubtful, places, reasons, now=now):
            del reasons[order_id]
    return reasons


async def _find(
    tx: AsyncSession,
    orders: Sequence[WorkOrder],
    places: Mapping[UUID, Whereabouts],
    reasons: Mapping[UUID, UnplacedReason],
    *,
    now: datetime,
) -> list[UUID]:
    """Give orders the grids that list them, or in which their points lie where these can be
    trusted; return those that now have one."""
    index = await locating.for_keeps(tx)
    trusted = [reasons[order.id] is UnplacedReason.NO_GRID for order in orders]
    theirs = [places[order.id] for order in orders]
    found = index.locate(
        [place.lon if sure else None for place, sure in zip(theirs, trusted, strict=True)],
        [place.lat if sure else None for place, sure in zip(theirs, trusted, strict=True)],
        near_m=(await parameters_in_force(tx)).number(NEAR_BORDER, now),
        where=await whereabouts.as_listed(tx, index.lists, theirs) if index.lists else None,
    ).places()
    grids = {place.grid_id: index.territory(place.grid_id) for place in found if place.grid_id}
    units = await workorders.org_units(
        tx,
        ids={
            *(grid.org_unit_id for grid in grids.values()),
            *(order.org_unit_id for order in orders),
        },
    )
    at_home = []
    for order, place in zip(orders, found, strict=True):
        grid = grids.get(place.grid_id) if place.grid_id else None
        if grid is None or not units.may_move(order.org_unit_id, grid.org_unit_id):
            continue
        at_home.append(order.id)
        if order.grid_id is not None:
            continue
        order.grid_id, order.near_border = grid.id, place.near_border
        order.org_unit_id = grid.org_unit_id
        # One that came back from a hand that knew the way is located already, without a grid.
        if order.state is not State.LOCATED:
            await take_step(tx, order, Step.LOCATE, now=now, facts=place.facts())
    return at_home
