"""Reads and locks of how customers agreed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import DateTime, Float, and_, bindparam, cast, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.core.db import fetched
from app.core.errors import NotFound
from app.evidence.models import Evidence
from app.evidence.rules import UploadState
from app.messaging.models import Message, MessageReply
from app.messaging.rules import MessageState
from app.real_name.rules import AgeGroup
from app.sales.models import (
    AGREED_BY_REPLY,
    AWAITS_REPLY,
    PICTURE_AWAITED,
    SECOND_DUE,
    ConsentRequest,
    ConsentSignature,
    Sale,
    SecondConfirmation,
)
from app.sales.rules import ConsentPurpose, Protection, RequestState, SaleState, SecondState


class Parties(NamedTuple):
    """What consent needs to know of a sale's customer and its technician."""

    customer_phone: str
    elderly: bool
    flagged: bool
    age_group: AgeGroup | None
    technician_phone: str | None


async def parties_of(tx: AsyncSession, customer_id: UUID, technician_id: UUID) -> Parties:
    """Read what protects a customer, and the numbers of both."""
    rows = await fetched(tx, _PARTIES, {"customer": customer_id, "technician": technician_id})
    phone, elderly, flagged, age_group, seller = rows[0]
    return Parties(phone, elderly, flagged, age_group and AgeGroup(age_group), seller)


# How old somebody is was read from a document that proved to be theirs, if any was.
_PARTIES = """
SELECT c.phone, c.elderly, c.protected,
       (SELECT age_group FROM real_name_check
         WHERE customer_id = c.id AND state = 'passed' ORDER BY asked_at DESC LIMIT 1),
       (SELECT phone FROM technician WHERE id = %(technician)s)
  FROM customer AS c WHERE c.id = %(customer)s
"""


# --- requests -------------------------------------------------------------------------------------


