"""Doorways of appointments: slots searched, held, confirmed and released; appointments moved."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Day, Now
from app.dispatch import queries
from app.dispatch.rules import NOW_SLOT
from app.dispatch.schemas.appointments import (
    AppointmentOut,
    ConfirmIn,
    HoldIn,
    HoldOut,
    LimitIn,
    LimitOut,
    LimitsOut,
    RescheduleIn,
    SearchIn,
    SlotOut,
    SlotsOut,
)
from app.dispatch.service import appointments, holds, limits
from app.dispatch.service.questions import question
from app.dispatch.service.slots import look
from app.workorders import queries as workorders

router = Router(prefix="/v1", tags=["appointments"])

Upstream = Annotated[
    Caller,
    Depends(caller(Role.INTEGRATION, Role.SUPERVISOR, Role.ADMIN, scope="orders:intake")),
]
Reader = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="orders:read")),
]
Dispatcher = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))
]


@router.post("/appointments/search-time-slots", operation_id="appointments_search")
async def search(body: SearchIn, upstream: Upstream, read: Read, now: Now) -> SlotsOut:
    """Search the slots of some days: each is graded, or said why it is not offered."""
    wish = body.wish(activation=body.two_hour_activation)
    asked = await question(read, wish, upstream, now=now)
    offers = await look(read, asked, first_day=body.first_day, last_day=body.last_day)
    return SlotsOut(
        grid_id=asked.grid_id,
        org_unit_id=asked.unit.id,
        work_type=asked.work_type,
        estimated_minutes=asked.minutes,
        due_at=asked.terms.due_at,
        slots=[SlotOut.from_offer(offer) for offer in offers],
    )


@router.post(
    "/appointments/holds",
    operation_id="appointments_hold",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"description": "The same hold again.", "model": HoldOut}},
)
async def hold(body: HoldIn, upstream: Upstream, tx: Tx, now: Now, response: Response) -> HoldOut:
    """Hold a slot for a few minutes; nobody else can have these minutes until it is over."""
    held, made = await holds.hold(
        tx,
        body.id,
        body.wish(activation=body.slot == NOW_SLOT),
        upstream,
        day=body.day,
        slot=body.slot,
        content_hash=body.content_hash(),
        now=now,
    )
    if not made:
        response.status_code = status.HTTP_200_OK
    return HoldOut.of(held, now)


@router.get("/appointments/holds/{hold_id}", operation_id="appointments_hold_one")
async def one_hold(hold_id: UUID, upstream: Upstream, read: Read, now: Now) -> HoldOut:
    """Read a hold."""
    return HoldOut.of(await queries.hold(read, hold_id, upstream), now)


@router.post("/appointments/holds/{hold_id}/confirm", operation_id="appointments_confirm")
async def confirm(
    hold_id: UUID, body: ConfirmIn, upstream: Upstream, tx: Tx, now: Now
) -> AppointmentOut:
    """Make a held slot the first appointment of an order that is there; again changes nothing."""
    await appointments.confirm(tx, hold_id, upstream, order_id=body.work_order_id, now=now)
    return await _appointment(tx, body.work_order_id, upstream)


@router.post("/appointments/holds/{hold_id}/release", operation_id="appointments_release")
async def release(hold_id: UUID, upstream: Upstream, tx: Tx, now: Now) -> HoldOut:
    """Give a held slot free; doing it again changes nothing."""
    return HoldOut.of(await holds.release(tx, hold_id, upstream, now=now), now)


@router.get("/work-orders/{order_id}/appointment", operation_id="work_orders_appointment")
async def appointment(order_id: UUID, reader: Reader, read: Read) -> AppointmentOut:
    """Read an order's appointment, and how often and why it was moved."""
    return await _appointment(read, order_id, reader)


@router.post("/work-orders/{order_id}/reschedule", operation_id="work_orders_reschedule")
async def reschedule(
    order_id: UUID, body: RescheduleIn, upstream: Upstream, tx: Tx, now: Now
) -> AppointmentOut:
    """Move an order's appointment to a held slot, with a cause and the customer's agreement."""
    await appointments.reschedule(tx, order_id, upstream, now=now, **body.model_dump())
    return await _appointment(tx, order_id, upstream)


async def _appointment(session: Read, order_id: UUID, caller: Caller) -> AppointmentOut:
    order = await workorders.one(session, order_id, caller)
    return AppointmentOut.of(order, await queries.appointment_changes(session, order_id))


@router.put("/appointments/limits", operation_id="appointments_limit")
async def limit(body: LimitIn, dispatcher: Dispatcher, tx: Tx) -> LimitsOut:
    """Bound a day's appointments, or take the bound back; what is promised already stays."""
    await limits.set_limit(tx, dispatcher, **body.model_dump())
    return await _limits(tx, dispatcher, body.day, body.day)


@router.get("/appointments/limits", operation_id="appointments_limits")
async def limits_of_days(
    dispatcher: Dispatcher,
    read: Read,
    first_day: Annotated[Day, Query()],
    last_day: Annotated[Day, Query()],
) -> LimitsOut:
    """List the limits of some local days."""
    return await _limits(read, dispatcher, first_day, last_day)


async def _limits(session: Read, caller: Caller, first_day: date, last_day: date) -> LimitsOut:
    rows = await queries.limits_between(session, caller, first_day=first_day, last_day=last_day)
    return LimitsOut(limits=[LimitOut.model_validate(row) for row in rows])
