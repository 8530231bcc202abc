"""Wire shapes of gates, levers and campaigns."""

from datetime import date
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.catalog.rules import ValueLever
from app.core.http import Answer, Code, Day, Input, Line, Name, Note
from app.core.i18n import Lang
from app.core.paging import NextPage
from app.lifecycle.rules import Stage, Tier
from app.suggestions.rules import Gate, HeldBack, words
from app.suggestions.rules.campaigns import LEAST, MOST
from app.suggestions.rules.gates import ABSOLUTE, Hold, WholeHold
from app.suggestions.rules.gating import NUMBERS, GateVersion
from app.suggestions.rules.levers import LeverRule

Text = Annotated[str, Field(max_length=300)]
Factor = Annotated[float, Field(ge=LEAST, le=MOST)]


class GateOut(Answer):
    """A gate as it stands for an org unit on a day."""

    code: HeldBack
    gate: Gate
    gate_words: Text
    words: Text = Field(description="What is said of an offer that it holds back.")
    in_force: bool
    absolute: bool = Field(description="It always holds; nobody can switch it off.")
    parameters: Annotated[list[Text], Field(max_length=10)] = Field(
        description="The numbers it decides by, as `/v1/parameters` names them."
    )
    version_id: UUID | None = Field(description="Null where nobody ever set it.")
    version: int | None
    org_path: Text | None = Field(description="For whose subtree it was set.")
    valid_from: date | None

    @classmethod
    def of(cls, hold: Hold | WholeHold, dated: GateVersion | None, lang: Lang) -> Self:
        """Write a gate and the version of it that counts."""
        absolute = hold.code in ABSOLUTE
        return cls(
            code=hold.code,
            gate=hold.gate,
            gate_words=words.GATES[hold.gate].say(lang),
            words=words.HELD_BACK[hold.code].say(lang),
            in_force=absolute or dated is None or dated.in_force,
            absolute=absolute,
            parameters=[f"suggestions.{name}" for name in NUMBERS.get(hold.code, ())],
            version_id=dated and dated.id,
            version=dated and dated.version,
            org_path=None if dated is None else dated.org_path,
            valid_from=dated and dated.valid_from,
        )


class GatesOut(Answer):
    """All gates, in the order in which an offer passes them."""

    items: Annotated[list[GateOut], Field(max_length=100)]


class GateIn(Input):
    """That a gate holds or does not from a local day on; its maker gives the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000031",
                    "code": "no_need",
                    "org_unit_id": None,
                    "valid_from": "2026-04-01",
                    "in_force": False,
                }
            ]
        }
    )

    id: UUID
    code: HeldBack
    org_unit_id: UUID | None = Field(
        default=None, description="For whose subtree; left out, the caller's own org unit's."
    )
    valid_from: Day = Field(description="A local day, not before today.")
    in_force: bool


class GateVersionOut(Answer):
    """A version of a gate as it was set."""

    id: UUID
    code: HeldBack
    version: int
    org_path: Note
    valid_from: date
    in_force: bool


class GateVersionsPage(Answer):
    """Versions of gates, the newest first."""

    items: Annotated[list[GateVersionOut], Field(max_length=200)]
    next_page_token: NextPage


class LeverRuleOut(Answer):
    """Whom a lever is for, for an org unit on a day."""

    lever: ValueLever
    stages: Annotated[list[Stage], Field(max_length=len(Stage))] | None = Field(
        description="At which stages of the lifecycle it is moved; null is any."
    )
    manager_tiers: Annotated[list[Tier], Field(max_length=len(Tier))] = Field(
        description="For customers of these tiers it is the account manager's; a lead is noted."
    )
    preferred_tiers: Annotated[list[Tier], Field(max_length=len(Tier))] = Field(
        description="To customers of these tiers it is rather offered on the channel they prefer."
    )
    code: Line | None = Field(description="The rule that says so; null where nobody ever set one.")
    org_path: Text | None = Field(description="For whose subtree it was set.")
    valid_from: date | None

    @classmethod
    def of(cls, lever: ValueLever, rule: LeverRule | None) -> Self:
        """Write a lever and the rule of it that counts."""
        return cls(
            lever=lever,
            stages=None if rule is None or rule.stages is None else list(map(Stage, rule.stages)),
            manager_tiers=[] if rule is None else list(map(Tier, rule.manager_tiers)),
            preferred_tiers=[] if rule is None else list(map(Tier, rule.preferred_tiers)),
            code=rule and rule.code,
            org_path=None if rule is None else rule.org_path,
            valid_from=rule and rule.valid_from,
        )


class LeverRulesOut(Answer):
    """All levers by which a customer's value is made, kept or lost."""

    items: Annotated[list[LeverRuleOut], Field(max_length=len(ValueLever))]


