"""Doorways of messages, for supervisors."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.http import Language
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.settings import Settings
from app.messaging import queries
from app.messaging.rules import MessageState
from app.messaging.schemas import MessageOut, MessagePage, MessagesStateOut

router = APIRouter(prefix="/v1", tags=["messages"])

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
