"""Evaluations of policies, their steps towards being in force, alarms, and figures of days."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.policies.rules import EvaluationState, StepState
from app.policies.rules.metrics import Metric
from app.policies.rules.promotion import GroupKind
from app.suggestions.rules.model import PolicyState


class PolicyEvaluation(Row, Base):
    """What a model would have earned on the log of a time, worked out in a process of its own.

    `result` is what `service.evaluating` writes; null until it is done. `asked_by` null is the
    night's own.
    """

    __tablename__ = "policy_evaluation"
    __table_args__ = (
        Index("ix_policy_evaluation_model", "model_id", "asked_at"),
        # Whoever asks again while one waits gets that one.
        Index(
            "uq_policy_evaluation_waiting",
            "model_id",
            unique=True,
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    model_id: Mapped[UUID] = mapped_column(ForeignKey("policy_model.id"))
    state: Mapped[EvaluationState] = mapped_column(text_enum(EvaluationState))
    asked_at: Mapped[datetime]
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    since: Mapped[datetime]
    until: Mapped[datetime]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    done_at: Mapped[datetime | None]


class PolicyStep(Row, Base):
    """One step of a model towards being in force, or out of it.

    `asked_by` null is the nightly refit of a policy that people let live. A step that waits has
    nobody who agreed yet; `findings` are the checks it passed.
    """

    __tablename__ = "policy_step"
    __table_args__ = (
        Index("ix_policy_step_model", "model_id", "asked_at"),
        Index(
            "uq_policy_step_waiting",
            "model_id",
            unique=True,
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    model_id: Mapped[UUID] = mapped_column(ForeignKey("policy_model.id"))
    from_state: Mapped[PolicyState] = mapped_column(text_enum(PolicyState))
    to_state: Mapped[PolicyState] = mapped_column(text_enum(PolicyState))
    state: Mapped[StepState] = mapped_column(text_enum(StepState))
    reason: Mapped[str]
    asked_at: Mapped[datetime]
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    agreed_at: Mapped[datetime | None]
    agreed_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    findings: Mapped[list[dict[str, Any]]]


class PolicyAlarm(Row, Base):
    """That what a model in force says and what is seen have drifted apart; open until they agree
    again, or the model is not in force any more."""

    __tablename__ = "policy_alarm"
    __table_args__ = (
        Index("ix_policy_alarm_at", "at"),
        Index(
            "uq_policy_alarm_open",
            "model_version",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    # A model of the registry, or the name of the rules where no model is in force.
    model_version: Mapped[str]
    at: Mapped[datetime]
    figures: Mapped[dict[str, Any]]
    ended_at: Mapped[datetime | None]


class PolicyDay(Base):
    """What suggestions came to on one local day in one org unit, by who chose them.

    `version` is the model's, or the rules' name. `part` and `whole` are what a share is made of,
    `left_out` is what belongs to neither. A day is written anew while its outcomes can change.
    """

    __tablename__ = "policy_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    org_unit_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[Metric] = mapped_column(text_enum(Metric), primary_key=True)
    part: Mapped[float]
    whole: Mapped[float]
    left_out: Mapped[int]


class PolicyGroupDay(Base):
    """How a group of an org unit's customers fared on one local day.

    Each visit counts in one group of each kind. `rules.fairness.Fared` says what is counted; what
    was pitched, accepted and cancelled counts on the day of the answer. A day is written anew while
    its outcomes can change.
    """

    __tablename__ = "policy_group_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    org_unit_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[GroupKind] = mapped_column(text_enum(GroupKind), primary_key=True)
    group: Mapped[str] = mapped_column(primary_key=True)
    visits: Mapped[int]
    offered: Mapped[int]
    pitched: Mapped[int]
    accepted: Mapped[int]
    cancelled: Mapped[int]
