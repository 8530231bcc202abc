"""Doorways of two technicians on one order."""

from uuid import UUID

from fastapi import status

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.visits.routes.callers import Attendant, Technician
from app.visits.schemas.assists import AssistantsOut, AssistIn, AssistOut
from app.visits.service import assists

router = Router(prefix="/v1/work-orders/{work_order_id}/assistants", tags=["visits"])


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="visits_ask_assistant")
async def ask(
    work_order_id: UUID, body: AssistIn, attendant: Attendant, tx: Tx, now: Now
) -> AssistOut:
    """Ask a colleague to help with an order: it stands in their day, and its minutes are promised.

    For the holder, who goes on taking the steps, and for supervisors.
    """
    asked = await assists.ask(
        tx,
        body.id,
        work_order_id,
        attendant,
        technician=body.technician,
        minutes=body.minutes,
        now=now,
    )
    return AssistOut.model_validate(asked)


@router.get("", operation_id="visits_assistants")
async def assistants(work_order_id: UUID, attendant: Attendant, read: Read) -> AssistantsOut:
    """List who helps with an order, and who did."""
    return AssistantsOut.of(await assists.assistants(read, work_order_id, attendant))


@router.post("/{assist_id}/join", operation_id="visits_join_as_assistant")
async def join(
    work_order_id: UUID, assist_id: UUID, technician: Technician, tx: Tx, now: Now
) -> AssistOut:
    """Take it on to help; from here on the customer is shown in full, as to the holder."""
    return AssistOut.model_validate(
        await assists.join(tx, assist_id, work_order_id, technician, now=now)
    )


@router.post("/{assist_id}/end", operation_id="visits_end_assistant")
async def end(
    work_order_id: UUID, assist_id: UUID, attendant: Attendant, tx: Tx, now: Now
) -> AssistOut:
    """End the help; the minutes are free again. It ends by itself when the order is done."""
    return AssistOut.model_validate(
        await assists.end(tx, assist_id, work_order_id, attendant, now=now)
    )
