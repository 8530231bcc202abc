"""The acceptance code: sent to the customer from the door, and checked when they tell it."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.auth.keys import KeyRing
from app.core.errors import Problem, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.messaging import service as messaging
from app.messaging.rules import MessageKind
from app.visits import queries, rules
from app.visits.models import AcceptanceCode, Visit
from app.workorders.models import WorkOrder
from app.workorders.queries import held_for_change
from app.workorders.rules import Step

# What the keyed hash of a code is for: it opens nothing else.
SEALED_AS = "acceptance code"


@dataclass(frozen=True)
class Sent:
    """A code that is on its way to the customer, and how many more can be sent in the visit."""

    code: AcceptanceCode
    to: str
    left: int
    again_at: datetime


@dataclass(frozen=True)
class Checked:
    """What became of a code that was told: when it was accepted, or why it was not.

    A refusal is handed over rather than raised, since the try has to stay counted: the edge commits
    first and refuses afterwards.
    """

    accepted_at: datetime | None = None
    problem: Problem | None = None

    def accepted(self) -> datetime:
        """Return when it was accepted. Raises why it was not."""
        if self.problem is not None:
            raise self.problem
        assert self.accepted_at is not None
        return self.accepted_at


async def send_code(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    keys: KeyRing,
    *,
    code_id: UUID,
    now: datetime,
) -> Sent:
    """Send a new code to the order's contact number; it takes the place of the one before.

    The phone makes `code_id`, and asking with the same one again sends nothing. Raises NotFound,
    StepRefused unless the work is going on at the door, VisitEnded, NoNumberForMessages,
    AcceptedAlready, CodesSentEnough, CodeSentJustNow, and SameIdOtherContent for a used id.
    """
    visit, order = await _at_the_door(tx, visit_id, caller)
    numbers = await parameters_in_force(tx)
    most = numbers.whole(rules.CODES_SENT, now, caller.org_path)
    between = numbers.number(rules.SECONDS_BETWEEN, now, caller.org_path)
    sent = list(await queries.codes_sent(tx, visit_id))
    phone = order.contact_phone
    if phone is None or not rules.takes_messages(phone):
        raise rules.NoNumberForMessages()
    code = next((one for one in sent if one.id == code_id), None)
    if code is None:
        if await tx.get(AcceptanceCode, code_id) is not None:
            raise SameIdOtherContent(id=code_id)
        _may_go_on(visit, order)
        if visit.accepted_at is not None:
            raise rules.AcceptedAlready(accepted_at=visit.accepted_at)
        rules.may_send([one.sent_at for one in sent], now, most=most, seconds_between=between)
        minutes = numbers.number(rules.CODE_MINUTES, now, caller.org_path)
        digits = f"{secrets.randbelow(10**rules.DIGITS):0{rules.DIGITS}}"
        sealed = keys.seal(SEALED_AS, _sealed(order.id, code_id, digits))
        assert sealed is not None
        code = AcceptanceCode(
            id=code_id,
            visit_id=visit_id,
            sent_at=now,
            expires_at=now + timedelta(minutes=minutes),
            key_id=sealed[0],
            digest=sealed[1],
            wrong=[],
        )
        tx.add(code)
        await tx.flush()
        await messaging.send(
            tx,
            kind=MessageKind.ACCEPTANCE_CODE,
            to=phone,
            org_unit_id=order.org_unit_id,
            about=visit_id,
            facts={"code": digits, "minutes": round(minutes)},
            now=now,
            useful_for=timedelta(minutes=minutes),
        )
        sent.append(code)
    return Sent(code, phone, max(most - len(sent), 0), code.sent_at + timedelta(seconds=between))


async def check_code(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    keys: KeyRing,
    *,
    code: str,
    device_at: datetime,
    now: datetime,
) -> Checked:
    """Check a code that the customer has told; the right one is kept with the visit.

    The order's lock is held meanwhile, so that no number of phones gets past the count of tries.
    Asking again with the right one is answered alike, also after the visit. Raises NotFound,
    StepRefused and VisitEnded; what is wrong with the code is in the answer.
    """
    visit, order = await _at_the_door(tx, visit_id, caller)
    sent = await queries.codes_sent(tx, visit_id)
    last = sent[-1] if sent else None
    if visit.accepted_at is None:
        _may_go_on(visit, order)
    numbers = await parameters_in_force(tx)
    told = last and keys.seal(SEALED_AS, _sealed(order.id, last.id, code), last.key_id)
    digest = told[1] if told else b""
    judged = rules.judged(
        _as_sent(last),
        digest,
        device_at=device_at,
        now=now,
        tries=numbers.whole(rules.CODE_TRIES, now, caller.org_path),
        late_hours=numbers.number(rules.CODE_LATE_HOURS, now, caller.org_path),
    )
    if judged.problem is not None:
        if judged.counts and last is not None:
            last.wrong = [*last.wrong, digest]
            await tx.flush()
        return Checked(problem=judged.problem)
    assert last is not None
    last.accepted_at = visit.accepted_at = visit.accepted_at or now
    await tx.flush()
    return Checked(accepted_at=visit.accepted_at)


def _sealed(order_id: UUID, code_id: UUID, digits: str) -> str:
    """Write a code with the order it is good for."""
    return f"{order_id}:{code_id}:{digits}"


def _as_sent(code: AcceptanceCode | None) -> rules.SentCode | None:
    if code is None:
        return None
    return rules.SentCode(
        sent_at=code.sent_at,
        expires_at=code.expires_at,
        digest=code.digest,
        wrong=tuple(code.wrong),
        accepted=code.accepted_at is not None,
    )


async def _at_the_door(tx: AsyncSession, visit_id: UUID, caller: Caller) -> tuple[Visit, WorkOrder]:
    """Lock the order of a technician's own visit. Raises NotFound."""
    technician_id = technician_of(caller)
    visit = await queries.own(tx, visit_id, technician_id)
    order = await held_for_change(tx, visit.work_order_id, technician_id)
    # The order's lock is held now, and visits only change under it.
    return await queries.own(tx, visit_id, technician_id), order


def _may_go_on(visit: Visit, order: WorkOrder) -> None:
    """Check that the work is going on at the door. Raises VisitEnded and StepRefused."""
    if visit.ended_at is not None:
        raise rules.VisitEnded(ended_at=visit.ended_at, outcome=visit.outcome)
    rules.may(order.state, order.work_type, Step.COMPLETE)
