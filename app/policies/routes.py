"""Doorways of policies: the registry, evaluations, steps, the switch, and what it all came to."""

from datetime import datetime, timedelta
from math import ceil
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Path, Query, Response, status

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Day, Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.policies.queries import days, registry
from app.policies.rules import parameters as numbers
from app.policies.rules.fairness import shown
from app.policies.rules.metrics import WORDS, Metric
from app.policies.schemas import (
    AlarmOut,
    EvaluationIn,
    EvaluationOut,
    EvaluationsOut,
    FigureOut,
    FiguresOut,
    GroupMonthOut,
    GroupsOut,
    PoliciesOut,
    PolicyOut,
    PolicyWholeOut,
    PromoteIn,
    RetireIn,
    StepOut,
    SwitchIn,
    SwitchOut,
)
from app.policies.service import evaluating, promoting
from app.suggestions.rules.exploring import RULES_ONLY
from app.suggestions.rules.model import ModelKind, PolicyState
from app.suggestions.service.months import after as month_after

router = Router(prefix="/v1/policies", tags=["policies"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="parameters:read"))]
Keeper = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]
Version = Annotated[str, Path(max_length=64, pattern=r"^[\w.\-]+$")]

# What is asked for at one time: a year of days, which are few rows each.
MOST_DAYS = 366


