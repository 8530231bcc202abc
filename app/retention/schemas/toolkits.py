"""Wire shapes of toolkits and of care rules."""

from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Code, Day, Input
from app.core.i18n import Words
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.models import CareRule as CareRuleRow
from app.retention.queries.toolkits import READ
from app.retention.rules import Cause, Hand, Handling, LeaveReason, ToolkitKind
from app.retention.rules.toolkits import DatedToolkit, Toolkit
from app.retention.rules.warnings import CareRule

Said = Annotated[str, Field(min_length=1, max_length=1000)]
Percent = Annotated[float, Field(ge=0, le=100)]
Months = Annotated[int, Field(ge=0, le=60)]


class WordsIn(Input):
    """A text in both languages."""

    zh: Said
    en: Said


class MandateIn(Input):
    """How much one hand may give by its own word."""

    hand: Hand
    discount_percent: Percent = Field(description="Off the monthly price, at most.")
    months: Months = Field(description="For so many months at most.")


class TermsStepIn(Input):
    """Terms that can be asked for: so much off the monthly price for so many months."""

    discount_percent: Percent
    months: Months


class ContentIn(Input):
    """All that a toolkit says."""

    kind: ToolkitKind
    name: WordsIn
    offers: Annotated[list[Code], Field(max_length=50)] = Field(
        default_factory=list, description="Codes of the catalogue's offerings."
    )
    talk_track: WordsIn
    mandates: Annotated[list[MandateIn], Field(max_length=3)] = Field(default_factory=list)
    approval: Annotated[list[Hand], Field(max_length=3)] = Field(
        default_factory=list, description="Who is asked in turn, from the lowest up."
    )
    tiers: Annotated[list[Tier], Field(max_length=4)] = Field(
        default_factory=list, description="For whom it is meant; empty leaves nobody out."
    )
    churn_classes: Annotated[list[ChurnClass], Field(max_length=3)] = Field(default_factory=list)
    stages: Annotated[list[Stage], Field(max_length=5)] = Field(default_factory=list)
    reasons: Annotated[list[LeaveReason], Field(max_length=20)] = Field(
        default_factory=list, description="For which reasons of leaving."
    )
    hidden: bool = Field(
        default=False,
        description="Only for customers who are worth more than they bring (hidden high value).",
    )
    steps: Annotated[list[TermsStepIn], Field(max_length=20)] = Field(
        default_factory=list,
        description="The only terms that can be asked for; empty: the mandates' limits.",
    )
    active: bool = Field(default=True, description="False takes the toolkit out of use.")

    def content(self) -> dict[str, Any]:
        """Write it as a version keeps it."""
        return self.model_dump(mode="json", include=set(ContentIn.model_fields))

    def toolkit(self) -> Toolkit:
        """Make the toolkit that it describes."""
        return READ.validate_python(self.content())


