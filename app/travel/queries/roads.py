"""Which ways a routing engine is asked about next, and what it said."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_DUE = """
    grid_boundary b WHERE b.valid_to IS NULL AND NOT EXISTS (
        SELECT FROM travel_road r WHERE r.from_grid_id = b.grid_id AND r.asked_at > :since
    )
"""
# A point within each grid stands for its doors. Pairs are those within reach of each other, the
# nearest first; whoever goes farther is found by distance.
_TO_ASK = text(
    f"""
    WITH least AS (
        SELECT b.grid_id, ST_PointOnSurface(b.boundary) AS point
        FROM {_DUE}
        ORDER BY b.grid_id LIMIT :size
    )
    SELECT f.grid_id AS start_id, ST_X(f.point) AS start_lon, ST_Y(f.point) AS start_lat,
        n.grid_id, ST_X(n.point) AS lon, ST_Y(n.point) AS lat, n.metres
    FROM least f
    LEFT JOIN LATERAL (
        SELECT near.grid_id, near.point,
            ST_DistanceSphere(f.point, near.point) AS metres
        FROM (
            SELECT b.grid_id, ST_PointOnSurface(b.boundary) AS point
            FROM grid_boundary b
            WHERE b.valid_to IS NULL AND b.grid_id <> f.grid_id
                AND b.boundary && ST_Expand(
                    f.point, :reach_m / 111320.0 / cosd(ST_Y(f.point)), :reach_m / 110540.0
                )
        ) AS near
        ORDER BY metres LIMIT :most
    ) AS n ON n.metres BETWEEN 1 AND :reach_m
    ORDER BY start_id, n.metres
    """  # noqa: S608 - text of our own
)
_SAY = text(
    """
    INSERT INTO travel_road (from_grid_id, to_grid_id, pace, asked_at)
    SELECT :start, given.grid_id, given.pace, :at
    FROM unnest(CAST(:grids AS uuid[]), CAST(:paces AS real[])) AS given (grid_id, pace)
    ON CONFLICT (from_grid_id, to_grid_id) DO UPDATE SET
        pace = excluded.pace, asked_at = excluded.asked_at
    """
)
_LEFT = text(f"SELECT count(*) FROM {_DUE}")  # noqa: S608 - text of our own


class Near(NamedTuple):
    """A grid near another: a point of it in WGS-84 degrees, and the straight line to it."""

    grid_id: UUID
    lon: float
    lat: float
    metres: float


class ToAsk(NamedTuple):
    """A grid, a point of it in WGS-84 degrees, and the grids near it."""

    grid_id: UUID
    lon: float
    lat: float
    near: list[Near]


async def to_ask(
    session: AsyncSession, *, since: datetime, size: int, reach_m: float, most: int
) -> list[ToAsk]:
    """Read so many grids of whose roads nobody has asked since a moment, each with its nearest."""
    given = {"since": since, "size": size, "reach_m": reach_m, "most": most}
    found: dict[UUID, ToAsk] = {}
    for row in await session.execute(_TO_ASK, given):
        start = found.setdefault(
            row.start_id, ToAsk(row.start_id, row.start_lon, row.start_lat, [])
        )
        if row.grid_id is not None:
            start.near.append(Near(row.grid_id, row.lon, row.lat, row.metres))
    return list(found.values())


async def left(session: AsyncSession, since: datetime) -> int:
    """Count the grids of whose roads nobody has asked since a moment."""
    return int(await session.scalar(_LEFT, {"since": since}) or 0)


async def say(
    tx: AsyncSession,
    start: ToAsk,
    seconds: Sequence[float | None],
    *,
    at: datetime,
) -> None:
    """Write down what was said of the ways from a grid. One without neighbours is noted as well:
    its way to itself, of which nothing is known."""
    grids = [one.grid_id for one in start.near] or [start.grid_id]
    paces = [
        None if took is None else took / one.metres
        for took, one in zip(seconds, start.near, strict=True)
    ] or [None]
    await tx.execute(_SAY, {"start": start.grid_id, "grids": grids, "paces": paces, "at": at})
