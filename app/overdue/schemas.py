"""Wire shapes of late orders, escalations and compensations; addresses leave masked."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.auth.rules import OrgLevel
from app.core.http import Answer, Input
from app.core.i18n import Lang
from app.overdue.rules import CompensationState
from app.promises.rules import Level, Per, StopCause
from app.workorders.rules import State, masked_address
from app.worktypes.rules import WorkType

Why = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]
Fen = Annotated[int, Field(ge=-100_000_000, le=100_000_000)]


class LateOrderOut(Answer):
    """An open order whose promise is broken or about to be; the address is masked."""

    id: UUID
    org_unit_id: UUID
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    work_type: WorkType
    priority: int = Field(ge=1, le=4)
    state: State
    address: str = Field(max_length=501, description="Down to the building.")
    grid_id: UUID | None
    holder_id: UUID | None = Field(description="The technician who has it.")
    planned_day: date | None
    appointment_from: datetime | None
    appointment_until: datetime | None
    reported_at: datetime
    due_at: datetime
    late_seconds: int = Field(
        ge=-10_000_000, le=2**40, description="Since it was due; below nothing while it is not."
    )

    @classmethod
    def of(cls, row: Any, now: datetime) -> Self:
        """Shape a row of `queries.late`."""
        fields = dict(row._mapping)
        fields["address"] = masked_address(fields["address"])
        return cls(**fields, late_seconds=int((now - row.due_at).total_seconds()))


class LateOrderPage(Answer):
    """Some late orders, those due first first."""

    orders: list[LateOrderOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)


class LateCountOut(Answer):
    """How many orders of an org unit are late, or about to be."""

    org_unit_id: UUID
    code: str = Field(max_length=64)
    name_zh: str = Field(max_length=200)
    name_en: str = Field(max_length=200)
    level: OrgLevel
    overdue: Count
    at_risk: Count


class LateCountsOut(Answer):
    """Counts by org unit, the unit with the most overdue orders first."""

    at: datetime
    at_risk_minutes: float = Field(description="With how little left an order is at risk.")
    units: list[LateCountOut] = Field(max_length=10_000)


class EscalationOut(Answer):
    """That a level was told of an order; the address is masked."""

    id: UUID
    work_order_id: UUID
    org_unit_id: UUID
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    work_type: WorkType
    state: State
    address: str = Field(max_length=501, description="Down to the building.")
    level: Level
    level_words: str = Field(max_length=100, description="In the language asked for.")
    due_at: datetime
    at: datetime = Field(description="When it was told.")
    rule_code: str = Field(max_length=64)
    holder_id: UUID | None = Field(description="Who had the order then.")
    acknowledged_at: datetime | None
    acknowledged_by_id: UUID | None
    note: str | None = Field(max_length=2000)

    @classmethod
    def of(cls, row: Any, lang: Lang) -> Self:
        """Shape a row of `queries.escalations`."""
        fields = dict(row._mapping)
        fields["address"] = masked_address(fields["address"])
        return cls(**fields, level_words=row.level.words.say(lang))


class EscalationPage(Answer):
    """Some escalations, the latest first."""

    escalations: list[EscalationOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)


class EscalationsOut(Answer):
    """What a technician is told of their orders, those due first first."""

    escalations: list[EscalationOut] = Field(max_length=200)


class AcknowledgeIn(Input):
    """What is done about it."""

    note: Why


class DecideIn(Input):
    """Why."""

    reason: Why


class CompensationOut(Answer):
    """What is paid for a late order, or why nothing is."""

    id: UUID
    work_order_id: UUID
    org_unit_id: UUID
    org_unit_code: str = Field(max_length=64)
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    work_type: WorkType
    service_number: str | None = Field(max_length=64)
    state: CompensationState
    promise_rule_id: UUID = Field(description="The rule the order is judged by.")
    first_due_at: datetime = Field(description="Until when it was due without any stop.")
    due_at: datetime
    late_until: datetime = Field(description="When it was completed; until now while it is open.")
    late_days: int = Field(
        ge=0, le=100_000, description="Days of 24 hours that have begun since it was due."
    )
    per: Per
    fen: Fen = Field(description="Below nothing for a reversal.")
    cap_fen: Fen
    causes: list[StopCause] = Field(max_length=20, description="What excuses it.")
    why: str | None = Field(max_length=400, description="The causes in words; null without any.")
    changed_at: datetime
    decided_at: datetime | None
    decided_by_id: UUID | None
    reason: str | None = Field(max_length=2000)
    reverses_id: UUID | None = Field(description="Of a reversal: what it reverses.")

    @classmethod
    def of(cls, row: Any, lang: Lang) -> Self:
        """Shape a row of `queries.compensations`, its causes in words of a language."""
        fields = dict(row._mapping)
        causes = [StopCause(word) for word in fields["causes"]]
        between = "、" if lang == "zh" else ", "
        why = between.join(cause.words.say(lang) for cause in causes) or None
        return cls(**{**fields, "causes": causes}, why=why)


class CompensationPage(Answer):
    """Some compensations, those that changed first first."""

    compensations: list[CompensationOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)
