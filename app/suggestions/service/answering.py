"""Taking down what was pitched and what a customer said, and handing an offer over to others."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.models import ProductOffering
from app.core.errors import SameIdOtherContent
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact
from app.lifecycle.service import judging
from app.suggestions import queries
from app.suggestions.models import (
    CompetitorNote,
    SalesLead,
    Suggestion,
    SuggestionAnswer,
    SuggestionDecision,
)
from app.suggestions.rules import AnswerKind, DeclineReason
from app.suggestions.rules.answering import (
    Competitor,
    NotShown,
    Said,
    complete_answer,
    said_at,
    too_late,
    was_pitched,
)
from app.suggestions.rules.channels import check_receiver
from app.suggestions.rules.leads import HandingOver, LeadOpen, LeadState
from app.suggestions.service.contacts import release_spoken
from app.suggestions.service.guarding import guard_now


async def take_down(
    tx: AsyncSession, suggestion_id: UUID, said: Said, *, technician_id: UUID, now: datetime
) -> SuggestionAnswer:
    """Take down what was pitched and a customer's answer; late ones from offline phones count too.

    What was pitched is a sales contact in the ledger; what was only shown is not. An acceptance is
    written down whatever happened since, with the guard that has become true meanwhile: that wins,
    and no sale is opened on it; nor is one on what was said when it was not to be shown any more.
    The same answer sent again is answered like the first time. Raises NotFound for somebody else's
    suggestion, NotShown for one that was held back, Invalid, and SameIdOtherContent.
    """
    suggestion, decision = await queries.own_suggestion(tx, suggestion_id, technician_id)
    pitched = was_pitched(said.answer, said.pitched)
    values = {
        "suggestion_id": suggestion_id,
        "answer": said.answer,
        "pitched": pitched,
        "reason": said.reason,
        "later_on": said.later_on,
        "competitor": said.competitor and said.competitor.who,
        "device_at": said.device_at,
    }
    known = await tx.get(SuggestionAnswer, said.id)
    if known is not None:
        return await _same(tx, known, values, said.competitor)
    if suggestion.rank is None:
        raise NotShown(offering=suggestion.offering_code, held_back=suggestion.held_back)
    at = said_at(said.device_at, decision.at, now)
    order = (await tx.execute(_ORDER, {"work_order_id": decision.work_order_id})).one()
    _, zone = await queries.unit_of(tx, order.org_unit_id)
    complete_answer(said.answer, said.reason, said.later_on, at.astimezone(zone).date())
    await queries.lock_customer(tx, decision.customer_id)
    guard = None
    if said.answer is AnswerKind.ACCEPTED:
        offering = await tx.get_one(ProductOffering, suggestion.offering_id)
        guard = await guard_now(
            tx, decision.customer_id, [suggestion_id], prepaid=offering.prepaid, now=now
        ) or too_late(at, decision.valid_until)
    answer, new = await _written(
        tx,
        suggestion,
        decision,
        {**values, "id": said.id, "held_back": guard, "at": at},
    )
    if not new:  # the same answer came on another connection meanwhile
        return await _same(tx, answer, values, said.competitor)
    if said.competitor is not None:
        await _note(tx, said.id, said.competitor, decision, at)
    return answer


async def _written(
    tx: AsyncSession,
    suggestion: Suggestion,
    decision: SuggestionDecision,
    values: Mapping[str, Any],
) -> tuple[SuggestionAnswer, bool]:
    """Write an answer under the customer's lock, and the contact where something was pitched."""
    written = await tx.scalar(
        insert(SuggestionAnswer)
        .values(**values, customer_id=decision.customer_id, technician_id=decision.technician_id)
        .on_conflict_do_nothing(index_elements=[SuggestionAnswer.id])
        .returning(SuggestionAnswer.id)
    )
    if written is not None and values["pitched"]:
        await record_contact(
            tx,
            customer_id=decision.customer_id,
            at=values["at"],
            channel=Channel.VISIT,
            kind=InteractionKind.SALES,
            subject=suggestion.offering_code,
            outcome=values["answer"] and values["answer"].value,
            technician_id=decision.technician_id,
            work_order_id=decision.work_order_id,
        )
        if values.get("reason") is DeclineReason.DISSATISFIED:
            await judging.look_soon(tx, [decision.customer_id])
        # From here on the ledger counts it.
        await release_spoken(tx, decision.visit_id, decision.work_order_id)
    return await tx.get_one(SuggestionAnswer, values["id"]), written is not None


