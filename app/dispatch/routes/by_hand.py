"""Doorways of what a supervisor does by hand: orders given and pinned, days put into an order."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, status
from pydantic import StringConstraints

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Day, Now
from app.dispatch.schemas.decisions import AssignIn, PinIn, PinOut
from app.dispatch.schemas.intake import PlacedOut
from app.dispatch.schemas.routes import RouteIn, RouteOut
from app.dispatch.service import by_hand, pins, routes_by_hand
from app.dispatch.service.routes_by_hand import DayOfRoute
from app.workorders import queries as workorders

router = Router(prefix="/v1", tags=["dispatch"])

Dispatcher = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))
]


@router.post("/work-orders/{order_id}/assign", operation_id="work_orders_assign")
async def assign(
    order_id: UUID, body: AssignIn, dispatcher: Dispatcher, tx: Tx, now: Now
) -> PlacedOut:
    """Give an order to somebody by hand, with a reason; of two who do so at once, one is told."""
    await by_hand.assign(tx, order_id, dispatcher, now=now, **body.model_dump())
    return PlacedOut.of(await workorders.one(tx, order_id, dispatcher))


@router.post("/work-orders/{order_id}/pin", operation_id="work_orders_pin")
async def pin(order_id: UUID, body: PinIn, dispatcher: Dispatcher, tx: Tx, now: Now) -> PinOut:
    """Pin an order to whoever holds it, on its day: nothing but a person moves it from there."""
    pinned = await pins.pin(tx, order_id, dispatcher, reason=body.reason, now=now)
    return PinOut.model_validate(pinned)


@router.delete(
    "/work-orders/{order_id}/pin",
    operation_id="work_orders_unpin",
    status_code=status.HTTP_204_NO_CONTENT,
)
async def unpin(
    order_id: UUID,
    dispatcher: Dispatcher,
    tx: Tx,
    now: Now,
    reason: Annotated[
        str | None, StringConstraints(max_length=2000), Query(description="Why, for the history.")
    ] = None,
) -> None:
    """Release an order's pin; it stays with its holder. Doing it again changes nothing."""
    await pins.unpin(tx, order_id, dispatcher, reason=reason, now=now)


LocalDay = Annotated[Day, Query(description="A local day of the technician's org unit.")]


@router.get("/technicians/{technician_id}/route", operation_id="technicians_route")
async def route(
    technician_id: UUID, day: LocalDay, dispatcher: Dispatcher, read: Read, now: Now
) -> RouteOut:
    """Read a technician's day in its order, with the times at which it goes from now on."""
    found = await routes_by_hand.route(read, technician_id, day, dispatcher, now=now)
    return _shown(found)


@router.put("/technicians/{technician_id}/route", operation_id="technicians_set_route")
async def set_route(
    technician_id: UUID,
    day: LocalDay,
    body: RouteIn,
    dispatcher: Dispatcher,
    tx: Tx,
    now: Now,
) -> RouteOut:
    """Put a technician's day into an order, as the phone shows it; what is begun stays first."""
    found = await routes_by_hand.set_route(
        tx, technician_id, day, dispatcher, now=now, **body.model_dump()
    )
    return _shown(found)


def _shown(found: DayOfRoute) -> RouteOut:
    return RouteOut.of(
        found.technician_id,
        found.day,
        found.stops,
        found.drive,
        seen=found.seen,
        written=found.written,
    )
