"""Doorways of dispatch: intake, decisions, shared points."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Request, Response, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import NotFound, TooLarge
from app.core.http import JsonLines, Language, Now, streamed
from app.core.paging import PageSize
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.lines import LineStream
from app.dispatch.rules import Judged, Outcome, Verdict
from app.dispatch.schemas.decisions import DecisionOut, SharedPointOut, SharedPointsOut
from app.dispatch.schemas.intake import OrderIn, PlacedOut, VerdictOut, order_from, verdict_line
from app.dispatch.service import outages, standins
from app.dispatch.service.bulk import BulkIntake
from app.dispatch.service.bulk import Read as ReadLine
from app.dispatch.service.intake import take_in
from app.workorders import queries as workorders
from app.workorders.rules import Sender

router = Router(prefix="/v1", tags=["dispatch"])

Upstream = Annotated[
    Caller,
    Depends(caller(Role.INTEGRATION, Role.SUPERVISOR, Role.ADMIN, scope="orders:intake")),
]
Reader = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="orders:read")),
]
Dispatcher = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))
]


def _sender(caller: Caller) -> Sender:
    return Sender(caller.account_id, caller.org_unit_id, caller.org_path)


@router.post(
    "/work-orders",
    operation_id="work_orders_take_in",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"description": "The same order again.", "model": PlacedOut}},
)
async def take_in_one(
    body: OrderIn, upstream: Upstream, tx: Tx, now: Now, response: Response
) -> PlacedOut:
    """Take one order in and place it; the same again is answered with 200 and changes nothing."""
    [outcome] = await take_in(tx, [body.draft(now)], _sender(upstream), now=now)
    if outcome.problem is not None or outcome.id is None:
        raise outcome.problem or NotFound()
    if outcome.verdict is Verdict.DUPLICATE:
        response.status_code = status.HTTP_200_OK
    order = await workorders.one(tx, outcome.id, upstream)
    return PlacedOut.of(order, await outages.words_for(tx, order))


_NDJSON: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One order a line, each in the shape of OrderIn.",
        "content": {
            "application/x-ndjson": {"schema": {"type": "string", "maxLength": 2_000_000_000}}
        },
    }
}


@router.post(
    "/work-orders/bulk",
    operation_id="work_orders_take_in_bulk",
    openapi_extra=_NDJSON,
    response_class=JsonLines,
    responses={
        200: {"description": "One verdict a line, each of this shape.", "model": VerdictOut}
    },
)
async def take_in_bulk(request: Request, upstream: Upstream, lang: Language) -> JsonLines:
    """Take in orders by the thousand (NDJSON); one bad line loses no other.

    The verdicts are sent when the whole body has been read. A line may be sent again: orders that
    are known already are answered as `duplicate`.
    """
    state = request.app.state
    now = state.clock.now()
    async with state.database.read() as read:
        parameters = await parameters_in_force(read)
    longest = parameters.whole(rules.LONGEST_LINE, now)
    most = parameters.whole(rules.MOST_LINES, now)
    lines = LineStream(streamed(request), longest=longest, most=most)

    async def orders() -> AsyncIterator[ReadLine]:
        async for line in lines:
            external_id, order = order_from(line, now, longest=longest)
            yield ReadLine(line.number, external_id, order)

    request_id = request.scope.get("request_id", "")
    answer = [
        verdict_line(judged, lang, request_id)
        async for chunk in BulkIntake(
            state.database, _sender(upstream), state.clock, request=request
        ).take_in(orders())
        for judged in chunk
    ]
    if lines.first_beyond is not None:
        refused = Outcome(Verdict.REFUSED, problem=TooLarge(limit=f"{most} lines"))
        beyond = Judged(lines.first_beyond, lines.last_beyond, None, refused)
        answer.append(verdict_line(beyond, lang, request_id))
    return JsonLines(b"".join(answer))


@router.get("/work-orders/{order_id}/decision", operation_id="work_orders_decision")
async def decision(order_id: UUID, reader: Reader, read: Read) -> DecisionOut:
    """Read why an order went where it went: who was considered, and why each was passed over."""
    await workorders.one(read, order_id, reader)
    found = await queries.decision(read, order_id)
    if found is None:
        raise NotFound()
    people = await queries.people_in(read, found)
    return DecisionOut.of(found, people, await queries.pin_of(read, order_id))


@router.get("/shared-points", operation_id="shared_points_list")
async def shared_points(dispatcher: Dispatcher, read: Read, size: PageSize = 50) -> SharedPointsOut:
    """List the points that look like a geocoder's stand-in, where orders of yours wait."""
    rows = await queries.shared_points(read, dispatcher, size=size)
    return SharedPointsOut(points=[SharedPointOut.model_validate(row) for row in rows])


@router.post("/shared-points/{lon_e6}/{lat_e6}/trust", operation_id="shared_points_trust")
async def trust(
    lon_e6: Annotated[int, Path(ge=-180_000_000, le=180_000_000)],
    lat_e6: Annotated[int, Path(ge=-90_000_000, le=90_000_000)],
    dispatcher: Dispatcher,
    tx: Tx,
    now: Now,
) -> SharedPointOut:
    """Say that a point is real although many orders share it; those that wait there are placed."""
    await standins.trust(tx, (lon_e6, lat_e6), dispatcher, now=now)
    [row] = await queries.shared_points(tx, dispatcher, point=(lon_e6, lat_e6))
    return SharedPointOut.model_validate(row)
