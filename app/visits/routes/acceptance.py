"""Doorways of the acceptance code."""

from uuid import UUID

from fastapi import Request, status

from app.core.db import Database, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.visits.routes.callers import Keys, Technician
from app.visits.schemas.acceptance import AcceptedOut, CodeAskedIn, CodeSentOut, CodeToldIn
from app.visits.service import acceptance

router = Router(prefix="/v1/visits", tags=["visits"])


@router.post(
    "/{visit_id}/acceptance-code",
    status_code=status.HTTP_201_CREATED,
    operation_id="visits_send_acceptance_code",
)
async def send_code(
    visit_id: UUID, body: CodeAskedIn, technician: Technician, tx: Tx, now: Now, keys: Keys
) -> CodeSentOut:
    """Send the customer a code, which they tell when they accept the work.

    Only at the door, only so often, and to the order's contact number alone. A new code takes the
    place of the one before. Without a number that takes messages the customer signs instead.
    """
    sent = await acceptance.send_code(tx, visit_id, technician, keys, code_id=body.id, now=now)
    return CodeSentOut.of(sent.code, to=sent.to, again_at=sent.again_at, left=sent.left)


@router.post("/{visit_id}/acceptance-code/check", operation_id="visits_check_acceptance_code")
async def check_code(
    visit_id: UUID,
    body: CodeToldIn,
    technician: Technician,
    request: Request,
    now: Now,
    keys: Keys,
) -> AcceptedOut:
    """Check the code that the customer tells; a wrong one says how many tries are left.

    A phone without a signal sends the code with `complete` instead, hours later if need be.
    """
    # In a transaction that stays, since a wrong try is counted and refused all the same.
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        checked = await acceptance.check_code(
            tx, visit_id, technician, keys, code=body.code, device_at=body.device_at, now=now
        )
    return AcceptedOut(visit_id=visit_id, accepted_at=checked.accepted())
