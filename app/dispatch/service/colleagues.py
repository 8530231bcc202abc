"""An order that its holder passes on to a colleague of the same branch."""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller, branch_of
from app.dispatch.queries.colleagues import Named, of_branch
from app.dispatch.rules import PASSED_ON, Ask, Candidate, Choice, Diary, Kind, Tried
from app.dispatch.rules.colleagues import (
    Colleague,
    ColleagueCannot,
    UnknownColleague,
    why_not_over,
)
from app.dispatch.rules.moves import Person
from app.dispatch.rules.words import REASON_WORDS
from app.dispatch.service.by_hand import find_place
from app.dispatch.service.decisions import Decided, write_decisions
from app.dispatch.service.moving import people_of_days
from app.dispatch.service.people import read_vans
from app.dispatch.service.pins import Pinned, pin_all
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step


async def colleagues(
    session: AsyncSession, order: WorkOrder, caller: Caller, *, now: datetime
) -> list[Colleague]:
    """List the holder's colleagues of the same branch: who can take the order over comes first, and
    of these who has most time."""
    assert order.holder_id is not None
    named = await of_branch(session, branch_of(caller.org_path), but=order.holder_id)
    people = await _people(session, order, [one.id for one in named], caller, now)
    found = [_colleague(one, order, people[one.id]) for one in named if one.id in people]
    return sorted(found, key=lambda one: (one.why is not None, -one.free_minutes, one.code))


async def colleague_named(
    session: AsyncSession, wanted: str, caller: Caller, *, but: UUID
) -> Named:
    """Find a colleague of the caller's branch by their code or id. Raises UnknownColleague."""
    found = await of_branch(session, branch_of(caller.org_path), but=but, wanted=wanted)
    if len(found) != 1:
        raise UnknownColleague(colleague=wanted, errors=[])
    return found[0]


async def pass_on(
    tx: AsyncSession,
    order: WorkOrder,
    to: Named,
    caller: Caller,
    *,
    cause: str,
    device_at: datetime,
    facts: Mapping[str, Any],
    now: datetime,
) -> None:
    """Give a locked order from its holder to a colleague, who has yet to take it on.

    Minutes, the route and the decision follow as if a supervisor had given it, and it is pinned:
    two people have agreed, and no plan gives it back. Raises ColleagueCannot and StepRefused.
    """
    people = await _people(tx, order, [to.id], caller, now)
    person = people[to.id]
    day = _day(order, person.diary)
    why = why_not_over(_ask(order), person.diary, day, lent=person.lent(day))
    if why is not None:
        words = REASON_WORDS[why]
        raise ColleagueCannot(code=to.code, day=day, why=why, why_zh=words.zh, why_en=words.en)
    order.tried_at = now
    await take_step(
        tx,
        order,
        Step.TRANSFER,
        now=now,
        account_id=caller.account_id,
        technician_id=caller.technician_id,
        device_at=device_at,
        holder_id=to.id,
        planned_day=day,
        reason=cause,
        facts={**facts, "to": str(to.id), "planned_day": str(day)},
    )
    await find_place(tx, person, day, now)
    candidate = Candidate(to.id, Kind.OTHER, 1, 0.0)
    choice = Choice(candidate, day, None, [Tried(candidate, None)], 0)
    decided = Decided(order.id, order.grid_id, choice, PASSED_ON, cause)
    await write_decisions(tx, [decided], at=now, account_id=caller.account_id)
    await pin_all(tx, [Pinned(order.id, to.id, day, now, caller.account_id, cause)])


async def day_to_help(
    tx: AsyncSession, order: WorkOrder, who: Named, caller: Caller, *, minutes: int, now: datetime
) -> date:
    """Say on which local day a colleague can help with an order. Raises ColleagueCannot when they
    are not at work then; no skill is asked of whoever helps."""
    person = (await people_of_days(tx, [who.id], caller, now))[who.id]
    day = _day(order, person.diary)
    why = why_not_over(Ask(minutes), person.diary, day, lent=person.lent(day))
    if why is not None:
        words = REASON_WORDS[why]
        raise ColleagueCannot(code=who.code, day=day, why=why, why_zh=words.zh, why_en=words.en)
    return day


async def _people(
    session: AsyncSession,
    order: WorkOrder,
    ids: Collection[UUID],
    caller: Caller,
    now: datetime,
) -> dict[UUID, Person]:
    people = await people_of_days(session, ids, caller, now)
    if _ask(order).terminals:
        await read_vans(
            session, {one: person.diary for one, person in people.items()}, without=[order.id]
        )
    return people


def _colleague(one: Named, order: WorkOrder, person: Person) -> Colleague:
    ask, diary = _ask(order), person.diary
    day = _day(order, diary)
    plan = diary.day(day)
    return Colleague(
        one.id,
        one.code,
        one.name,
        max(0, int(plan.left)),
        ask.skills <= diary.skills,
        plan.away is None,
        why_not_over(ask, diary, day, lent=person.lent(day)),
    )


def _day(order: WorkOrder, diary: Diary) -> date:
    """The day on which it was to be done, or today where that is past."""
    return max(order.planned_day or diary.today, diary.today)


def _ask(order: WorkOrder) -> Ask:
    begun = order.state in (State.ON_SITE, State.SUSPENDED)
    return Ask(
        order.estimated_minutes,
        frozenset(order.skills),
        None if begun else order.window,
        terminals=() if begun else tuple(order.terminals),
    )
