"""Working on cases: taken from a list, given to somebody, called about, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core.errors import NotFound, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.customers import queries as customers
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact, set_do_not_disturb
from app.grids import locating
from app.retention.models import RetentionCase
from app.retention.queries import cases as queries
from app.retention.queries.leavers import gone_for_change
from app.retention.queries.lists import grids_of
from app.retention.queries.toolkits import standing, toolkits
from app.retention.queries.warnings import homes
from app.retention.rules import Arm, CaseOutcome, CaseState, Cause, Handling, cases
from app.retention.rules.cases import Said, Wanted
from app.retention.service import lists
from app.retention.service.warnings import order_of, send
from app.suggestions.rules import HeldBack
from app.suggestions.rules.contacts import ContactOutcome, ContactRefused
from app.suggestions.service import (
    Own,
    check,
    confirm,
    held_back,
    release,
    reserve,
    reserved,
    run_out,
)
from app.technicians.models import Technician
from app.workorders.queries import Unit, org_units

# How urgent the visit is of somebody whom a supervisor has taken from a list.
_PRIORITY = 3
# Who is spoken to about these is offered something, so that it is a sales contact however it ends.
# About the others it is one where something was offered, and otherwise care.
_SELLING = frozenset({Cause.CONTRACT_ENDS, Cause.LEFT})
# Outcomes of sales contacts have the words of every other channel.
_SALES_WORDS = {
    CaseOutcome.ACCEPTED: ContactOutcome.ACCEPTED,
    CaseOutcome.LATER: ContactOutcome.LATER,
    CaseOutcome.REFUSED: ContactOutcome.DECLINED,
    CaseOutcome.LEAVES: ContactOutcome.DECLINED,
    CaseOutcome.NOT_WANTED: ContactOutcome.DECLINED,
    CaseOutcome.STAYS: ContactOutcome.DECLINED,
}
_NOBODY_SPOKE = frozenset({CaseOutcome.UNREACHED, CaseOutcome.WRONG_NUMBER})


async def take(tx: AsyncSession, wanted: Wanted, caller: Caller, *, now: datetime) -> RetentionCase:
    """Take a customer from the win-back or the renewal list; the same again is answered alike.

    A visit becomes a care order through intake; a call stands for whoever claims it, or for the
    technician it is given to. Raises NotFound, NotOnList, CaseOpenAlready, NowhereToVisit and
    SameIdOtherContent.
    """
    # The map comes first: whoever changes it may want rows that are locked below.
    await locating.for_keeps(tx)
    customer = await customers.for_change(tx, caller, wanted.customer_id)
    known = await tx.get(RetentionCase, wanted.id)
    if known is not None:
        if known.content_hash != wanted.content():
            raise SameIdOtherContent(id=wanted.id)
        return known
    if wanted.technician_id is not None:
        await _technician(tx, wanted.technician_id, caller)
    other = await queries.open_of(tx, customer.id)
    if other is not None:
        raise cases.CaseOpenAlready(id=other.id)
    read = lists.win_back if wanted.cause is Cause.LEFT else lists.renewal
    for grid_id in await grids_of(tx, customer.id, caller):
        listed = await read(tx, grid_id, caller, size=1, now=now, customer_id=customer.id)
        if listed.rows:
            break
    else:
        raise cases.NotOnList()
    kit = listed.toolkit(listed.rows[0])
    unit = (await org_units(tx, ids=[customer.org_unit_id])).by_id[customer.org_unit_id]
    subject = (await standing(tx, customer.id, now.astimezone(unit.zone).date())).subject
    days = (await parameters_in_force(tx)).number(cases.CASE_DAYS, now, unit.path)
    case = RetentionCase(
        id=wanted.id,
        org_unit_id=customer.org_unit_id,
        customer_id=customer.id,
        grid_id=grid_id,
        cause=wanted.cause,
        handling=wanted.handling,
        arm=Arm.TREATED,
        share_percent=0.0,
        state=CaseState.OPEN,
        tier=subject.tier,
        counted_tier=subject.stepped_up,
        churn_class=subject.churn_class,
        value_12m_fen=listed.rows[0].value_12m_fen,
        toolkit_id=kit.id if kit else None,
        decided_at=now,
        ask_at=now,
        ends_at=now + timedelta(days=days),
        tries=0,
        technician_id=wanted.technician_id,
        taken_by=caller.account_id,
        content_hash=wanted.content(),
    )
    if wanted.handling is Handling.VISIT:
        await _visit(tx, case, unit, now=now)
    tx.add(case)
    await tx.flush()
    return case


async def _visit(tx: AsyncSession, case: RetentionCase, unit: Unit, *, now: datetime) -> None:
    home = (await homes(tx, [case]))[case.customer_id]
    if home.address is None:
        raise cases.NowhereToVisit()
    kits = dict(await toolkits(tx))
    draft = order_of(case, home, kits, _PRIORITY, unit, now)
    await send(tx, [case], [draft], unit, now=now)


async def give(
    tx: AsyncSession, case_id: UUID, technician_id: UUID, caller: Caller, *, now: datetime
) -> RetentionCase:
    """Give a call to a technician, who sees it among their own cases from now on.

    Raises NotFound, CaseNotOpen, CaseNotCalled and CaseClaimed.
    """
    case = await queries.for_change(tx, case_id, caller)
    await _technician(tx, technician_id, caller)
    if case.technician_id == technician_id:
        return case
    cases.may_claim(
        case.state, case.handling, case.claimed_by, case.claimed_until, caller.account_id, now
    )
    await _call_over(tx, case, now=now)
    case.technician_id, case.claimed_by, case.claimed_until = technician_id, None, None
    await tx.flush()
    return case


async def _technician(tx: AsyncSession, technician_id: UUID, caller: Caller) -> None:
    technician = await tx.get(Technician, technician_id)
    units = await org_units(tx)
    if technician is None or technician.org_unit_id not in units.within(caller.org_path):
        raise NotFound()


@dataclass(frozen=True)
class Claim:
    """A call that the caller has taken on, with whom to call in full.

    `offers` has what the toolkit offers, each with what forbids to speak of it in this call; null
    is nothing.
    """

    case: RetentionCase
    name: str
    phone: str
    offers: Mapping[str, HeldBack | None]


async def claim(tx: AsyncSession, case_id: UUID, caller: Caller, *, now: datetime) -> Claim:
    """Take a call on for a while; only now name and number are shown, which is audited.

    Claiming it again lengthens the while. Whatever may be offered in a call needs the customer's
    contact slot, so that it is reserved where the toolkit has offers. A call that is there to sell
    is refused where it cannot be had; one that is there to care is not, and offers nothing then.
    Raises NotFound, CaseNotOpen, CaseNotCalled, CaseClaimed, and ContactRefused with the first day
    on which the customer may be spoken to.
    """
    case = await queries.for_change(tx, case_id, caller)
    cases.may_claim(
        case.state, case.handling, case.claimed_by, case.claimed_until, caller.account_id, now
    )
    customer = await customers.one(tx, caller, case.customer_id)
    unranked = case.cause in cases.BY_PROFILE and not customer.personal_offers
    if customer.do_not_disturb or unranked:
        raise cases.CaseNotOpen(state=CaseState.DROPPED)
    offers = await _offers_of(tx, case)
    if case.claimed_by != caller.account_id:
        await _call_over(tx, case, now=now)
    slot = _slot_of(case, caller.account_id)
    if offers or case.cause in _SELLING:
        try:
            await reserve(
                tx,
                slot,
                customer.id,
                caller,
                channel=Channel.PHONE,
                subject=_subject(case),
                now=now,
            )
        except ContactRefused:
            if case.cause in _SELLING:
                raise
    minutes = (await parameters_in_force(tx)).number(cases.CLAIM_MINUTES, now, caller.org_path)
    case.claimed_by = caller.account_id
    case.claimed_until = now + timedelta(minutes=minutes)
    audit.unmasked(
        tx,
        caller,
        subject_kind="customer",
        subject_id=customer.id,
        purpose=f"retention_case:{case.id}",
        fields=("name", "phone"),
    )
    await tx.flush()
    own = Own(reservation_id=slot)
    told = await held_back(tx, customer, Channel.PHONE, offers, own=own, now=now) if offers else {}
    return Claim(case, customer.name, customer.phone, told)


async def _offers_of(tx: AsyncSession, case: RetentionCase) -> Sequence[str]:
    """List what the toolkit that a case began with offers."""
    kit = (await toolkits(tx)).get(case.toolkit_id) if case.toolkit_id is not None else None
    return kit.toolkit.offers if kit is not None else ()


def _slot_of(case: RetentionCase, account_id: UUID) -> UUID:
    """Name the contact slot of one call: what was said before tells it from the call before."""
    return uuid5(case.id, f"{account_id}:{case.tries}:{case.said_at}")


async def _call_over(tx: AsyncSession, case: RetentionCase, *, now: datetime) -> None:
    """Let the slot run out of whoever had claimed a call: another is to speak to the customer."""
    if case.claimed_by is not None:
        await run_out(tx, _slot_of(case, case.claimed_by), now=now)


def _subject(case: RetentionCase) -> str:
    return f"retention:{case.cause}"


async def said(
    tx: AsyncSession, case_id: UUID, what: Said, caller: Caller, *, now: datetime
) -> RetentionCase:
    """Write down how a contact about a case ended; the same again is answered alike.

    It is a contact in the ledger: a sales contact where something was offered. What every channel
    keeps to wins over an acceptance, by telephone or at the door; a refusal is the truth all the
    same, and silences the offer on all channels. Whoever wants no contact is not disturbed any more
    on any of them; a former customer who refuses is on no list again. Raises NotFound, Invalid,
    CaseNotOpen, CaseClaimed, CaseNotClaimed, ContactRefused and ChannelNotForOffer.
    """
    case = await queries.for_change(tx, case_id, caller)
    unit = (await org_units(tx, ids=[case.org_unit_id])).by_id[case.org_unit_id]
    what.checked(now.astimezone(unit.zone).date())
    # Who has claimed it anew has called anew, and may have heard the same.
    if case.answer_hash == what.content() and case.claimed_by != caller.account_id:
        return case
    visited = case.handling is Handling.VISIT
    # A visit's outcome may be told after its order was completed, which closed the case.
    open_still = case.state is CaseState.OPEN or (
        visited and case.state is CaseState.DONE and case.outcome is None
    )
    if not open_still:
        raise cases.CaseNotOpen(state=case.state)
    if not visited:
        cases.may_claim(
            case.state, case.handling, case.claimed_by, case.claimed_until, caller.account_id, now
        )
        if case.claimed_by != caller.account_id:
            raise cases.CaseNotClaimed()
    await _tell_ledger(tx, case, what, caller, now=now)
    await _keep(tx, case, what, unit, now=now)
    case.closed_by = caller.account_id if case.closed_at else None
    await _follow(tx, case, what, caller, now=now)
    await tx.flush()
    return case


async def _tell_ledger(
    tx: AsyncSession, case: RetentionCase, what: Said, caller: Caller, *, now: datetime
) -> None:
    """Write a contact into the ledger, through the slot of a call that has one, or give that back.

    A visit has no slot of its own: it is its order that stands at the door.
    """
    visited = case.handling is Handling.VISIT
    slot = _slot_of(case, caller.account_id)
    has_slot = not visited and await reserved(tx, slot)
    offered = what.outcome not in _NOBODY_SPOKE and (
        case.cause in _SELLING or what.offered_something
    )
    if has_slot and not offered:
        await release(tx, slot, caller, now=now)
    if what.outcome in _NOBODY_SPOKE:
        return
    channel = Channel.VISIT if visited else Channel.PHONE
    if what.outcome is CaseOutcome.ACCEPTED:
        customer = await customers.one(tx, caller, case.customer_id)
        own = Own(work_order_id=case.work_order_id) if visited else Own(reservation_id=slot)
        await check(tx, customer, channel, what.offering_code, own=own, now=now)
    outcome = _SALES_WORDS[what.outcome]
    if offered and has_slot:
        await confirm(
            tx,
            slot,
            caller,
            contacted_at=now,
            outcome=outcome,
            offering_code=what.offering_code,
            later_on=what.again_on,
            now=now,
        )
        return
    await record_contact(
        tx,
        customer_id=case.customer_id,
        at=now,
        channel=channel,
        kind=InteractionKind.SALES if offered else InteractionKind.SERVICE,
        subject=_subject(case),
        outcome=outcome.value if offered else what.outcome.value,
        technician_id=caller.technician_id,
        offering_code=what.offering_code,
        later_on=what.again_on if offered else None,
        work_order_id=case.work_order_id,
    )


async def _keep(
    tx: AsyncSession, case: RetentionCase, what: Said, unit: Unit, *, now: datetime
) -> None:
    """Write what was said into a case, which is asked again or closed."""
    numbers = await parameters_in_force(tx)
    if what.outcome is CaseOutcome.UNREACHED:
        case.tries += 1
    then = cases.after(
        what.outcome, case.tries, most=numbers.whole(cases.CALL_TRIES, now, unit.path)
    )
    case.outcome, case.reason, case.competitor = what.outcome, what.reason, what.competitor
    case.offering_code, case.note = what.offering_code, what.note or None
    case.said_at, case.answer_hash = now, what.content()
    case.claimed_by = case.claimed_until = None
    if case.state is CaseState.OPEN and then is CaseState.OPEN:
        if what.again_on is not None:
            begins = datetime.combine(what.again_on, time(9), unit.zone)
            case.ask_at = begins.astimezone(now.tzinfo)
            case.ends_at = max(case.ends_at, case.ask_at + timedelta(days=2))
        else:
            hours = numbers.number(cases.CALL_AGAIN_HOURS, now, unit.path)
            case.ask_at = now + timedelta(hours=hours)
        return
    if case.state is CaseState.OPEN and case.handling is Handling.CALL:
        case.state, case.closed_at = then, now


async def _follow(
    tx: AsyncSession, case: RetentionCase, what: Said, caller: Caller, *, now: datetime
) -> None:
    """Let what a customer said have its effect beyond the case."""
    if what.outcome is CaseOutcome.NOT_WANTED:
        await set_do_not_disturb(tx, customer_id=case.customer_id, on=True, caller=caller, now=now)
    if case.cause is not Cause.LEFT:
        return
    former = await gone_for_change(tx, case.customer_id)
    if former is None:
        return
    if what.outcome in (CaseOutcome.REFUSED, CaseOutcome.LEAVES, CaseOutcome.NOT_WANTED):
        former.refused_at = now
    if what.outcome is CaseOutcome.WRONG_NUMBER:
        former.reachable = False


async def order_completed(tx: AsyncSession, order_id: UUID, *, now: datetime) -> None:
    """Close the case whose visit is done; what was said there may be told later."""
    case = await queries.of_order(tx, order_id)
    if case is not None:
        case.state, case.closed_at = CaseState.DONE, now
        await tx.flush()


async def tidy(tx: AsyncSession, *, now: datetime) -> None:
    """End cases whose order is closed, and those that nobody has begun in time."""
    over = await queries.tidy(tx, now)
    if over:
        ids = [one.id for one in over]
        audit.note(tx, table="retention_case", operation="update", ids=ids, columns=["state"])