@router.get("", operation_id="policies_list")
async def policies(
    _reader: Reader,
    read: Read,
    now: Now,
    kind: Annotated[ModelKind | None, Query()] = None,
    state: Annotated[PolicyState | None, Query()] = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> PoliciesOut:
    """List models, newest first, with who decides now and what has drifted."""
    after = key_of(page_token, UUID)[0] if page_token else None
    rows = await registry.page(read, kind=kind, state=state, after=after, size=page_size)
    shown, last = cut(rows, page_size)
    live = await registry.live(read)
    values = await parameters_in_force(read)
    return PoliciesOut(
        rules_only=bool(values.number(RULES_ONLY, now)),
        live=live.version if live else None,
        alarms=[AlarmOut.model_validate(one) for one in await registry.alarms(read, 20)],
        policies=[PolicyOut.model_validate(one) for one in shown],
        next_page_token=token_of(last.id) if last is not None else None,
    )


@router.get("/metrics", operation_id="policies_metrics")
async def metrics(
    reader: Reader,
    read: Read,
    now: Now,
    lang: Language,
    since: Annotated[
        Day | None, Query(alias="from", description="A local day; 30 days up to `until` without.")
    ] = None,
    until: Annotated[
        Day | None, Query(description="A local day, included; yesterday without.")
    ] = None,
    org_unit_id: Annotated[
        UUID | None, Query(description="This unit and those under it; the caller's without.")
    ] = None,
    version: Annotated[
        str | None,
        Query(max_length=64, description="What this model, or these rules, chose; all without."),
    ] = None,
) -> FiguresOut:
    """Tell what suggestions came to, each figure with its numerator, denominator and exclusions.

    Days are added up in the night after them, and again while their outcomes can change.
    """
    unit = await org_unit_within(read, org_unit_id or reader.org_unit_id, reader)
    last = until or now.astimezone(ZoneInfo(unit.time_zone)).date() - timedelta(days=1)
    first = since or last - timedelta(days=29)
    if not last - timedelta(days=MOST_DAYS) < first <= last:
        raise Invalid(
            errors=[{"field": "from", "message": f"at most {MOST_DAYS} days up to `until`"}]
        )
    found = {row.metric: row for row in await days.report(read, unit.path, first, last, version)}
    return FiguresOut(
        since=first,
        until=last,
        org_unit_id=unit.id,
        version=version,
        figures=[
            FigureOut(
                metric=metric,
                value=found[metric].part / found[metric].whole
                if metric in found and found[metric].whole
                else None,
                numerator=found[metric].part if metric in found else 0,
                denominator=found[metric].whole if metric in found else 0,
                left_out=int(found[metric].left_out) if metric in found else 0,
                meaning=WORDS[metric].say(lang),
            )
            for metric in Metric
        ],
    )


@router.get("/groups", operation_id="policies_groups")
async def groups(
    reader: Reader,
    read: Read,
    now: Now,
    since: Annotated[
        Day | None, Query(alias="from", description="A day of the first month; this one without.")
    ] = None,
    until: Annotated[
        Day | None, Query(description="A day of the last month; the first one without.")
    ] = None,
    org_unit_id: Annotated[
        UUID | None, Query(description="This unit and those under it; the caller's without.")
    ] = None,
) -> GroupsOut:
    """Tell how groups of customers fare by the month: offers, acceptance and cancellations.

    By value tier, stage, segment, and whether they are elderly. Days are added up in the night
    after them; groups that are too small are masked.
    """
    unit = await org_unit_within(read, org_unit_id or reader.org_unit_id, reader)
    first = (since or now.astimezone(ZoneInfo(unit.time_zone)).date()).replace(day=1)
    last = month_after((until or first).replace(day=1)) - timedelta(days=1)
    if not last - timedelta(days=MOST_DAYS) < first <= last:
        raise Invalid(errors=[{"field": "from", "message": "at most twelve months up to `until`"}])
    least = (await parameters_in_force(read)).number(numbers.GROUP_SHOWN_LEAST, now, unit.path)
    fared = shown(await days.groups(read, unit.path, first, last), least)
    return GroupsOut(
        since=first,
        until=last,
        org_unit_id=unit.id,
        least=ceil(least),
        groups=[GroupMonthOut.of(one) for one in fared],
    )


@router.post("/switch", operation_id="policies_switch")
async def switch(body: SwitchIn, keeper: Keeper, tx: Tx, now: Now) -> SwitchOut:
    """Let the rules alone decide for everybody from now on, or the policies again.

    It works at once; a customer to whom something is shown already keeps it for the visit. Only an
    administrator of the top unit may.
    """
    row = await promoting.switch(tx, body.rules_only, keeper, now)
    return SwitchOut(rules_only=body.rules_only, since=row.valid_from)


@router.get("/{version}", operation_id="policies_one")
async def one(version: Version, _reader: Reader, read: Read) -> PolicyWholeOut:
    """Read a model with its coefficients and its latest steps."""
    row = await registry.by_version(read, version)
    return PolicyWholeOut.whole(row, await registry.steps(read, row.id))


@router.post("/{version}/promote", operation_id="policies_promote", response_model=StepOut)
async def promote(version: Version, body: PromoteIn, keeper: Keeper, tx: Tx, now: Now) -> StepOut:
    """Let a model take its next step, or agree to the one that a colleague has asked for.

    From candidate to shadow (it notes what it would choose), to challenger (it decides for a share
    of customers), to live. The last two are checked, and `live` waits for a second person.
    """
    return StepOut.model_validate(
        await promoting.promote(tx, version, body.to, body.reason, keeper, now)
    )


@router.post("/{version}/retire", operation_id="policies_retire")
async def retire(version: Version, body: RetireIn, keeper: Keeper, tx: Tx, now: Now) -> StepOut:
    """Take a model out. Without a live one the experts' rates decide."""
    return StepOut.model_validate(await promoting.retire(tx, version, body.reason, keeper, now))


@router.post(
    "/{version}/evaluations",
    operation_id="policies_evaluate",
    status_code=status.HTTP_202_ACCEPTED,
    responses={200: {"description": "The one that waits already.", "model": EvaluationOut}},
)
async def evaluate(
    version: Version, body: EvaluationIn, keeper: Keeper, tx: Tx, now: Now, response: Response
) -> EvaluationOut:
    """Ask what a model would have earned on the log; a process of its own works it out."""
    if body.since and body.since >= (body.until or now):
        raise Invalid(errors=[{"field": "since", "message": "must lie before `until`"}])
    row, new = await evaluating.ask(
        tx,
        version,
        since=body.since,
        until=body.until,
        account_id=keeper.account_id,
        now=now,
    )
    if not new:
        response.status_code = status.HTTP_200_OK
    return EvaluationOut.of(row, version)


@router.get("/{version}/evaluations", operation_id="policies_evaluations")
async def evaluations(
    version: Version,
    _reader: Reader,
    read: Read,
    page_size: PageSize = 20,
    page_token: PageToken = None,
) -> EvaluationsOut:
    """List a model's evaluations, newest first."""
    model = await registry.by_version(read, version)
    after = key_of(page_token, datetime, UUID) if page_token else None
    rows = await registry.evaluations(read, model.id, after=after, size=page_size)
    shown, last = cut(rows, page_size)
    return EvaluationsOut(
        evaluations=[EvaluationOut.of(row, version) for row in shown],
        next_page_token=token_of(last.asked_at, last.id) if last is not None else None,
    )


@router.get("/{version}/evaluations/{evaluation_id}", operation_id="policies_evaluation")
async def evaluation(
    version: Version, evaluation_id: UUID, _reader: Reader, read: Read
) -> EvaluationOut:
    """Read an evaluation: its result, once it is done."""
    model = await registry.by_version(read, version)
    return EvaluationOut.of(await registry.evaluation(read, model.id, evaluation_id), version)
