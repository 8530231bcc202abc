"""Reads of grids that have a name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.grids.rules import MembershipKind


class Located(NamedTuple):
    """Where a point lies: its grid, if any, and whether a border is close to it."""

    grid_id: UUID | None
    near_border: bool


# A degree of latitude is 110,574 m at the equator and 111,694 m at the poles, a degree of longitude
# 111,320 m * cos(latitude) (WGS-84). So a plain distance in degrees bounds the true one from both
# sides, and the exact and dear one on the ellipsoid is asked only where the bounds disagree.
# The same holds between grids that cover one point: only then are the distances worked out.
_LOCATE = text(
    """
    SELECT given.n, covering.grid_id, near.near_border
    FROM (
        SELECT n, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS point,
            greatest(cos(radians(lat)), 0.01) AS narrower
        FROM unnest(CAST(:lons AS float8[]), CAST(:lats AS float8[]))
            WITH ORDINALITY AS given (lon, lat, n)
    ) AS given
    LEFT JOIN LATERAL (
        SELECT grid_id
        FROM (
            SELECT b.grid_id, b.boundary, count(*) OVER () AS grids
            FROM grid_boundary b
            WHERE b.valid_to IS NULL AND ST_Covers(b.boundary, given.point)
        ) AS b
        ORDER BY
            CASE WHEN grids > 1 THEN
                ST_Distance(ST_Boundary(boundary)::geography, given.point::geography) END DESC,
            CASE WHEN grids > 1 THEN (SELECT code FROM grid WHERE grid.id = grid_id) END
        LIMIT 1
    ) AS covering ON true
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT
            FROM grid_boundary b
            CROSS JOIN LATERAL (SELECT ST_Boundary(b.boundary) AS border OFFSET 0) AS line
            CROSS JOIN LATERAL (SELECT ST_Distance(border, given.point) AS degrees OFFSET 0) AS away
            WHERE b.valid_to IS NULL
                AND b.boundary && ST_Expand(given.point, :near_m / (110574 * narrower))
                AND degrees * 110574 * narrower <= :near_m
                AND (degrees * 111700 <= :near_m
                     OR ST_DWithin(border::geography, given.point::geography, :near_m))
        ) AS near_border
    ) AS near
    ORDER BY given.n
    """
)


async def locate_many(
    session: AsyncSession, lons: Sequence[float], lats: Sequence[float], *, near_m: float
) -> list[Located]:
    """Find each point's grid by the boundaries in force now; WGS-84 degrees, answers in order.

    A point on a border or in an overlap belongs to the grid whose border is farthest from it, and
    of equal ones to the lower code. `near_border` says that the border of any grid is within
    `near_m` metres on the ellipsoid.
    """
    rows = await session.execute(
        _LOCATE, {"lons": list(lons), "lats": list(lats), "near_m": near_m}
    )
    return [Located(row.grid_id, row.near_border) for row in rows]


@dataclass(frozen=True, slots=True)
class Keeper:
    """A technician who may be asked for a grid's orders, and how they belong to it.

    A neighbour is the primary of a grid `distance_m` metres away. Dates are local days, `valid_to`
    excluded; `weekdays` is a bit mask with Monday = 1.
    """

    grid_id: UUID
    technician_id: UUID
    kind: MembershipKind | None
    rank: int
    distance_m: float
    weekdays: int
    valid_from: date
    valid_to: date | None

    def on(self, day: date) -> bool:
        """Tell whether the membership is in force on a local day."""
        return (
            self.valid_from <= day
            and (self.valid_to is None or day < self.valid_to)
            and bool(self.weekdays >> day.weekday() & 1)
        )


_KEEPERS = text(
    """
    SELECT grid_id, technician_id, kind, rank, 0.0 AS distance_m, weekdays, valid_from, valid_to
    FROM grid_membership
    WHERE grid_id = ANY(CAST(:grid_ids AS uuid[]))
        AND valid_from <= :until AND (valid_to IS NULL OR valid_to > :from)
    UNION ALL
    SELECT n.grid_id, m.technician_id, NULL, m.rank, n.distance_m, m.weekdays,
        m.valid_from, m.valid_to
    FROM grid_neighbour n JOIN grid_membership m ON m.grid_id = n.neighbour_id
    WHERE n.grid_id = ANY(CAST(:grid_ids AS uuid[])) AND m.kind = 'primary'
        AND m.valid_from <= :until AND (m.valid_to IS NULL OR m.valid_to > :from)
    """
)


async def keepers(
    session: AsyncSession, grid_ids: Collection[UUID], *, first_day: date, last_day: date
) -> dict[UUID, list[Keeper]]:
    """Read who looks after these grids on any of the local days, and their neighbours' primaries.

    In no order: who is asked first is dispatch's to decide.
    """
    rows = await session.execute(
        _KEEPERS, {"grid_ids": list(grid_ids), "from": first_day, "until": last_day}
    )
    found: dict[UUID, list[Keeper]] = {grid_id: [] for grid_id in grid_ids}
    for row in rows:
        found[row.grid_id].append(
            Keeper(
                grid_id=row.grid_id,
                technician_id=row.technician_id,
                kind=MembershipKind(row.kind) if row.kind else None,
                rank=row.rank,
                distance_m=row.distance_m,
                weekdays=row.weekdays,
                valid_from=row.valid_from,
                valid_to=row.valid_to,
            )
        )
    return found


class Territory(NamedTuple):
    """A grid as dispatch needs it."""

    id: UUID
    code: str
    org_unit_id: UUID


_TERRITORIES = text(
    "SELECT id, code, org_unit_id FROM grid WHERE id = ANY(CAST(:grid_ids AS uuid[]))"
)


async def territories(session: AsyncSession, grid_ids: Collection[UUID]) -> dict[UUID, Territory]:
    """Read code and org unit of grids by their ids."""
    rows = await session.execute(_TERRITORIES, {"grid_ids": list(grid_ids)})
    return {row.id: Territory(row.id, row.code, row.org_unit_id) for row in rows}
