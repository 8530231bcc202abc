"""Reads and locks of messages."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.core.clock import wall
from app.messaging.models import FAILED, LISTED, WAITING, Message, MessageReply
from app.messaging.rules import MessageState


async def for_change(tx: AsyncSession, message_id: UUID) -> Message | None:
    """Lock a message until the transaction ends."""
    return (await tx.scalars(_FOR_CHANGE, {"message_id": message_id})).one_or_none()


_FOR_CHANGE = (
    select(Message)
    .where(Message.id == bindparam("message_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


async def due(session: AsyncSession, limit: int) -> Sequence[UUID]:
    """List messages that are to be tried now, longest due first."""
    return (await session.scalars(_DUE, {"limit": limit})).all()


_DUE = (
    select(Message.id)
    # Of the statement and not of the moment, or no index could serve.
    .where(WAITING, Message.next_try_at <= func.statement_timestamp())
    .order_by(Message.next_try_at)
    .limit(bindparam("limit"))
)


class Standing(NamedTuple):
    """How messages stand in a part of the organisation; times are real."""

    waiting: int
    waiting_since: datetime | None
    failed_today: int


async def standing(session: AsyncSession, caller: Caller) -> Standing:
    """Count what waits, and what was given up in the last 24 hours."""
    mine = subtree(Message.org_unit_id, caller)
    waiting = (
        await session.execute(
            select(func.count(), func.min(Message.created_at)).where(WAITING, mine)
        )
    ).one()
    since = wall() - timedelta(hours=24)
    lost = await session.scalar(
        select(func.count()).select_from(Message).where(FAILED, Message.ended_at >= since, mine)
    )
    return Standing(waiting[0], waiting[1], lost or 0)


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    state: MessageState,
    size: int,
    after: tuple[datetime, UUID] | None,
) -> Sequence[Message]:
    """List messages that wait, or were given up, newest first; one more than `size` at most."""
    # The conditions of the partial indexes, word for word.
    wanted, moment = {
        MessageState.WAITING: (WAITING, Message.created_at),
        MessageState.FAILED: (FAILED, Message.ended_at),
    }[state]
    statement = select(Message).where(wanted, subtree(Message.org_unit_id, caller))
    if after is not None:
        statement = statement.where(tuple_(moment, Message.id) < tuple_(*after))
    return (
        await session.scalars(statement.order_by(moment.desc(), Message.id.desc()).limit(size + 1))
    ).all()


async def read_up_to(session: AsyncSession) -> int:
    """Say how far the provider's list of replies was read; 0 is not at all."""
    found = await session.scalar(select(func.max(MessageReply.position)).where(LISTED))
    return found or 0
