"""A customer is asked for consent by message: with a code to tell, or to be replied to."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.auth.keys import KeyRing
from app.core.db import is_broken
from app.core.errors import NotFound, SameIdOtherContent
from app.core.i18n import Lang
from app.core.parameter_values import parameters_in_force
from app.messaging import service as messaging
from app.messaging.rules import MessageKind, number_of, text_of
from app.sales import queries, rules
from app.sales.models import ConsentRequest, Sale
from app.sales.rules import ConsentKind, ConsentPurpose, RequestState, SaleState, SaleStep
from app.sales.rules import asking as numbers
from app.sales.rules.visits import LATE_HOURS
from app.sales.service.agreed import agreed_now
from app.sales.service.ledger import entered
from app.sales.service.selling import visit_to_sell_in
from app.visits.rules import takes_messages
from app.visits.rules.acceptance import SentCode, judged
from app.visits.service.acceptance import Checked

# What the keyed hash of a code is for: it opens nothing else.
SEALED_AS = "consent code"


@dataclass(frozen=True)
class AskedFor:
    """A request on its way to the customer, and how often more they can be asked in this hour."""

    request: ConsentRequest
    left: int


async def ask(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    caller: Caller,
    keys: KeyRing,
    request_id: UUID,
    kind: ConsentKind,
    lang: Lang,
    now: datetime,
    device_at: datetime | None = None,
) -> AskedFor:
    """Ask a sale's customer by message whether they agree; what was asked before is void.

    The message goes to the customer's number on record, names what is sold and what it costs, and
    is in the same transaction. The phone makes `request_id`; asking with it again sends nothing.
    Raises NotFound, SaleRefused, VisitOver, NoNumberForConsent, ConsentAskedEnough,
    SameIdOtherContent, and what `agreed_now` raises.
    """
    sale = await queries.for_change(tx, sale_id, caller)
    parameters = await parameters_in_force(tx)
    most = parameters.whole(numbers.REQUESTS_AN_HOUR, now, caller.org_path)
    earlier = await queries.asked_since(tx, sale.customer_id, now - timedelta(hours=1))
    known = await tx.get(ConsentRequest, request_id, populate_existing=True)
    if known is not None:
        if (known.sale_id, known.kind, known.purpose) != (sale_id, kind, ConsentPurpose.CONSENT):
            raise SameIdOtherContent(id=request_id)
        return AskedFor(known, max(most - len(earlier), 0))
    if sale.state is not SaleState.DRAFT:
        raise rules.SaleRefused(state=sale.state, wanted=SaleState.CONFIRMED)
    await visit_to_sell_in(tx, sale.visit_id, sale.technician_id, caller.org_path, now)
    items = (await queries.items_of(tx, [sale_id]))[sale_id]
    agreed = await agreed_now(tx, sale, items, caller.org_path, now)
    parties = await queries.parties_of(tx, sale.customer_id, sale.technician_id)
    number = number_of(parties.customer_phone)
    own = number_of(parties.technician_phone or "")
    if number is None or not takes_messages(number) or number == own:
        raise rules.NoNumberForConsent()
    left = rules.may_ask(earlier, now, most=most)
    for before in await queries.open_requests(tx, sale_id):
        before.state = RequestState.VOID
    minutes = parameters.number(numbers.MINUTES, now, caller.org_path)
    request = ConsentRequest(
        id=request_id,
        sale_id=sale_id,
        org_unit_id=sale.org_unit_id,
        customer_id=sale.customer_id,
        technician_id=sale.technician_id,
        purpose=ConsentPurpose.CONSENT,
        kind=kind,
        state=RequestState.ASKED,
        content_hash=agreed.content_hash,
        recipient=number,
        asked_at=now,
        device_at=device_at,
        expires_at=now + timedelta(minutes=minutes),
        wrong=[],
    )
    facts = {
        "items": agreed.names.say(lang),
        "price": rules.price_words(agreed.shown, lang),
        "minutes": round(minutes),
    }
    if kind is ConsentKind.OTP:
        code = _digits(numbers.CODE_DIGITS)
        sealed = keys.seal(SEALED_AS, _sealed(request, code))
        assert sealed is not None
        request.key_id, request.digest = sealed
        facts["code"] = code
    else:
        facts["reference"] = request.reference = _digits(numbers.REFERENCE_DIGITS)
    await _added(tx, request)
    await _send(
        tx,
        request,
        MessageKind.CONSENT_CODE if kind is ConsentKind.OTP else MessageKind.CONSENT_REPLY,
        to=number,
        facts=facts,
        lang=lang,
    )
    await entered(
        tx,
        sale_id,
        SaleStep.CONSENT_ASKED,
        at=now,
        device_at=device_at,
        by=caller.account_id,
        facts={"kind": kind.value, "request_id": request_id},
    )
    return AskedFor(request, left)


async def ask_second(
    tx: AsyncSession,
    sale: Sale,
    *,
    request_id: UUID,
    number: str,
    content_hash: str,
    facts: dict[str, object],
    now: datetime,
    until: datetime,
) -> ConsentRequest:
    """Ask somebody close to a protected customer whether they agree; answered by a reply."""
    reference = _digits(numbers.REFERENCE_DIGITS)
    request = ConsentRequest(
        id=request_id,
        sale_id=sale.id,
        org_unit_id=sale.org_unit_id,
        customer_id=sale.customer_id,
        technician_id=sale.technician_id,
        purpose=ConsentPurpose.SECOND,
        kind=ConsentKind.SMS_REPLY,
        state=RequestState.ASKED,
        content_hash=content_hash,
        recipient=number,
        reference=reference,
        asked_at=now,
        expires_at=until,
        wrong=[],
    )
    await _added(tx, request)
    facts = {**facts, "reference": reference}
    await _send(tx, request, MessageKind.SECOND_CONFIRMATION, to=number, facts=facts)
    return request


async def check_code(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    request_id: UUID,
    caller: Caller,
    keys: KeyRing,
    code: str,
    given_at: datetime,
    now: datetime,
) -> Checked:
    """Check a code that the customer has told; with the right one they have agreed.

    The sale's lock is held meanwhile, so that no number of phones gets past the count of tries. A
    code typed in time by the phone's clock may arrive later, as a sale may. Telling the right one
    again is answered alike. Raises NotFound; what is wrong with the code is in the answer, since
    the try has to stay counted.
    """
    await queries.for_change(tx, sale_id, caller)
    request = await queries.request_for_change(tx, request_id, sale_id=sale_id)
    if request.kind is not ConsentKind.OTP or request.digest is None:
        raise NotFound(request_id=request_id)
    if request.state is RequestState.VOID:
        return Checked(problem=rules.ConsentVoid())
    parameters = await parameters_in_force(tx)
    told = keys.seal(SEALED_AS, _sealed(request, code), request.key_id)
    digest = told[1] if told else b""
    verdict = judged(
        SentCode(
            sent_at=request.asked_at,
            expires_at=request.expires_at,
            digest=request.digest,
            wrong=tuple(request.wrong),
            accepted=request.state is RequestState.AGREED,
        ),
        digest,
        device_at=given_at,
        now=now,
        tries=parameters.whole(numbers.TRIES, now, caller.org_path),
        late_hours=parameters.number(LATE_HOURS, now, caller.org_path),
        refusals=numbers.REFUSALS,
    )
    if verdict.problem is not None:
        if verdict.counts:
            request.wrong = [*request.wrong, digest]
            await tx.flush()
        return Checked(problem=verdict.problem)
    request.state = RequestState.AGREED
    request.answered_at = request.answered_at or now
    await tx.flush()
    return Checked(accepted_at=request.answered_at)


async def _send(
    tx: AsyncSession,
    request: ConsentRequest,
    kind: MessageKind,
    *,
    to: str,
    facts: Mapping[str, object],
    lang: Lang = "zh",
) -> None:
    """Have a request sent for as long as it can be answered, and keep what it says with it: a code
    opens nothing once it is told, but until then it is the customer's alone."""
    message_id = await messaging.send(
        tx,
        kind=kind,
        to=to,
        org_unit_id=request.org_unit_id,
        about=request.sale_id,
        facts=facts,
        now=request.asked_at,
        lang=lang,
        useful_for=request.expires_at - request.asked_at,
    )
    # The message has to be there before the request names it.
    await tx.flush()
    request.message_id = message_id
    request.asked_text = text_of(kind, {**facts, "code": "*" * numbers.CODE_DIGITS}, lang)


async def _added(tx: AsyncSession, request: ConsentRequest) -> None:
    tx.add(request)
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_consent_request", error):
            raise SameIdOtherContent(id=request.id) from error
        raise


def _digits(how_many: int) -> str:
    return f"{secrets.randbelow(10**how_many):0{how_many}}"


def _sealed(request: ConsentRequest, code: str) -> str:
    """Write a code with what it is good for: this request, and what was told with it."""
    return f"{request.id}:{request.sale_id}:{request.content_hash}:{code}"
