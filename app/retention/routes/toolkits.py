"""Doorways of toolkits and care rules."""

from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, status

from app.auth.queries import org_unit_within
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Day, Now
from app.retention.queries.toolkits import toolkits
from app.retention.queries.warnings import care_rules
from app.retention.routes.callers import Overseer, Setter, Viewer
from app.retention.rules import ToolkitKind
from app.retention.rules.toolkits import in_force
from app.retention.schemas.toolkits import (
    CareRuleEnd,
    CareRuleIn,
    CareRuleOut,
    CareRulesOut,
    ToolkitIn,
    ToolkitOut,
    ToolkitsOut,
)
from app.retention.service.rules import CareWanted, end_care_rule, set_care_rule
from app.retention.service.toolkits import set_version

router = Router(prefix="/v1", tags=["retention"])


@router.get("/toolkits", operation_id="toolkits_list")
async def listed(
    viewer: Viewer,
    read: Read,
    now: Now,
    kind: ToolkitKind | None = None,
    day: Annotated[
        Day | None, Query(description="A local day of the caller's unit; left out, today.")
    ] = None,
    all_versions: Annotated[
        bool, Query(description="Every version that concerns the unit, not those in force.")
    ] = False,
) -> ToolkitsOut:
    """List the toolkits of the caller's unit: offers, mandates, talk track and approval path."""
    unit = await org_unit_within(read, viewer.org_unit_id, viewer)
    known = (await toolkits(read)).values()
    on = day or now.astimezone(ZoneInfo(unit.time_zone)).date()
    if all_versions:
        found = [
            one
            for one in known
            if unit.path.startswith(one.org_path) or one.org_path.startswith(unit.path)
        ]
    else:
        found = in_force(known, unit.path, on)
    found = [one for one in found if kind in (None, one.toolkit.kind)]
    found.sort(key=lambda one: (one.toolkit.kind, one.code, -one.version))
    return ToolkitsOut(toolkits=[ToolkitOut.of(one) for one in found])


@router.post("/toolkits", status_code=status.HTTP_201_CREATED, operation_id="toolkits_add")
async def add(body: ToolkitIn, setter: Setter, tx: Tx, now: Now) -> ToolkitOut:
    """Set a toolkit, or a new version of one, from a local day on.

    Cases and terms that began before keep their version. The same id with the same content is
    answered like the first time.
    """
    unit = await org_unit_within(tx, body.org_unit_id or setter.org_unit_id, setter)
    made = await set_version(
        tx,
        toolkit_id=body.id,
        code=body.code,
        org_path=unit.path,
        valid_from=body.valid_from,
        content=body.content(),
        today=now.astimezone(ZoneInfo(unit.time_zone)).date(),
        set_by=setter.account_id,
    )
    return ToolkitOut.of(made)


@router.get("/care-rules", operation_id="care_rules_list")
async def rules_listed(overseer: Overseer, read: Read) -> CareRulesOut:
    """List the rules that say what a warned customer gets, those of one's part of the organisation
    and those above: also the ones that are over, or still to begin."""
    concerning = [
        rule
        for rule in await care_rules(read)
        if overseer.org_path.startswith(rule.org_path)
        or rule.org_path.startswith(overseer.org_path)
    ]
    concerning.sort(key=lambda rule: (rule.org_path, rule.place, rule.valid_from, rule.code))
    return CareRulesOut(rules=[CareRuleOut.of(rule) for rule in concerning])


@router.post("/care-rules", status_code=status.HTTP_201_CREATED, operation_id="care_rules_add")
async def add_rule(body: CareRuleIn, setter: Setter, tx: Tx, now: Now) -> CareRuleOut:
    """Say what a warned customer gets from a local day on, for an org unit's subtree.

    A unit that has rules of its own is not asked for those above it. The same id with the same
    content is answered like the first time.
    """
    unit = await org_unit_within(tx, body.org_unit_id or setter.org_unit_id, setter)
    made = await set_care_rule(
        tx,
        CareWanted(org_path=unit.path, **body.model_dump(exclude={"org_unit_id"})),
        today=now.astimezone(ZoneInfo(unit.time_zone)).date(),
        set_by=setter.account_id,
    )
    return CareRuleOut.of(made)


@router.patch("/care-rules/{rule_id}", operation_id="care_rules_end")
async def end_rule(
    rule_id: UUID, body: CareRuleEnd, setter: Setter, tx: Tx, now: Now
) -> CareRuleOut:
    """End a rule on a day to come, or take it back before it begins; its cases stay."""
    unit = await org_unit_within(tx, setter.org_unit_id, setter)
    ended = await end_care_rule(
        tx,
        rule_id,
        org_path=setter.org_path,
        valid_to=body.valid_to,
        today=now.astimezone(ZoneInfo(unit.time_zone)).date(),
        ended_by=setter.account_id,
    )
    return CareRuleOut.of(ended)
