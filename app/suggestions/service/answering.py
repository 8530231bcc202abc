"""Taking down what a customer said to a suggestion."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import SameIdOtherContent
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact
from app.suggestions import queries
from app.suggestions.models import SuggestionAnswer
from app.suggestions.rules import AnswerKind, DeclineReason, NotShown, complete_answer, said_at
from app.suggestions.service.contacts import release_slot


@dataclass(frozen=True)
class Said:
    """What a phone reports that a customer said; the phone makes the id."""

    id: UUID
    answer: AnswerKind
    reason: DeclineReason | None
    competitor: str | None
    later_on: date | None
    device_at: datetime


async def take_down(
    tx: AsyncSession, suggestion_id: UUID, said: Said, *, technician_id: UUID, now: datetime
) -> SuggestionAnswer:
    """Take down a customer's answer to a suggestion; late ones from offline phones count too.

    What was pitched is a sales contact in the ledger; what was only shown is not. The same answer
    sent again is answered like the first time. Raises NotFound for somebody else's suggestion,
    NotShown for one that was held back, Invalid, and SameIdOtherContent.
    """
    suggestion, decision = await queries.own_suggestion(tx, suggestion_id, technician_id)
    known = await tx.get(SuggestionAnswer, said.id)
    if known is not None:
        return _same(known, suggestion_id, said)
    if suggestion.rank is None:
        raise NotShown(offering=suggestion.offering_code, held_back=suggestion.held_back)
    at = said_at(said.device_at, decision.at, now)
    complete_answer(said.answer, said.reason, said.later_on, at)
    await queries.lock_customer(tx, decision.customer_id)
    written = await tx.scalar(
        insert(SuggestionAnswer)
        .values(
            **vars(said),
            suggestion_id=suggestion_id,
            customer_id=decision.customer_id,
            technician_id=technician_id,
            at=at,
        )
        .on_conflict_do_nothing(index_elements=[SuggestionAnswer.id])
        .returning(SuggestionAnswer.id)
    )
    answer = await tx.get_one(SuggestionAnswer, said.id)
    if written is None:  # the same answer came on another connection meanwhile
        return _same(answer, suggestion_id, said)
    if said.answer is not AnswerKind.NOT_PITCHED:
        await record_contact(
            tx,
            customer_id=decision.customer_id,
            at=at,
            channel=Channel.VISIT,
            kind=InteractionKind.SALES,
            subject=suggestion.offering_code,
            outcome=said.answer.value,
            technician_id=technician_id,
            work_order_id=decision.work_order_id,
        )
        # From here on the ledger counts it.
        await release_slot(tx, decision.visit_id)
    return answer


def _same(known: SuggestionAnswer, suggestion_id: UUID, said: Said) -> SuggestionAnswer:
    if known.suggestion_id != suggestion_id or any(
        getattr(known, name) != value for name, value in vars(said).items()
    ):
        raise SameIdOtherContent(id=said.id)
    return known
