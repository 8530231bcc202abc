"""Doorways of the line at the door: having it opened, going without, testing it."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, status

from app.activation.client import ActivationClient
from app.activation.models import Activation, ActivationOverride
from app.activation.rules import LineTestUnavailable, Stated, Wanted
from app.core.db import Database, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.visits.routes.callers import Technician
from app.visits.schemas.activation import (
    ActivationAskedOut,
    ActivationIn,
    ActivationOverrideIn,
    ActivationOverrideOut,
    LineTestIn,
    LineTestOut,
)
from app.visits.service import activating

router = Router(prefix="/v1", tags=["visits"])


async def _platform(request: Request) -> ActivationClient:
    platform: ActivationClient | None = request.app.state.activation
    if platform is None:
        raise LineTestUnavailable(reason="no platform is set", retry_after=3600)
    return platform


@router.post(
    "/visits/{visit_id}/activations",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=ActivationAskedOut,
    operation_id="visits_activate",
)
async def activate(
    visit_id: UUID, body: ActivationIn, technician: Technician, tx: Tx, now: Now
) -> Activation:
    """Have the line opened; ask `GET /v1/activations/{activation_id}` for the result.

    It typically is there within a second. The same ask again is answered as it stands by then, and
    one that waits for the platform is tried at once.
    """
    return await activating.activate(
        tx,
        visit_id,
        technician,
        activation_id=body.id,
        wanted=Wanted(body.loid, body.service_number, body.serial_number),
        device_at=body.device_at,
        now=now,
    )


@router.post(
    "/visits/{visit_id}/activation-override",
    status_code=status.HTTP_201_CREATED,
    response_model=ActivationOverrideOut,
    operation_id="visits_activation_override",
)
async def go_without(
    visit_id: UUID, body: ActivationOverrideIn, technician: Technician, tx: Tx, now: Now
) -> ActivationOverride:
    """Let the order go without activation; it is marked, and supervisors see why.

    What was asked for goes on: the line is opened when the platform is back.
    """
    return await activating.go_without(
        tx,
        visit_id,
        technician,
        override_id=body.id,
        stated=Stated(body.cause, body.note),
        device_at=body.device_at,
        now=now,
    )


@router.post("/visits/{visit_id}/line-tests", operation_id="visits_test_line")
async def test_line(
    visit_id: UUID,
    body: LineTestIn,
    technician: Technician,
    request: Request,
    platform: Annotated[ActivationClient, Depends(_platform)],
) -> LineTestOut:
    """Test the line right now: whether the terminal is online, and the light it receives.

    The platform is asked while the technician waits, three seconds at most; nothing is kept.
    """
    database: Database = request.app.state.database
    # The connection is given back before the platform is asked, which may take its time.
    async with database.read() as read:
        line = await activating.line_to_test(
            read, visit_id, technician, loid=body.loid, service_number=body.service_number
        )
    return LineTestOut.of(await platform.test_line(line.loid, service_number=line.service_number))