async def request_for_change(
    tx: AsyncSession, request_id: UUID, *, sale_id: UUID
) -> ConsentRequest:
    """Lock a request of a sale. Raises NotFound."""
    found = (
        await tx.scalars(
            select(ConsentRequest)
            .where(ConsentRequest.id == request_id, ConsentRequest.sale_id == sale_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if found is None:
        raise NotFound(request_id=request_id)
    return found


async def last_answer_of(session: AsyncSession, sale_id: UUID) -> ConsentRequest | None:
    """Find the last request that a sale's customer has answered, with yes or no."""
    return (
        await session.scalars(
            select(ConsentRequest)
            .where(
                ConsentRequest.sale_id == sale_id,
                ConsentRequest.purpose == ConsentPurpose.CONSENT,
                ConsentRequest.state.in_((RequestState.AGREED, RequestState.DECLINED)),
            )
            .order_by(ConsentRequest.asked_at.desc(), ConsentRequest.id.desc())
            .limit(1)
        )
    ).one_or_none()


async def requests_of(session: AsyncSession, sale_id: UUID) -> Sequence[ConsentRequest]:
    """List the requests to a sale's customer, newest first, twenty at most."""
    return (
        await session.scalars(
            select(ConsentRequest)
            .where(
                ConsentRequest.sale_id == sale_id,
                ConsentRequest.purpose == ConsentPurpose.CONSENT,
            )
            .order_by(ConsentRequest.asked_at.desc(), ConsentRequest.id.desc())
            .limit(20)
        )
    ).all()


class Proof(NamedTuple):
    """What shows that somebody was asked by message and what they said; `sent_at` and `said_at` are
    real, and the provider's numbers are those of the message and of the reply to it."""

    request: ConsentRequest
    sent_at: datetime | None
    sent_as: str | None
    said_at: datetime | None
    replied_as: str | None


async def proofs_of(session: AsyncSession, sale_id: UUID) -> list[Proof]:
    """List all that was asked of a sale's customer and of the second contact, newest first, twenty
    at most."""
    rows = await session.execute(
        select(
            ConsentRequest,
            Message.ended_at,
            Message.provider_id,
            MessageReply.said_at,
            MessageReply.provider_id,
        )
        .outerjoin(
            Message,
            and_(Message.id == ConsentRequest.message_id, Message.state == MessageState.SENT),
        )
        .outerjoin(MessageReply, MessageReply.id == ConsentRequest.reply_id)
        .where(ConsentRequest.sale_id == sale_id)
        .order_by(ConsentRequest.asked_at.desc(), ConsentRequest.id.desc())
        .limit(20)
    )
    return [Proof._make(row) for row in rows]


async def asked_since(tx: AsyncSession, customer_id: UUID, since: datetime) -> list[datetime]:
    """List when a customer was asked by message since a moment."""
    rows = await tx.scalars(
        select(ConsentRequest.asked_at).where(
            ConsentRequest.customer_id == customer_id,
            ConsentRequest.asked_at > since,
            ConsentRequest.purpose == ConsentPurpose.CONSENT,
        )
    )
    return list(rows)


class Awaiting(NamedTuple):
    """A request that a reply may answer until a moment of the real world; `waits` says whether its
    sale still waits for that answer."""

    id: UUID
    sale_id: UUID
    org_unit_id: UUID
    recipient: str
    reference: str | None
    until: datetime
    waits: bool


async def awaiting_reply(
    session: AsyncSession, numbers: Sequence[str], said_at: datetime
) -> list[Awaiting]:
    """List what the owner of a telephone, whose number can be written in some ways, was asked and
    could still answer at a moment (the provider's time), the newest first."""
    rows = await session.execute(_AWAITING, {"numbers": list(numbers), "said_at": said_at})
    return [Awaiting._make(row) for row in rows]


# What was never answered stays `asked` for good, so its time tells, which is that of the row: the
# other moments are of business.
_UNTIL = ConsentRequest.created_at + (ConsentRequest.expires_at - ConsentRequest.asked_at)
_WAITING_FOR = {
    ConsentPurpose.CONSENT: SaleState.DRAFT,
    ConsentPurpose.SECOND: SaleState.SECOND_CONFIRMATION,
}
_ASKED = (
    select(
        ConsentRequest.id,
        ConsentRequest.sale_id,
        ConsentRequest.org_unit_id,
        ConsentRequest.recipient,
        ConsentRequest.reference,
        _UNTIL,
        tuple_(
            ConsentRequest.purpose,
            select(Sale.state).where(Sale.id == ConsentRequest.sale_id).scalar_subquery(),
        ).in_(list(_WAITING_FOR.items())),
    )
    .where(ConsentRequest.recipient.in_(bindparam("numbers", expanding=True)))
    .order_by(ConsentRequest.asked_at.desc(), ConsentRequest.id.desc())
    .limit(20)
)
_SAID_AT = bindparam("said_at", type_=DateTime(timezone=True))
_AWAITING = _ASKED.where(AWAITS_REPLY, _SAID_AT <= _UNTIL)


async def agreed_before(
    session: AsyncSession, numbers: Sequence[str], said_at: datetime, *, since: datetime
) -> list[Awaiting]:
    """List what the owner of a telephone had said yes to by a moment (the provider's time), not
    before `since` (business time), and can still say no to, since nothing was made of it; the
    newest first."""
    given = {"numbers": list(numbers), "said_at": said_at, "since": since}
    rows = map(Awaiting._make, await session.execute(_AGREED_BEFORE, given))
    return [one for one in rows if one.waits]


_AGREED_BEFORE = _ASKED.where(
    AGREED_BY_REPLY,
    ConsentRequest.answered_at >= bindparam("since"),
    # Two replies may be taken in the other way round.
    select(MessageReply.said_at).where(MessageReply.id == ConsentRequest.reply_id).scalar_subquery()
    <= _SAID_AT,
)


class Unconfirmed(NamedTuple):
    """A draft to whose sale its customer has said yes by message, at a moment of business time;
    `replaced` says whether another sale was put together in its visit since."""

    sale_id: UUID
    request_id: UUID
    agreed_at: datetime
    org_path: str
    replaced: bool


async def unconfirmed(
    session: AsyncSession, since: datetime, limit: int, request_id: UUID | None = None
) -> list[Unconfirmed]:
    """List drafts that were agreed to by message since a moment, the longest ago first, or that of
    one request; neither those that were left to a person nor those taken back by a later no."""
    given = {"since": since, "limit": limit, "request": request_id}
    return [Unconfirmed._make(row) for row in await fetched(session, _UNCONFIRMED, given)]


async def left_unconfirmed(session: AsyncSession, since: datetime) -> dict[UUID, int]:
    """Count the drafts that were agreed to by message since a moment and were left to a person,
    unit by unit."""
    return dict(await fetched(session, _LEFT_UNCONFIRMED, {"since": since}))


# The words of the partial index, so that it serves; its rows are few in so short a time.
_AGREED = """
  FROM consent_request r JOIN sale s ON s.id = r.sale_id JOIN org_unit u ON u.id = s.org_unit_id
 WHERE r.state = 'agreed' AND r.kind = 'sms_reply' AND r.purpose = 'consent'
   AND r.answered_at >= %(since)s AND s.state = 'draft'
   AND NOT EXISTS (
    SELECT FROM consent_request n
     WHERE n.sale_id = r.sale_id AND n.purpose = 'consent' AND n.state IN ('agreed', 'declined')
       AND (n.asked_at, n.id) > (r.asked_at, r.id))
"""
_LEFT_ALONE = """EXISTS (
    SELECT FROM sale_event e
     WHERE e.sale_id = r.sale_id AND e.step = 'left_unconfirmed'
       AND e.facts ->> 'request_id' = r.id::text)
"""
_UNCONFIRMED = f"""
SELECT s.id, r.id, r.answered_at, u.path, EXISTS (
    SELECT FROM sale o
     WHERE o.visit_id = s.visit_id AND o.made_at > r.answered_at AND o.state <> 'cancelled')
{_AGREED} AND NOT {_LEFT_ALONE}
   AND (%(request)s::uuid IS NULL OR r.id = %(request)s)
 ORDER BY r.answered_at LIMIT %(limit)s
"""  # noqa: S608
_LEFT_UNCONFIRMED = f"SELECT s.org_unit_id, count(*) {_AGREED} AND {_LEFT_ALONE} GROUP BY 1"


# --- signatures -----------------------------------------------------------------------------------

_PICTURE = exists().where(
    Evidence.work_order_id == ConsentSignature.work_order_id,
    Evidence.sha256 == ConsentSignature.image_sha256,
    Evidence.state == UploadState.STORED,
)


class Signed(NamedTuple):
    """A signature, and whether its picture is there."""

    arrived: bool
    flagged_at: datetime | None
    due_at: datetime


async def signatures_of(session: AsyncSession, sale_ids: Sequence[UUID]) -> dict[UUID, Signed]:
    """Say of each of some sales that were signed whether the picture has arrived."""
    if not sale_ids:
        return {}
    rows = await session.execute(
        select(
            ConsentSignature.sale_id,
            (ConsentSignature.arrived_at.is_not(None) | _PICTURE).label("arrived"),
            ConsentSignature.flagged_at,
            ConsentSignature.due_at,
        ).where(ConsentSignature.sale_id.in_(sale_ids))
    )
    return {row.sale_id: Signed(row.arrived, row.flagged_at, row.due_at) for row in rows}


async def settle_signatures(tx: AsyncSession, now: datetime) -> list[UUID]:
    """Mark the pictures that have arrived, and flag those that are due; returns the latter."""
    await fetched(tx, _ARRIVED, {"now": now})
    return [row[0] for row in await fetched(tx, _FLAG, {"now": now})]


_ARRIVED = """
UPDATE consent_signature AS s SET arrived_at = %(now)s
  FROM evidence AS e
 WHERE s.arrived_at IS NULL AND e.work_order_id = s.work_order_id AND e.sha256 = s.image_sha256
   AND e.state = 'stored'
RETURNING s.sale_id
"""
_FLAG = """
UPDATE consent_signature SET flagged_at = %(now)s
 WHERE arrived_at IS NULL AND flagged_at IS NULL AND due_at <= %(now)s
RETURNING sale_id
"""


async def missing_signatures(
    session: AsyncSession, caller: Caller, *, size: int, after: tuple[datetime, UUID] | None
) -> Sequence[ConsentSignature]:
    """List signatures whose picture never came, the longest flagged first; one more than `size`."""
    statement = select(ConsentSignature).where(
        PICTURE_AWAITED,
        ConsentSignature.flagged_at.is_not(None),
        subtree(ConsentSignature.org_unit_id, caller),
    )
    if after is not None:
        statement = statement.where(
            tuple_(ConsentSignature.flagged_at, ConsentSignature.sale_id) > tuple_(*after)
        )
    order = (ConsentSignature.flagged_at, ConsentSignature.sale_id)
    return (await session.scalars(statement.order_by(*order).limit(size + 1))).all()


# --- second confirmations -------------------------------------------------------------------------


async def seconds_of(
    session: AsyncSession, sale_ids: Sequence[UUID]
) -> dict[UUID, SecondConfirmation]:
    """Find the second confirmations of some sales."""
    if not sale_ids:
        return {}
    rows = await session.scalars(
        select(SecondConfirmation)
        .where(SecondConfirmation.sale_id.in_(sale_ids))
        .execution_options(populate_existing=True)
    )
    return {row.sale_id: row for row in rows}


async def second_of(tx: AsyncSession, sale_id: UUID) -> SecondConfirmation | None:
    """Find a sale's second confirmation; the sale's lock is held by the caller."""
    return (await seconds_of(tx, [sale_id])).get(sale_id)


async def seconds_over(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    """List sales whose second confirmation did not come in time, the longest over first."""
    return (
        await session.scalars(
            select(SecondConfirmation.sale_id)
            .where(SECOND_DUE, SecondConfirmation.due_at < now)
            .order_by(SecondConfirmation.due_at)
            .limit(limit)
        )
    ).all()


async def seconds_page(
    session: AsyncSession,
    caller: Caller,
    *,
    state: SecondState | None,
    size: int,
    after: tuple[datetime, UUID] | None,
) -> Sequence[SecondConfirmation]:
    """List second confirmations, newest first; one more than `size` at most."""
    statement = select(SecondConfirmation).where(subtree(SecondConfirmation.org_unit_id, caller))
    if state is not None:
        statement = statement.where(SecondConfirmation.state == state)
    if after is not None:
        statement = statement.where(
            tuple_(SecondConfirmation.asked_at, SecondConfirmation.sale_id) < tuple_(*after)
        )
    order = (SecondConfirmation.asked_at.desc(), SecondConfirmation.sale_id.desc())
    return (await session.scalars(statement.order_by(*order).limit(size + 1))).all()


class SecondCount(NamedTuple):
    """How many second confirmations of one kind there were."""

    reason: Protection
    state: SecondState
    number: int
    hours: float | None


async def seconds_counted(
    session: AsyncSession, caller: Caller, *, since: datetime, until: datetime
) -> list[SecondCount]:
    """Count second confirmations asked for in a stretch of time, by reason and what came of them.

    `hours` is how long an answer took on average.
    """
    took = func.extract("epoch", SecondConfirmation.answered_at - SecondConfirmation.asked_at)
    rows = await session.execute(
        select(
            SecondConfirmation.reason,
            SecondConfirmation.state,
            func.count(),
            cast(func.avg(took) / 3600, Float),
        )
        .where(
            and_(
                subtree(SecondConfirmation.org_unit_id, caller),
                SecondConfirmation.asked_at >= since,
                SecondConfirmation.asked_at < until,
            )
        )
        .group_by(SecondConfirmation.reason, SecondConfirmation.state)
        .order_by(SecondConfirmation.reason, SecondConfirmation.state)
    )
    return [SecondCount._make(row) for row in rows]


async def open_requests(tx: AsyncSession, sale_id: UUID) -> Sequence[ConsentRequest]:
    """Lock what a sale's customer was asked and has not answered."""
    return (
        await tx.scalars(
            select(ConsentRequest)
            .where(
                ConsentRequest.sale_id == sale_id,
                ConsentRequest.state == RequestState.ASKED,
                ConsentRequest.purpose == ConsentPurpose.CONSENT,
            )
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).all()
