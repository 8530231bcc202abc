"""Doorways of replanning: the rest of a day planned anew, and what that changes."""

from asyncio import sleep
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.clock import Clock
from app.core.db import Database, Read
from app.core.doorways import Router
from app.planning.queries import changes as queries
from app.planning.rules import UNDER_WAY
from app.planning.schemas.replanning import ChangesOut, ReplanIn, ReplanOut
from app.planning.service import replanning

router = Router()

Dispatcher = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))
]

GLANCE_SECONDS = 0.1


@router.post(
    "/replans",
    operation_id="replans_ask",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"description": "The same request again.", "model": ReplanOut},
        202: {"description": "It is not made yet; ask for the plan later.", "model": ReplanOut},
    },
)
async def ask(
    body: ReplanIn,
    dispatcher: Dispatcher,
    request: Request,
    response: Response,
    wait_seconds: Annotated[
        float, Query(ge=0, le=10, description="How long to wait for the plan.")
    ] = 3.0,
) -> ReplanOut:
    """Plan the rest of today anew; answered when the plan is made, or after a few seconds."""
    database: Database = request.app.state.database
    clock: Clock = request.app.state.clock
    # It has to be committed before anybody can make it, so this is not one transaction a request.
    async with database.begin(request) as tx:
        plan, new = await replanning.by_hand(
            tx,
            body.id,
            dispatcher,
            org_unit=body.org_unit,
            reason=body.reason,
            now=clock.now(),
        )
    made = await _made(database, plan.id, dispatcher, wait_seconds)
    if made.state in UNDER_WAY:
        response.status_code = status.HTTP_202_ACCEPTED
    elif not new:
        response.status_code = status.HTTP_200_OK
    return ReplanOut.of(made)


async def _made(database: Database, plan_id: UUID, asker: Caller, seconds: float) -> queries.Replan:
    """Wait until a plan is made, but not for longer than so many seconds."""
    glances = round(seconds / GLANCE_SECONDS)
    while True:
        async with database.read() as read:
            made = await queries.replan(read, plan_id, asker)
        if made.state not in UNDER_WAY or glances <= 0:
            return made
        glances -= 1
        await sleep(GLANCE_SECONDS)


@router.get("/plans/{plan_id}/changes", operation_id="plans_changes")
async def changes(plan_id: UUID, dispatcher: Dispatcher, read: Read) -> ChangesOut:
    """Read what a plan of the rest of a day changes, order by order, and why."""
    plan = await queries.replan(read, plan_id, dispatcher)
    return ChangesOut.of(plan, await queries.changes_of(read, plan_id))
