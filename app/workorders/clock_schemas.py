"""Wire shapes of promises and of what stops their clocks."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.core.http import Answer, Input, Moment, Note
from app.core.i18n import Lang
from app.grids.rules import GridKind
from app.promises.rules import Clock, Per, Promise, Proof, ProofKind, StopCause, words_of
from app.workorders.models import ClockStop
from app.workorders.service.by_hand import Standing
from app.workorders.service.clocks import Stop

Reference = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Why = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class ProofByHand(StrEnum):
    """What a person or another system can show."""

    VISIT = ProofKind.VISIT.value
    EVIDENCE = ProofKind.EVIDENCE.value
    REFERENCE = ProofKind.REFERENCE.value


class ProofIn(Input):
    """What shows the cause: a visit or evidence of this order by its id, or a reference."""

    kind: ProofByHand
    id: UUID | None = Field(default=None, description="Of the visit or the evidence.")
    reference: Reference | None = Field(
        default=None, description="A ticket, a notice or a call of another system, by its number."
    )

    @model_validator(mode="after")
    def _shown(self) -> Self:
        if self.kind is ProofByHand.REFERENCE and self.reference is None:
            raise ValueError("say the reference")
        if self.kind is not ProofByHand.REFERENCE and self.id is None:
            raise ValueError("say the id")
        return self

    def proof(self) -> Proof:
        """Give it as the rules take it."""
        return Proof(ProofKind(self.kind), self.id, self.reference)


class ClockStopIn(Input):
    """Why the clock stands still, since when, and what shows it; the caller makes the id (UUIDv7).

    With `ended_at` it is over already; without, it goes on until it is ended or until `until`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-0000000000a1",
                    "cause": "resource_missing",
                    "proof": {"kind": "reference", "reference": "RES-20260302-0117"},
                    "began_at": "2026-03-02T10:20:00+08:00",
                    "note": "分光器端口已满，待扩容",
                }
            ]
        }
    )

    id: UUID
    cause: StopCause
    proof: ProofIn
    began_at: Moment
    ended_at: Moment | None = None
    until: Moment | None = Field(default=None, description="When it ends by itself.")
    note: Note = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(each and each <= self.began_at for each in (self.ended_at, self.until)):
            raise ValueError("a stop ends after it began")
        return self

    def stop(self) -> Stop:
        """Give it as the service takes it."""
        return Stop(
            id=self.id,
            cause=self.cause,
            proof=self.proof.proof(),
            at=self.began_at,
            ended_at=self.ended_at,
            latest=self.until,
            note=self.note,
        )


class ClockEndIn(Input):
    """When the clock runs again; left out, now."""

    at: Moment | None = None


class ClockWithdrawIn(Input):
    """Why a stop was wrong."""

    reason: Why


class ClockStopOut(Answer):
    """From when until when a clock stands still, and why."""

    id: UUID
    cause: StopCause
    cause_words: str = Field(max_length=200, description="In the language asked for.")
    began_at: datetime
    ended_at: datetime | None = Field(description="Null while nobody has ended it.")
    ends_by: datetime = Field(description="When it ends by itself.")
    proof: ProofKind
    proof_id: UUID | None
    reference: str | None = Field(max_length=200)
    note: str = Field(max_length=2000)
    rule_code: str = Field(max_length=64, description="The rule by which the cause stops a clock.")
    exempts: bool = Field(description="With it nothing is paid, even if the order is late.")
    account_id: UUID | None
    technician_id: UUID | None
    device_began_at: datetime | None = Field(description="What the phone's clock said.")
    device_ended_at: datetime | None
    withdrawn_at: datetime | None = Field(description="Set: it was wrong, and does not count.")
    withdrawn_why: str | None = Field(max_length=2000)

    @classmethod
    def of(cls, one: ClockStop, lang: Lang) -> Self:
        """Shape a stop, its cause in words of a language."""
        fields = {name: getattr(one, name) for name in cls.model_fields if hasattr(one, name)}
        return cls(**fields, proof=one.proof_kind, cause_words=one.cause.words.say(lang))


class PromiseRuleOut(Answer):
    """The rule an order is judged by, whatever has come into force since."""

    id: UUID
    code: str = Field(max_length=64)
    words: str = Field(max_length=500, description="In the language asked for.")
    clock: Clock = Field(description="Which hours count: all, or those of the working calendar.")
    value_tier: str | None = Field(max_length=64)
    grid_kind: GridKind | None
    same_visit: bool = Field(description="For what is installed in the visit that sold it.")
    compensation_fen: int = Field(ge=0, le=100_000_000)
    compensation_per: Per
    compensation_cap_fen: int = Field(ge=0, le=100_000_000)

    @classmethod
    def of(cls, promise: Promise, lang: Lang) -> Self:
        """Shape a rule, in words of a language."""
        fields = {name: getattr(promise, name) for name in cls.model_fields if name != "words"}
        return cls(**fields, words=words_of(promise).say(lang))


class PromiseOut(Answer):
    """What was promised, what stopped its clock, and how much is left."""

    work_order_id: UUID
    rule: PromiseRuleOut | None = Field(description="Null where nothing is promised.")
    reported_at: datetime
    first_due_at: datetime | None = Field(description="Until when it was due without any stop.")
    due_at: datetime | None
    judged_at: datetime = Field(description="When it was completed; now while it is not.")
    left_seconds: int | None = Field(
        ge=-(2**53),
        le=2**53,
        description="What is left of the time to work in, by the rule's clock; below nothing once "
        "it is late.",
    )
    late: bool
    stopped: bool = Field(description="The clock stands still at the moment.")
    excused_by: list[ClockStopOut] = Field(
        max_length=200,
        description="Without these stops it would be late, or they exempt it from compensation.",
    )
    stops: list[ClockStopOut] = Field(max_length=1000, description="All, also those withdrawn.")

    @classmethod
    def of(cls, standing: Standing, lang: Lang) -> Self:
        """Shape how an order stands to its promise."""
        running, order = standing.running, standing.order
        return cls(
            work_order_id=order.id,
            rule=running.promise and PromiseRuleOut.of(running.promise, lang),
            reported_at=order.reported_at,
            first_due_at=standing.first_due_at,
            due_at=order.due_at,
            judged_at=standing.judged_at,
            left_seconds=None if standing.left is None else round(standing.left.total_seconds()),
            late=standing.late,
            stopped=order.completed_at is None
            and any(each.begins <= standing.judged_at < each.ends for each in running.spans),
            excused_by=[ClockStopOut.of(one, lang) for one in standing.excused],
            stops=[ClockStopOut.of(one, lang) for one in running.stops],
        )
