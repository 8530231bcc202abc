"""What can be done with a sale: put together, confirm with the customer's consent, cancel, and
follow what the ordering system says of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.catalog.queries import in_force, today_of
from app.catalog.rules import ON_SITE, OnSite
from app.core import jobs
from app.core.db import fetched, new_id
from app.core.errors import Invalid, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.sales import queries, rules
from app.sales.models import Sale, SaleItem
from app.sales.rules import ConsentKind, Line, SaleState
from app.suggestions.queries import guard_now
from app.suggestions.rules.words import HELD_BACK


async def put_together(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    visit_id: UUID,
    lines: Sequence[Line],
    caller: Caller,
    now: datetime,
    device_at: datetime | None = None,
    note: str | None = None,
) -> Sale:
    """Put a sale together in a visit, with the prices of today's catalogue; it is a draft.

    The phone makes the id, and sending the same sale twice is answered like the first time.
    Raises NotFound for a visit that is not the caller's, VisitNotBegun, VisitOver,
    NotInTheCatalogue, NotSoldAtTheDoor, OfferHeldBack, PriceChanged and SameIdOtherContent.
    """
    technician_id = _technician(caller)
    content = rules.content_hash(rules.sale_content(visit_id, lines, note))
    known = await tx.get(Sale, sale_id)
    if known is not None:
        return _same(known, content, technician_id)
    visit = await _visit(tx, visit_id, technician_id, caller.org_path, now)
    items = await _priced(tx, sale_id, visit.org_unit_id, lines, now)
    strange = await queries.strange_suggestions(
        tx, visit_id, [line.suggestion_id for line in lines if line.suggestion_id]
    )
    if strange:
        raise Invalid(
            errors=[
                {"field": "items.suggestion_id", "message": f"{one} was not made in this visit"}
                for one in sorted(strange)
            ]
        )
    if any(line.suggestion_id for line in lines):
        await _still_allowed(tx, visit.customer_id)
    # Two arrivals of one sale at the same moment: the second finds the first one's row.
    made = await tx.scalar(
        upsert(Sale)
        .values(
            id=sale_id,
            org_unit_id=visit.org_unit_id,
            visit_id=visit_id,
            work_order_id=visit.work_order_id,
            customer_id=visit.customer_id,
            technician_id=technician_id,
            state=SaleState.DRAFT,
            content_hash=content,
            made_at=now,
            device_at=device_at,
            note=note,
        )
        .on_conflict_do_nothing(index_elements=[Sale.id])
        .returning(Sale.id)
    )
    if made is not None:
        await tx.execute(insert(SaleItem), items)
        audit.note(tx, table="sale", operation="insert", ids=[sale_id])
    sale = await tx.get_one(Sale, sale_id)
    return sale if made is not None else _same(sale, content, technician_id)


async def _still_allowed(tx: AsyncSession, customer_id: UUID) -> None:
    """Check that nothing has come between what was suggested and its sale: that would win.

    What a customer asks for by themselves is sold without it. Raises OfferHeldBack.
    """
    guard = await guard_now(tx, customer_id)
    if guard is not None:
        raise rules.OfferHeldBack(reason=guard, words=HELD_BACK[guard])


async def _visit(
    tx: AsyncSession, visit_id: UUID, technician_id: UUID, org_path: str, now: datetime
) -> queries.SellingVisit:
    """Find the technician's own visit, if a sale may still be made in it."""
    visit = await queries.selling_visit(tx, visit_id, technician_id)
    late_hours = (await parameters_in_force(tx)).number(rules.LATE_HOURS, now, org_path)
    rules.within_visit(
        checked_in_at=visit.checked_in_at,
        ended_at=visit.ended_at,
        now=now,
        late_hours=late_hours,
    )
    return visit


def _technician(caller: Caller) -> UUID:
    if caller.technician_id is None:
        raise Invalid(errors=[{"field": "account", "message": "belongs to no technician"}])
    return caller.technician_id


def _same(known: Sale, content: str, technician_id: UUID) -> Sale:
    if known.content_hash != content or known.technician_id != technician_id:
        raise SameIdOtherContent(id=known.id)
    return known


async def _priced(
    tx: AsyncSession, sale_id: UUID, org_unit_id: UUID, lines: Sequence[Line], now: datetime
) -> list[dict[str, Any]]:
    """Price the lines from the catalogue of the org unit's local day."""
    catalogue = await in_force(tx, await today_of(tx, org_unit_id, now))
    missing = [line.offering_code for line in lines if line.offering_code not in catalogue]
    if missing:
        raise rules.NotInTheCatalogue(offerings=missing)
    changed: list[rules.Change] = []
    items = []
    for position, line in enumerate(lines, start=1):
        offering = catalogue[line.offering_code]
        if ON_SITE[offering.business_type] is OnSite.LEAD_ONLY:
            raise rules.NotSoldAtTheDoor(
                offering=offering.code, on_site=ON_SITE[offering.business_type]
            )
        changed += rules.changed(
            line,
            monthly_fen=offering.monthly_price_fen,
            one_off_fen=offering.one_off_price_fen,
        )
        items.append(
            {
                "id": new_id(),
                "sale_id": sale_id,
                "position": position,
                "offering_id": offering.id,
                "offering_code": offering.code,
                "quantity": line.quantity,
                "monthly_price_fen": offering.monthly_price_fen,
                "one_off_price_fen": offering.one_off_price_fen,
                "commission_fen": offering.commission_fen,
                "suggestion_id": line.suggestion_id,
            }
        )
    if changed:
        raise rules.PriceChanged(changed)
    return items


