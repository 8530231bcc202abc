"""The supervisor's doorways: answers, calls that are to be made, figures, and the rules."""

from datetime import UTC, datetime, time
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.followups import queries, rules
from app.followups.models import FollowUpRule
from app.followups.rules import FollowUpChannel, FollowUpState
from app.followups.schemas.supervising import (
    ClaimOut,
    FollowUpFiguresOut,
    FollowUpOut,
    FollowUpPage,
    FollowUpStandingOut,
    NoAnswerIn,
    RuleEnd,
    RuleIn,
    RuleOut,
    RulesOut,
)
from app.followups.schemas.surveys import AnswerIn, Mark
from app.followups.service import calls
from app.followups.service import rules as changing
from app.workorders.queries import org_units

router = Router(prefix="/v1", tags=["follow-ups"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:read"))]
Asker = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:write"))]

Setter = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]

LONGEST_DAYS = 366
# Branches and people of a province, and some more.
MOST_FIGURES = 10_000


@router.get("/follow-ups", operation_id="follow_ups_list")
async def listed(
    reader: Reader,
    read: Read,
    state: FollowUpState | None = None,
    channel: FollowUpChannel | None = None,
    technician_id: UUID | None = None,
    mark_at_most: Mark | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> FollowUpPage:
    """List follow-ups with their answers, those of the latest completed orders first."""
    found = await queries.page(
        read,
        reader,
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        state=state,
        channel=channel,
        technician_id=technician_id,
        mark_at_most=mark_at_most,
    )
    rows, last = cut(found, size)
    return FollowUpPage(
        follow_ups=[FollowUpOut.of(row) for row in rows],
        next_page_token=token_of(last.completed_at, last.id) if last else None,
    )


@router.get("/follow-up-calls", operation_id="follow_ups_calls")
async def to_call(
    asker: Asker, read: Read, now: Now, size: PageSize = 50, token: PageToken = None
) -> FollowUpPage:
    """List the calls that can be made now, the one that waits longest first.

    Those that others have claimed are left out. Whom to call is shown to who claims it.
    """
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(await queries.calls(read, asker, now, size=size, after=after), size)
    return FollowUpPage(
        follow_ups=[FollowUpOut.of(row) for row in rows],
        next_page_token=token_of(last.ask_at, last.id) if last else None,
    )


@router.post("/follow-ups/{follow_up_id}/claim", operation_id="follow_ups_claim")
async def claim(follow_up_id: UUID, asker: Asker, tx: Tx, now: Now) -> ClaimOut:
    """Take a call on, for half an hour or so; its name and number are shown in full, and audited.

    Claiming it again lengthens that.
    """
    claimed = await calls.claim(tx, follow_up_id, asker, now=now)
    return ClaimOut.of(claimed.follow_up, claimed.name, claimed.phone)


@router.post("/follow-ups/{follow_up_id}/answer", operation_id="follow_ups_answer")
async def answer(
    follow_up_id: UUID, body: AnswerIn, asker: Asker, tx: Tx, now: Now
) -> FollowUpStandingOut:
    """Write down what the customer said on the telephone; the same again changes nothing."""
    said = await calls.answered(tx, follow_up_id, asker, body.answered(), now=now)
    return FollowUpStandingOut.of(said)


@router.post("/follow-ups/{follow_up_id}/no-answer", operation_id="follow_ups_no_answer")
async def no_answer(
    follow_up_id: UUID, body: NoAnswerIn, asker: Asker, tx: Tx, now: Now
) -> FollowUpStandingOut:
    """Write down a call that brought no answer: it comes back later, or is given up."""
    return FollowUpStandingOut.of(
        await calls.not_answered(
            tx, follow_up_id, asker, body.cause, again_at=body.again_at, now=now
        )
    )


@router.get("/follow-up-figures", operation_id="follow_ups_figures")
async def figures(
    reader: Reader,
    read: Read,
    now: Now,
    first_day: Annotated[Day, Query(alias="from", description="A local day.")],
    until_day: Annotated[
        Day, Query(alias="until", description="The first local day that does not count.")
    ],
) -> FollowUpFiguresOut:
    """Tell how branches and technicians were marked, by the days their orders were completed."""
    if not 0 < (until_day - first_day).days <= LONGEST_DAYS:
        message = f"must follow `from` within {LONGEST_DAYS} days"
        raise Invalid(errors=[{"field": "until", "message": message}])
    units = await org_units(read, ids=[reader.org_unit_id])
    zone = units.by_id[reader.org_unit_id].zone
    begins, ends = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (first_day, until_day)
    )
    least = (await parameters_in_force(read)).whole(rules.LEAST_ANSWERS, now, reader.org_path)
    counted = await queries.figures(read, reader.org_path, begins, ends, most=MOST_FIGURES)
    return FollowUpFiguresOut.of(counted, first_day, until_day, least)


@router.get("/follow-up-rules", operation_id="follow_ups_rules")
async def rules_listed(reader: Reader, read: Read) -> RulesOut:
    """List the rules that say about which orders customers are asked, those of one's part of the
    organisation and those above: also the ones that are over, or still to begin."""
    known = await queries.rules_in_force(read)
    concerning = [
        rule
        for rule in known
        if reader.org_path.startswith(rule.org_path) or rule.org_path.startswith(reader.org_path)
    ]
    concerning.sort(key=lambda rule: (rule.org_path, rule.work_type, rule.valid_from))
    return RulesOut(rules=[RuleOut.model_validate(rule) for rule in concerning])


@router.post(
    "/follow-up-rules",
    status_code=status.HTTP_201_CREATED,
    response_model=RuleOut,
    operation_id="follow_ups_set_rule",
)
async def set_rule(body: RuleIn, setter: Setter, tx: Tx, now: Now) -> FollowUpRule:
    """Say about which orders of a type customers are asked from a local day on.

    What was said before stays for the days before, and counts again once this ends. The same id
    with the same content is answered like the first time.
    """
    unit = await org_unit_within(tx, body.org_unit_id or setter.org_unit_id, setter)
    return await changing.set_rule(
        tx,
        changing.RuleWanted(org_path=unit.path, **body.model_dump(exclude={"org_unit_id"})),
        today=now.astimezone(ZoneInfo(unit.time_zone)).date(),
        set_by=setter.account_id,
    )


@router.patch(
    "/follow-up-rules/{rule_id}", response_model=RuleOut, operation_id="follow_ups_end_rule"
)
async def end_rule(rule_id: UUID, body: RuleEnd, setter: Setter, tx: Tx, now: Now) -> FollowUpRule:
    """End a rule on a day to come, or take it back before it begins; its follow-ups stay."""
    unit = await org_unit_within(tx, setter.org_unit_id, setter)
    return await changing.end_rule(
        tx,
        rule_id,
        org_path=setter.org_path,
        valid_to=body.valid_to,
        today=now.astimezone(ZoneInfo(unit.time_zone)).date(),
        ended_by=setter.account_id,
    )
