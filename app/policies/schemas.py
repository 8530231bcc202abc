"""Wire shapes of policies: models, evaluations, steps, alarms and figures."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Input, Line, Moment, Note
from app.core.paging import NextPage
from app.policies.models import PolicyEvaluation, PolicyStep
from app.policies.rules import EvaluationState, StepState
from app.policies.rules.fairness import Shown
from app.policies.rules.metrics import Metric
from app.policies.rules.promotion import Check, GroupKind
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import ModelKind, PolicyState

Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class FindingOut(Answer):
    """One check of a policy that is to decide, and the figures it rests on."""

    check: Check
    holds: bool
    figures: dict[str, Any]


class StepOut(Answer):
    """A step of a model. One that waits becomes so when a second person asks for the same."""

    id: UUID
    from_state: PolicyState
    to_state: PolicyState
    state: StepState
    reason: Note
    asked_at: datetime
    asked_by: UUID | None = Field(description="Null: the nightly refit of a live policy.")
    agreed_at: datetime | None
    agreed_by: UUID | None
    findings: list[FindingOut] = Field(max_length=10)


class PolicyOut(Answer):
    """A model of the registry, without its coefficients."""

    version: Line
    kind: ModelKind
    state: PolicyState
    created_at: datetime
    trained_from: datetime | None
    trained_until: datetime | None
    rows: int = Field(description="The answers, or customers, that it was learned from.")
    figures: dict[str, Any] = Field(
        description="What the night that learned it says: counts by offer, and how well a model "
        "of the days before foretold the last ones."
    )
    promoted_at: datetime | None
    promoted_by: UUID | None
    retired_at: datetime | None


class PolicyWholeOut(PolicyOut):
    """A model of the registry with its coefficients and its latest steps."""

    document: dict[str, Any]
    steps: list[StepOut] = Field(max_length=50, description="Newest first.")

    @classmethod
    def whole(cls, row: PolicyModel, steps: Sequence[PolicyStep]) -> Self:
        """Put a model and its steps together."""
        return cls(
            **PolicyOut.model_validate(row).model_dump(),
            document=row.document,
            steps=[StepOut.model_validate(one) for one in steps],
        )


class AlarmOut(Answer):
    """That predicted and observed acceptance have drifted apart."""

    id: UUID
    model_version: Line
    at: datetime
    ended_at: datetime | None = Field(description="Null while it goes on.")
    figures: dict[str, Any] = Field(
        description="`predicted` and `observed` over the last `answers`, their test `z`, and the "
        "two cumulative sums with the height at which they alarm."
    )


class PoliciesOut(Answer):
    """Who decides now, what has drifted, and the models of the registry, newest first."""

    rules_only: bool = Field(description="True: the switch is on, and rules alone decide.")
    live: Line | None = Field(description="The model in force; null: the experts' rates.")
    alarms: list[AlarmOut] = Field(max_length=20, description="Those that are open come first.")
    policies: list[PolicyOut] = Field(max_length=200)
    next_page_token: NextPage


class PromoteIn(Input):
    """Where a model shall stand, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"to": "shadow", "reason": "下月试点前先旁路观察"}]}
    )

    to: PolicyState
    reason: Reason


class RetireIn(Input):
    """Why a model is taken out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "接受率持续偏离预测"}]})

    reason: Reason


class SwitchIn(Input):
    """Whether rules alone decide from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rules_only": True}]})

    rules_only: bool


class SwitchOut(Answer):
    """Since when rules alone decide, or no longer do."""

    rules_only: bool
    since: datetime


