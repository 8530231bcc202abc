"""Special terms: asked for once, approved step by step, and used for one sale."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.keys import KeyRing
from app.auth.rules import Caller
from app.core.db import new_id
from app.core.errors import SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.customers import queries as customers
from app.retention.models import SpecialTerms, TermsVerdict
from app.retention.queries import terms as queries
from app.retention.queries.toolkits import standing, toolkits
from app.retention.rules import Hand, TermsState, terms
from app.retention.rules.terms import Asked
from app.retention.rules.toolkits import (
    NoToolkit,
    OfferNotInToolkit,
    hand_of,
    path_of,
    toolkit_for,
)
from app.workorders.queries import org_units

# What the keyed hash of a code is for: it opens nothing else.
SEALED_AS = "approval code"


async def ask(
    tx: AsyncSession, asked: Asked, caller: Caller, keys: KeyRing, *, now: datetime
) -> SpecialTerms:
    """Ask for special terms for a customer; the same again is answered like the first time.

    What the asker may give by their own word is approved at once. Raises NotFound for a customer
    outside the caller's subtree, NoToolkit, OfferNotInToolkit, TermsOffTheSteps,
    TermsBeyondMandate, OneAskedAtATime and SameIdOtherContent.
    """
    # The customer's lock lets one ask at a time.
    customer = await customers.for_change(tx, caller, asked.customer_id)
    known = await tx.get(SpecialTerms, asked.id)
    if known is not None:
        if known.content_hash != asked.content() or known.asked_by != caller.account_id:
            raise SameIdOtherContent(id=asked.id)
        return known
    unit = (await org_units(tx, ids=[customer.org_unit_id])).by_id[customer.org_unit_id]
    today = now.astimezone(unit.zone).date()
    customer_now = await standing(tx, customer.id, today)
    found = toolkit_for(
        (await toolkits(tx)).values(), asked.kind, customer_now.subject, unit.path, today
    )
    if found is None:
        raise NoToolkit(kind=asked.kind)
    if asked.offering_code not in found.toolkit.offers:
        raise OfferNotInToolkit(toolkit=found.toolkit.name.zh, offers=list(found.toolkit.offers))
    hand = hand_of(caller.role, caller.org_path)
    path = path_of(found.toolkit, hand, asked.terms)
    await queries.expire(tx, now, customer.id)
    other = await queries.open_of(tx, customer.id, asked.offering_code)
    if other is not None:
        raise terms.OneAskedAtATime(id=other.id)
    hours = (await parameters_in_force(tx)).number(terms.ASK_HOURS, now, unit.path)
    special = SpecialTerms(
        id=asked.id,
        org_unit_id=customer.org_unit_id,
        customer_id=customer.id,
        case_id=asked.case_id,
        toolkit_id=found.id,
        offering_code=asked.offering_code,
        discount_percent=asked.terms.discount_percent,
        months=asked.terms.months,
        reason=asked.reason,
        content_hash=asked.content(),
        tier=customer_now.subject.tier,
        counted_tier=customer_now.subject.stepped_up,
        churn_class=customer_now.subject.churn_class,
        asked_by=caller.account_id,
        asked_as=hand,
        asked_at=now,
        path=[one.value for one in path],
        step=0,
        state=TermsState.WAITING,
        expires_at=now + timedelta(hours=hours),
    )
    if not path:
        await _approve(tx, special, unit.path, keys, now=now)
    tx.add(special)
    await tx.flush()
    return special


async def judge(
    tx: AsyncSession,
    terms_id: UUID,
    caller: Caller,
    keys: KeyRing,
    *,
    approved: bool,
    reason: str,
    now: datetime,
) -> SpecialTerms:
    """Take the next step of the path: approve or decline, with a reason.

    The same said again by the same account changes nothing. Raises NotFound, TermsNotOpen and
    StepNotYours.
    """
    special = await queries.one(tx, terms_id, caller, for_change=True)
    taken = await queries.verdicts(tx, [special.id])
    if taken and taken[-1].account_id == caller.account_id:
        last = taken[-1]
        if (last.approved, last.reason) == (approved, reason):
            return special
    _still(special, TermsState.WAITING, now)
    wanted = Hand(special.path[special.step])
    hand = hand_of(caller.role, caller.org_path)
    before = [one.account_id for one in taken]
    terms.may_judge(wanted, hand, caller.account_id, special.asked_by, before)
    tx.add(
        TermsVerdict(
            id=new_id(),
            terms_id=special.id,
            step=special.step,
            hand=hand,
            account_id=caller.account_id,
            approved=approved,
            reason=reason,
            at=now,
        )
    )
    special.step += 1
    if not approved:
        special.state = TermsState.DECLINED
    elif special.step == len(special.path):
        unit = (await org_units(tx, ids=[special.org_unit_id])).by_id[special.org_unit_id]
        await _approve(tx, special, unit.path, keys, now=now)
    await tx.flush()
    return special


async def withdraw(
    tx: AsyncSession, terms_id: UUID, caller: Caller, *, now: datetime
) -> SpecialTerms:
    """Take back what was asked for or approved and not used, once; only the asker can.

    Raises NotFound, TermsNotOpen, and StepNotYours for anybody else.
    """
    special = await queries.one(tx, terms_id, caller, for_change=True)
    if special.asked_by != caller.account_id:
        raise terms.StepNotYours(needs=special.asked_as)
    if special.state is TermsState.WITHDRAWN:
        return special
    if terms.standing(special.state, special.expires_at, now) not in terms.OPEN:
        _still(special, TermsState.WAITING, now)
    special.state = TermsState.WITHDRAWN
    await tx.flush()
    return special


def code_of(special: SpecialTerms, keys: KeyRing) -> str | None:
    """Seal the code of approved terms anew, for whoever asked for them; None without one."""
    if special.key_id is None:
        return None
    sealed = keys.seal(SEALED_AS, _sealed(special), special.key_id)
    return terms.code_from(sealed[1]) if sealed else None


async def _approve(
    tx: AsyncSession, special: SpecialTerms, org_path: str, keys: KeyRing, *, now: datetime
) -> None:
    """Give terms their code, which is good for some hours from now."""
    hours = (await parameters_in_force(tx)).number(terms.CODE_HOURS, now, org_path)
    special.state = TermsState.APPROVED
    special.expires_at = now + timedelta(hours=hours)
    sealed = keys.seal(SEALED_AS, _sealed(special))
    assert sealed is not None
    special.key_id = sealed[0]
    special.code_hash = terms.code_hash(terms.code_from(sealed[1]))


def _sealed(special: SpecialTerms) -> str:
    """Write the terms with all that the code is good for."""
    return (
        f"{special.id}:{special.customer_id}:{special.offering_code}"
        f":{special.discount_percent:g}:{special.months}"
    )


def _still(special: SpecialTerms, wanted: TermsState, now: datetime) -> None:
    """Check that terms stand as they have to. Raises TermsNotOpen."""
    state = terms.standing(special.state, special.expires_at, now)
    if state is not wanted:
        raise terms.TermsNotOpen(state=state)


# --- used by a sale -------------------------------------------------------------------------------


class GoodFor(NamedTuple):
    """What an approval code is good for: so many percent off the monthly price, for so many
    months."""

    terms_id: UUID
    discount_percent: float
    months: int


async def check_code(
    tx: AsyncSession,
    code: str,
    *,
    sale_id: UUID,
    customer_id: UUID,
    offering_code: str,
    now: datetime,
    agreed_at: datetime | None = None,
) -> GoodFor:
    """Say what an approval code is good for in a sale; it is not used up by that.

    Its time is judged by when the sale was agreed on at the door (`agreed_at`, null is now), which
    a phone without a network tells later. Raises CodeUnknown, CodeForOther, CodeUsed and CodeOver.
    """
    special = await queries.by_code(tx, terms.code_hash(code))
    if special is None:
        raise terms.CodeUnknown()
    differs = [
        name
        for name, given, held in (
            ("customer_id", customer_id, special.customer_id),
            ("offering_code", offering_code, special.offering_code),
        )
        if given != held
    ]
    if differs:
        raise terms.CodeForOther(differs=differs)
    await _good(tx, special, sale_id, agreed_at or now, now)
    return GoodFor(special.id, special.discount_percent, special.months)


async def check_still_good(
    tx: AsyncSession,
    terms_ids: Collection[UUID],
    *,
    sale_id: UUID,
    now: datetime,
    agreed_at: datetime | None = None,
) -> Sequence[SpecialTerms]:
    """Check that a sale can still use terms it was put together with, and lock them until the
    transaction ends; `agreed_at` is as for `check_code`. Raises CodeUnknown, CodeUsed and
    CodeOver."""
    found = await queries.for_change(tx, terms_ids) if terms_ids else ()
    for special in found:
        await _good(tx, special, sale_id, agreed_at or now, now)
    return found


async def redeem(
    tx: AsyncSession,
    terms_ids: Collection[UUID],
    *,
    sale_id: UUID,
    now: datetime,
    agreed_at: datetime | None = None,
) -> None:
    """Use special terms for a sale, once; `agreed_at` is as for `check_code`. The same sale again
    changes nothing, also after the code's time. Of two sales at once one gets them, for the rows
    are locked.

    Raises CodeUnknown, CodeUsed and CodeOver.
    """
    for special in await check_still_good(
        tx, terms_ids, sale_id=sale_id, now=now, agreed_at=agreed_at
    ):
        if special.redeemed_at is None:
            special.state = TermsState.REDEEMED
            special.redeemed_at, special.redeemed_for = now, sale_id
    await tx.flush()


async def give_back(
    tx: AsyncSession,
    terms_ids: Collection[UUID],
    *,
    sale_id: UUID,
    customer_id: UUID,
    now: datetime,
) -> None:
    """Give back what a sale of a customer's has used that came to nothing before it counted: the
    code is good again until its time is over. Where other terms for the same offering were asked
    for meanwhile, and are open or used, those count and this is over.

    It takes the customer's lock under that of the sale, for whoever hears of a sale's end does not
    know before whether it used a code. So it may wait in a circle with a phone's push, which takes
    them the other way round: PostgreSQL undoes one of the two, and either is carried out anew."""
    if not terms_ids:
        return
    # Whoever asks for others takes the customer's lock, too.
    await queries.lock_customer(tx, customer_id)
    # What is open and over would still be in the way of the one that may be open.
    await queries.expire(tx, now, customer_id)
    for special in await queries.for_change(tx, terms_ids):
        if special.redeemed_for != sale_id:
            continue
        if await queries.followed(tx, special, now):
            special.expires_at = min(special.expires_at, now)
        over = special.expires_at <= now
        special.state = TermsState.EXPIRED if over else TermsState.APPROVED
        special.redeemed_at = special.redeemed_for = None
    await tx.flush()


async def _good(
    tx: AsyncSession, special: SpecialTerms, sale_id: UUID, agreed_at: datetime, now: datetime
) -> None:
    """Check that a sale may use terms, by the code they have once they are approved. Raises
    CodeUnknown, CodeUsed and CodeOver."""
    if special.code_hash is None or special.state is TermsState.WITHDRAWN:
        raise terms.CodeUnknown()
    if special.redeemed_at is not None:
        if special.redeemed_for != sale_id:
            raise terms.CodeUsed(redeemed_at=special.redeemed_at)
        return
    # What is over now was good when they agreed: unless others were asked for since, for this.
    over = special.expires_at <= now
    if special.expires_at <= agreed_at or (over and await queries.followed(tx, special, now)):
        raise terms.CodeOver(expired_at=special.expires_at)


async def end_expired(tx: AsyncSession, *, now: datetime) -> int:
    """End open terms whose time is over; tell how many they were."""
    return await queries.expire(tx, now)
