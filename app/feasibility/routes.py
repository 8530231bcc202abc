"""Doorways of feasibility: asked and reserved at the door, counted at the desk."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, status

from app.auth.callers import Caller, caller, technician_of
from app.auth.rules import Role
from app.core.db import Database, Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid, NotFound
from app.core.http import Day, Language, Now
from app.core.parameter_values import parameters_in_force
from app.dispatch.rules import ACTIVATION_MINUTES
from app.feasibility import queries, service
from app.feasibility.schemas import (
    FeasibilityIn,
    FeasibilityOut,
    InstallAppointmentIn,
    InstallAppointmentOut,
    ReservationIn,
    ReservationOut,
    TwoHourOut,
)
from app.serviceability.client import ServiceabilityClient
from app.workorders.queries import org_units

router = Router(prefix="/v1", tags=["feasibility"])

Seller = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="sales:make"))]
Overseer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]

MOST_DAYS = 92


# A plain function would be run in a thread; this one only reads memory.
async def _system(request: Request) -> ServiceabilityClient | None:
    client: ServiceabilityClient | None = request.app.state.serviceability
    return client


@router.post("/visits/{visit_id}/feasibility", operation_id="visits_feasibility")
async def feasibility(
    visit_id: UUID,
    body: FeasibilityIn,
    seller: Seller,
    request: Request,
    system: Annotated[ServiceabilityClient | None, Depends(_system)],
    now: Now,
    lang: Language,
) -> FeasibilityOut:
    """Say of each offering whether it can be sold here and installed in this visit, and why not.

    The system that knows the line is asked for a second and a half at most; nothing is held.
    """
    database: Database = request.app.state.database
    found = await service.answers(database, system, visit_id, seller, body.offering_codes, now=now)
    return FeasibilityOut.of(found, lang)


@router.post(
    "/visits/{visit_id}/install-reservations",
    status_code=status.HTTP_201_CREATED,
    operation_id="visits_reserve_install",
)
async def reserve(
    visit_id: UUID, body: ReservationIn, seller: Seller, tx: Tx, now: Now
) -> ReservationOut:
    """Keep the minutes and terminals that installing something takes; again is like once.

    Confirm the sale before `expires_at`. Another reservation of the visit that no sale names gives
    way to this one.
    """
    made = await service.reserve(
        tx,
        reservation_id=body.id,
        visit_id=visit_id,
        items=body.wanted(),
        caller=seller,
        now=now,
    )
    return ReservationOut.of(made, await queries.serials_of(tx, made.id), now)


@router.post(
    "/visits/{visit_id}/install-appointments",
    status_code=status.HTTP_201_CREATED,
    operation_id="visits_book_install",
)
async def book(
    visit_id: UUID, body: InstallAppointmentIn, seller: Seller, tx: Tx, now: Now
) -> InstallAppointmentOut:
    """Book a slot for installing something that is sold here and not installed now; again is like
    once. Confirm the sale before `expires_at`: from then on the slot is kept for its install."""
    held = await service.book(
        tx,
        hold_id=body.id,
        visit_id=visit_id,
        items=body.wanted(),
        day=body.day,
        slot=body.slot,
        caller=seller,
        now=now,
    )
    return InstallAppointmentOut.of(held, now)


@router.get("/install-reservations/{reservation_id}", operation_id="install_reservations_one")
async def one(reservation_id: UUID, seller: Seller, read: Read, now: Now) -> ReservationOut:
    """Read a reservation of one's own."""
    found = await queries.own(read, reservation_id, technician_of(seller))
    return ReservationOut.of(found, await queries.serials_of(read, found.id), now)


@router.post(
    "/install-reservations/{reservation_id}/release", operation_id="install_reservations_release"
)
async def release(reservation_id: UUID, seller: Seller, tx: Tx, now: Now) -> ReservationOut:
    """Give a reservation of one's own free; one that is free already stays as it is."""
    found = await service.release(tx, reservation_id, seller, now=now)
    return ReservationOut.of(found, await queries.serials_of(tx, found.id), now)


@router.get("/figures/two-hour-activation", operation_id="figures_two_hour_activation")
async def two_hours(
    overseer: Overseer,
    read: Read,
    now: Now,
    first_day: Day,
    last_day: Day,
    org_unit_id: Annotated[UUID | None, Query(description="Default: the caller's own.")] = None,
) -> TwoHourOut:
    """Count which of the on-site sales of some local days were live within the promised time."""
    if not timedelta() <= last_day - first_day < timedelta(days=MOST_DAYS):
        message = f"must not lie before first_day, nor {MOST_DAYS} days or more after it"
        raise Invalid(errors=[{"field": "last_day", "message": message}])
    wanted = org_unit_id or overseer.org_unit_id
    unit = (await org_units(read, ids=[wanted])).by_id.get(wanted)
    if unit is None or not unit.path.startswith(overseer.org_path):
        raise NotFound()
    minutes = (await parameters_in_force(read)).whole(ACTIVATION_MINUTES, now, unit.path)
    found = await queries.two_hours(
        read,
        unit.path,
        begins=datetime.combine(first_day, time.min, unit.zone).astimezone(UTC),
        ends=datetime.combine(last_day + timedelta(days=1), time.min, unit.zone).astimezone(UTC),
        minutes=minutes,
        now=now,
    )
    return TwoHourOut.of(found, first_day, last_day, minutes)