class EvaluationIn(Input):
    """On which part of the log a model is judged; the last season without."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"since": "2026-03-01T00:00:00+08:00", "until": "2026-05-30T00:00:00+08:00"}
            ]
        }
    )

    since: Moment | None = None
    until: Moment | None = None


class EstimateOut(Answer):
    """A value with its 95 % interval, in fen a decision."""

    value: float
    low: float
    high: float


class ReplayOut(Answer):
    """What a policy would have earned a decision, by three estimates."""

    decisions: int
    effective: float = Field(
        description="How many decisions of the log's own policy would tell as much."
    )
    heaviest: float = Field(description="The largest weight of one decision.")
    ips: EstimateOut
    snips: EstimateOut
    dr: EstimateOut


class RateOut(Answer):
    """A share and its standard error; null: there was nobody to be counted."""

    share: float | None
    error: float


class GroupOut(Answer):
    """How a group of customers fares under a model and under the one in force."""

    kind: GroupKind
    group: Line
    decisions: int
    accepted: RateOut
    accepted_now: RateOut
    cancelled: RateOut
    cancelled_now: RateOut


class ComparedOut(Answer):
    """The policies that are held beside each other; `log` is what was really done."""

    model: ReplayOut
    current: ReplayOut
    rules: ReplayOut
    log: ReplayOut


class ResultOut(Answer):
    """What an evaluation found."""

    decisions: int
    current: Line = Field(description="The version that was in force, or the rules' name.")
    policies: ComparedOut
    gain: EstimateOut = Field(
        description="How much more than the one in force, on the same decisions (DR)."
    )
    groups: list[GroupOut] = Field(max_length=100)
    answers: dict[str, Any] | None = Field(
        description="How true its chances are of answers it has not learned from; null: none yet."
    )
    pitched: int | None = Field(
        description="What it had pitched; none while it decides for nobody, null: not counted."
    )
    violations: int = Field(
        description="What of that was against a guard; the goal is none. Beside it nothing is to be"
        " counted: a model can choose only among what the gates let through."
    )


class EvaluationOut(Answer):
    """An evaluation of a model on the log of a time."""

    id: UUID
    version: Line
    state: EvaluationState
    asked_at: datetime
    asked_by: UUID | None = Field(description="Null: the night's own.")
    since: datetime
    until: datetime
    done_at: datetime | None
    error: Note | None
    result: ResultOut | None

    @classmethod
    def of(cls, row: PolicyEvaluation, version: str) -> Self:
        """Say what is known of an evaluation of a model."""
        named = {name: getattr(row, name) for name in cls.model_fields if name != "version"}
        if row.result is not None:
            # Evaluations of before did not say how much was pitched.
            named["result"] = {"pitched": None, **row.result}
        return cls.model_validate({**named, "version": version})


class EvaluationsOut(Answer):
    """A page of a model's evaluations, newest first."""

    evaluations: list[EvaluationOut] = Field(max_length=200)
    next_page_token: NextPage


class FigureOut(Answer):
    """One figure with all it is made of."""

    metric: Metric
    value: float | None = Field(description="`numerator` by `denominator`; null: nothing counted.")
    numerator: float
    denominator: float
    left_out: int
    meaning: Note = Field(description="Of what it is a part, and what is left out.")


class FiguresOut(Answer):
    """What suggestions came to over some local days."""

    since: date
    until: date
    org_unit_id: UUID
    version: Line | None
    figures: list[FigureOut] = Field(max_length=20)


class GroupMonthOut(Answer):
    """How a group of customers fared in a month; all counts are null where too few are in it."""

    month: date = Field(description="Its first day.")
    kind: GroupKind
    group: Line = Field(description="`unknown` where it was not known; elderly `yes` or `no`.")
    visits: int | None = Field(description="In which something could have been offered.")
    offered: int | None = Field(description="Visits in which something was.")
    pitched: int | None
    accepted: int | None
    cancelled: int | None = Field(description="Accepted, but it came to nothing.")

    @classmethod
    def of(cls, one: Shown) -> Self:
        """Write a group."""
        names = ("visits", "offered", "pitched", "accepted", "cancelled")
        return cls(
            month=one.month,
            kind=one.kind,
            group=one.group,
            **{name: one.fared and getattr(one.fared, name) for name in names},
        )


class GroupsOut(Answer):
    """Whether any group of customers is offered less, accepts less or cancels more."""

    since: date
    until: date
    org_unit_id: UUID
    least: int = Field(
        description="Groups with fewer visits in a month are masked; where that is one alone, the "
        "next smallest too, or it could be worked out."
    )
    groups: list[GroupMonthOut] = Field(max_length=1000)
