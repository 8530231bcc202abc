"""Judging a model on the log: what it would have earned, how true its chances are, who fares worse.

It is about what is put first: an acceptance that was kept brings the offer's value, a pitch costs
a contact, and what the technician did not speak of brings nothing. Which of the shown offers is
pitched is the technician's choice, so that what stands second says nothing sure.

A model is asked only about what the gates of that decision let through, in the log as at the door,
so that it cannot choose what was held back. Whether the gates themselves let something through that
should have been held back is told from what was pitched by the model, which is nothing while it has
decided for nobody.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import nights
from app.core.db import new_id
from app.core.geo import Floats
from app.core.jobs import tell
from app.core.parameter_values import parameters_in_force
from app.policies.models import PolicyEvaluation
from app.policies.queries import guards, log, registry
from app.policies.queries.log import Decisions, Told
from app.policies.rules import ChurnDecidesNothing, EvaluationState
from app.policies.rules import parameters as numbers
from app.policies.rules.choosing import believed, first_by_draws
from app.policies.rules.promotion import GroupKind, GroupRates, Rate
from app.policies.rules.replay import Log, Replay, compared, replay, weighted_mean
from app.policies.service.learning import foretold, quality
from app.suggestions.models import PolicyModel
from app.suggestions.rules.exploring import trying_in_force
from app.suggestions.rules.model import BEST_GUESS, DRAWS, FEATURES, Model, ModelKind, Trying
from app.suggestions.rules.ranking import POLICY

# Policies are judged as they would choose in the long run, after so many decisions.
LONG = 10**9


async def ask(
    tx: AsyncSession,
    version: str,
    *,
    since: datetime | None,
    until: datetime | None,
    account_id: UUID | None,
    now: datetime,
) -> tuple[PolicyEvaluation, bool]:
    """Ask for an evaluation of a model; a worker has it worked out. One that waits is given again.

    Times are UTC; without them it is the season up to now. Returns whether it is new. Raises
    NotFound and ChurnDecidesNothing.
    """
    model = await registry.for_step(tx, version)
    if model.kind is not ModelKind.ACCEPTANCE:
        raise ChurnDecidesNothing(version=version)
    waiting = await registry.waiting_evaluation(tx, model.id)
    if waiting is not None:
        return waiting, False
    asked = await _evaluation(tx, model, since, until, now)
    asked.asked_by = account_id
    tx.add(asked)
    await tell(tx, "policy.evaluation_asked", evaluation_id=asked.id)
    return asked, True


async def _evaluation(
    tx: AsyncSession,
    model: PolicyModel,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
) -> PolicyEvaluation:
    values = await parameters_in_force(tx)
    end = until or now
    return PolicyEvaluation(
        id=new_id(),
        model_id=model.id,
        state=EvaluationState.WAITING,
        asked_at=now,
        since=since or end - timedelta(days=values.whole(numbers.WINDOW_DAYS, now)),
        until=end,
    )


async def of_the_season(
    tx: AsyncSession, version: str, now: datetime, told: Told = lambda _rows: None
) -> PolicyEvaluation:
    """Evaluate a model on the season up to now, at once: whatever others have asked for of the same
    model, for other days, may wait or be under way meanwhile.

    `told` and how long it takes as for `work_out`. Raises NotFound.
    """
    model = await registry.for_step(tx, version)
    made = await _evaluation(tx, model, None, None, now)
    await _judged(tx, made, model, now, told)
    # Not before: one of a model may wait at a time, and this one never does.
    tx.add(made)
    await tx.flush()
    return made


async def work_out(
    tx: AsyncSession, evaluation_id: UUID, now: datetime, told: Told = lambda _rows: None
) -> PolicyEvaluation | None:
    """Work out an evaluation that waits; None when it does not wait any more.

    `told` hears how many rows were read. May take a minute of processor time.
    """
    asked = await tx.get(PolicyEvaluation, evaluation_id, with_for_update={"skip_locked": True})
    if asked is None or asked.state is not EvaluationState.WAITING:
        return None
    model = await tx.get_one(PolicyModel, asked.model_id)
    await _judged(tx, asked, model, now, told)
    await tx.flush()
    return asked


async def _judged(
    tx: AsyncSession, asked: PolicyEvaluation, model: PolicyModel, now: datetime, told: Told
) -> None:
    await nights.patient(tx)
    asked.result = await judge(tx, model, asked.since, asked.until, now, told)
    asked.state, asked.done_at = EvaluationState.DONE, now
    audit.note(tx, table="policy_model", operation="evaluated", ids=[model.id])


async def give_up(tx: AsyncSession, evaluation_id: UUID, error: str, now: datetime) -> None:
    """Say that an evaluation could not be worked out."""
    asked = await tx.get(PolicyEvaluation, evaluation_id, with_for_update=True)
    if asked is not None and asked.state is EvaluationState.WAITING:
        asked.state, asked.error, asked.done_at = EvaluationState.FAILED, error, now


async def judge(
    session: AsyncSession,
    row: PolicyModel,
    since: datetime,
    until: datetime,
    now: datetime,
    told: Told = lambda _rows: None,
) -> dict[str, Any]:
    """Judge a model on a log, beside the one in force, the rules and the log's own policies."""
    values = await parameters_in_force(session)
    experts = await registry.experts(session)
    most = values.whole(numbers.REPLAY_DECISIONS, now)
    live = await registry.live(session)
    model = registry.model_of(row)
    current = registry.model_of(live) if live else Model.cold(POLICY)
    names = tuple({*FEATURES, *model.names, *current.names})
    decided = await log.decisions(session, since, until, names, most, told)
    pitches = await guards.violations(session, since, until, row.version)
    return {
        **on_log(decided, model, current, experts, trying_in_force(values, now, "", LONG)),
        "answers": await _answered(session, row, model, since, until, experts),
        "pitched": pitches.pitched,
        "violations": pitches.against,
    }


