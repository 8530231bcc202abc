"""Doorways of hand-overs: one technician gives a terminal, another says that it is there."""

from uuid import UUID

from fastapi import status
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import technician_of
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.terminals import queries
from app.terminals.routes.callers import Technician
from app.terminals.rules import HandoverState
from app.terminals.schemas.handing import AnswerIn, GiveIn, HandoverOut, HandoversOut
from app.terminals.service import handing

router = Router(prefix="/v1", tags=["terminals"])


async def _written(session: AsyncSession, handover_id: UUID) -> HandoverOut:
    (row,) = await queries.handovers(session, handover_id=handover_id)
    return HandoverOut.model_validate(row)


@router.get("/my/terminal-handovers", operation_id="terminals_handovers_mine")
async def mine(technician: Technician, read: Read) -> HandoversOut:
    """List what one gives and what one is given, as long as it is open."""
    whose = technician_of(technician)
    rows = await queries.handovers(read, technician_id=whose)
    return HandoversOut(handovers=[HandoverOut.model_validate(row) for row in rows])


@router.post(
    "/terminal-handovers",
    status_code=status.HTTP_201_CREATED,
    operation_id="terminals_handovers_give",
)
async def give(body: GiveIn, technician: Technician, tx: Tx, now: Now) -> HandoverOut:
    """Give a terminal of one's own van to a colleague, who has to accept it."""
    made = await handing.give(
        tx,
        body.id,
        technician,
        serial_number=body.serial_number,
        to=body.technician_code,
        device_at=body.device_at,
        now=now,
    )
    return await _written(tx, made)


async def _answered(
    state: HandoverState,
    handover_id: UUID,
    body: AnswerIn,
    technician: Technician,
    tx: AsyncSession,
    now: Now,
) -> HandoverOut:
    made = await handing.answer(
        tx, handover_id, technician, state, device_at=body.device_at, now=now
    )
    return await _written(tx, made)


@router.post("/terminal-handovers/{handover_id}/accept", operation_id="terminals_handovers_accept")
async def accept(
    handover_id: UUID, body: AnswerIn, technician: Technician, tx: Tx, now: Now
) -> HandoverOut:
    """Say that a terminal one is given is there; from here on it is in one's own van."""
    return await _answered(HandoverState.ACCEPTED, handover_id, body, technician, tx, now)


@router.post(
    "/terminal-handovers/{handover_id}/decline", operation_id="terminals_handovers_decline"
)
async def decline(
    handover_id: UUID, body: AnswerIn, technician: Technician, tx: Tx, now: Now
) -> HandoverOut:
    """Say that one does not take it; it stays in the giver's van."""
    return await _answered(HandoverState.DECLINED, handover_id, body, technician, tx, now)


@router.post(
    "/terminal-handovers/{handover_id}/withdraw", operation_id="terminals_handovers_withdraw"
)
async def withdraw(
    handover_id: UUID, body: AnswerIn, technician: Technician, tx: Tx, now: Now
) -> HandoverOut:
    """Take back what one gives, as long as it is not accepted."""
    return await _answered(HandoverState.WITHDRAWN, handover_id, body, technician, tx, now)
