"""The catalogue's words, and who may sell what at the door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from string import Formatter
from typing import Any

from app.core.i18n import Words


class BusinessType(StrEnum):
    """The six types of business; each says what a technician on site may do with it."""

    SALES = "sales"
    STRATEGIC = "strategic"
    INCENTIVE = "incentive"
    RETENTION = "retention"
    SERVICE = "service"
    SENSITIVE = "sensitive"


class ValueLever(StrEnum):
    """The eleven levers by which a customer's value is made, kept or lost (价值杠杆)."""

    INTENT = "intent"
    ACQUISITION = "acquisition"
    INCOME = "income"
    COST_TO_SERVE = "cost_to_serve"
    CROSS_SELL = "cross_sell"
    TARIFF_FIT = "tariff_fit"
    RENEWAL = "renewal"
    BRAND_MIGRATION = "brand_migration"
    RETENTION = "retention"
    BAD_DEBT = "bad_debt"
    WIN_BACK = "win_back"


class OnSite(StrEnum):
    """What a technician may do at the door with an offering."""

    SELL = "sell"
    LEAD_ONLY = "lead_only"
    STANDARD_ONLY = "standard_only"
    FACE_TO_FACE = "face_to_face"


ON_SITE: dict[BusinessType, OnSite] = {
    BusinessType.SALES: OnSite.SELL,
    BusinessType.STRATEGIC: OnSite.LEAD_ONLY,
    BusinessType.INCENTIVE: OnSite.SELL,
    BusinessType.RETENTION: OnSite.STANDARD_ONLY,
    BusinessType.SERVICE: OnSite.SELL,
    BusinessType.SENSITIVE: OnSite.FACE_TO_FACE,
}


# What a talk track may name in braces: what the catalogue itself says, so that none is ever blank.
# Prices are not among them: they are said in a sentence of their own, which no text can gainsay.
SLOTS = ("name", "contract_months", "speed_mbps", "install_minutes")


def slots_in(talk_track: str) -> list[str]:
    """List the slots that a talk track names, as `{name}`. Raises ValueError for broken braces."""
    return [
        f"{name}{spec and ':'}{(conversion and '!') or ''}"
        for _, name, spec, conversion in Formatter().parse(talk_track)
        if name is not None
    ]


def filled(talk_track: str, said: Mapping[str, Any]) -> str:
    """Fill the slots of a talk track with what an offering says in one language."""
    return talk_track.format(**{slot: said.get(slot) for slot in SLOTS})


def unfit_slots(talk_track: str, said: Mapping[str, Any]) -> list[str]:
    """List the slots that there are none of, or that an offering has nothing to say to.

    Raises ValueError for broken braces.
    """
    return [
        slot for slot in slots_in(talk_track) if slot not in SLOTS or said.get(slot) in (None, 0)
    ]


class Fate(StrEnum):
    """What becomes of an entry of a catalogue file."""

    NEW = "new"
    UNCHANGED = "unchanged"
    SUCCEEDS = "succeeds"
    WITHDRAWN = "withdrawn"


class NotDated(ValueError):
    """An entry contradicts what the catalogue says of the same or a later day."""

    def __init__(self, words: Words) -> None:
        super().__init__(words.en)
        self.words = words


@dataclass(frozen=True)
class Version:
    """One version of an offering in time, and what it says."""

    valid_from: date
    valid_to: date | None
    content: Mapping[str, Any]


def fate_of(entry: Version, held: Sequence[Version]) -> tuple[Fate, Version | None]:
    """Say what becomes of an entry beside the versions held, and which of them it touches.

    What was on sale on a day stays what it was: a change needs a day on which nothing newer has
    begun. An entry that says what is already in force is unchanged, from whatever day it is; one
    that only adds `valid_to` withdraws the version. Raises NotDated.
    """
    later = [version for version in held if version.valid_from > entry.valid_from]
    covering = [
        version
        for version in held
        if version.valid_from <= entry.valid_from
        and (version.valid_to is None or entry.valid_from < version.valid_to)
    ]
    current = covering[0] if covering else None
    if current is not None and current.content == entry.content:
        if entry.valid_to is None or entry.valid_to == current.valid_to:
            return Fate.UNCHANGED, current
        if current.valid_to is None and not later:
            return Fate.WITHDRAWN, current
        raise NotDated(
            Words(
                zh=f"该版本已于 {current.valid_to} 终止，不能改期",
                en=f"this version ends on {current.valid_to} already, which is not moved",
            )
        )
    if current is not None and current.valid_from == entry.valid_from:
        raise NotDated(
            Words(
                zh=f"{entry.valid_from} 起的版本已存在且内容不同：变更须从之后的日期生效",
                en=f"the version from {entry.valid_from} says otherwise: give a later day",
            )
        )
    if later:
        raise NotDated(
            Words(
                zh=f"已有 {later[0].valid_from} 起的较新版本，不能改动过去",
                en=f"a newer version begins on {later[0].valid_from}: the past is not rewritten",
            )
        )
    return (Fate.NEW if current is None else Fate.SUCCEEDS), current
