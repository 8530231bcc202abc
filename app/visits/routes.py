"""Doorways of visits: the day, each step at a door, whom one meets, what may be offered."""

import hashlib
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.geo import CoordSys
from app.core.http import Language, Now, RawJson
from app.visits.schemas.context import ContextOut
from app.visits.schemas.day import DayOut, day_bytes
from app.visits.schemas.offers import SuggestionsOut
from app.visits.schemas.steps import (
    CheckInIn,
    CompleteIn,
    DeclineIn,
    HandBackIn,
    SetOutIn,
    StepIn,
    StepOut,
    SuspendIn,
)
from app.visits.service import context, day, offers, steps

router = APIRouter(prefix="/v1", tags=["visits"])

Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]
Adviser = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="suggestions:use"))]
Reader = Annotated[
    Caller,
    Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="customers:read")),
]

# --- the day --------------------------------------------------------------------------------------

_DAY_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": DayOut,
        "headers": {
            "ETag": {"description": "Of exactly these bytes.", "schema": {"type": "string"}}
        },
    },
    304: {"description": "Nothing has changed since the answer with this ETag."},
}


@router.get("/my/day", response_class=RawJson, responses=_DAY_ANSWERS, operation_id="visits_my_day")
async def my_day(
    technician: Technician,
    read: Read,
    now: Now,
    on: Annotated[
        date | None, Query(alias="day", description="A local day; left out, today.")
    ] = None,
    coordsys: Annotated[
        CoordSys, Query(description="The system points are wanted in; phones' maps use gcj02.")
    ] = CoordSys.GCJ02,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    """List a technician's orders in the order they are to be worked.

    First what is under way, then what is suspended; then the day's route, where it has one; then
    appointments by their window, and the rest by priority, promise and id; the day's completed ones
    stand at the end. What is still open from days before is there, too. Ask again with
    `If-None-Match`: 304 means no news.
    """
    orders = await day.my_day(read, technician, day=on, now=now)
    body = day_bytes(
        orders.day, orders.orders, now=orders.now, grace=orders.grace, coordsys=coordsys
    )
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return RawJson(body, headers=headers)


# --- an order, before anybody sets out ------------------------------------------------------------


@router.post("/work-orders/{work_order_id}/acknowledge", operation_id="visits_acknowledge")
async def acknowledge(
    work_order_id: UUID, body: StepIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Take an order on; from here on its customer's name and number are shown in full."""
    return StepOut.of(
        await steps.acknowledge(tx, work_order_id, technician, device_at=body.device_at, now=now)
    )


@router.post("/work-orders/{work_order_id}/decline", operation_id="visits_decline")
async def decline(
    work_order_id: UUID, body: DeclineIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Say no to an order that was assigned; it is given to somebody else."""
    return StepOut.of(
        await steps.decline(
            tx,
            work_order_id,
            technician,
            cause=body.cause,
            device_at=body.device_at,
            now=now,
        )
    )


@router.post("/work-orders/{work_order_id}/hand-back", operation_id="visits_hand_back_order")
async def hand_back_order(
    work_order_id: UUID, body: HandBackIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Give an acknowledged order back, also without having set out."""
    return StepOut.of(
        await steps.hand_back(
            tx,
            work_order_id,
            technician,
            cause=body.cause,
            note=body.note,
            device_at=body.device_at,
            now=now,
        )
    )


# --- a visit --------------------------------------------------------------------------------------


@router.post("/visits", status_code=status.HTTP_201_CREATED, operation_id="visits_set_out")
async def set_out(body: SetOutIn, technician: Technician, tx: Tx, now: Now) -> StepOut:
    """Set out for an order: the visit begins, under the id the phone has made."""
    return StepOut.of(
        await steps.set_out(
            tx, body.id, body.work_order_id, technician, device_at=body.device_at, now=now
        )
    )


@router.post("/visits/{visit_id}/check-in", operation_id="visits_check_in")
async def check_in(
    visit_id: UUID, body: CheckInIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Stand at the door. Far from the address it needs a reason, and is marked."""
    return StepOut.of(
        await steps.check_in(
            tx,
            visit_id,
            technician,
            point=body.point.wgs84(),
            accuracy_m=body.accuracy_m,
            far_reason=body.far_reason,
            device_at=body.device_at,
            now=now,
        )
    )


@router.post("/visits/{visit_id}/suspend", operation_id="visits_suspend")
async def suspend(
    visit_id: UUID, body: SuspendIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Interrupt the work; another order may be taken up meanwhile."""
    return StepOut.of(
        await steps.suspend(
            tx,
            visit_id,
            technician,
            cause=body.cause,
            resume_at=body.resume_at,
            device_at=body.device_at,
            now=now,
        )
    )


@router.post("/visits/{visit_id}/resume", operation_id="visits_resume")
async def resume(visit_id: UUID, body: StepIn, technician: Technician, tx: Tx, now: Now) -> StepOut:
    """Go on with suspended work at the door."""
    return StepOut.of(
        await steps.resume(tx, visit_id, technician, device_at=body.device_at, now=now)
    )


@router.post("/visits/{visit_id}/restored", operation_id="visits_restored")
async def restored(
    visit_id: UUID, body: StepIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Mark a repair: the service works again, and something may be offered from here on."""
    return StepOut.of(
        await steps.restored(tx, visit_id, technician, device_at=body.device_at, now=now)
    )


@router.post("/visits/{visit_id}/complete", operation_id="visits_complete")
async def complete(
    visit_id: UUID, body: CompleteIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Finish the order and leave the door."""
    return StepOut.of(
        await steps.complete(
            tx,
            visit_id,
            technician,
            outcome_code=body.outcome_code,
            measurements=body.measured(),
            terminals=body.moved(),
            note=body.note,
            device_at=body.device_at,
            now=now,
        )
    )


@router.post("/visits/{visit_id}/hand-back", operation_id="visits_hand_back")
async def hand_back(
    visit_id: UUID, body: HandBackIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Leave the door without having done it; the order is given to somebody else."""
    return StepOut.of(
        await steps.hand_back_visit(
            tx,
            visit_id,
            technician,
            cause=body.cause,
            note=body.note,
            device_at=body.device_at,
            now=now,
        )
    )


# --- whom one meets, and what may be offered ------------------------------------------------------


@router.post("/visits/{visit_id}/suggestions", operation_id="visits_suggestions")
async def suggestions(
    visit_id: UUID, adviser: Adviser, tx: Tx, now: Now, lang: Language
) -> SuggestionsOut:
    """Say what to offer in this visit and what not, each with the reason.

    Ask on opening the visit and again when the repair is marked restored; with nothing changed
    the answer is the one that was stored. Nothing to offer is an honest answer.
    """
    return SuggestionsOut.of(await offers.suggestions_for(tx, visit_id, adviser, now), lang)


@router.get("/customers/{customer_id}/context", operation_id="visits_customer_context")
async def customer_context(
    customer_id: UUID,
    reader: Reader,
    tx: Tx,
    now: Now,
    work_order_id: Annotated[UUID | None, Query(description="The order one comes for.")] = None,
) -> ContextOut:
    """Read the card for the door; what is known, since when, and who says so.

    In full for the technician who holds the customer's order, from acknowledging it until a short
    grace after completing it, and every look is written down; masked for supervisors.
    """
    seen = await context.context_of(tx, customer_id, reader, work_order_id=work_order_id, now=now)
    return ContextOut.of(seen.card, seen.here, seen.open_orders, masked=seen.masked, at=seen.at)
