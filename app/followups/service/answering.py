"""An answer, by whichever way it comes: kept once, written down as a contact, and acted on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.core.parameter_values import parameters_in_force
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact
from app.dispatch.service.intake import take_in
from app.followups import queries, rules
from app.followups.models import FollowUp
from app.followups.rules import Answered, FollowUpChannel, FollowUpState
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units
from app.workorders.rules import Draft, Sender
from app.worktypes.rules import WorkType

# Under which name this house sends orders of its own making to itself.
SOURCE = "yingwei"

_CHANNELS = {FollowUpChannel.SURVEY: Channel.SMS, FollowUpChannel.CALL: Channel.PHONE}


async def show(tx: AsyncSession, token: str, *, now: datetime) -> Row[Any] | None:
    """Read what a survey shows; None for a token that opens none, or none any more."""
    return await queries.survey(tx, token, now)


async def answer(
    tx: AsyncSession, token: str, answered: Answered, *, now: datetime
) -> FollowUp | None:
    """Keep a customer's answer to a survey, once; the same again is answered alike.

    Returns None for a token that opens no survey, or none any more. Raises Invalid for reasons that
    do not fit the mark, and AnsweredAlready for another answer.
    """
    answered.checked()
    follow_up = await queries.by_token(tx, token)
    if follow_up is None or follow_up.expires_at <= now:
        return None
    if not rules.same_answer(follow_up.answer_hash, answered, follow_up.answered_at):
        await keep(tx, follow_up, answered, now=now)
    return follow_up


async def keep(tx: AsyncSession, follow_up: FollowUp, answered: Answered, *, now: datetime) -> None:
    """Keep an answer of a locked follow-up that has none; a low mark is told to the worker."""
    follow_up.state, follow_up.answered_at = FollowUpState.ANSWERED, now
    follow_up.asked_at = follow_up.asked_at or now
    follow_up.mark, follow_up.reasons = answered.mark, [str(one) for one in answered.reasons]
    follow_up.note, follow_up.answer_hash = answered.note or None, answered.content()
    order = await tx.get_one(WorkOrder, follow_up.work_order_id)
    if follow_up.customer_id is not None:
        await record_contact(
            tx,
            customer_id=follow_up.customer_id,
            at=now,
            channel=_CHANNELS[follow_up.channel],
            kind=InteractionKind.FOLLOW_UP,
            subject=order.work_type.value,
            outcome=str(answered.mark),
            technician_id=follow_up.technician_id,
            work_order_id=order.id,
        )
    unit = (await org_units(tx, ids=[follow_up.org_unit_id])).by_id[follow_up.org_unit_id]
    numbers = await parameters_in_force(tx)
    if answered.mark < numbers.number(rules.CARE_BELOW, now, unit.path):
        await jobs.tell(tx, "followup.low", follow_up_id=follow_up.id)
    await tx.flush()


async def take_care(tx: AsyncSession, follow_up_id: UUID, *, now: datetime) -> UUID | None:
    """Make the care order of a low mark, once however often it is called; return its id.

    It goes through dispatch's intake like any other, under the follow-up's id. Raises NotFound, and
    what intake refuses.
    """
    follow_up = await queries.for_change(tx, follow_up_id)
    if follow_up.care_order_id is not None or follow_up.mark is None:
        return follow_up.care_order_id
    order = await tx.get_one(WorkOrder, follow_up.work_order_id)
    unit = (await org_units(tx, ids=[follow_up.org_unit_id])).by_id[follow_up.org_unit_id]
    numbers = await parameters_in_force(tx)
    draft = await _care(tx, follow_up, order, numbers.whole(rules.CARE_PRIORITY, now, unit.path))
    sender = Sender(None, unit.id, unit.path)
    [outcome] = await take_in(tx, [draft], sender, now=now)
    if outcome.problem is not None:
        raise outcome.problem
    follow_up.care_order_id = outcome.id
    await tx.flush()
    return outcome.id


async def _care(tx: AsyncSession, follow_up: FollowUp, order: WorkOrder, priority: int) -> Draft:
    """Write the order that sends somebody to the door again, with what the customer said."""
    assert follow_up.mark is not None and follow_up.answered_at is not None
    said = Answered(follow_up.mark, rules.reasons_of(follow_up.reasons), follow_up.note)
    words = said.words()
    lon, lat, customer_code = await queries.place_of(tx, order.id)
    return Draft(
        source=SOURCE,
        external_id=f"care-{follow_up.id}",
        content_hash=said.content()[:32],
        work_type=WorkType.CARE,
        address=order.address,
        summary=f"{words.zh} · {words.en} ({order.external_id})"[:2000],
        reported_at=follow_up.answered_at,
        priority=priority,
        customer_code=customer_code,
        service_number=order.service_number,
        contact_name=order.contact_name,
        contact_phone=order.contact_phone,
        locality=order.locality,
        lon=lon,
        lat=lat,
    )
