"""The catalogue in force on a day, held by each process until the catalogue changes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.catalog.models import CatalogueMark, ProductOffering
from app.catalog.rules import SLOTS, BusinessType, filled
from app.core.db import database_of
from app.core.i18n import Lang

# Days held at one time: today, and a few that somebody looks ahead to.
DAYS_HELD = 8


@dataclass(frozen=True, slots=True)
class Offering:
    """One version of an offering, free of any session: see `models.ProductOffering`."""

    id: UUID
    code: str
    valid_from: date
    valid_to: date | None
    name_zh: str
    name_en: str
    category: str
    business_type: BusinessType
    monthly_price_fen: int
    one_off_price_fen: int
    contract_months: int
    speed_mbps: int | None
    requires: tuple[str, ...]
    excludes: tuple[str, ...]
    least_usage_gb: int | None
    most_usage_gb: int | None
    prepaid: bool
    terminal_kind: str | None
    skill: str | None
    install_minutes: int | None
    commission_fen: int
    margin_12m_fen: int
    expert_rate: float
    levers: tuple[str, ...]
    may_hurt: tuple[str, ...]
    talk_track_zh: str
    talk_track_en: str


def talk_track_of(offering: Offering, lang: Lang) -> str:
    """Say what an offering brings, with the slots of its talk track filled."""
    zh = lang == "zh"
    track = offering.talk_track_zh if zh else offering.talk_track_en
    said = {slot: getattr(offering, slot, None) for slot in SLOTS}
    return filled(track, {**said, "name": offering.name_zh if zh else offering.name_en})


_MARK = select(CatalogueMark.mark)
_IN_FORCE = (
    select(*(getattr(ProductOffering, field.name) for field in fields(Offering)))
    .where(
        ProductOffering.valid_from <= bindparam("day"),
        or_(ProductOffering.valid_to.is_(None), ProductOffering.valid_to > bindparam("day")),
    )
    .order_by(ProductOffering.category, ProductOffering.code)
)


async def mark(session: AsyncSession) -> str:
    """Return the catalogue's mark, which is new after every change; empty before the first."""
    found = await session.scalar(_MARK)
    return found.hex if found else ""


async def in_force(session: AsyncSession, day: date) -> Mapping[str, Offering]:
    """Return the offerings that can be sold on a local day, by code.

    One small statement asks whether the catalogue has changed; the rest is held by the process.
    """
    return (await marked_in_force(session, day))[1]


async def marked_in_force(session: AsyncSession, day: date) -> tuple[str, Mapping[str, Offering]]:
    """Return the same with the mark it was read under."""
    now = await mark(session)
    cache = database_of(session).cache
    held: tuple[str, dict[date, Mapping[str, Offering]]] = cache.get("catalogue", ("", {}))
    if held[0] != now or not now:
        held = (now, {})
    if day not in held[1]:
        rows = await session.execute(_IN_FORCE, {"day": day})
        if len(held[1]) >= DAYS_HELD:
            held[1].clear()
        held[1][day] = {row.code: _offering(row._mapping) for row in rows}
    cache["catalogue"] = held
    return held[0], held[1][day]


def _offering(row: Mapping[Any, Any]) -> Offering:
    lists = ("requires", "excludes", "levers", "may_hurt")
    return Offering(**{**row, **{name: tuple(row[name]) for name in lists}})


async def today_of(session: AsyncSession, org_unit_id: UUID, now: datetime) -> date:
    """Return the local day of an org unit; prices change at its midnight."""
    zone = await session.scalar(select(OrgUnit.time_zone).where(OrgUnit.id == org_unit_id))
    return now.astimezone(ZoneInfo(zone or "Asia/Shanghai")).date()
