"""Doorways of activations: a phone asks how one stands, a supervisor what goes without."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Query, Response, status

from app.activation import queries
from app.activation.rules import OverrideCause
from app.activation.schemas import ActivationList, ActivationOut, OverrideListed, OverridePage
from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.http import ETAG, Language, RawJson
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.unchanged import known, tag_of

router = Router(prefix="/v1", tags=["activation"])

Holder = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]
Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ActivationOut,
        "headers": {"ETag": ETAG},
    },
    304: {"description": "Nothing has changed since the answer with this ETag."},
}


@router.get(
    "/activations/{activation_id}",
    response_class=RawJson,
    responses=_ANSWERS,
    operation_id="activations_read",
)
async def read_one(
    activation_id: UUID,
    holder: Holder,
    read: Read,
    lang: Language,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    """Say how an activation stands; ask again with `If-None-Match` until it has ended.

    For the technician who asked for it, and for whoever holds the order now.
    """
    found = ActivationOut.of(await queries.one(read, activation_id, holder), lang)
    body = found.model_dump_json().encode()
    etag = tag_of(body)
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if known(if_none_match, etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return RawJson(body, headers=headers)


@router.get("/work-orders/{work_order_id}/activations", operation_id="activations_of_order")
async def of_order(
    work_order_id: UUID,
    asker: Annotated[
        Caller,
        Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="me:read")),
    ],
    read: Read,
    lang: Language,
) -> ActivationList:
    """List what was asked for in all visits of an order, the newest first."""
    found = await queries.of_order(read, work_order_id, asker)
    return ActivationList(activations=[ActivationOut.of(one, lang) for one in found])


@router.get("/activation-overrides", operation_id="activation_overrides_list")
async def overrides(
    reader: Reader,
    read: Read,
    lang: Language,
    cause: Annotated[OverrideCause | None, Query(description="Only those for this cause.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> OverridePage:
    """List the orders that technicians completed without activation, and why, newest first."""
    after = key_of(token, datetime, UUID) if token else None
    found = await queries.overrides(read, reader, cause=cause, size=size, after=after)
    rows, last = cut(found, size)
    return OverridePage(
        overrides=[OverrideListed.of(row, lang) for row in rows],
        next_page_token=token_of(last.made.at, last.made.id) if last else None,
    )
