"""PostGIS's word on where points lie: the judge of the index that the application goes by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.grids.rules import Cover, metres_per_degree, settle


class Judged(NamedTuple):
    """Where a point lies: its grid, if any, and whether a border is close to it."""

    grid_id: UUID | None
    near_border: bool


# The points are gathered by the boundaries they may meet, so that each boundary is fetched, and
# made ready for comparing, once for all its points. Plain degrees bound a distance from both sides;
# the exact one in metres is worked out only where the bounds disagree.
LOCATE = text(
    """
    WITH met AS MATERIALIZED (
        SELECT b.id, array_agg(n) AS ns, array_agg(lon) AS lons, array_agg(lat) AS lats,
            array_agg(east) AS easts, array_agg(north) AS norths
        FROM unnest(CAST(:lons AS float8[]), CAST(:lats AS float8[]), CAST(:easts AS float8[]),
            CAST(:norths AS float8[])) WITH ORDINALITY AS given (lon, lat, east, north, n)
        JOIN grid_boundary b ON b.valid_to IS NULL
            AND b.boundary && ST_MakeEnvelope(lon - :near_m / east, lat - :near_m / north,
                lon + :near_m / east, lat + :near_m / north, 4326)
        GROUP BY b.id
    )
    SELECT b.id, b.grid_id, told.covered, told.near
    FROM met JOIN grid_boundary b USING (id)
    CROSS JOIN LATERAL (SELECT ST_Boundary(b.boundary) AS border OFFSET 0) AS line
    CROSS JOIN LATERAL (
        SELECT array_agg(n) FILTER (WHERE ST_Covers(b.boundary, point)) AS covered,
            array_agg(n) FILTER (WHERE degrees * least(east, north) <= :near_m
                AND (degrees * greatest(east, north) <= :near_m
                     OR ST_Distance(ST_Scale(border, ST_MakePoint(east, north)),
                                    ST_Scale(point, ST_MakePoint(east, north))) <= :near_m)
            ) AS near
        FROM (
            SELECT n, east, north, point, ST_Distance(border, point) AS degrees
            FROM (
                SELECT n, east, north, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS point
                FROM unnest(met.ns, met.lons, met.lats, met.easts, met.norths)
                    AS given (n, lon, lat, east, north)
                OFFSET 0
            ) AS given
            OFFSET 0
        ) AS given
    ) AS told
    """
)
# Boundaries are never changed nor deleted, so their ids mean the same shapes as a moment ago.
_DEPTHS = text(
    """
    SELECT n, b.grid_id, g.code,
        ST_Distance(ST_Scale(ST_Boundary(b.boundary), ST_MakePoint(east, north)),
            ST_SetSRID(ST_MakePoint(lon * east, lat * north), 4326)) AS border_m
    FROM unnest(CAST(:ns AS bigint[]), CAST(:ids AS uuid[]), CAST(:lons AS float8[]),
        CAST(:lats AS float8[]), CAST(:easts AS float8[]), CAST(:norths AS float8[]))
        AS given (n, id, lon, lat, east, north)
    JOIN grid_boundary b USING (id)
    JOIN grid g ON g.id = b.grid_id
    """
)


@dataclass(frozen=True, slots=True)
class _Claim(Cover):
    grid_id: UUID


async def judge(
    session: AsyncSession, lons: Sequence[float], lats: Sequence[float], *, near_m: float
) -> list[Judged]:
    """Find each point's grid by the boundaries in force now; WGS-84 degrees, answers in order.

    Where several grids cover a point, on a border or in an overlap, `rules.settle` decides.
    `near_border` says that the border of any grid is within `near_m` metres of the point.
    """
    scales = [metres_per_degree(lat) for lat in lats]
    easts, norths = [east for east, _ in scales], [north for _, north in scales]
    points = {"lons": list(lons), "lats": list(lats), "easts": easts, "norths": norths}
    grids: dict[int, UUID] = {}
    boundaries: dict[int, list[UUID]] = {}
    near: set[int] = set()
    for row in await session.execute(LOCATE, {**points, "near_m": near_m}):
        for n in row.covered or ():
            grids[n] = row.grid_id
            boundaries.setdefault(n, []).append(row.id)
        near.update(row.near or ())
    contested = [(n, known) for n, ids in boundaries.items() if len(ids) > 1 for known in ids]
    if contested:
        ours = {name: [values[n - 1] for n, _ in contested] for name, values in points.items()}
        ns, ids = zip(*contested, strict=True)
        claims: dict[int, list[_Claim]] = {}
        for row in await session.execute(_DEPTHS, {**ours, "ns": list(ns), "ids": list(ids)}):
            claim = _Claim(row.code, listed=False, border_m=row.border_m, grid_id=row.grid_id)
            claims.setdefault(row.n, []).append(claim)
        for n, rivals in claims.items():
            chosen = settle(rivals)
            if chosen is not None:
                grids[n] = chosen.grid_id
    return [Judged(grids.get(n), n in near) for n in range(1, len(lons) + 1)]
