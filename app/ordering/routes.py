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
from app.core.db import Database, Read, Tx
from app.core.errors import Malformed, Unauthorized
from app.core.http import Now, body_up_to
from app.core.outside import Unreadable
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.settings import Settings
from app.ordering import codec_v4, queries, service
from app.ordering.delivery import SyncState
from app.ordering.models import OrderSync
from app.ordering.schemas import OrderSyncOut, OrderSyncPage

router = APIRouter(prefix="/v1", tags=["ordering"])

LARGEST_EVENT = 256 * 1024

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:read"))]
Resolver = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:resolve"))]

_bearer = HTTPBearer(auto_error=False, description="The token agreed with the ordering system.")


async def _ordering_system(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    settings: Settings = request.app.state.settings
    agreed = settings.ordering_callback_token.get_secret_value()
    # Without an agreed token nobody can call: an open door would let anyone end our orders.
    if (
        not agreed
        or given is None
        or not secrets.compare_digest(given.credentials.encode(), agreed.encode())
    ):
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
    """Take in an event of TMF622 (ProductOrderStateChangeEvent and its like), once each."""
    event = await _event(request)
    # The body is read before the transaction begins: a slow sender must not hold one open.
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        await service.hear(tx, codec_v4.read_event(event), event, now)
    return Response(status_code=204)


async def _event(request: Request) -> dict[str, Any]:
    body = await body_up_to(request, LARGEST_EVENT)
    # PostgreSQL's JSON has no NUL, and no honest event does.
    if b"\\u0000" in body:
        raise Malformed(reason="the character NUL is not text")
    try:
        event = orjson.loads(body)
        codec_v4.read_event(event)
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
