"""A document is checked while the technician waits: begin, ask, settle.

That a check was begun is committed before its first byte leaves, without an outcome, and nothing is
open during the exchange. So whatever breaks, it is `unknown` and never passed; its number is gone
by then, and what became of it is looked up by its id.
"""

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import is_broken, shared_now
from app.core.errors import SameIdOtherContent
from app.core.outside import Failed, Failure
from app.core.parameter_values import parameters_in_force
from app.real_name import queries, rules
from app.real_name.client import Ask, RealNameClient
from app.real_name.models import RealNameCheck
from app.real_name.rules import Answered, DocumentKind, HashKeys, RealNameCode, RealNameState


@dataclass(frozen=True)
class Shown:
    """What a person shows at the door. The number is None when a phone only asks again."""

    document: DocumentKind
    number: str | None = field(repr=False)


@dataclass(frozen=True)
class Place:
    """Where, by whom and for whom a document is checked; `name` is the customer's."""

    org_unit_id: UUID
    org_path: str
    customer_id: UUID
    visit_id: UUID
    technician_id: UUID
    name: str = field(repr=False)


@dataclass(frozen=True)
class Begun:
    """A check, and what there is to do for it now: ask, look it up, or nothing."""

    check_id: UUID
    ask: Ask | None = None
    look: bool = False


async def begin(
    tx: AsyncSession,
    check_id: UUID,
    *,
    shown: Shown,
    place: Place,
    keys: HashKeys,
    today: datetime,
    device_at: datetime,
    now: datetime,
) -> Begun:
    """Begin a check, or find it; the visit's order is locked by the caller.

    `today` is now in the customer's zone, which says what day it is there. Raises NumberNotRight,
    NumberNeeded, ChecksEnough, and SameIdOtherContent when the id stands for another check.
    """
    number = None if shown.number is None else rules.tidied(shown.number)
    known = await queries.for_change(tx, check_id)
    if known is not None:
        return _again(known, shown.document, number, place, keys)
    if number is None:
        raise rules.NumberNeeded()
    rules.check_number(shown.document, number, today.date())
    numbers = await parameters_in_force(tx)
    rules.may_check(
        await queries.made_in(tx, place.visit_id),
        most=numbers.whole(rules.CHECKS_A_VISIT, now, place.org_path),
    )
    sealed = keys.seal(shown.document, number)
    assert sealed is not None
    elderly_from = numbers.number(rules.ELDERLY_FROM_YEARS, now, place.org_path)
    tx.add(
        RealNameCheck(
            id=check_id,
            org_unit_id=place.org_unit_id,
            customer_id=place.customer_id,
            visit_id=place.visit_id,
            technician_id=place.technician_id,
            document=shown.document,
            id_key=sealed.key_id,
            id_hash=sealed.digest,
            id_last4=rules.last_four(number),
            age_group=rules.age_group(number, today.date(), elderly_from=elderly_from),
            state=RealNameState.UNKNOWN,
            code=RealNameCode.NO_ANSWER,
            asked_at=now,
            device_at=device_at,
            # Should this process die, somebody asks what became of it.
            next_look_at=await shared_now(tx)
            + timedelta(seconds=numbers.number(rules.LOOK_SECONDS, now)),
        )
    )
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_real_name_check", error):
            raise SameIdOtherContent(id=check_id) from error
        raise
    return Begun(check_id, Ask(check_id, shown.document, number, place.name))


def _again(
    known: RealNameCheck,
    document: DocumentKind,
    number: str | None,
    place: Place,
    keys: HashKeys,
) -> Begun:
    if (known.visit_id, known.document) != (place.visit_id, document):
        raise SameIdOtherContent(id=known.id)
    if number is not None:
        sealed = keys.seal(document, number, known.id_key)
        # A key that is no more leaves the last four characters to compare.
        same = (
            hmac.compare_digest(sealed.digest, known.id_hash)
            if sealed is not None and known.id_hash is not None
            else rules.last_four(number) == known.id_last4
        )
        if not same:
            raise SameIdOtherContent(id=known.id)
    if known.state is not RealNameState.UNKNOWN:
        return Begun(known.id)
    if number is not None:
        return Begun(known.id, Ask(known.id, document, number, place.name))
    if known.code is RealNameCode.NOT_ASKED:
        raise rules.NumberNeeded()
    return Begun(known.id, look=True)


async def put(client: RealNameClient, begun: Begun) -> Answered | Failed | None:
    """Ask the checking system, or look a check up, with nothing open meanwhile.

    None means that it surely does not have the check. Raises nothing of the exchange.
    """
    try:
        if begun.ask is not None:
            return await client.check(begun.ask)
        return await client.find(begun.check_id)
    except Failed as failed:
        if begun.ask is None:
            # A look has no effect, but what it was to find out stays unknown.
            return Failed(Failure.UNKNOWN, failed.said, failed.retry_after)
        return failed


async def read(tx: AsyncSession, check_id: UUID) -> RealNameCheck:
    """Read a check that is there, as it stands now."""
    return await tx.get_one(RealNameCheck, check_id, populate_existing=True)


async def settle(
    tx: AsyncSession, check_id: UUID, outcome: Answered | Failed | None, *, now: datetime
) -> RealNameCheck | None:
    """Record what came of a check; an outcome that is known already stays."""
    check = await queries.for_change(tx, check_id)
    if check is None or check.state is not RealNameState.UNKNOWN:
        return check
    numbers = await parameters_in_force(tx)
    if isinstance(outcome, Answered):
        check.state = RealNameState.PASSED if outcome.passed else RealNameState.FAILED
        check.code, check.said = outcome.code, outcome.said
        check.checked_at, check.next_look_at = now, None
        if outcome.passed:
            # From when the person stood there, however late the outcome became known.
            valid = timedelta(days=numbers.number(rules.VALID_DAYS, check.asked_at))
            check.valid_until = check.asked_at + valid
        return check
    if outcome is None:
        check.code, check.next_look_at = RealNameCode.NOT_ASKED, None
        return check
    check.said = outcome.said
    if outcome.failure is Failure.REFUSED:
        check.state, check.code = RealNameState.FAILED, RealNameCode.REFUSED
        check.checked_at, check.next_look_at = now, None
        return check
    check.code = (
        RealNameCode.NOT_ASKED if outcome.failure is Failure.NOT_SENT else RealNameCode.NO_ANSWER
    )
    given_up = wall() - check.created_at > timedelta(hours=numbers.number(rules.LOOK_HOURS, now))
    pause = timedelta(seconds=numbers.number(rules.LOOK_SECONDS, now))
    surely_not = outcome.failure is Failure.NOT_SENT
    check.next_look_at = None if given_up or surely_not else await shared_now(tx) + pause
    return check
