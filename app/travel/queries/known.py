"""What is known of ways, as a process holds it."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.clock import wall
from app.core.db import database_of, driver_connection
from app.core.nights import done_until
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.travel import rules
from app.travel.models import TravelRatio
from app.travel.rules import Learned, Travel
from app.travel.rules.ladder import Ratios, ratios_of

WORK = "travel"
"""What the nights of learning are called."""

# What is learned changes once a night; a process asks so often whether that has happened.
STALE_AFTER_SECONDS = 60.0


@dataclass(slots=True)
class _Held:
    """What a process holds, when it last looked, and the night that it is of."""

    looked_at: datetime
    night: datetime | None
    learned: Learned
    ratios: Ratios
    # What was made from these parameters, by org path and the minute they were asked for.
    numbers: Parameters | None = None
    made: dict[tuple[str, datetime], Travel] = field(default_factory=dict)


async def travel_in_force(session: AsyncSession, now: datetime, org_path: str = "") -> Travel:
    """Return what is known of ways in a part of the organisation; without one, at its top.

    A night's learning is in force in every process within a minute.
    """
    numbers = await parameters_in_force(session)
    held = await _held(session)
    if held.numbers is not numbers:
        held.numbers = numbers
        held.made.clear()
    key = org_path, now.replace(second=0, microsecond=0)
    made = held.made.get(key)
    if made is not None:
        return made
    travel = held.made[key] = Travel(
        detour=numbers.number(rules.DETOUR, now, org_path),
        least=numbers.whole(rules.GETTING_THERE, now, org_path),
        unknown=numbers.whole(rules.UNKNOWN, now, org_path),
        speeds={
            kind: numbers.number(each, now, org_path) / 3.6 for kind, each in rules.SPEED.items()
        },
        learned=held.learned,
        ratios=ratios_of(held.ratios, org_path),
    )
    return travel


def forget(session: AsyncSession) -> None:
    """Let what this process holds be read anew the next time it is asked for."""
    database_of(session).cache.pop("travel.known", None)


async def _held(session: AsyncSession) -> _Held:
    cache = database_of(session).cache
    held: _Held | None = cache.get("travel.known")
    if held is not None and (wall() - held.looked_at).total_seconds() < STALE_AFTER_SECONDS:
        return held
    night = await done_until(session, WORK)
    if held is not None and held.night == night:
        held.looked_at = wall()
        return held
    learned = await _learned(session) if night is not None else rules.NOTHING
    ratios = await _ratios(session) if night is not None else {}
    held = _Held(wall(), night, learned, ratios)
    cache["travel.known"] = held
    return held


# Row by row through a session, a province's medians would keep the process busy for seconds. In
# PostgreSQL's binary form every row has the same length, so that all of them are one array.
# What a routing engine says of a pair stands for its median at any hour until there is one.
_COPY = """
    COPY (
        SELECT from_grid_id, to_grid_id, hour, pace FROM travel_median
        UNION ALL
        SELECT from_grid_id, to_grid_id, smallint '-1', pace FROM travel_road r
        WHERE pace IS NOT NULL AND NOT EXISTS (
            SELECT FROM travel_median m WHERE m.from_grid_id = r.from_grid_id
                AND m.to_grid_id = r.to_grid_id AND m.hour = -1
        )
    ) TO STDOUT (FORMAT binary)
    """
_HEADER = 19
_TRAILER = 2
_ROW = np.dtype(
    [
        ("columns", ">i2"),
        ("from_length", ">i4"),
        ("start", "V16"),
        ("to_length", ">i4"),
        ("end", "V16"),
        ("hour_length", ">i4"),
        ("hour", ">i2"),
        ("pace_length", ">i4"),
        ("pace", ">f4"),
    ]
)


async def _learned(session: AsyncSession) -> Learned:
    driver = await driver_connection(session)
    async with driver.cursor() as cursor, cursor.copy(_COPY) as copying:
        copied = b"".join([bytes(part) async for part in copying])
    return await asyncio.to_thread(_laid_out, copied)


def _laid_out(copied: bytes) -> Learned:
    rows = np.frombuffer(copied[_HEADER : len(copied) - _TRAILER], _ROW)
    known: dict[bytes, UUID] = {}

    def ids(column: str) -> list[UUID]:
        found = []
        for raw in rows[column].tolist():
            grid_id = known.get(raw)
            if grid_id is None:
                grid_id = known[raw] = UUID(bytes=raw)
            found.append(grid_id)
        return found

    return Learned.laid_out(
        ids("start"), ids("end"), rows["hour"].astype(np.int64), rows["pace"].astype(np.float32)
    )


_RATIOS = text(
    f"""
    SELECT u.path, r.hour, r.ratio
    FROM {TravelRatio.__tablename__} r JOIN {OrgUnit.__tablename__} u ON u.id = r.org_unit_id
    """  # noqa: S608 - names of our own
)


async def _ratios(session: AsyncSession) -> Ratios:
    read: dict[str, dict[int, float]] = {}
    for row in await session.execute(_RATIOS):
        read.setdefault(row.path, {})[row.hour] = row.ratio
    return read
