"""Doorways of what operators set: gates, levers, campaigns, and what campaigns changed."""

from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, caller
from app.auth.models import OrgUnit
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.catalog.rules import ValueLever
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Day, Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.suggestions import queries, service
from app.suggestions.models import SuggestionCampaign, SuggestionGate, SuggestionLever
from app.suggestions.rules.gates import HOLDS
from app.suggestions.rules.gating import in_force
from app.suggestions.rules.levers import levers_in_force
from app.suggestions.schemas.terms import (
    CampaignEnd,
    CampaignIn,
    CampaignOut,
    CampaignReportOut,
    CampaignsPage,
    GateIn,
    GateOut,
    GatesOut,
    GateVersionOut,
    GateVersionsPage,
    LeverRuleEnd,
    LeverRuleIn,
    LeverRuleOut,
    LeverRulesOut,
    LeverVersionOut,
    LeverVersionsPage,
)

router = Router(prefix="/v1", tags=["parameters"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="parameters:read"))]
Setter = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]

# A report reads the log, so it is asked for a month at a time.
LONGEST = timedelta(days=31)


async def _unit(session: AsyncSession, asked: UUID | None, known: Caller) -> OrgUnit:
    return await org_unit_within(session, asked or known.org_unit_id, known)


def _today(unit: OrgUnit, now: datetime) -> date:
    return now.astimezone(ZoneInfo(unit.time_zone)).date()


@router.get("/suggestion-gates", operation_id="suggestion_gates_list")
async def gates(
    reader: Reader,
    read: Read,
    now: Now,
    lang: Language,
    org_unit_id: Annotated[
        UUID | None, Query(description="For which unit; left out, the caller's own.")
    ] = None,
    day: Annotated[
        Day | None, Query(description="A local day of the org unit; left out, today.")
    ] = None,
) -> GatesOut:
    """List every gate an offer has to pass, in their order, and whether it holds on a day."""
    unit = await _unit(read, org_unit_id, reader)
    found = in_force(await queries.gates(read), unit.path, day or _today(unit, now))
    return GatesOut(items=[GateOut.of(hold, found.get(hold.code), lang) for hold in HOLDS])


@router.post(
    "/suggestion-gates",
    status_code=status.HTTP_201_CREATED,
    response_model=GateVersionOut,
    operation_id="suggestion_gates_set",
)
async def set_gate(body: GateIn, setter: Setter, tx: Tx, now: Now) -> SuggestionGate:
    """Switch a gate off or on again from a local day on, for an org unit's subtree.

    The same id with the same content is answered like the first time. What the law or decency
    asks for cannot be switched off.
    """
    unit = await _unit(tx, body.org_unit_id, setter)
    switch = service.Switch(body.id, body.code, unit.path, body.valid_from, body.in_force)
    return await service.switch_gate(tx, switch, today=_today(unit, now), set_by=setter.account_id)


@router.get("/suggestion-gates/versions", operation_id="suggestion_gates_versions")
async def gate_versions(
    reader: Reader, read: Read, size: PageSize = 50, page_token: PageToken = None
) -> GateVersionsPage:
    """List every version of a gate that concerns the caller's org unit, the newest first."""
    after = key_of(page_token, UUID)[0] if page_token else None
    found = await queries.gate_versions_page(read, reader.org_path, size=size, after=after)
    rows, last = cut(found, size)
    return GateVersionsPage(
        items=[GateVersionOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.id) if last else None,
    )


@router.get("/suggestion-levers", operation_id="suggestion_levers_list")
async def levers(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: Annotated[
        UUID | None, Query(description="For which unit; left out, the caller's own.")
    ] = None,
    day: Annotated[
        Day | None, Query(description="A local day of the org unit; left out, today.")
    ] = None,
) -> LeverRulesOut:
    """List each lever: at which stages it is moved, and for which tiers that is the manager's."""
    unit = await _unit(read, org_unit_id, reader)
    found = levers_in_force(await queries.levers(read), unit.path, day or _today(unit, now))
    return LeverRulesOut(items=[LeverRuleOut.of(lever, found.get(lever)) for lever in ValueLever])


@router.get("/suggestion-levers/versions", operation_id="suggestion_levers_versions")
async def lever_versions(
    reader: Reader,
    read: Read,
    lever: ValueLever | None = None,
    size: PageSize = 50,
    page_token: PageToken = None,
) -> LeverVersionsPage:
    """List every rule of levers that concerns the caller's org unit, the newest first: those that
    are over and those still to begin among them."""
    after = key_of(page_token, UUID)[0] if page_token else None
    found = await queries.lever_rules_page(
        read, reader.org_path, size=size, after=after, lever=lever
    )
    rows, last = cut(found, size)
    return LeverVersionsPage(
        items=[LeverVersionOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.id) if last else None,
    )


