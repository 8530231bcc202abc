"""Loading promises, follow-ups, slots, parameters and the road map from YAML: rows with dates."""

from datetime import date, time
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

from pydantic import Field, field_validator, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

import app.main  # noqa: F401 - the roof imports every room, and with it every declared parameter
from app.auth.models import OrgUnit
from app.catalog.rules import ValueLever
from app.core.errors import Invalid, Problem
from app.core.files import Faults, checked, entries_of
from app.core.http import Code, Input, Moment, Name
from app.core.i18n import Words
from app.core.loading import Report
from app.core.parameter_values import ParameterValue
from app.core.parameters import Parameter
from app.dispatch.models import SlotTemplate
from app.dispatch.rules import NOW_SLOT
from app.followups.models import FollowUpRule
from app.followups.rules import FollowUpChannel
from app.grids.models import GridExpansion
from app.grids.rules import GridKind
from app.grids.rules.asking import EVERY_DAY
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.promises.models import PromiseRule
from app.promises.rules import Clock, Per
from app.retention.models import CareRule
from app.retention.rules import Cause, Handling
from app.suggestions.models import SuggestionCampaign, SuggestionGate, SuggestionLever
from app.suggestions.rules import HeldBack
from app.suggestions.rules.campaigns import LEAST, MOST
from app.suggestions.service import Switch, switch_gate
from app.territory.rules import roadmap
from app.territory.rules.roadmap import Target
from app.territory.schemas.roadmap import TargetIn
from app.worktypes.rules import WorkType

Fen = Annotated[int, Field(ge=0, le=100_000_000)]
Weekdays = Annotated[int, Field(ge=1, le=127)]
OrgPath = Annotated[str, Field(max_length=200, pattern=r"^([\w\-]+\.)*$")]
Entry = TypeVar("Entry", bound=Input)


class CodedIn(Input):
    """One entry of a file that is known by its code, from a local day on, for a unit's subtree."""

    code: Code
    org_path: OrgPath = ""
    valid_from: date
    valid_to: date | None = None

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must follow valid_from")
        return self


class PromiseIn(CodedIn):
    """One promise rule of a file: see `promises.models.PromiseRule`; times are local."""

    work_type: WorkType
    value_tier: Code | None = None
    grid_kind: GridKind | None = None
    clock: Clock = Clock.CALENDAR
    cut_off: time | None = None
    due_time: time
    hours_after: Annotated[float, Field(gt=0, le=8760)]
    compensation_fen: Fen
    compensation_per: Per
    compensation_cap_fen: Fen
    same_visit: bool = False


class FollowUpRuleIn(CodedIn):
    """One rule of a file: see `followups.rules.Rule`."""

    work_type: WorkType
    channel: FollowUpChannel
    share_percent: Annotated[float, Field(ge=0, le=100)]
    delay_hours: Annotated[float, Field(ge=0, le=720)]
    valid_days: Annotated[int, Field(ge=1, le=90)]
    quiet_days: Annotated[int, Field(ge=0, le=3650)]
    spares_do_not_disturb: bool


class CareRuleIn(CodedIn):
    """One rule of a file: see `retention.rules.warnings.CareRule`."""

    place: Annotated[int, Field(ge=0, le=1000)]
    causes: Annotated[list[Cause], Field(max_length=5)] = Field(default_factory=list)
    tiers: Annotated[list[Tier], Field(max_length=4)] = Field(default_factory=list)
    churn_classes: Annotated[list[ChurnClass], Field(max_length=3)] = Field(default_factory=list)
    hidden: bool = False
    handling: Handling
    priority: Annotated[int, Field(ge=1, le=4)]


class SlotIn(CodedIn):
    """One slot of a file: see `dispatch.models.SlotTemplate`; times are local."""

    category: Code
    work_types: Annotated[list[WorkType], Field(min_length=1, max_length=10)]
    weekdays: Weekdays = EVERY_DAY
    starts_at: time
    ends_at: time
    closes_at: time | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at must follow starts_at")
        if self.code == NOW_SLOT:
            raise ValueError("this code is kept for the slot that begins at once")
        return self


class ParameterIn(Input):
    """One value of a file: a number from a moment on, for an org unit's subtree or everybody."""

    name: str
    org_path: OrgPath = ""
    valid_from: Moment
    value: float

    @field_validator("name")
    @classmethod
    def _declared(cls, name: str) -> str:
        if name not in Parameter.known:
            raise ValueError("no such parameter")
        return name


class RoadMapEntry(TargetIn):
    """One target of a file, of an org unit by its code."""

    org_unit: Code