async def _same(
    tx: AsyncSession,
    known: SuggestionAnswer,
    values: Mapping[str, Any],
    competitor: Competitor | None,
) -> SuggestionAnswer:
    same = all(getattr(known, name) == value for name, value in values.items())
    if same and competitor is not None:
        note = await tx.get_one(CompetitorNote, known.id)
        same = all(getattr(note, name) == value for name, value in vars(competitor).items())
    if not same:
        raise SameIdOtherContent(id=known.id)
    return known


# The grid and the unit are those of the order at the door.
_ORDER = text("SELECT org_unit_id, grid_id FROM work_order WHERE id = :work_order_id")


async def _note(
    tx: AsyncSession,
    note_id: UUID,
    competitor: Competitor,
    decision: SuggestionDecision,
    at: datetime,
) -> None:
    order = (await tx.execute(_ORDER, {"work_order_id": decision.work_order_id})).one()
    tx.add(
        CompetitorNote(
            id=note_id,
            **vars(competitor),
            org_unit_id=order.org_unit_id,
            grid_id=order.grid_id,
            customer_id=decision.customer_id,
            technician_id=decision.technician_id,
            at=at,
        )
    )
    await tx.flush()


class HandedOver(NamedTuple):
    """What was said of an offer, and the lead it became; None where a guard wins over that."""

    answer: SuggestionAnswer
    lead: SalesLead | None


async def hand_over(
    tx: AsyncSession, suggestion_id: UUID, asked: HandingOver, *, technician_id: UUID, now: datetime
) -> HandedOver:
    """Hand an offer over to another channel as a lead, which closes it in the visit.

    The customer has been spoken to, so it is a contact. Where a guard has become true meanwhile
    nobody is given a lead: that wins, and the answer that is kept says so. The same again is
    answered like the first time. Raises NotFound, NotShown, ChannelNotForOffer where its kind of
    business is not theirs, LeadOpen where somebody has one already, and SameIdOtherContent.
    """
    suggestion, decision = await queries.own_suggestion(tx, suggestion_id, technician_id)
    if suggestion.rank is None:
        raise NotShown(offering=suggestion.offering_code, held_back=suggestion.held_back)
    await queries.lock_customer(tx, decision.customer_id)
    known = await tx.get(SalesLead, asked.id)
    if known is not None:
        if known.suggestion_id != suggestion_id or any(
            getattr(known, name) != value for name, value in vars(asked).items()
        ):
            raise SameIdOtherContent(id=asked.id)
        return HandedOver(await tx.get_one(SuggestionAnswer, asked.id), known)
    values = {
        "suggestion_id": suggestion_id,
        "answer": AnswerKind.HANDED_OVER,
        "pitched": True,
        "device_at": asked.device_at,
    }
    kept = await tx.get(SuggestionAnswer, asked.id)
    if kept is not None:  # without a lead, so it was held back, or is no hand-over at all
        return HandedOver(await _same(tx, kept, values, None), None)
    offering = await tx.get_one(ProductOffering, suggestion.offering_id)
    check_receiver(offering.code, offering.business_type, asked.handed_to)
    guard = await guard_now(
        tx, decision.customer_id, [suggestion_id], prepaid=offering.prepaid, now=now
    )
    if guard is None:
        before = await queries.open_lead(tx, decision.customer_id, suggestion.offering_code)
        if before is not None:
            raise LeadOpen(offering=suggestion.offering_code, at=before.at)
    at = said_at(asked.device_at, decision.at, now)
    answer, new = await _written(
        tx, suggestion, decision, {**values, "id": asked.id, "held_back": guard, "at": at}
    )
    if not new:
        raise SameIdOtherContent(id=asked.id)
    if guard is not None:
        return HandedOver(answer, None)
    order = (await tx.execute(_ORDER, {"work_order_id": decision.work_order_id})).one()
    lead = SalesLead(
        **vars(asked),
        org_unit_id=order.org_unit_id,
        customer_id=decision.customer_id,
        suggestion_id=suggestion_id,
        offering_code=suggestion.offering_code,
        technician_id=technician_id,
        state=LeadState.OPEN,
        at=at,
        changed_at=now,
    )
    tx.add(lead)
    await tx.flush()
    return HandedOver(answer, lead)