class LeverRuleIn(Input):
    """Whom a lever is for from a local day on; its maker gives the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000033",
                    "code": "renewal-2026-04",
                    "org_unit_id": None,
                    "lever": "renewal",
                    "stages": ["build_up", "climax", "decline"],
                    "manager_tiers": ["A", "B"],
                    "preferred_tiers": [],
                    "valid_from": "2026-04-01",
                    "valid_to": None,
                }
            ]
        }
    )

    id: UUID
    code: Code
    org_unit_id: UUID | None = Field(
        default=None, description="For whose subtree; left out, the caller's own org unit's."
    )
    lever: ValueLever
    stages: Annotated[list[Stage], Field(max_length=len(Stage))] | None = Field(
        default=None, description="At which stages it is moved; null is any, an empty list none."
    )
    manager_tiers: Annotated[list[Tier], Field(max_length=len(Tier))] = Field(default_factory=list)
    preferred_tiers: Annotated[list[Tier], Field(max_length=len(Tier))] = Field(
        default_factory=list
    )
    valid_from: Day = Field(description="A local day, not before today.")
    valid_to: Day | None = Field(
        default=None,
        description="The first local day without it: what was said before counts again.",
    )


class LeverRuleEnd(Input):
    """On which day a rule of a lever ends."""

    valid_to: Day = Field(
        description="The first local day without it, from tomorrow on; the day on which it would"
        " begin takes it back."
    )


class LeverVersionOut(Answer):
    """A rule of a lever as it was set, also one that is over or is still to begin."""

    id: UUID
    code: Line
    org_path: Note
    lever: ValueLever
    stages: Annotated[list[Stage], Field(max_length=len(Stage))] | None
    manager_tiers: Annotated[list[Tier], Field(max_length=len(Tier))]
    preferred_tiers: Annotated[list[Tier], Field(max_length=len(Tier))]
    valid_from: date
    valid_to: date | None = Field(
        description="The first local day without it. That of `valid_from`: it was taken back."
    )


class LeverVersionsPage(Answer):
    """Rules of levers, the newest first."""

    items: Annotated[list[LeverVersionOut], Field(max_length=200)]
    next_page_token: NextPage


class CampaignIn(Input):
    """A campaign for a lever or for one offering; its maker gives the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000032",
                    "code": "spring-wifi",
                    "org_unit_id": None,
                    "offering_code": "FTTR-2",
                    "factor": 1.2,
                    "valid_from": "2026-04-01",
                    "valid_to": "2026-05-01",
                    "owner": "家庭业务部",
                }
            ]
        }
    )

    id: UUID
    code: Code
    org_unit_id: UUID | None = Field(
        default=None, description="For whose subtree; left out, the caller's own org unit's."
    )
    lever: ValueLever | None = Field(default=None, description="For all offers of a lever.")
    offering_code: Code | None = Field(default=None, description="For one offer; one of the two.")
    factor: Factor = Field(description="What it makes of an offer's worth; 1 is nothing.")
    valid_from: Day = Field(description="A local day, not before today.")
    valid_to: Day = Field(description="The first local day without it.")
    owner: Name = Field(description="Who answers for it.")


class CampaignEnd(Input):
    """On which day a campaign ends instead."""

    valid_to: Day = Field(description="The first local day without it; only ever earlier.")


class CampaignOut(Answer):
    """A campaign as it was set."""

    id: UUID
    code: Line
    org_path: Note
    lever: ValueLever | None
    offering_code: Line | None
    factor: float
    valid_from: date
    valid_to: date
    owner: Line


class CampaignsPage(Answer):
    """Campaigns, the newest first."""

    items: Annotated[list[CampaignOut], Field(max_length=200)]
    next_page_token: NextPage


class WinnersOut(Answer):
    """How often campaigns made another offer the best one, by the offer that won through them."""

    offering_code: Text
    won: int = Field(description="Decisions in which it is worth most with the campaigns.")
    won_through_campaigns: int = Field(description="Of these, another would be worth more without.")


class CampaignReportOut(Answer):
    """What campaigns changed among the decisions of some days."""

    since: date
    until: date = Field(description="The first day that is not counted.")
    decisions: int = Field(description="Decisions with at least one offer that was allowed.")
    changed: int = Field(description="Of these, campaigns changed which offer is worth most.")
    offers: Annotated[list[WinnersOut], Field(max_length=500)]