class CampaignIn(CodedIn):
    """One campaign of a file: see `suggestions.rules.campaigns.Campaign`."""

    lever: ValueLever | None = None
    offering_code: Code | None = None
    factor: Annotated[float, Field(ge=LEAST, le=MOST)]
    valid_to: date
    owner: Name

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.lever is None) == (self.offering_code is None):
            raise ValueError("name a lever or an offering, not both")
        return self


class LeverIn(CodedIn):
    """One rule of a lever of a file: see `suggestions.rules.levers.LeverRule`."""

    lever: ValueLever
    stages: Annotated[list[Stage], Field(max_length=len(Stage))] | None = None
    manager_tiers: Annotated[list[Tier], Field(max_length=len(Tier))] = Field(default_factory=list)
    preferred_tiers: Annotated[list[Tier], Field(max_length=len(Tier))] = Field(
        default_factory=list
    )


class GateSwitchIn(Input):
    """One version of a gate of a file: whether it holds for an org unit's subtree from a day on."""

    id: UUID
    code: HeldBack
    org_path: OrgPath = ""
    valid_from: date
    in_force: bool


def entries_read(
    what: str, key: str, kind: type[Entry], document: str, faults: Faults
) -> list[tuple[int, Entry]]:
    """Read the good entries of a YAML file, each with its line; what is wrong is noted."""
    common, entries = entries_of(what, document, key)
    for name in common:
        faults.note(1, name, None, Words(zh="未知的字段", en="there is no such field"))
    return checked(kind, entries, faults)


async def load_promise_rules(
    tx: AsyncSession, document: str, *, skip_refused: bool = False
) -> Report:
    """Load promise rules from YAML: `promise_rules`, each a `PromiseIn`, by code.

    What was promised stays promised: of a known rule only `valid_to` may change, anything else
    needs a new code. Raises FileRefused when an entry is wrong, unless `skip_refused`.
    """
    return await load_dated(
        tx, "promise-rules", "promise_rules", PromiseIn, PromiseRule, document, skip_refused
    )


