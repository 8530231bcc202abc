"""Loading what runs, stops and watches the clocks of promises: rows that have dates, from YAML."""

from datetime import date, time
from typing import Annotated, Self

from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.files import Faults
from app.core.http import Input, Name
from app.core.i18n import Words
from app.core.loading import Report
from app.promises.models import CalendarDay, ClockStopRule, EscalationRule, WorkingHours
from app.promises.rules import DayKind, Level, ProofKind, StopCause
from app.worktypes.rules import WorkType
from seed.dated import CodedIn, OrgPath, Weekdays, entries_read, load_dated, told

WorkTypes = Annotated[list[WorkType], Field(max_length=10)]


class StopRuleIn(CodedIn):
    """One cause of a file that stops a clock: see `promises.rules.StopRule`."""

    cause: StopCause
    work_types: WorkTypes = Field(default_factory=list)
    stops: bool = True
    proofs: Annotated[list[ProofKind], Field(max_length=10)] = Field(default_factory=list)
    most_hours: Annotated[float, Field(gt=0, le=8760)]
    exempts: bool = False


class WorkingHoursIn(CodedIn):
    """Hours of a file that are worked on some weekdays: local times."""

    weekdays: Weekdays
    opens_at: time
    closes_at: time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes_at <= self.opens_at:
            raise ValueError("closes_at must follow opens_at")
        return self


class CalendarDayIn(Input):
    """One special day of a file."""

    org_path: OrgPath = ""
    day: date
    kind: DayKind
    name_zh: Name
    name_en: Name


class EscalationRuleIn(CodedIn):
    """One step of a file: see `promises.rules.EscalationStep`."""

    work_types: WorkTypes = Field(default_factory=list)
    level: Level
    minutes_after_due: Annotated[int, Field(ge=-100_000, le=100_000)]


async def load_stop_rules(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load what stops a clock from YAML: `stop_rules`, each a `StopRuleIn`, by code.

    Like a promise, a rule is not rewritten but ended. Raises FileRefused when an entry is wrong,
    unless `skip_refused`.
    """
    return await load_dated(
        tx, "stop-rules", "stop_rules", StopRuleIn, ClockStopRule, document, skip_refused
    )


async def load_working_hours(
    tx: AsyncSession, document: str, *, skip_refused: bool = False
) -> Report:
    """Load weekly hours from YAML: `working_hours`, each a `WorkingHoursIn`, by code.

    Raises FileRefused like `load_stop_rules`.
    """
    return await load_dated(
        tx, "working-hours", "working_hours", WorkingHoursIn, WorkingHours, document, skip_refused
    )


async def load_escalation_rules(
    tx: AsyncSession, document: str, *, skip_refused: bool = False
) -> Report:
    """Load steps of escalation from YAML: `escalation_rules`, each an `EscalationRuleIn`, by code.

    Raises FileRefused like `load_stop_rules`.
    """
    return await load_dated(
        tx,
        "escalation-rules",
        "escalation_rules",
        EscalationRuleIn,
        EscalationRule,
        document,
        skip_refused,
    )


async def load_calendar(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load holidays and days made up for them from YAML: `days`, each a `CalendarDayIn`.

    A day that is known may become another kind of day as long as it lies ahead: governments do
    change their schedules. Raises FileRefused like `load_stop_rules`.
    """
    faults = Faults()
    good = entries_read("calendar", "days", CalendarDayIn, document, faults)
    held = {(row.org_path, row.day): row for row in await tx.scalars(select(CalendarDay))}
    today = wall().date()
    new: list[CalendarDay] = []
    changed: list[tuple[CalendarDay, CalendarDayIn]] = []
    for line, entry in good:
        row = held.get((entry.org_path, entry.day))
        if row is None:
            held[entry.org_path, entry.day] = CalendarDay(**entry.model_dump())
            new.append(held[entry.org_path, entry.day])
        elif (row.kind, row.name_zh, row.name_en) == (entry.kind, entry.name_zh, entry.name_en):
            continue
        elif row.kind is not entry.kind and (entry.day <= today or row in new):
            words = Words(zh="已过的日子不改写", en="a day that has passed is not rewritten")
            faults.note(line, "kind", entry.kind, words)
        else:
            changed.append((row, entry))
    if not skip_refused:
        faults.refuse("calendar")
    tx.add_all(new)
    for row, entry in changed:
        row.kind, row.name_zh, row.name_en = entry.kind, entry.name_zh, entry.name_en
    await tx.flush()
    return told("calendar", good, faults, len(new), len(changed))
