"""Reads of technicians that have a name."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache, lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.technicians.availability import Promised
from app.technicians.rules import Loan

_zone = cache(ZoneInfo)


@dataclass(frozen=True, slots=True)
class Working:
    """When one technician works, what they can do, and what is promised of their days.

    `shifts` are (weekday, from, until) in local time of `zone`, Monday is 0; `leave` is pairs of
    aware moments; `promised` is by local day; `home` is longitude and latitude in WGS-84.
    """

    technician_id: UUID
    code: str
    name: str
    org_path: str
    active: bool
    daily_minutes: int
    zone: ZoneInfo
    skills: frozenset[str]
    shifts: tuple[tuple[int, time, time], ...]
    leave: tuple[tuple[datetime, datetime], ...]
    promised: dict[date, Promised]
    home: tuple[float, float] | None = None


# One statement for all of it: placing one order asks for some ten people, and every further
# statement would cost as much as all of these rows together.
_WORKING = """
    SELECT t.id, t.code, t.name, t.active, t.daily_minutes, o.time_zone, o.path,
        ST_X(t.home_point) AS lon, ST_Y(t.home_point) AS lat,
        ARRAY(SELECT skill FROM technician_skill s WHERE s.technician_id = t.id) AS skills,
        (SELECT string_agg(s.weekday || ' ' || s.starts_at || ' ' || s.ends_at, ','
                           ORDER BY s.weekday, s.starts_at)
         FROM shift s WHERE s.technician_id = t.id) AS shifts,
        (SELECT json_agg(json_build_array(l.starts_at, l.ends_at))
         FROM leave l
         WHERE l.technician_id = t.id
            AND l.ends_at > %(from_moment)s AND l.starts_at < %(until_moment)s) AS leave,
        (SELECT json_agg(json_build_array(d.day, d.committed_minutes, d.orders))
         FROM technician_day d
         WHERE d.technician_id = t.id AND d.orders > 0 AND d.day <= %(last_day)s) AS promised
    FROM technician t JOIN org_unit o ON o.id = t.org_unit_id
    WHERE t.id = ANY(CAST(%(technician_ids)s AS uuid[]))
    """


async def working(
    session: AsyncSession,
    technician_ids: Collection[UUID],
    *,
    from_moment: datetime,
    until_moment: datetime,
    last_day: date,
) -> dict[UUID, Working]:
    """Read when these technicians work: leave between two moments, promised days up to the last.

    Days gone by are read as well: what is still promised there has been carried over.
    """
    rows = await fetched(
        session,
        _WORKING,
        {
            "technician_ids": list(technician_ids),
            "from_moment": from_moment,
            "until_moment": until_moment,
            "last_day": last_day,
        },
    )
    return {row[0]: _working(*row) for row in rows}


def _working(
    technician_id: UUID,
    code: str,
    name: str,
    active: bool,
    daily_minutes: int,
    time_zone: str,
    path: str,
    lon: float | None,
    lat: float | None,
    skills: list[str],
    shifts: str | None,
    leave: list[tuple[str, str]] | None,
    promised: list[tuple[str, int, int]] | None,
) -> Working:
    return Working(
        technician_id=technician_id,
        code=code,
        name=name,
        org_path=path,
        active=active,
        daily_minutes=daily_minutes,
        zone=_zone(time_zone),
        skills=frozenset(skills),
        shifts=_shifts(shifts),
        leave=tuple(
            (datetime.fromisoformat(begins), datetime.fromisoformat(ends))
            for begins, ends in leave or ()
        ),
        promised={
            date.fromisoformat(day): Promised(minutes, orders)
            for day, minutes, orders in promised or ()
        },
        home=None if lon is None or lat is None else (lon, lat),
    )


# Most people of an org unit work at the same hours, and weeks are alike.
@lru_cache(maxsize=4096)
def _shifts(written: str | None) -> tuple[tuple[int, time, time], ...]:
    parts = [shift.split() for shift in written.split(",")] if written else ()
    return tuple(
        (int(weekday), time.fromisoformat(begins), time.fromisoformat(ends))
        for weekday, begins, ends in parts
    )


_LEVELS = """
    SELECT technician_id, skill, level FROM technician_skill
    WHERE technician_id = ANY(CAST(%(ids)s AS uuid[]))
    """


async def levels(
    session: AsyncSession, technician_ids: Collection[UUID]
) -> dict[UUID, dict[str, int]]:
    """Read how well these technicians can do what: the levels of their skills, from 1 to 5."""
    found: dict[UUID, dict[str, int]] = {}
    for who, skill, level in await fetched(session, _LEVELS, {"ids": list(technician_ids)}):
        found.setdefault(who, {})[skill] = level
    return found


_ANYBODY_CAN = text(
    """
    SELECT EXISTS (
        SELECT FROM technician_skill s JOIN technician t ON t.id = s.technician_id
        WHERE s.skill = :skill AND t.active
    )
    """
)


async def anybody_can(session: AsyncSession, skill: str) -> bool:
    """Tell whether anybody at all has a skill: what nobody has is misspelt, or cannot be had."""
    return bool(await session.scalar(_ANYBODY_CAN, {"skill": skill}))


_LOANS = text(
    """
    SELECT l.technician_id, l.org_unit_id, o.path, l.valid_from, l.valid_to
    FROM technician_loan l JOIN org_unit o ON o.id = l.org_unit_id
    WHERE l.agreed_at IS NOT NULL AND l.ended_at IS NULL
        AND l.valid_to > :first_day AND l.valid_from <= :last_day
        AND (
            l.technician_id = ANY(CAST(:technician_ids AS uuid[]))
            OR EXISTS (
                SELECT FROM unnest(CAST(:org_paths AS text[])) AS asked (path)
                WHERE starts_with(asked.path, o.path) OR starts_with(o.path, asked.path)
            )
        )
    ORDER BY l.technician_id, l.valid_from
    """
)


async def loans_on(
    session: AsyncSession,
    *,
    technician_ids: Collection[UUID] = (),
    org_paths: Collection[str] = (),
    first_day: date,
    last_day: date,
) -> list[Loan]:
    """Read the agreed loans of these people, and those to these units, on any of the local days.

    A loan to a unit above or below one of these, given by their paths, is among them: see `serves`.
    """
    rows = await session.execute(
        _LOANS,
        {
            "technician_ids": list(technician_ids),
            "org_paths": list(org_paths),
            "first_day": first_day,
            "last_day": last_day,
        },
    )
    return [Loan(*row) for row in rows]
