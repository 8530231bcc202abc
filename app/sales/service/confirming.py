"""Confirming a sale with the customer's consent."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.retention.service import redeem
from app.sales import queries, rules
from app.sales.models import ConsentSignature, Sale
from app.sales.rules import (
    ConsentKind,
    ConsentPurpose,
    RequestState,
    SaleState,
    SaleStep,
    SecondContact,
)
from app.sales.rules.consent import SIGNATURE_HOURS
from app.sales.service import protecting
from app.sales.service.agreed import Agreed, agreed_now, terms_of
from app.sales.service.installing import order_install
from app.sales.service.ledger import entered
from app.sales.service.selling import visit_to_sell_in
from app.sales.service.taking_effect import take_effect


async def confirm(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    kind: ConsentKind,
    given_at: datetime,
    evidence: Mapping[str, Any],
    caller: Caller,
    now: datetime,
    second_contact: SecondContact | None = None,
    unattended: bool = False,
) -> Sale:
    """Confirm a sale with the customer's consent, which counts at once, or once somebody else has
    agreed as well where the customer is protected.

    `evidence` of a signature are the hashes of its picture, its strokes and what was shown, and the
    number of strokes; of a code or a reply it is the `request_id`, and a code has been checked
    before. The same consent sent again is answered like the first time. Once the customer has said
    no by message, only a later yes by message counts: what they sign then may have been signed for
    them.

    With `unattended` it is done in the seller's name and without their phone, and the ledger names
    neither their account nor their time.

    Raises NotFound, SaleRefused, VisitOver, ConsentOutOfTime, ConsentNotOfThisSale,
    ConsentNotGiven, ConsentDeclined, ConsentVoid, ConsentExpired, SecondContactNotFit, and what
    `agreed_now` raises.
    """
    sale = await queries.for_change(tx, sale_id, caller)
    consent = rules.content_hash(
        {
            "sale": str(sale_id),
            "kind": kind,
            "given_at": given_at.timestamp(),
            "evidence": evidence,
        }
    )
    if sale.consent_hash == consent or _same_reply(sale, kind, evidence):
        return sale
    if sale.state is not SaleState.DRAFT:
        raise rules.SaleRefused(state=sale.state, wanted=SaleState.CONFIRMED)
    # Of two sales of one thing at the same moment the second has to see that the first was made. A
    # phone's push holds its orders anyway, and so does whoever orders an install.
    visit = await visit_to_sell_in(
        tx, sale.visit_id, sale.technician_id, caller.org_path, now, held=True
    )
    rules.consent_in_time(given_at, sale.device_at or sale.made_at, now)
    items = (await queries.items_of(tx, [sale_id]))[sale_id]
    agreed_at = rules.agreed_at(given_at, begun_at=visit.begun_at, now=now)
    agreed = await agreed_now(tx, sale, items, caller.org_path, now, agreed_at)
    await _proved(tx, sale, kind, evidence, agreed, caller, given_at=given_at, now=now)
    by, device_at = (None, None) if unattended else (caller.account_id, given_at)
    # Used up also where a second confirmation is still to come: no other sale gets it meanwhile.
    await redeem(tx, terms_of(items), sale_id=sale_id, now=now, agreed_at=agreed_at)
    sale.consent_kind = kind
    sale.consent_evidence = {**evidence, "given_at": given_at.isoformat()}
    sale.consent_hash = consent
    await entered(
        tx,
        sale_id,
        SaleStep.CONSENTED,
        at=now,
        device_at=device_at,
        by=by,
        facts={"kind": kind.value, "content_hash": agreed.content_hash},
    )
    parties = await queries.parties_of(tx, sale.customer_id, sale.technician_id)
    protection = rules.protection_of(
        elderly=parties.elderly, flagged=parties.flagged, age_group=parties.age_group
    )
    if protection is None:
        await take_effect(tx, sale, now=now, by=by, device_at=device_at)
        await order_install(tx, sale, items, caller, now=now, by=by)
    else:
        await protecting.begin(
            tx,
            sale,
            protection=protection,
            parties=parties,
            contact=second_contact,
            agreed=agreed,
            items=items,
            caller=caller,
            by=by,
            device_at=device_at,
            now=now,
        )
    await tx.flush()
    return sale


def _same_reply(sale: Sale, kind: ConsentKind, evidence: Mapping[str, Any]) -> bool:
    """Tell whether a sale was confirmed by this very reply: the phone may say that it came at
    another time than we do, who have confirmed without the phone."""
    known = sale.consent_evidence or {}
    return (sale.consent_kind, kind, known.get("request_id")) == (
        ConsentKind.SMS_REPLY,
        ConsentKind.SMS_REPLY,
        evidence.get("request_id"),
    )


async def _proved(
    tx: AsyncSession,
    sale: Sale,
    kind: ConsentKind,
    evidence: Mapping[str, Any],
    agreed: Agreed,
    caller: Caller,
    *,
    given_at: datetime,
    now: datetime,
) -> None:
    """Check that what is said to be consent is one, and to this sale; and that the customer's last
    word by message, if they were asked so, was not a no."""
    answered = await queries.last_answer_of(tx, sale.id)
    if answered is not None and answered.state is RequestState.DECLINED:
        raise rules.ConsentDeclined(answered_at=answered.answered_at)
    if kind is ConsentKind.SIGNATURE:
        rules.of_this_sale(evidence["shown_sha256"], agreed.content_hash)
        hours = (await parameters_in_force(tx)).number(SIGNATURE_HOURS, now, caller.org_path)
        tx.add(
            ConsentSignature(
                sale_id=sale.id,
                org_unit_id=sale.org_unit_id,
                work_order_id=sale.work_order_id,
                image_sha256=evidence["image_sha256"],
                stroke_sha256=evidence["stroke_sha256"],
                stroke_count=evidence["stroke_count"],
                shown_sha256=evidence["shown_sha256"],
                signed_at=given_at,
                due_at=now + timedelta(hours=hours),
            )
        )
        return
    request_id = UUID(str(evidence["request_id"]))
    request = await queries.request_for_change(tx, request_id, sale_id=sale.id)
    if (request.kind, request.purpose) != (kind, ConsentPurpose.CONSENT):
        raise NotFound(request_id=request_id)
    rules.usable(
        request.state,
        expires_at=request.expires_at,
        answered_at=request.answered_at,
        now=now,
    )
    rules.of_this_sale(request.content_hash, agreed.content_hash)
