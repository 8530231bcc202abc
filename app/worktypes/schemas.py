"""Templates as files and administrators write them, and as they are answered."""

from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Code, Day, Input, Line, Name, Note
from app.core.paging import NextPage
from app.terminals.rules import TerminalKind
from app.worktypes.queries import READ
from app.worktypes.rules import (
    Acceptance,
    DatedTemplate,
    EvidenceKind,
    Measure,
    Outside,
    Recover,
    Template,
    WorkType,
)

Limit = Annotated[float, Field(ge=-1_000_000, le=1_000_000)]


class WordsIn(Input):
    """A text in both languages."""

    zh: Name
    en: Name


class CheckIn(Input):
    """A line of the checklist that has to be ticked."""

    code: Code
    words: WordsIn


class RequirementIn(Input):
    """Evidence that is asked for; with `may_follow` its bytes may come after completing."""

    code: Code
    kind: EvidenceKind = EvidenceKind.PHOTO
    words: WordsIn
    least: Annotated[int, Field(ge=1, le=20)] = 1
    may_follow: bool = False


class LimitsIn(Input):
    """What a measurement may be, in the unit that its name ends with."""

    measure: Measure
    least: Limit | None = None
    most: Limit | None = None
    required: bool = False
    outside: Outside = Outside.WARN


class ClosingCodeIn(Input):
    """What an order can be completed with, and what need not be there then."""

    code: Code
    words: WordsIn
    works_again: bool = Field(
        default=False, description="Of a repair: with it, the service works again."
    )
    waives: Annotated[list[Code], Field(max_length=50)] = Field(
        default_factory=list,
        description=(
            "Codes of checks and evidence, measures, and the words terminals, activation and"
            " acceptance."
        ),
    )


class ContentIn(Input):
    """All that one work type asks for."""

    work_type: WorkType
    minutes: Annotated[int, Field(ge=5, le=960, description="Standard minutes at the door.")]
    skills: Annotated[list[Code], Field(max_length=20)] = Field(
        default_factory=list, description="Needed beside those an order names."
    )
    needs: Annotated[list[TerminalKind], Field(max_length=20)] = Field(
        default_factory=list, description="Kinds of terminal that are in the van when setting out."
    )
    checklist: Annotated[list[CheckIn], Field(max_length=50)] = Field(default_factory=list)
    evidence: Annotated[list[RequirementIn], Field(max_length=50)] = Field(default_factory=list)
    measurements: Annotated[list[LimitsIn], Field(max_length=20)] = Field(default_factory=list)
    fits: Annotated[list[TerminalKind], Field(max_length=20)] = Field(
        default_factory=list, description="At least one of each of these kinds is fitted."
    )
    recovers: Recover = Recover.NONE
    activation: bool = False
    acceptance: Acceptance = Acceptance.NONE
    closing_codes: Annotated[list[ClosingCodeIn], Field(min_length=1, max_length=30)]

    def content(self) -> dict[str, Any]:
        """Write it as a version keeps it."""
        return self.model_dump(mode="json", include=set(ContentIn.model_fields))

    def template(self) -> Template:
        """Make the template that it describes."""
        return READ.validate_python(self.content())


class TemplateIn(ContentIn):
    """A new version of a template, under the id its maker has given it (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000021",
                    "code": "np-care",
                    "org_unit_id": None,
                    "valid_from": "2026-04-01",
                    "work_type": "care",
                    "minutes": 40,
                    "checklist": [
                        {
                            "code": "speed_shown",
                            "words": {
                                "zh": "已向客户演示测速",
                                "en": "speed shown to the customer",
                            },
                        }
                    ],
                    "measurements": [{"measure": "download_mbps", "required": True}],
                    "closing_codes": [
                        {"code": "cared_for", "words": {"zh": "关怀完成", "en": "cared for"}},
                        {
                            "code": "not_wanted",
                            "words": {"zh": "客户不需要", "en": "the customer wants none"},
                            "waives": ["speed_shown", "download_mbps"],
                        },
                    ],
                }
            ]
        }
    )

    id: UUID
    code: Code = Field(description="All versions of a code are of one work type and one org unit.")
    org_unit_id: UUID | None = Field(
        default=None, description="For whose subtree; left out, the caller's own org unit's."
    )
    valid_from: Day = Field(description="A local day, not before today.")


# --- answers --------------------------------------------------------------------------------------


class WordsOut(Answer):
    """A text in both languages."""

    zh: Note
    en: Note


class CheckOut(Answer):
    """A line of the checklist."""

    code: Line
    words: WordsOut


class RequirementOut(Answer):
    """Evidence that is asked for."""

    code: Line
    kind: EvidenceKind
    words: WordsOut
    least: int
    may_follow: bool = Field(description="Announced is enough; the bytes may come afterwards.")


class LimitsOut(Answer):
    """What a measurement may be, in the unit that its name ends with; null is no limit."""

    measure: Measure
    least: float | None
    most: float | None
    required: bool
    outside: Outside = Field(description="What happens outside the limits.")


class ClosingCodeOut(Answer):
    """What an order can be completed with."""

    code: Line
    words: WordsOut
    works_again: bool = Field(description="Of a repair: with it, the service works again.")
    waives: Annotated[list[Line], Field(max_length=50)] = Field(
        description="What need not be there with this code."
    )


class ContentOut(Answer):
    """All that one work type asks for."""

    work_type: WorkType
    minutes: int = Field(description="Standard minutes at the door.")
    skills: Annotated[list[Line], Field(max_length=20)]
    needs: Annotated[list[TerminalKind], Field(max_length=20)]
    checklist: Annotated[list[CheckOut], Field(max_length=50)]
    evidence: Annotated[list[RequirementOut], Field(max_length=50)]
    measurements: Annotated[list[LimitsOut], Field(max_length=20)]
    fits: Annotated[list[TerminalKind], Field(max_length=20)]
    recovers: Recover
    activation: bool
    acceptance: Acceptance
    closing_codes: Annotated[list[ClosingCodeOut], Field(max_length=30)]


class TemplateOut(ContentOut):
    """A version of a template. One without an id is what holds where nothing was set."""

    id: UUID | None
    code: Line | None
    version: int | None
    org_path: Note = Field(description="For whose subtree; empty for everybody.")
    valid_from: date | None = Field(description="A local day of the org unit.")

    @classmethod
    def of(cls, dated: DatedTemplate) -> Self:
        """Write a version that was set."""
        content = ContentOut.model_validate(dated.template)
        return cls(**dict(content), **{name: getattr(dated, name) for name in _NAMES})

    @classmethod
    def built_in(cls, template: Template) -> Self:
        """Write what holds for a work type where nothing was set."""
        content = ContentOut.model_validate(template)
        return cls(**dict(content), id=None, code=None, version=None, org_path="", valid_from=None)


_NAMES = ("id", "code", "version", "org_path", "valid_from")


class TemplatesPage(Answer):
    """Templates of work types."""

    items: Annotated[list[TemplateOut], Field(max_length=200)]
    next_page_token: NextPage