async def load_slots(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load templates of slots from YAML: `slots`, each a `SlotIn`, by code.

    Like a promise, a template is not rewritten but ended. Raises FileRefused like
    `load_promise_rules`.
    """
    return await load_dated(tx, "slots", "slots", SlotIn, SlotTemplate, document, skip_refused)


async def load_follow_up_rules(
    tx: AsyncSession, document: str, *, skip_refused: bool = False
) -> Report:
    """Load rules of whom to ask from YAML: `follow_up_rules`, each a `FollowUpRuleIn`, by code.

    Like a promise, a rule is not rewritten but ended. Raises FileRefused like `load_promise_rules`.
    """
    return await load_dated(
        tx,
        "follow-up-rules",
        "follow_up_rules",
        FollowUpRuleIn,
        FollowUpRule,
        document,
        skip_refused,
    )


async def load_care_rules(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load rules of who is taken care of from YAML: `care_rules`, each a `CareRuleIn`, by code.

    Like a promise, a rule is not rewritten but ended. Raises FileRefused like `load_promise_rules`.
    """
    return await load_dated(
        tx, "care-rules", "care_rules", CareRuleIn, CareRule, document, skip_refused
    )


async def load_campaigns(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load campaigns from YAML: `campaigns`, each a `CampaignIn`, by code.

    Like a promise, a campaign is not rewritten but ended. Raises FileRefused like
    `load_promise_rules`.
    """
    return await load_dated(
        tx, "campaigns", "campaigns", CampaignIn, SuggestionCampaign, document, skip_refused
    )


async def load_levers(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load whom levers are for from YAML: `levers`, each a `LeverIn`, by code.

    Like a promise, a rule is not rewritten but ended. Raises FileRefused like `load_promise_rules`.
    """
    return await load_dated(
        tx, "levers", "levers", LeverIn, SuggestionLever, document, skip_refused
    )


async def load_gates(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load which gates hold from YAML: `gates`, each a `GateSwitchIn`, by id.

    Each becomes the next version of its gate. Raises FileRefused when an entry is wrong or would
    switch off what always holds, unless `skip_refused`.
    """
    faults = Faults()
    good = entries_read("gates", "gates", GateSwitchIn, document, faults)
    held = set(await tx.scalars(select(SuggestionGate.id)))
    inserted = 0
    async with tx.begin_nested():
        for line, entry in good:
            try:
                await switch_gate(tx, Switch(**dict(entry)), today=None, set_by=None)
            except Problem as refused:
                words = Words(refused.detail("zh"), refused.detail("en"))
                faults.note(line, "code", entry.code, words)
            else:
                inserted += entry.id not in held
        if not skip_refused:
            faults.refuse("gates")
    return told("gates", good, faults, inserted, 0)


async def load_dated(
    tx: AsyncSession,
    what: str,
    key: str,
    kind: type[CodedIn],
    table: type[Any],
    document: str,
    skip_refused: bool,
) -> Report:
    """Load entries that are known by their codes and not rewritten, only ended."""
    faults = Faults()
    good = entries_read(what, key, kind, document, faults)
    held = {row.code: row for row in await tx.scalars(select(table))}
    new: list[Any] = []
    ended: list[tuple[Any, date | None]] = []
    for line, entry in good:
        given = entry.model_dump()
        row = held.get(entry.code)
        if row is None:
            held[entry.code] = table(**given)
            new.append(held[entry.code])
            continue
        differs = [name for name, value in given.items() if getattr(row, name) != value]
        if differs == ["valid_to"] and row not in new:
            # What a person has ended since stays ended, whatever an older file says.
            if getattr(row, "ended_by", None) is None:
                ended.append((row, entry.valid_to))
        elif differs or row in new:
            words = Words(
                zh="已生效的内容不改写：请用新的编码",
                en="what is in force is not rewritten: use a new code",
            )
            faults.note(line, differs[0] if differs else "code", entry.code, words)
    if not skip_refused:
        faults.refuse(what)
    tx.add_all(new)
    for row, valid_to in ended:
        row.valid_to = valid_to
    await tx.flush()
    return told(what, good, faults, len(new), len(ended))


async def load_parameters(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load parameters from YAML: `parameters`, each a `ParameterIn`, by name, unit and moment.

    Raises FileRefused when a name is not declared or a value out of bounds, unless `skip_refused`.
    """
    faults = Faults()
    good = entries_read("parameters", "parameters", ParameterIn, document, faults)
    held = {
        (row.name, row.org_path, row.valid_from): row
        for row in await tx.scalars(select(ParameterValue))
    }
    new: list[ParameterValue] = []
    changed: list[tuple[ParameterValue, float]] = []
    for line, entry in good:
        try:
            Parameter.known[entry.name].checked(entry.value)
        except Invalid as wrong:
            message = wrong.facts["errors"][0]["message"]
            faults.note(line, "value", entry.value, Words(f"超出范围：{message}", message))
            continue
        place = (entry.name, entry.org_path, entry.valid_from)
        row = held.get(place)
        if row is None:
            held[place] = ParameterValue(**entry.model_dump())
            new.append(held[place])
        elif row.value != entry.value:
            changed.append((row, entry.value))
    if not skip_refused:
        faults.refuse("parameters")
    tx.add_all(new)
    for row, value in changed:
        row.value = value
    await tx.flush()
    return told("parameters", good, faults, len(new), len(changed))


async def load_road_map(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load targets from YAML: `road_map`, each a `RoadMapEntry`, by org unit, figure and day.

    What the file does not name stays. Raises FileRefused when an org unit is not known or a
    target out of bounds, unless `skip_refused`.
    """
    faults = Faults()
    good = entries_read("road-map", "road_map", RoadMapEntry, document, faults)
    units = {unit.code: unit.id for unit in await tx.execute(select(OrgUnit.code, OrgUnit.id))}
    held = {
        (row.org_unit_id, row.figure, row.due_on): row
        for row in await tx.scalars(select(GridExpansion))
    }
    new: list[GridExpansion] = []
    changed: list[tuple[GridExpansion, float]] = []
    for line, entry in good:
        if entry.org_unit not in units:
            words = Words(zh="没有这个组织", en="there is no such org unit")
            faults.note(line, "org_unit", entry.org_unit, words)
            continue
        target = Target(entry.figure, entry.due_on, entry.target)
        try:
            roadmap.check([target])
        except Invalid as wrong:
            message = wrong.facts["errors"][0]["message"]
            faults.note(line, "target", entry.target, Words(f"超出范围：{message}", message))
            continue
        place = (units[entry.org_unit], *target[:2])
        row = held.get(place)
        if row is None:
            held[place] = GridExpansion(org_unit_id=place[0], **target._asdict())
            new.append(held[place])
        elif row.target != entry.target:
            changed.append((row, entry.target))
    if not skip_refused:
        faults.refuse("road-map")
    tx.add_all(new)
    for row, value in changed:
        row.target = value
    await tx.flush()
    return told("road-map", good, faults, len(new), len(changed))


def told(what: str, good: list[Any], faults: Faults, inserted: int, updated: int) -> Report:
    """Count what became of a file's entries."""
    lines = {line for line, _ in good} | faults.lines
    return Report(
        what=what,
        read=len(lines),
        inserted=inserted,
        updated=updated,
        unchanged=len(lines) - inserted - updated - len(faults.lines),
        refused=len(faults.lines),
        bad=sorted(faults.bad),
    )
