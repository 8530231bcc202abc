"""A model's steps towards being in force: each is checked and kept, the last needs two people."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.auth.service import set_parameter
from app.core.db import new_id
from app.core.parameter_values import ParameterValue, parameters_in_force
from app.core.parameters import Parameters
from app.policies.models import PolicyEvaluation, PolicyStep
from app.policies.queries import registry
from app.policies.rules import (
    AnotherThere,
    ChecksFailed,
    ChurnDecidesNothing,
    NotEvaluated,
    PolicyStepRefused,
    StepState,
)
from app.policies.rules import parameters as numbers
from app.policies.rules import promotion as rules
from app.policies.rules.promotion import (
    CHECKED,
    MOVES,
    Bounds,
    Finding,
    GroupKind,
    GroupRates,
    Rate,
)
from app.policies.rules.replay import Estimate
from app.suggestions.models import PolicyModel
from app.suggestions.rules.exploring import RULES_ONLY
from app.suggestions.rules.model import ModelKind, PolicyState


async def promote(
    tx: AsyncSession,
    version: str,
    to: PolicyState,
    reason: str,
    caller: Caller,
    now: datetime,
) -> PolicyStep:
    """Let a model take a step, or agree to one that somebody else has asked for.

    A step to `live` waits for a second person where the operator wants one; whoever asked for it
    and asks again is given the step that waits. The model that was live is retired. While nothing
    is live, the experts' model may begin at once: rules alone leave no log by which anything could
    be judged.

    Raises NotFound, PolicyStepRefused, AnotherThere, NotEvaluated, ChecksFailed and
    ChurnDecidesNothing.
    """
    model = await registry.for_step(tx, version)
    if model.kind is not ModelKind.ACCEPTANCE:
        raise ChurnDecidesNothing(version=version)
    begins = to is PolicyState.LIVE and await _begins(tx, model)
    if to not in MOVES[model.state] and not begins:
        raise PolicyStepRefused(
            version=version, state=model.state, possible=sorted(MOVES[model.state])
        )
    if to is PolicyState.CHALLENGER:
        await _alone_as(tx, to)
    values = await parameters_in_force(tx)
    findings: Sequence[Finding] = ()
    if to in CHECKED and not begins:
        findings = await _passed(tx, model, values, now)
    waiting = await registry.waiting_step(tx, model.id)
    if waiting is not None and waiting.to_state is to:
        if waiting.asked_by == caller.account_id:
            return waiting
        waiting.agreed_by, waiting.agreed_at = caller.account_id, now
        waiting.state, waiting.findings = StepState.DONE, _written(findings)
        await _take(tx, model, to, waiting, now)
        return waiting
    step = _step(model, to, reason, caller, now, findings)
    if to is PolicyState.LIVE and values.whole(numbers.SECOND_PERSON, now):
        step.state = StepState.WAITING
        tx.add(step)
        await tx.flush()
        return step
    tx.add(step)
    await _take(tx, model, to, step, now)
    return step


async def retire(
    tx: AsyncSession, version: str, reason: str, caller: Caller, now: datetime
) -> PolicyStep:
    """Take a model out; of a live one the experts' rates take the place. Nobody has to agree.

    Raises NotFound and PolicyStepRefused.
    """
    model = await registry.for_step(tx, version)
    if PolicyState.RETIRED not in MOVES[model.state]:
        raise PolicyStepRefused(
            version=version, state=model.state, possible=sorted(MOVES[model.state])
        )
    step = _step(model, PolicyState.RETIRED, reason, caller, now, ())
    tx.add(step)
    await _take(tx, model, PolicyState.RETIRED, step, now)
    return step


async def follow(
    tx: AsyncSession, evaluation: PolicyEvaluation, now: datetime
) -> PolicyStep | Sequence[Finding] | None:
    """Let last night's refit follow the live model, if it passes every check.

    It is the same policy with newer answers, and people let that policy live. None when no model is
    live or the operator wants to do it by hand; the checks when they failed.
    """
    values = await parameters_in_force(tx)
    before = await registry.live(tx)
    if before is None or not values.whole(numbers.REFIT_GOES_LIVE, now):
        return None
    refit = await tx.get_one(PolicyModel, evaluation.model_id, with_for_update=True)
    if refit.state is not PolicyState.CANDIDATE:
        return None
    findings = checked(evaluation, refit, values, now)
    if not all(one.holds for one in findings):
        return findings
    step = _step(refit, PolicyState.LIVE, f"follows {before.version}", None, now, findings)
    tx.add(step)
    await _take(tx, refit, PolicyState.LIVE, step, now)
    return step


async def switch(
    tx: AsyncSession, rules_only: bool, caller: Caller, now: datetime
) -> ParameterValue:
    """Let the rules alone decide for everybody from now on, or the policies again.

    It is a dated number like any other, so that it says who moved it and when; this process heeds
    it at once and the others within seconds. Raises NotFound for who is not of the top unit.
    """
    return await set_parameter(
        tx,
        caller,
        RULES_ONLY.name,
        org_unit_id=None,
        value=float(rules_only),
        valid_from=None,
        retroactive=False,
        now=now,
    )


def checked(
    evaluation: PolicyEvaluation, model: PolicyModel, values: Parameters, now: datetime
) -> list[Finding]:
    """Hold an evaluation against what is asked of a policy that decides."""
    bounds = Bounds(
        value_tolerance=values.number(numbers.VALUE_TOLERANCE, now) / 100,
        calibration_most=values.number(numbers.CALIBRATION_MOST, now),
        group_tolerance=values.number(numbers.GROUP_TOLERANCE, now) / 100,
        group_least=values.whole(numbers.GROUP_LEAST, now),
    )
    result = evaluation.result or {}
    # What it was learned from tells nothing of how true it is: newer answers do, and before there
    # are any the test of the night.
    answers = result.get("answers") or {}
    if answers.get("answers", 0) < values.whole(numbers.GROUP_LEAST, now):
        answers = model.figures.get("tested") or {}
    return [
        rules.worth_it(
            Estimate(**result["policies"]["current"]["dr"]),
            Estimate(**result["gain"]),
            bounds.value_tolerance,
        ),
        rules.guarded(result["violations"], result.get("pitched")),
        rules.calibrated(
            answers.get("calibration_error"), answers.get("answers", 0), bounds.calibration_most
        ),
        rules.fair([_group(one) for one in result["groups"]], bounds),
    ]


def _group(written: dict[str, Any]) -> GroupRates:
    return GroupRates(
        kind=GroupKind(written["kind"]),
        group=written["group"],
        decisions=written["decisions"],
        **{
            name: Rate(**written[name])
            for name in ("accepted", "accepted_now", "cancelled", "cancelled_now")
        },
    )


async def _begins(tx: AsyncSession, model: PolicyModel) -> bool:
    """Tell whether a model is the experts', and nothing is live."""
    return not model.document.get("offers") and await registry.live(tx) is None