async def confirm(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    kind: ConsentKind,
    given_at: datetime,
    evidence: Mapping[str, Any],
    caller: Caller,
    now: datetime,
) -> Sale:
    """Confirm a sale with the customer's consent; the job that delivers it is in the same
    transaction, so a confirmed sale is never without one.

    The same consent sent again is answered like the first time. Raises NotFound, SaleRefused,
    VisitOver, ConsentOutOfTime and, where the catalogue changed since the draft, PriceChanged,
    NotInTheCatalogue or NotSoldAtTheDoor.
    """
    sale = await queries.for_change(tx, sale_id, caller)
    items = (await queries.items_of(tx, [sale_id]))[sale_id]
    consent = rules.content_hash(
        {
            "sale": str(sale_id),
            "items": [
                [item.offering_code, item.quantity, item.monthly_price_fen, item.one_off_price_fen]
                for item in items
            ],
            "kind": kind,
            "given_at": given_at.timestamp(),
            "evidence": evidence,
        }
    )
    if sale.consent_hash == consent:
        return sale
    state = rules.move(sale.state, SaleState.CONFIRMED)
    await _visit(tx, sale.visit_id, sale.technician_id, caller.org_path, now)
    rules.consent_in_time(given_at, sale.device_at or sale.made_at, now)
    # The price is read again: what the customer agreed to must be what will be charged.
    lines = [
        Line(item.offering_code, item.quantity, item.monthly_price_fen, item.one_off_price_fen)
        for item in items
    ]
    await _priced(tx, sale_id, sale.org_unit_id, lines, now)
    sale.state = state
    sale.consent_kind = kind
    sale.consent_evidence = {**evidence, "given_at": given_at.isoformat()}
    sale.consent_hash = consent
    sale.confirmed_at = now
    await jobs.tell(tx, "sale.confirmed", sale_id=sale.id)
    return sale


async def cancel(tx: AsyncSession, *, sale_id: UUID, caller: Caller) -> Sale:
    """Cancel a draft; a second time is answered like the first. Raises NotFound, SaleRefused."""
    sale = await queries.for_change(tx, sale_id, caller)
    if sale.state is not SaleState.CANCELLED:
        # A confirmed sale is the ordering system's to cancel; only a draft is ours alone.
        if sale.state is not SaleState.DRAFT:
            raise rules.SaleRefused(state=sale.state, wanted=SaleState.CANCELLED)
        sale.state = SaleState.CANCELLED
    return sale


async def follow(
    tx: AsyncSession, *, sale_id: UUID, state: SaleState, at: datetime, reason: str | None = None
) -> Sale:
    """Set what the ordering system says of a sale; news that is older than what is known is
    left aside, so it can be told twice and out of order. Raises NotFound."""
    sale = await queries.for_change(tx, sale_id)
    if not rules.reached(sale.state, state):
        return sale
    sale.state = state
    # Whatever is told of it, it was sent: the news of that may be lost, or overtaken.
    sale.sent_at = sale.sent_at or at
    if state is SaleState.ACKNOWLEDGED:
        sale.acknowledged_at = at
    elif state is SaleState.COMPLETED:
        sale.acknowledged_at = sale.acknowledged_at or at
        sale.completed_at = at
    elif state in (SaleState.REJECTED, SaleState.CANCELLED):
        sale.rejected_reason = reason
    return sale


async def follow_many(tx: AsyncSession, news: Mapping[UUID, SaleState], *, at: datetime) -> None:
    """Set what the ordering system says of many sales that it has only just taken, in one
    statement: sent or acknowledged. What is older than what is known is left aside."""
    if not news:
        return
    ids = sorted(news)
    given = {"ids": ids, "states": [news[id_].value for id_ in ids], "at": at}
    changed = await fetched(tx, _FOLLOW_MANY, given)
    audit.note(tx, table="sale", operation="update", ids=[id_ for (id_,) in changed])


_FOLLOW_MANY = """
UPDATE sale
   SET state = told.state, sent_at = coalesce(sale.sent_at, %(at)s),
       acknowledged_at = CASE WHEN told.state = 'acknowledged' THEN %(at)s
                              ELSE sale.acknowledged_at END,
       version = sale.version + 1
  FROM unnest(%(ids)s::uuid[], %(states)s::text[]) AS told (id, state)
 WHERE sale.id = told.id
   AND (sale.state = 'confirmed' OR (sale.state = 'sent' AND told.state = 'acknowledged'))
RETURNING sale.id
"""


async def ask_to_cancel(tx: AsyncSession, sale: Sale, *, known_there: bool, reason: str) -> None:
    """Set a locked sale to be cancelled: at once where the ordering system never heard of it.

    Raises SaleRefused when it has ended.
    """
    wanted = SaleState.CANCELLING if known_there else SaleState.CANCELLED
    sale.state = rules.move(sale.state, wanted)
    if wanted is SaleState.CANCELLED:
        sale.rejected_reason = reason


async def go_on(tx: AsyncSession, *, sale_id: UUID, state: SaleState) -> None:
    """Let a sale go on, its cancellation having been refused. Raises NotFound."""
    sale = await queries.for_change(tx, sale_id)
    if sale.state is SaleState.CANCELLING:
        sale.state = state
