"""What a customer sees of a survey, and answers: no more of anybody than the question needs."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field

from app.core.http import Answer, Input, Note
from app.customers.rules import masked_name
from app.dispatch.schemas.decisions import WordsOut
from app.followups.models import FollowUp
from app.followups.rules import (
    HIGHEST,
    LOWEST,
    MARK_WORDS,
    QUESTION,
    REASON_WORDS,
    REASONS,
    Answered,
    Reason,
)
from app.worktypes.rules import WORK_TYPE_WORDS, WorkType

Mark = Annotated[int, Field(ge=LOWEST, le=HIGHEST, description="1 is very poor, 5 is very good.")]
SomeReasons = Annotated[list[Reason], Field(max_length=10)]


class AnswerIn(Input):
    """What a customer says of a visit."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "mark": 2,
                    "reasons": ["came_late", "not_explained"],
                    "note": "约的九点，十一点才到",
                }
            ]
        }
    )

    mark: Mark
    reasons: SomeReasons = Field(
        default_factory=list, description="Such as the survey lists for the mark, each once."
    )
    note: Note | None = None

    def answered(self) -> Answered:
        """Turn it into what the rules judge."""
        return Answered(self.mark, tuple(self.reasons), self.note or None)


class ReasonOut(Answer):
    """A reason that can be chosen."""

    code: Reason
    words: WordsOut


class MarkOut(Answer):
    """A mark that can be given, with the reasons that fit it."""

    mark: Mark
    words: WordsOut
    reasons: Annotated[list[ReasonOut], Field(max_length=20)]


class GivenOut(Answer):
    """The answer that stands; the note is not shown again."""

    mark: Mark
    reasons: SomeReasons
    answered_at: datetime

    @classmethod
    def of(cls, follow_up: FollowUp) -> Self:
        """Write the answer of a follow-up that has one."""
        return cls.model_validate(follow_up)


class SurveyOut(Answer):
    """A survey: about which visit, what is asked, and what was answered if it was."""

    work_type: WorkType
    work_words: WordsOut
    completed_at: datetime
    technician: Annotated[str, Field(max_length=10)] = Field(
        description="Who came, by the first letter of the name."
    )
    question: WordsOut
    marks: Annotated[list[MarkOut], Field(max_length=HIGHEST)]
    answer: GivenOut | None
    expires_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """Write a survey from the row that was read."""
        return cls(
            work_type=row.work_type,
            work_words=WordsOut.model_validate(WORK_TYPE_WORDS[row.work_type]),
            completed_at=row.completed_at,
            technician=masked_name(row.technician),
            question=WordsOut.model_validate(QUESTION),
            marks=_MARKS,
            answer=GivenOut.model_validate(row) if row.mark is not None else None,
            expires_at=row.expires_at,
        )


_MARKS = [
    MarkOut(
        mark=mark,
        words=WordsOut.model_validate(words),
        reasons=[
            ReasonOut(code=reason, words=WordsOut.model_validate(REASON_WORDS[reason]))
            for reason in REASONS[mark]
        ],
    )
    for mark, words in MARK_WORDS.items()
]
