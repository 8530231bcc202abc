"""Warnings become care orders and calls: by dated rules, and within each grid's week."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import district_of
from app.core.db import new_id
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter
from app.dispatch.service.intake import take_in
from app.retention.models import RetentionCase
from app.retention.queries import warnings as queries
from app.retention.queries.toolkits import toolkits
from app.retention.queries.warnings import Home
from app.retention.rules import Arm, CaseState, Cause, Handling, cases, warnings
from app.retention.rules.toolkits import DatedToolkit, Subject, toolkit_for
from app.retention.rules.warnings import Decided
from app.workorders.queries import Unit, org_units
from app.workorders.rules import Draft, Sender
from app.worktypes.rules import WorkType

# Under which name this house sends orders of its own making to itself.
SOURCE = "yingwei"


async def act(tx: AsyncSession, org_unit_id: UUID, *, now: datetime) -> list[RetentionCase]:
    """Decide about the warned customers of one org unit and let their orders be made.

    Run again it finds nothing more to do until a grid has room again. Raises what intake raises.
    """
    unit = (await org_units(tx, ids=[org_unit_id])).by_id[org_unit_id]
    numbers = await parameters_in_force(tx)

    def days_before(parameter: Parameter) -> datetime:
        return now - timedelta(days=numbers.number(parameter, now, unit.path))

    local = now.astimezone(unit.zone)
    monday = datetime.combine(local.date() - timedelta(days=local.weekday()), time(), unit.zone)
    rules = warnings.rules_for(await queries.care_rules(tx), unit.path, local.date())
    if not rules:
        return []
    warned = await queries.warned(
        tx,
        unit.id,
        since=days_before(cases.WARNING_DAYS),
        cool_since=days_before(cases.COOL_DOWN_DAYS),
        now=now,
    )
    share = numbers.number(cases.HOLDOUT_PERCENT, now, unit.path)
    decided = warnings.decide(
        warned,
        rules,
        await queries.taken_since(tx, unit.id, monday),
        a_week=numbers.whole(cases.CASES_A_WEEK, now, unit.path),
        holdout_percent=share,
        now=now,
    )
    ends_at = now + timedelta(days=numbers.number(cases.CASE_DAYS, now, unit.path))
    known = (await toolkits(tx)).values()
    made = []
    for one in decided:
        kind = cases.TOOLKIT_OF.get(one.cause)
        subject = Subject(
            one.warned.tier,
            one.warned.churn_class,
            one.warned.stage,
            hidden=one.warned.hidden_high_value,
        )
        day = local.date()
        kit = toolkit_for(known, kind, subject, unit.path, day) if kind is not None else None
        made.append(_case(one, unit, subject, kit, share, ends_at, now))
    await _send_out(tx, made, decided, unit, {one.id: one for one in known}, now=now)
    tx.add_all(made)
    await tx.flush()
    return made


def _case(
    one: Decided,
    unit: Unit,
    subject: Subject,
    kit: DatedToolkit | None,
    share: float,
    ends_at: datetime,
    now: datetime,
) -> RetentionCase:
    treated = one.arm is Arm.TREATED
    return RetentionCase(
        id=new_id(),
        org_unit_id=unit.id,
        customer_id=one.warned.customer_id,
        grid_id=one.warned.grid_id,
        cause=one.cause,
        handling=one.handling if treated else Handling.NOTHING,
        arm=one.arm,
        share_percent=share,
        state=CaseState.OPEN if treated else CaseState.HELD_OUT,
        tier=one.warned.tier,
        counted_tier=subject.stepped_up,
        churn_class=one.warned.churn_class,
        value_12m_fen=one.warned.value_12m_fen,
        rule_id=one.rule.id,
        toolkit_id=kit.id if kit else None,
        change_id=one.warned.change_id,
        decided_at=now,
        ask_at=now,
        ends_at=ends_at,
        tries=0,
        closed_at=None if treated else now,
    )


async def _send_out(
    tx: AsyncSession,
    made: Sequence[RetentionCase],
    decided: Sequence[Decided],
    unit: Unit,
    kits: dict[UUID, DatedToolkit],
    *,
    now: datetime,
) -> None:
    """Take in the orders of all visits at once; a visit that intake refuses becomes a call."""
    visits = [
        (case, one.rule.priority)
        for case, one in zip(made, decided, strict=True)
        if case.handling is Handling.VISIT
    ]
    homes = await queries.homes(tx, [case for case, _ in visits])
    drafts = [
        order_of(case, homes[case.customer_id], kits, priority, unit, now)
        for case, priority in visits
    ]
    await send(tx, [case for case, _ in visits], drafts, unit, now=now)


async def send(
    tx: AsyncSession,
    visits: Sequence[RetentionCase],
    drafts: Sequence[Draft],
    unit: Unit,
    *,
    now: datetime,
) -> None:
    """Take in the orders of visits; one that intake refuses becomes a call."""
    if not drafts:
        return
    # A grid may be a neighbour branch's: an order may go anywhere within its district.
    sender = Sender(None, unit.id, district_of(unit.path))
    outcomes = await take_in(tx, drafts, sender, now=now)
    for case, outcome in zip(visits, outcomes, strict=True):
        case.work_order_id = outcome.id
        if outcome.id is None:
            log.warning("a care order was refused", case=str(case.id), cause=str(outcome.problem))
            case.handling = Handling.CALL


def order_of(
    case: RetentionCase,
    home: Home,
    kits: dict[UUID, DatedToolkit],
    priority: int,
    unit: Unit,
    now: datetime,
) -> Draft:
    """Write the care order of a visit: why somebody is sent, and with which toolkit."""
    external_id = f"retention-{case.id}"
    words = cases.CAUSE_WORDS[Cause(case.cause)]
    kit = kits[case.toolkit_id].toolkit.name if case.toolkit_id else None
    zh, en = f"{words.zh}，上门关怀", f"visit with care: the customer {words.en}"
    if kit is not None:
        zh, en = f"{zh}（{kit.zh}）", f"{en} ({kit.en})"
    return Draft(
        source=SOURCE,
        external_id=external_id,
        content_hash=hashlib.sha256(external_id.encode()).hexdigest()[:32],
        work_type=WorkType.CARE,
        address=home.address or home.code,
        summary=f"{zh} · {en}",
        reported_at=now,
        priority=priority,
        org_unit_code=unit.code,
        customer_code=home.code,
        service_number=home.service_number,
        contact_name=home.name,
        contact_phone=home.phone,
        locality=home.locality,
        lon=home.lon,
        lat=home.lat,
    )
