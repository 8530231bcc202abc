"""Doorways of planning: plans asked for, watched, compared, published."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Response, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.planning.queries import plans as queries
from app.planning.schemas.plans import (
    ComparisonOut,
    LeftOut,
    LeftPageOut,
    MoveOut,
    PlanIn,
    PlanOut,
    PlansOut,
    RoutesOut,
    ScoreOut,
    UnplacedOut,
    UnplacedPageOut,
)
from app.planning.service import asking
from app.planning.service.comparing import figures
from app.planning.service.publishing import publish

router = Router(prefix="/plans")

Dispatcher = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))
]
Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]


@router.post(
    "",
    operation_id="plans_ask",
    status_code=status.HTTP_202_ACCEPTED,
    responses={200: {"description": "The same plan again.", "model": PlanOut}},
)
async def ask(
    body: PlanIn, dispatcher: Dispatcher, tx: Tx, now: Now, response: Response
) -> PlanOut:
    """Ask for a plan of a day; a worker makes it, and it is a draft until it is published."""
    unit = await asking.unit_of(tx, dispatcher, body.org_unit)
    plan, made = await asking.ask(tx, body.wish(), unit, dispatcher, now=now)
    if not made:
        response.status_code = status.HTTP_200_OK
    return PlanOut.of(await queries.one(tx, plan.id, dispatcher))


@router.get("", operation_id="plans_list")
async def plans(
    reader: Reader,
    read: Read,
    org_unit: Annotated[str | None, Query(max_length=64, description="A code.")] = None,
    day: Annotated[Day | None, Query()] = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> PlansOut:
    """List plans, newest first."""
    unit = await asking.unit_of(read, reader, org_unit) if org_unit else None
    after = key_of(page_token, datetime, UUID) if page_token else None
    rows = await queries.page(
        read,
        reader,
        org_unit_id=unit.id if unit else None,
        day=day,
        after=after,
        size=page_size,
    )
    shown, last = cut(rows, page_size)
    token = token_of(last.asked_at, last.id) if last is not None else None
    return PlansOut(plans=[PlanOut.of(row) for row in shown], next_page_token=token)


@router.get("/{plan_id}", operation_id="plans_one")
async def one(plan_id: UUID, reader: Reader, read: Read) -> PlanOut:
    """Read a plan: how far it is, and what it comes to."""
    return PlanOut.of(await queries.one(read, plan_id, reader))


@router.get("/{plan_id}/routes", operation_id="plans_routes")
async def routes(
    plan_id: UUID,
    reader: Reader,
    read: Read,
    technician_id: Annotated[UUID | None, Query()] = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> RoutesOut:
    """List a plan's routes, each with its visits and their times."""
    await queries.one(read, plan_id, reader)
    after = key_of(page_token, UUID)[0] if page_token else None
    rows = await queries.routes_page(
        read, plan_id, technician_id=technician_id, after=after, size=page_size
    )
    shown, last = cut(rows, page_size)
    visits = await queries.visits_of(read, plan_id, [row.technician_id for row in shown])
    return RoutesOut.of(shown, visits, token_of(last.technician_id) if last is not None else None)


@router.get("/{plan_id}/unplaced", operation_id="plans_unplaced")
async def unplaced(
    plan_id: UUID,
    reader: Reader,
    read: Read,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> UnplacedPageOut:
    """List the orders that a plan has nobody for, each with its reason, most urgent first."""
    await queries.one(read, plan_id, reader)
    after = key_of(page_token, int, UUID) if page_token else None
    rows = await queries.unplaced_page(read, plan_id, after=after, size=page_size)
    shown, last = cut(rows, page_size)
    return UnplacedPageOut(
        unplaced=[UnplacedOut.of(row) for row in shown],
        next_page_token=(token_of(last.priority, last.work_order_id) if last is not None else None),
    )


@router.get("/{plan_id}/left", operation_id="plans_left")
async def left(
    plan_id: UUID,
    reader: Reader,
    read: Read,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> LeftPageOut:
    """List the orders that publishing a plan left as they were, each with its reason."""
    await queries.one(read, plan_id, reader)
    after = key_of(page_token, UUID)[0] if page_token else None
    rows = await queries.left_page(read, plan_id, after=after, size=page_size)
    shown, last = cut(rows, page_size)
    return LeftPageOut(
        left=[LeftOut.of(row) for row in shown],
        next_page_token=token_of(last.work_order_id) if last is not None else None,
    )


@router.get("/{plan_id}/against/{other}", operation_id="plans_against")
async def against(
    plan_id: UUID,
    other: Annotated[
        str,
        Path(
            description="A plan of the same org unit and day, or `current`: what is in force.",
            max_length=36,
            pattern=r"^(current|[0-9a-fA-F\-]{36})$",
        ),
    ],
    reader: Reader,
    read: Read,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> ComparisonOut:
    """Compare a plan with another one, or with what is in force: figures, and who gets what."""
    figured = await figures(read, plan_id, other, reader)
    after = key_of(page_token, UUID)[0] if page_token else None
    number, rows = await queries.moves(read, plan_id, figured.other_id, after=after, size=page_size)
    shown, last = cut(rows, page_size)
    return ComparisonOut(
        plan=ScoreOut.of(figured.plan),
        other=ScoreOut.of(figured.other),
        moves=number,
        moved=[MoveOut.model_validate(row) for row in shown],
        next_page_token=token_of(last.work_order_id) if last is not None else None,
    )


@router.post("/{plan_id}/stop", operation_id="plans_stop")
async def stop(plan_id: UUID, dispatcher: Dispatcher, tx: Tx, now: Now) -> PlanOut:
    """Stop a run: the best so far becomes a draft. Doing it again changes nothing."""
    await asking.stop(tx, plan_id, dispatcher, now=now)
    return PlanOut.of(await queries.one(tx, plan_id, dispatcher))


@router.post("/{plan_id}/publish", operation_id="plans_publish")
async def publish_plan(plan_id: UUID, dispatcher: Dispatcher, tx: Tx, now: Now) -> PlanOut:
    """Publish a draft: its orders change hands and its routes are written, all or nothing.

    What somebody has changed meanwhile is left as it is, and listed.
    """
    await publish(tx, plan_id, dispatcher, now=now)
    return PlanOut.of(await queries.one(tx, plan_id, dispatcher))


@router.post("/{plan_id}/discard", operation_id="plans_discard")
async def discard(plan_id: UUID, dispatcher: Dispatcher, tx: Tx, now: Now) -> PlanOut:
    """Throw a draft away. Doing it again changes nothing."""
    await asking.discard(tx, plan_id, dispatcher, now=now)
    return PlanOut.of(await queries.one(tx, plan_id, dispatcher))
