"""Follow-ups by telephone: claimed by whoever calls, so that no customer is called twice."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.core.errors import Invalid
from app.core.parameter_values import parameters_in_force
from app.followups import queries, rules
from app.followups.models import FollowUp
from app.followups.rules import Answered, FollowUpState, NoAnswer
from app.followups.service import answering


@dataclass(frozen=True)
class Claim:
    """A call that the caller has taken on, with whom to call in full."""

    follow_up: FollowUp
    name: str | None
    phone: str | None


async def claim(tx: AsyncSession, follow_up_id: UUID, caller: Caller, *, now: datetime) -> Claim:
    """Take a call on for a while; only now name and number are shown, which is audited.

    Claiming it again lengthens the while. Raises NotFound, CallNotOpen, and ClaimedByOthers.
    """
    follow_up = await queries.for_change(tx, follow_up_id, caller)
    rules.may_call(follow_up.state, follow_up.channel)
    _not_of_others(follow_up, caller, now)
    minutes = (await parameters_in_force(tx)).number(rules.CLAIM_MINUTES, now, caller.org_path)
    follow_up.claimed_by = caller.account_id
    follow_up.claimed_until = now + timedelta(minutes=minutes)
    person = await queries.phone_of(tx, follow_up.work_order_id)
    audit.unmasked(
        tx,
        caller,
        subject_kind="customer" if follow_up.customer_id else "work_order",
        subject_id=follow_up.customer_id or follow_up.work_order_id,
        purpose=f"follow_up:{follow_up.id}",
        fields=("contact_name", "contact_phone"),
    )
    await tx.flush()
    return Claim(follow_up, person.name, person.phone)


async def answered(
    tx: AsyncSession, follow_up_id: UUID, caller: Caller, said: Answered, *, now: datetime
) -> FollowUp:
    """Write down what a customer said on the telephone; the same again is answered alike.

    Raises NotFound, Invalid, AnsweredAlready, CallNotOpen, ClaimedByOthers and NotClaimed.
    """
    said.checked()
    follow_up = await queries.for_change(tx, follow_up_id, caller)
    if rules.same_answer(follow_up.answer_hash, said, follow_up.answered_at):
        return follow_up
    _claimed_by(follow_up, caller, now)
    await answering.keep(tx, follow_up, said, now=now)
    return follow_up


async def not_answered(
    tx: AsyncSession,
    follow_up_id: UUID,
    caller: Caller,
    cause: NoAnswer,
    *,
    again_at: datetime | None,
    now: datetime,
) -> FollowUp:
    """Write down a call that brought no answer: it is tried again later, or given up.

    `again_at` is when the customer wants to be called; else it is some hours from now. Raises
    NotFound, CallNotOpen, ClaimedByOthers, NotClaimed, and Invalid when `again_at` is not ahead or
    after the follow-up is over.
    """
    follow_up = await queries.for_change(tx, follow_up_id, caller)
    _claimed_by(follow_up, caller, now)
    if again_at is not None and not now < again_at < follow_up.expires_at:
        message = f"must lie after now and before {follow_up.expires_at.isoformat()}"
        raise Invalid(errors=[{"field": "again_at", "message": message}])
    numbers = await parameters_in_force(tx)
    follow_up.tries += 1
    follow_up.no_answer = cause
    follow_up.asked_at = follow_up.asked_at or now
    follow_up.claimed_by = follow_up.claimed_until = None
    follow_up.state = rules.after_call(
        cause, follow_up.tries, most=numbers.whole(rules.CALL_TRIES, now, caller.org_path)
    )
    if follow_up.state is FollowUpState.WAITING:
        hours = numbers.number(rules.CALL_AGAIN_HOURS, now, caller.org_path)
        follow_up.ask_at = again_at or now + timedelta(hours=hours)
    await tx.flush()
    return follow_up


def _not_of_others(follow_up: FollowUp, caller: Caller, now: datetime) -> None:
    until = follow_up.claimed_until
    if follow_up.claimed_by != caller.account_id and until is not None and until > now:
        raise rules.ClaimedByOthers(claimed_until=until)


def _claimed_by(follow_up: FollowUp, caller: Caller, now: datetime) -> None:
    """Check that the caller has claimed an open call. Their claim holds until somebody else's."""
    rules.may_call(follow_up.state, follow_up.channel)
    _not_of_others(follow_up, caller, now)
    if follow_up.claimed_by != caller.account_id:
        raise rules.NotClaimed()
