"""How far the work at a door is, as a phone keeps and reads it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Code, Note
from app.core.i18n import Lang
from app.terminals.rules import TerminalKind
from app.visits.models import Visit
from app.visits.schemas.steps import FindingOut, MeasurementsIn, StepIn
from app.worktypes.rules import ClosingCode, Done, Measure, Missing, Verdict


class ProgressIn(StepIn):
    """What this visit has checked and measured by now, in place of what it had."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "checked": ["identity_shown", "cabling_tidy"],
                    "measurements": {"optical_rx_power_dbm": -19.4},
                    "note": "楼道分光器在4楼",
                    "device_at": "2026-03-02T10:05:00+08:00",
                }
            ]
        }
    )

    checked: Annotated[list[Code], Field(max_length=50)] = Field(
        default_factory=list, description="The lines of the template's checklist that are done."
    )
    measurements: MeasurementsIn = Field(default_factory=MeasurementsIn)
    note: Note | None = None

    def measured(self) -> dict[str, float]:
        """Give what was measured, without what was not."""
        return self.measurements.model_dump(exclude_none=True)


class MeasuredOut(Answer):
    """A measurement; of a measure taken twice, the last one."""

    measure: Measure
    value: float = Field(description="In the unit that the measure's name ends with.")


class CountedOut(Answer):
    """Evidence that is there."""

    code: Code = Field(description="The requirement's code in the template.")
    stored: int = Field(description="How many are there with their bytes.")
    announced: int = Field(description="How many are announced and still to come.")


class ClosingOut(Answer):
    """What one closing code still lacks; with nothing missing the order can be completed by it."""

    code: Code
    words: Note
    missing: Annotated[list[FindingOut], Field(max_length=200)]
    warnings: Annotated[list[FindingOut], Field(max_length=50)] = Field(
        description="Not as it should be, though it does not keep the order back."
    )


class ProgressOut(Answer):
    """What was done for the order so far, in this visit and in those before it."""

    visit_id: UUID
    work_order_id: UUID
    template_id: UUID | None = Field(description="Null where nothing was set for the work type.")
    saved_at: datetime | None = Field(description="When this visit's phone last sent it.")
    note: Note | None
    checked: Annotated[list[Code], Field(max_length=500)]
    measurements: Annotated[list[MeasuredOut], Field(max_length=20)]
    evidence: Annotated[list[CountedOut], Field(max_length=100)]
    fitted: Annotated[list[TerminalKind], Field(max_length=20)] = Field(
        description="Kinds of terminal that were fitted."
    )
    left_behind: Annotated[list[Code], Field(max_length=100)] = Field(
        description="Serial numbers that have to be taken away and were not yet."
    )
    line: Code = Field(description="How far the activation of the line is.")
    code_accepted: bool
    signed: bool
    closings: Annotated[list[ClosingOut], Field(max_length=30)]

    @classmethod
    def of(
        cls,
        visit: Visit,
        done: Done,
        closings: Sequence[tuple[ClosingCode, Verdict]],
        *,
        template_id: UUID | None,
        lang: Lang,
    ) -> Self:
        """Write how far a visit is."""
        return cls(
            visit_id=visit.id,
            work_order_id=visit.work_order_id,
            template_id=template_id,
            saved_at=visit.progress_at,
            note=visit.note,
            checked=sorted(done.checked),
            measurements=[
                MeasuredOut(measure=Measure(measure), value=value)
                for measure, value in sorted(done.measurements.items())
            ],
            evidence=[
                CountedOut(
                    code=code,
                    stored=done.stored.get(code, 0),
                    announced=done.announced.get(code, 0),
                )
                for code in sorted({*done.stored, *done.announced})
            ],
            fitted=sorted(done.fitted),
            left_behind=list(done.left_behind),
            line=done.line,
            code_accepted=done.code_accepted,
            signed=done.signed,
            closings=[
                ClosingOut(
                    code=closing.code,
                    words=closing.words.say(lang),
                    missing=_found(verdict.missing, lang),
                    warnings=_found(verdict.warnings, lang),
                )
                for closing, verdict in closings
            ],
        )


def _found(findings: Sequence[Missing], lang: Lang) -> list[FindingOut]:
    return [
        FindingOut(wanting=one.wanting, code=one.code, words=one.words.say(lang))
        for one in findings
    ]
