"""What customers and their second contacts write back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.messaging.models import MessageReply
from app.sales import queries, rules
from app.sales.rules import ConsentPurpose, RequestState, SaleState
from app.sales.service import protecting

_COUNTRY = "+86"


async def take_reply(tx: AsyncSession, reply_id: UUID, *, now: datetime) -> UUID | None:
    """Let a reply answer what it was asked of, if it says yes or no in time, and to one thing.

    What names its reference answers that; without one it answers the only thing that was asked.
    Taken a second time it changes nothing. Returns the request it has answered.
    """
    reply = await tx.get(MessageReply, reply_id)
    if reply is None or not reply.sender or reply.body is None:
        return None
    said = rules.read_reply(reply.body)
    if said is None:
        return None
    bare = reply.sender.removeprefix(_COUNTRY)
    awaiting = await queries.awaiting_reply(tx, [bare, _COUNTRY + bare])
    if said.reference is not None:
        awaiting = [one for one in awaiting if one.reference == said.reference]
    if len(awaiting) != 1:
        return None
    (one,) = awaiting
    sale = await queries.for_change(tx, one.sale_id)
    request = await queries.request_for_change(tx, one.id, sale_id=one.sale_id)
    # Both are times of the real world: the provider's, and that of the row.
    in_time = reply.said_at - request.created_at <= request.expires_at - request.asked_at
    if request.state is not RequestState.ASKED or not in_time:
        return None
    if request.purpose is ConsentPurpose.SECOND:
        if sale.state is not SaleState.SECOND_CONFIRMATION:
            return None
        await protecting.answered(tx, sale, agrees=said.agrees, now=now)
    request.state = RequestState.AGREED if said.agrees else RequestState.DECLINED
    request.answered_at, request.reply_id, request.reply_text = now, reply_id, reply.body
    return request.id