@dataclass(frozen=True)
class Chosen:
    """With which probability each row of the log is put first, by policy."""

    model: Floats
    current: Floats
    rules: Floats


def on_log(
    decided: Decisions,
    model: Model,
    current: Model,
    experts: dict[str, float],
    trying: Trying,
) -> dict[str, Any]:
    """Replay a log: what a model, the one in force and the rules are worth a decision, in fen."""
    chosen = _choose(decided, model, current, experts, trying)
    arrays = Log(
        decided.decision,
        decided.action,
        decided.features,
        decided.logged,
        decided.taken,
        decided.reward,
    )
    return {
        "decisions": arrays.decisions,
        "current": current.version,
        "policies": {
            "model": _written(replay(arrays, chosen.model)),
            "current": _written(replay(arrays, chosen.current)),
            "rules": _written(replay(arrays, chosen.rules)),
            "log": _written(replay(arrays, decided.logged)),
        },
        "gain": asdict(compared(arrays, chosen.model, chosen.current)),
        "groups": [_plain(one) for one in _groups(decided, chosen)],
    }


def _choose(
    decided: Decisions,
    model: Model,
    current: Model,
    experts: dict[str, float],
    trying: Trying,
) -> Chosen:
    def by(one: Model, trying: Trying = trying, draws: int = DRAWS, sure: bool = False) -> Floats:
        mean, deviation = believed(
            one, decided.names, decided.codes, decided.action, decided.features, experts
        )
        return first_by_draws(
            decided.decision,
            decided.action,
            (mean, deviation * (not sure)),
            decided.worth,
            decided.push,
            decided.cost,
            trying,
            draws,
        )

    return Chosen(by(model), by(current), by(Model.cold(POLICY), BEST_GUESS, draws=1, sure=True))


def _written(found: Replay) -> dict[str, Any]:
    return {
        "decisions": found.decisions,
        "effective": found.effective,
        "heaviest": found.heaviest,
        **{method.value: asdict(one) for method, one in found.estimates.items()},
    }


def _groups(decided: Decisions, chosen: Chosen) -> list[GroupRates]:
    """Weigh the log's acceptances and cancellations by what each policy would have put first."""
    taken, logged = decided.taken, decided.logged
    model, current = (one[taken] / logged[taken] for one in (chosen.model, chosen.current))
    offered = decided.action[taken] >= 0
    found = []
    for kind in GroupKind:
        names = decided.groups[kind.value]
        for name in np.unique(names):
            if not name:
                continue  # what is not known is no group
            inside = (names == name) & offered
            yes = inside & decided.accepted
            found.append(
                GroupRates(
                    kind=kind,
                    group=str(name),
                    decisions=int(inside.sum()),
                    accepted=_rate(model[inside], decided.accepted[inside]),
                    accepted_now=_rate(current[inside], decided.accepted[inside]),
                    cancelled=_rate(model[yes], decided.cancelled[yes]),
                    cancelled_now=_rate(current[yes], decided.cancelled[yes]),
                )
            )
    return found


def _rate(weight: Floats, happened: Any) -> Rate:
    if not weight.sum():
        return Rate(None, 0.0)
    found = weighted_mean(weight, happened.astype(float))
    return Rate(found.value, (found.high - found.value) / 1.96)


def _plain(one: GroupRates) -> dict[str, Any]:
    return {**asdict(one), "kind": one.kind.value}


async def _answered(
    session: AsyncSession,
    row: PolicyModel,
    model: Model,
    since: datetime,
    until: datetime,
    experts: dict[str, float],
) -> dict[str, Any] | None:
    """Compare what a model says with answers that came after it was learned; None without any."""
    after = max(since, row.trained_until or since)
    if after >= until:
        return None
    heard = await log.answers(session, after, until, model.names)
    if not len(heard.accepted):
        return None
    return quality(heard.accepted, foretold(model, heard, experts))
