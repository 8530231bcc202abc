"""Doorways of passing an order on to a colleague."""

from uuid import UUID

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.visits.routes.callers import Technician
from app.visits.schemas.passing_on import ColleaguesOut, TransferIn
from app.visits.schemas.steps import StepOut
from app.visits.service import passing_on

router = Router(prefix="/v1/work-orders", tags=["visits"])


@router.post("/{work_order_id}/transfer", operation_id="visits_transfer")
async def transfer(
    work_order_id: UUID, body: TransferIn, technician: Technician, tx: Tx, now: Now
) -> StepOut:
    """Pass an order on to a colleague of the same branch, at whatever point of the work."""
    return StepOut.of(
        await passing_on.transfer(
            tx,
            work_order_id,
            technician,
            to=body.to,
            cause=body.cause,
            note=body.note,
            device_at=body.device_at,
            now=now,
        )
    )


@router.get("/{work_order_id}/colleagues", operation_id="visits_colleagues")
async def colleagues(
    work_order_id: UUID, technician: Technician, read: Read, now: Now, lang: Language
) -> ColleaguesOut:
    """List the colleagues of the same branch: their time, and why they cannot take the order."""
    found = await passing_on.colleagues_for(read, work_order_id, technician, now=now)
    return ColleaguesOut.of(found, lang)