@router.post(
    "/suggestion-levers",
    status_code=status.HTTP_201_CREATED,
    response_model=LeverVersionOut,
    operation_id="suggestion_levers_set",
)
async def set_lever(body: LeverRuleIn, setter: Setter, tx: Tx, now: Now) -> SuggestionLever:
    """Say whom a lever is for from a local day on, for an org unit's subtree.

    What was said before stays for the days before, and counts again once this ends. The same id
    with the same content is answered like the first time.
    """
    unit = await _unit(tx, body.org_unit_id, setter)
    wanted = service.LeverWanted(org_path=unit.path, **body.model_dump(exclude={"org_unit_id"}))
    return await service.set_lever(tx, wanted, today=_today(unit, now), set_by=setter.account_id)


@router.patch(
    "/suggestion-levers/{rule_id}",
    response_model=LeverVersionOut,
    operation_id="suggestion_levers_end",
)
async def end_lever(
    rule_id: UUID, body: LeverRuleEnd, setter: Setter, tx: Tx, now: Now
) -> SuggestionLever:
    """End a rule of a lever on a day to come, or take it back before it begins."""
    unit = await _unit(tx, None, setter)
    return await service.end_lever(
        tx,
        rule_id,
        org_path=setter.org_path,
        valid_to=body.valid_to,
        today=_today(unit, now),
        ended_by=setter.account_id,
    )


@router.get("/campaigns", operation_id="campaigns_list")
async def campaigns(
    reader: Reader, read: Read, size: PageSize = 50, page_token: PageToken = None
) -> CampaignsPage:
    """List campaigns that concern the caller's org unit, the newest first."""
    after = key_of(page_token, UUID)[0] if page_token else None
    found = await queries.campaigns_page(read, reader.org_path, size=size, after=after)
    rows, last = cut(found, size)
    return CampaignsPage(
        items=[CampaignOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.id) if last else None,
    )


@router.post(
    "/campaigns",
    status_code=status.HTTP_201_CREATED,
    response_model=CampaignOut,
    operation_id="campaigns_begin",
)
async def begin(body: CampaignIn, setter: Setter, tx: Tx, now: Now) -> SuggestionCampaign:
    """Let an offer or a lever's offers weigh more or less for a time.

    The same id with the same content is answered like the first time.
    """
    unit = await _unit(tx, body.org_unit_id, setter)
    wanted = service.Wanted(org_path=unit.path, **body.model_dump(exclude={"org_unit_id"}))
    return await service.begin_campaign(
        tx, wanted, today=_today(unit, now), set_by=setter.account_id
    )


@router.patch("/campaigns/{campaign_id}", response_model=CampaignOut, operation_id="campaigns_end")
async def end(
    campaign_id: UUID, body: CampaignEnd, setter: Setter, tx: Tx, now: Now
) -> SuggestionCampaign:
    """End a campaign earlier; the same day again changes nothing."""
    unit = await _unit(tx, None, setter)
    return await service.end_campaign(
        tx,
        campaign_id,
        org_path=setter.org_path,
        valid_to=body.valid_to,
        today=_today(unit, now),
        ended_by=setter.account_id,
    )


@router.get("/campaigns/report", operation_id="campaigns_report")
async def report(
    reader: Reader,
    read: Read,
    since: Annotated[Day, Query(description="The first local day that is counted.")],
    until: Annotated[Day, Query(description="The first local day that is not; at most 31 on.")],
    org_unit_id: Annotated[
        UUID | None, Query(description="Of which unit; left out, the caller's own.")
    ] = None,
) -> CampaignReportOut:
    """Count how many winners campaigns changed among the decisions of some days."""
    if not since < until <= since + LONGEST:
        raise Invalid(errors=[{"field": "until", "message": "must be 1 to 31 days after since"}])
    unit = await _unit(read, org_unit_id, reader)
    zone = ZoneInfo(unit.time_zone)
    first, last = (datetime.combine(day, time(), zone) for day in (since, until))
    return CampaignReportOut.model_validate(
        {
            "since": since,
            "until": until,
            **await queries.changed_winners(read, unit.path, first, last),
        }
    )
