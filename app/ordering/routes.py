"""Doorways of deliveries: the ordering system's callbacks, and the supervisor's list."""

import secrets
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import Database, Read, Tx
from app.core.errors import Malformed, Unauthorized
from app.core.http import Now, body_up_to
from app.core.outside import Unreadable
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.settings import Settings
from app.ordering import breaker, queries, reading, service, signing
from app.ordering.delivery import SyncState
from app.ordering.models import OrderChange, OrderSync
from app.ordering.order import Amendment
from app.ordering.schemas import (
    EndpointOut,
    ListenerOut,
    OrderChangeIn,
    OrderChangeOut,
    OrderChanges,
    OrderingSystemOut,
    OrderSyncOut,
    OrderSyncPage,
)
from app.sales import queries as sales

router = APIRouter(prefix="/v1", tags=["ordering"])

LARGEST_EVENT = 256 * 1024

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:read"))]
Resolver = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:resolve"))]

Asker = Annotated[
    Caller, Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="sales:change"))
]

_bearer = HTTPBearer(auto_error=False, description="The token agreed with the ordering system.")


async def _ordering_system(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Let in whoever carries the token, or a signature: that is proved once the body is read."""
    settings: Settings = request.app.state.settings
    agreed = settings.ordering_callback_token.get_secret_value()
    # Without anything agreed nobody can call: an open door would let anyone end our orders.
    with_token = (
        bool(agreed)
        and given is not None
        and secrets.compare_digest(given.credentials.encode(), agreed.encode())
    )
    request.state.with_token = with_token
    signable = bool(settings.ordering_callback_secret.get_secret_value())
    if not with_token and not (signable and "webhook-signature" in request.headers):
        raise Unauthorized()


def _proved(request: Request, body: bytes) -> None:
    if request.state.with_token:
        return
    settings: Settings = request.app.state.settings
    secret = signing.secret_of(settings.ordering_callback_secret.get_secret_value())
    if not signing.is_signed(secret, request.headers, body, wall()):
        raise Unauthorized()


@router.post(
    "/ordering/callbacks",
    status_code=204,
    operation_id="ordering_callback",
    dependencies=[Depends(_ordering_system)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
async def called_back(request: Request, now: Now) -> Response:
    """Take in an event of TMF622 v4 or v5 (ProductOrderStateChangeEvent,
    CancelProductOrderStateChangeEvent and their like), once each.

    The caller carries the agreed bearer token, or signs the body as Standard Webhooks has it."""
    event = await _event(request)
    # The body is read before the transaction begins: a slow sender must not hold one open.
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        await service.hear(tx, reading.read_event(event), event, now)
    return Response(status_code=204)


async def _event(request: Request) -> dict[str, Any]:
    body = await body_up_to(request, LARGEST_EVENT)
    _proved(request, body)
    # PostgreSQL's JSON has no NUL, and no honest event does.
    if b"\\u0000" in body:
        raise Malformed(reason="the character NUL is not text")
    try:
        event = orjson.loads(body)
        reading.read_event(event)
    except (orjson.JSONDecodeError, Unreadable) as error:
        raise Malformed(reason=str(error)) from error
    assert isinstance(event, dict)
    return event


@router.get("/order-syncs", operation_id="order_syncs_list")
async def listed(
    reader: Reader,
    read: Read,
    state: SyncState | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> OrderSyncPage:
    """List deliveries, newest first; `state=parked` are those that wait for a person."""
    after = key_of(token, datetime, UUID) if token else None
    found = await queries.page(read, reader, size=size, after=after, state=state)
    rows, last = cut(found, size)
    return OrderSyncPage(
        order_syncs=[OrderSyncOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.created_at, last.id) if last else None,
    )


@router.post(
    "/order-syncs/{sync_id}/retry", response_model=OrderSyncOut, operation_id="order_syncs_retry"
)
async def retry(sync_id: UUID, resolver: Resolver, tx: Tx) -> OrderSync:
    """Take a parked delivery up again; the order is looked for before anything is sent."""
    return await service.retry(tx, sync_id, resolver)


@router.get("/ordering/system", operation_id="ordering_system")
async def system(reader: Reader, read: Read) -> OrderingSystemOut:
    """Say how we stand with the ordering system: what is left alone for now, who listens."""
    return OrderingSystemOut(
        endpoints=[
            EndpointOut.model_validate(each, from_attributes=True)
            for each in await breaker.standings(read)
        ],
        listeners=[ListenerOut.model_validate(each) for each in await queries.listeners(read)],
    )


@router.post(
    "/sales/{sale_id}/order-changes",
    response_model=OrderChangeOut,
    status_code=202,
    operation_id="sales_order_change_ask",
)
async def ask_for_change(
    sale_id: UUID, body: OrderChangeIn, asker: Asker, tx: Tx, now: Now
) -> OrderChange:
    """Ask for a confirmed sale's order to be cancelled or amended; the ordering system decides."""
    return await service.ask_for_change(
        tx,
        change_id=body.id,
        sale_id=sale_id,
        kind=body.kind,
        reason=body.reason,
        amendment=Amendment(body.requested_start, body.note),
        caller=asker,
        now=now,
    )


@router.get("/sales/{sale_id}/order-changes", operation_id="sales_order_changes")
async def changes(sale_id: UUID, asker: Asker, read: Read) -> OrderChanges:
    """List what was asked of a sale's order, and how far each wish has come."""
    sale = await sales.one(read, sale_id, asker)
    found = await queries.changes_of(read, sale.id)
    return OrderChanges(changes=[OrderChangeOut.model_validate(each) for each in found])
