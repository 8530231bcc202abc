"""Loading the catalogue from YAML: dated entries become versions, and the past stays."""

from collections import defaultdict
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog import rules, service
from app.catalog.models import ProductOffering
from app.catalog.rules import BusinessType, Fate, NotDated, ValueLever, Version
from app.core.files import Faults, checked, entries_of
from app.core.http import Code, Input, Name
from app.core.i18n import Words
from app.core.loading import Report

WHAT = "catalogue"

Fen = Annotated[int, Field(ge=0, le=100_000_000)]
Gigabytes = Annotated[int, Field(gt=0, le=100_000)]
TalkTrack = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class _NameIn(Input):
    zh: Name
    en: Name


class _TalkTrackIn(Input):
    zh: TalkTrack
    en: TalkTrack


class EntryIn(Input):
    """One entry of a catalogue file; money is in fen, speed in Mbit/s, days are local."""

    code: Code
    valid_from: date
    valid_to: date | None = None
    name: _NameIn
    category: Code
    business_type: BusinessType
    monthly_price_fen: Fen
    one_off_price_fen: Fen = 0
    contract_months: Annotated[int, Field(ge=0, le=60)] = 0
    speed_mbps: Annotated[int, Field(gt=0)] | None = None
    requires: list[Code] = Field(default_factory=list)
    excludes: list[Code] = Field(default_factory=list)
    least_usage_gb: Gigabytes | None = None
    most_usage_gb: Gigabytes | None = None
    prepaid: bool = False
    terminal_kind: Code | None = None
    skill: Code | None = None
    install_minutes: Annotated[int, Field(gt=0, le=480)] | None = None
    commission_fen: Fen = 0
    margin_12m_fen: Annotated[int, Field(ge=-100_000_000, le=100_000_000)] = 0
    expert_rate: Annotated[float, Field(ge=0, le=1)]
    levers: list[ValueLever] = Field(default_factory=list)
    may_hurt: list[ValueLever] = Field(default_factory=list)
    talk_track: _TalkTrackIn

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must lie after valid_from")
        return self

    @model_validator(mode="after")
    def _talk_track_fits(self) -> Self:
        for lang, track in (("zh", self.talk_track.zh), ("en", self.talk_track.en)):
            said = {**self.model_dump(include=set(rules.SLOTS)), "name": getattr(self.name, lang)}
            try:
                unfit = rules.unfit_slots(track, said)
            except ValueError as broken:
                raise ValueError(f"talk_track.{lang}: {broken}") from broken
            if unfit:
                raise ValueError(
                    f"talk_track.{lang}: nothing fills {{{unfit[0]}}}; there are"
                    f" {', '.join(rules.SLOTS)}, where the offering has them"
                )
        return self

    def content(self) -> dict[str, Any]:
        """Write the entry as the columns of a version, without its days."""
        plain = self.model_dump(exclude={"valid_from", "valid_to", "name", "talk_track"})
        return {
            **plain,
            "levers": [lever.value for lever in self.levers],
            "may_hurt": [lever.value for lever in self.may_hurt],
            "name_zh": self.name.zh,
            "name_en": self.name.en,
            "talk_track_zh": self.talk_track.zh,
            "talk_track_en": self.talk_track.en,
        }


async def load_catalogue(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load a catalogue from YAML: `offerings`, each an `EntryIn`, by code and day.

    An entry that says otherwise than what is in force closes that version on its own first day and
    succeeds it; one that adds `valid_to` withdraws the offering; offerings the file does not name
    stay. A top-level `valid_from` stands for entries without one. Raises FileRefused when any
    entry is wrong, or would change what was on sale on a day, unless `skip_refused`.
    """
    common, entries = entries_of(WHAT, document, "offerings")
    faults = Faults()
    good = _read(common, entries, faults)
    counts = dict.fromkeys(Fate, 0)
    # Whoever catches the refusal has the catalogue as it was.
    async with tx.begin_nested():
        held: dict[str, list[ProductOffering]] = defaultdict(list)
        for row in await service.held_for_change(tx):
            held[row.code].append(row)
        for line, entry in sorted(good, key=lambda pair: (pair[1].valid_from, pair[0])):
            try:
                fate = await _apply(tx, entry, held[entry.code])
            except NotDated as wrong:
                faults.note(line, "valid_from", entry.valid_from, wrong.words)
            else:
                counts[fate] += 1
        if not skip_refused:
            faults.refuse(WHAT)
        if counts[Fate.UNCHANGED] < sum(counts.values()):
            await service.changed(tx)
    return Report(
        what=WHAT,
        read=len(entries),
        inserted=counts[Fate.NEW] + counts[Fate.SUCCEEDS],
        updated=counts[Fate.WITHDRAWN],
        unchanged=counts[Fate.UNCHANGED],
        refused=len(faults.lines),
        bad=sorted(faults.bad),
    )


def _read(
    common: dict[str, Any], entries: list[tuple[int, dict[str, Any]]], faults: Faults
) -> list[tuple[int, EntryIn]]:
    for name in common.keys() - {"valid_from"}:
        faults.note(1, name, None, Words(zh="未知的字段", en="there is no such field"))
    return checked(EntryIn, [(line, {**common, **given}) for line, given in entries], faults)


async def _apply(tx: AsyncSession, entry: EntryIn, held: list[ProductOffering]) -> Fate:
    content = entry.content()
    versions = [
        Version(row.valid_from, row.valid_to, {name: getattr(row, name) for name in content})
        for row in held
    ]
    fate, touched = rules.fate_of(Version(entry.valid_from, entry.valid_to, content), versions)
    before = None if touched is None else held[versions.index(touched)]
    if fate is Fate.UNCHANGED:
        return fate
    if before is not None:
        ends = entry.valid_to if fate is Fate.WITHDRAWN else entry.valid_from
        await service.close_version(tx, before, ends or entry.valid_from)
    if fate is not Fate.WITHDRAWN:
        held.append(
            await service.add_version(
                tx, content=content, valid_from=entry.valid_from, valid_to=entry.valid_to
            )
        )
    return fate