class ToolkitIn(ContentIn):
    """A new version of a toolkit, under the id its maker has given it (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000061",
                    "code": "np-keep-high",
                    "org_unit_id": None,
                    "valid_from": "2026-04-01",
                    "kind": "retention",
                    "name": {"zh": "高价值挽留包", "en": "Keeping high value"},
                    "offers": ["RENEW-24"],
                    "talk_track": {
                        "zh": "您是我们的老用户，我来看看怎样更合适。",
                        "en": "You have been with us for long; let us find what suits you.",
                    },
                    "mandates": [
                        {"hand": "supervisor", "discount_percent": 10, "months": 6},
                        {"hand": "manager", "discount_percent": 30, "months": 12},
                    ],
                    "approval": ["supervisor", "manager"],
                    "steps": [
                        {"discount_percent": 10, "months": 6},
                        {"discount_percent": 20, "months": 12},
                        {"discount_percent": 30, "months": 12},
                    ],
                    "tiers": ["A", "B"],
                    "churn_classes": ["high"],
                }
            ]
        }
    )

    id: UUID
    code: Code = Field(description="All versions of a code are of one kind and one org unit.")
    org_unit_id: UUID | None = Field(
        default=None, description="For whose subtree; left out, the caller's own org unit's."
    )
    valid_from: Day = Field(description="A local day, not before today.")


class WordsOut(Answer):
    """A text in both languages."""

    zh: Annotated[str, Field(max_length=1000)]
    en: Annotated[str, Field(max_length=1000)]

    @classmethod
    def of(cls, words: Words) -> Self:
        """Write words."""
        return cls(zh=words.zh, en=words.en)


class MandateOut(Answer):
    """How much one hand may give by its own word."""

    hand: Hand
    discount_percent: Percent
    months: Months


class TermsStepOut(Answer):
    """Terms that can be asked for: so much off the monthly price for so many months."""

    discount_percent: Percent
    months: Months


class ToolkitOut(Answer):
    """One version of a toolkit."""

    id: UUID
    code: Annotated[str, Field(max_length=64)]
    version: Annotated[int, Field(ge=1)]
    org_path: Annotated[str, Field(max_length=200)]
    valid_from: date
    kind: ToolkitKind
    name: WordsOut
    offers: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)]
    talk_track: WordsOut
    mandates: Annotated[list[MandateOut], Field(max_length=3)]
    approval: Annotated[list[Hand], Field(max_length=3)]
    tiers: Annotated[list[Tier], Field(max_length=4)]
    churn_classes: Annotated[list[ChurnClass], Field(max_length=3)]
    stages: Annotated[list[Stage], Field(max_length=5)]
    reasons: Annotated[list[LeaveReason], Field(max_length=20)]
    hidden: bool
    steps: Annotated[list[TermsStepOut], Field(max_length=20)] = Field(
        description="The only special terms that can be asked for, the smallest first."
    )
    active: bool

    @classmethod
    def of(cls, one: DatedToolkit) -> Self:
        """Write a version."""
        kit = one.toolkit
        lists = ("offers", "approval", "tiers", "churn_classes", "stages", "reasons")
        return cls(
            id=one.id,
            code=one.code,
            version=one.version,
            org_path=one.org_path,
            valid_from=one.valid_from,
            kind=kit.kind,
            name=WordsOut.of(kit.name),
            talk_track=WordsOut.of(kit.talk_track),
            mandates=[MandateOut.model_validate(each) for each in kit.mandates],
            steps=[TermsStepOut(discount_percent=one[0], months=one[1]) for one in kit.ladder()],
            hidden=kit.hidden,
            active=kit.active,
            **{name: list(getattr(kit, name)) for name in lists},
        )


class ToolkitsOut(Answer):
    """The toolkits that concern an org unit."""

    toolkits: Annotated[list[ToolkitOut], Field(max_length=2000)]


class CareRuleIn(Input):
    """A rule of what a warned customer gets, under the id its maker has given it (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000091",
                    "code": "yj-high-at-risk-2026-04",
                    "org_unit_id": None,
                    "valid_from": "2026-04-01",
                    "valid_to": None,
                    "place": 10,
                    "causes": ["churn_high", "stage_decline"],
                    "tiers": ["A", "B"],
                    "churn_classes": ["high"],
                    "hidden": False,
                    "handling": "visit",
                    "priority": 2,
                }
            ]
        }
    )

    id: UUID
    code: Code
    org_unit_id: UUID | None = Field(
        default=None, description="For whose subtree; left out, the caller's own org unit's."
    )
    valid_from: Day = Field(description="A local day, not before today.")
    valid_to: Day | None = Field(default=None, description="The first local day without it.")
    place: Annotated[int, Field(ge=0, le=1000)] = Field(description="The first that fits counts.")
    causes: Annotated[list[Cause], Field(max_length=5)] = Field(
        default_factory=list, description="Empty is each that the lifecycle warns of."
    )
    tiers: Annotated[list[Tier], Field(max_length=4)] = Field(default_factory=list)
    churn_classes: Annotated[list[ChurnClass], Field(max_length=3)] = Field(default_factory=list)
    hidden: bool = Field(
        default=False, description="Only customers who are worth more than they bring."
    )
    handling: Handling
    priority: Annotated[int, Field(ge=1, le=4)] = Field(description="Of the order; 1 is first.")


class CareRuleEnd(Input):
    """On which day a rule of care ends."""

    valid_to: Day = Field(
        description="The first local day without it, from tomorrow on; the day on which it would"
        " begin takes it back."
    )


class CareRuleOut(Answer):
    """One dated rule of what a warned customer gets."""

    id: UUID
    code: Annotated[str, Field(max_length=64)]
    org_path: Annotated[str, Field(max_length=200)]
    valid_from: date
    valid_to: date | None = Field(description="The first day it does not count any more.")
    place: Annotated[int, Field(ge=0, le=1000)] = Field(description="The first that fits counts.")
    causes: Annotated[list[Cause], Field(max_length=5)]
    tiers: Annotated[list[Tier], Field(max_length=4)]
    churn_classes: Annotated[list[ChurnClass], Field(max_length=3)]
    hidden: bool = Field(description="Only customers who are worth more than they bring.")
    handling: Handling
    priority: Annotated[int, Field(ge=1, le=4)] = Field(description="Of the order; 1 is first.")

    @classmethod
    def of(cls, rule: CareRule | CareRuleRow) -> Self:
        """Write a rule."""
        return cls(**{name: getattr(rule, name) for name in cls.model_fields})


class CareRulesOut(Answer):
    """The dated rules that concern the caller's unit."""

    rules: Annotated[list[CareRuleOut], Field(max_length=2000)]
