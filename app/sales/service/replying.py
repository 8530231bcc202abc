"""What customers and their second contacts write back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.messaging import service as messaging
from app.messaging.models import MessageReply
from app.messaging.rules import MessageKind
from app.sales import queries, rules
from app.sales.rules import ConsentPurpose, RequestState, SaleState
from app.sales.rules.asking import Reply
from app.sales.service import protecting
from app.sales.service.unattended import LOOKED_BACK

_COUNTRY = "+86"


async def take_reply(tx: AsyncSession, reply_id: UUID, *, now: datetime) -> UUID | None:
    """Let a reply answer what it was asked of, if it says yes or no in time, and to one thing.

    What names its reference answers that; without one it answers the only thing that waits for an
    answer. Where several wait, the customer is told once by which references to answer them. A no
    that answers nothing that waits takes back what they have agreed to before, as long as nothing
    was made of it. Taken a second time it changes nothing. Returns the request it has answered.
    """
    reply = await tx.get(MessageReply, reply_id)
    if reply is None or not reply.sender or reply.body is None:
        return None
    said = rules.read_reply(reply.body)
    if said is None:
        return None
    bare = reply.sender.removeprefix(_COUNTRY)
    numbers = [bare, _COUNTRY + bare]
    meant = _meant(said, await queries.awaiting_reply(tx, numbers, reply.said_at))
    if not said.agrees and not any(one.waits for one in meant):
        since = now - LOOKED_BACK
        agreed = await queries.agreed_before(tx, numbers, reply.said_at, since=since)
        # Who was asked of a sale twice, and has agreed twice, says no to all of it.
        last = {one.sale_id: one for one in reversed(agreed)}
        sales = dict.fromkeys(one.sale_id for one in _meant(said, agreed))
        meant = [last[sale_id] for sale_id in sales] or meant
    if len(meant) != 1:
        if said.reference is None and any(one.waits for one in meant):
            await _ask_which(tx, meant, said_at=reply.said_at, now=now)
        return None
    (one,) = meant
    sale = await queries.for_change(tx, one.sale_id)
    request = await queries.request_for_change(tx, one.id, sale_id=one.sale_id)
    undone = request.state is RequestState.AGREED and sale.state is SaleState.DRAFT
    if request.state is not RequestState.ASKED and (said.agrees or not undone):
        return None
    if request.purpose is ConsentPurpose.SECOND:
        if sale.state is not SaleState.SECOND_CONFIRMATION:
            return None
        await protecting.answered(tx, sale, agrees=said.agrees, now=now)
    request.state = RequestState.AGREED if said.agrees else RequestState.DECLINED
    request.answered_at, request.reply_id, request.reply_text = now, reply_id, reply.body
    return request.id


def _meant(said: Reply, asked: Sequence[queries.Awaiting]) -> Sequence[queries.Awaiting]:
    if said.reference is not None:
        return [one for one in asked if one.reference == said.reference]
    # A no to what nobody waits for any more is still kept, as the proof that it was said.
    return [one for one in asked if one.waits] or asked


async def _ask_which(
    tx: AsyncSession, waiting: Sequence[queries.Awaiting], *, said_at: datetime, now: datetime
) -> None:
    """Tell a customer by which references to answer: once until they are asked of something new, so
    that two telephones which answer by themselves do not go on for ever."""
    newest = waiting[0]
    # Two replies at the same moment come one after the other.
    await queries.for_change(tx, newest.sale_id)
    references = [one.reference for one in waiting]
    await messaging.send(
        tx,
        kind=MessageKind.CONSENT_WHICH,
        to=newest.recipient,
        org_unit_id=newest.org_unit_id,
        about=newest.sale_id,
        facts={
            "number": len(waiting),
            "yes": " / ".join(f"Y{reference}" for reference in references),
            "no": " / ".join(f"N{reference}" for reference in references),
        },
        now=now,
        useful_for=max(newest.until - said_at, timedelta(minutes=1)),
        message_id=newest.id,
    )
