"""What an order asks for at the door, as a phone shows it."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Line, Note
from app.terminals.rules import TerminalKind
from app.worktypes.rules import (
    Acceptance,
    EvidenceKind,
    Measure,
    Outside,
    Recover,
    Template,
    WorkType,
)


class SaidOut(Answer):
    """A text in both languages."""

    zh: Note
    en: Note


class ToCheckOut(Answer):
    """A line of the checklist that has to be ticked."""

    code: Line
    words: SaidOut


class ToShowOut(Answer):
    """Evidence that is asked for: at least so many of a kind."""

    code: Line
    kind: EvidenceKind
    words: SaidOut
    least: int
    may_follow: bool = Field(description="The bytes may come after completing, once announced.")


class ToMeasureOut(Answer):
    """What a measurement may be, in the unit that its name ends with; null is no limit."""

    measure: Measure
    least: float | None
    most: float | None
    required: bool
    outside: Outside = Field(description="Whether it is pointed out or refused outside of them.")


class ToCloseOut(Answer):
    """What the order can be completed with, and what need not be there then."""

    code: Line
    words: SaidOut
    works_again: bool = Field(description="Of a repair: with it, the service works again.")
    waives: Annotated[list[Line], Field(max_length=50)]


class OrderTemplateOut(Answer):
    """All that an order asks for: the version of its work type's template that it began with."""

    id: UUID | None = Field(description="Of the version; null where an operator has set none.")
    work_type: WorkType
    minutes: int = Field(description="Standard minutes at the door.")
    checklist: Annotated[list[ToCheckOut], Field(max_length=50)]
    evidence: Annotated[list[ToShowOut], Field(max_length=50)]
    measurements: Annotated[list[ToMeasureOut], Field(max_length=20)]
    fits: Annotated[list[TerminalKind], Field(max_length=20)] = Field(
        description="At least one of each of these kinds is fitted."
    )
    recovers: Recover = Field(description="Which of the customer's terminals are taken away.")
    activation: bool = Field(description="Whether the line has to be active.")
    acceptance: Acceptance
    closing_codes: Annotated[list[ToCloseOut], Field(max_length=30)]

    @classmethod
    def of(cls, template_id: UUID | None, template: Template) -> Self:
        """Write a template as an order asks it."""
        plain = cls.model_fields.keys() - {"id"}
        return cls.model_validate(
            {"id": template_id, **{name: getattr(template, name) for name in plain}}
        )
