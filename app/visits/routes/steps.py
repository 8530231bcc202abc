"""Doorways of the steps a technician takes with an order, and in a visit."""

from uuid import UUID

from fastapi import Request, status

from app.core.db import Tx, settle
from app.core.doorways import Router
from app.core.http import Language, Now
from app.visits.routes.callers import Keys, Technician
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
from app.visits.service import acceptance, completing, steps
from app.visits.service import check_in as check_in_service

router = Router(prefix="/v1", tags=["visits"])


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
            lacking=body.lacking(),
            device_at=body.device_at,
            now=now,
        )
    )


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
    """Stand at the door. Far from the address, or too far from where the technician has just been,
    it needs a reason, and is marked."""
    return StepOut.of(
        await check_in_service.check_in(
            tx,
            visit_id,
            technician,
            point=body.point.wgs84(),
            accuracy_m=body.accuracy_m,
            mocked=body.mocked,
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
    visit_id: UUID,
    body: CompleteIn,
    technician: Technician,
    request: Request,
    tx: Tx,
    now: Now,
    lang: Language,
    keys: Keys,
) -> StepOut:
    """Finish the order and leave the door; what its template asks for has to be there."""
    if body.acceptance_code is not None:
        checked = await acceptance.check_code(
            tx,
            visit_id,
            technician,
            keys,
            code=body.acceptance_code,
            device_at=body.device_at,
            now=now,
        )
        # A wrong try stays counted.
        await settle(tx, request)
        checked.accepted()
    return StepOut.of(
        await completing.complete(
            tx,
            visit_id,
            technician,
            outcome_code=body.outcome_code,
            checked=body.checked,
            measurements=body.measured(),
            note=body.note,
            device_at=body.device_at,
            now=now,
        ),
        lang,
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
            lacking=body.lacking(),
            device_at=body.device_at,
            now=now,
        )
    )