async def _passed(
    tx: AsyncSession, model: PolicyModel, values: Parameters, now: datetime
) -> Sequence[Finding]:
    days = values.whole(numbers.EVALUATION_DAYS, now)
    evaluation = await registry.newest_evaluation(tx, model.id, now - timedelta(days=days))
    if evaluation is None:
        raise NotEvaluated(version=model.version, days=days)
    findings = checked(evaluation, model, values, now)
    failed = [one.check.value for one in findings if not one.holds]
    if failed:
        raise ChecksFailed(version=model.version, failed=failed, findings=_written(findings))
    return findings


async def _alone_as(tx: AsyncSession, state: PolicyState) -> None:
    for other in await registry.standing(tx, ModelKind.ACCEPTANCE, state):
        raise AnotherThere(other=other.version, state=state)


async def _take(
    tx: AsyncSession, model: PolicyModel, to: PolicyState, step: PolicyStep, now: datetime
) -> None:
    """Let the model stand where the step leads; what stood there, or waits, ends."""
    if to is PolicyState.LIVE:
        before = await registry.live(tx)
        if before is not None:
            before.state, before.retired_at = PolicyState.RETIRED, now
            # One is live at any moment, so the one before goes first.
            await tx.flush()
    waiting = await registry.waiting_step(tx, model.id)
    if waiting is not None and waiting is not step:
        waiting.state = StepState.WITHDRAWN
    model.state = to
    if to is PolicyState.RETIRED:
        model.retired_at = now
    else:
        model.promoted_at, model.retired_at = now, None
        model.promoted_by = step.agreed_by or step.asked_by
    await tx.flush()


def _step(
    model: PolicyModel,
    to: PolicyState,
    reason: str,
    caller: Caller | None,
    now: datetime,
    findings: Sequence[Finding],
) -> PolicyStep:
    return PolicyStep(
        id=new_id(),
        model_id=model.id,
        from_state=model.state,
        to_state=to,
        state=StepState.DONE,
        reason=reason,
        asked_at=now,
        asked_by=caller.account_id if caller else None,
        findings=_written(findings),
    )


def _written(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [{**asdict(one), "check": one.check.value} for one in findings]
