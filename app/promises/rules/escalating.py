"""Who is told, and when, that a promise is about to be broken or is broken."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from app.core.i18n import Words
from app.worktypes.rules import WorkType


class Level(StrEnum):
    """Who has to look at an order: whoever holds it, their supervisor, or the whole branch."""

    TECHNICIAN = "technician"
    SUPERVISOR = "supervisor"
    BRANCH = "branch"

    @property
    def words(self) -> Words:
        """Say it in words."""
        return _LEVELS[self]


_LEVELS = {
    Level.TECHNICIAN: Words("装维人员", "the technician"),
    Level.SUPERVISOR: Words("班组长", "the supervisor"),
    Level.BRANCH: Words("支局", "the branch"),
}


class EscalationStep(NamedTuple):
    """One dated step: so many minutes after an order is due (before, when below nothing) it is
    escalated to a level. `work_types` empty is all, `org_path` empty is everybody."""

    code: str
    org_path: str
    work_types: frozenset[WorkType]
    level: Level
    minutes_after_due: int
    valid_from: date
    valid_to: date | None


def steps_for(
    steps: Iterable[EscalationStep], work_type: WorkType, org_path: str, day: date
) -> list[EscalationStep]:
    """List the steps in force for an org unit on a local day, one for each level, the first first.

    Of a level the closest unit's counts, of its steps one for the work type before one for all,
    then the latest.
    """
    chosen: dict[Level, EscalationStep] = {}

    def rank(one: EscalationStep) -> tuple[int, bool, date]:
        return (len(one.org_path), bool(one.work_types), one.valid_from)

    for step in steps:
        if (
            org_path.startswith(step.org_path)
            and (not step.work_types or work_type in step.work_types)
            and step.valid_from <= day
            and (step.valid_to is None or day < step.valid_to)
        ):
            held = chosen.get(step.level)
            if held is None or rank(step) > rank(held):
                chosen[step.level] = step
    return sorted(chosen.values(), key=lambda one: one.minutes_after_due)
