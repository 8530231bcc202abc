"""Doorways of messages: lists for supervisors, and the provider's word of replies."""

import secrets
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Unauthorized
from app.core.http import Language
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.settings import Settings
from app.messaging import queries, service
from app.messaging.rules import MessageState
from app.messaging.schemas import MessageOut, MessagePage, MessagesStateOut, RepliesIn

router = Router(prefix="/v1", tags=["messages"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:read"))]


@router.get("/messages/state", operation_id="messages_state")
async def state(request: Request, reader: Reader, read: Read) -> MessagesStateOut:
    """Say whether customers' messages get out: how many wait and since when, how many did not."""
    settings: Settings = request.app.state.settings
    return MessagesStateOut.of(
        await queries.standing(read, reader), provider_set=bool(settings.messaging_url)
    )


@router.get("/messages", operation_id="messages_list")
async def listed(
    reader: Reader,
    read: Read,
    lang: Language,
    state: Annotated[
        Literal[MessageState.WAITING, MessageState.FAILED],
        Query(description="What waits, or what was given up."),
    ] = MessageState.FAILED,
    size: PageSize = 50,
    token: PageToken = None,
) -> MessagePage:
    """List messages that were given up, or wait, newest first."""
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(await queries.page(read, reader, state=state, size=size, after=after), size)
    return MessagePage(
        messages=[MessageOut.of(row, lang) for row in rows],
        next_page_token=token_of(last.ended_at or last.created_at, last.id) if last else None,
    )


_bearer = HTTPBearer(auto_error=False, description="The token agreed with the messaging provider.")


async def _provider(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    settings: Settings = request.app.state.settings
    agreed = settings.messaging_callback_token.get_secret_value()
    # Without anything agreed nobody can call: an open door would let anyone agree for customers.
    if (
        not agreed
        or given is None
        or not secrets.compare_digest(given.credentials.encode(), agreed.encode())
    ):
        raise Unauthorized()


@router.post(
    "/messages/replies",
    status_code=204,
    operation_id="messages_replied",
    dependencies=[Depends(_provider)],
)
async def replied(body: RepliesIn, tx: Tx) -> Response:
    """Take in what customers sent back, each once; the provider carries the agreed token."""
    await service.take_replies(tx, body.came())
    return Response(status_code=204)
