"""Reads of grids that have a name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, column, func, null, or_, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.core.errors import NotFound
from app.grids.models import Grid, GridBoundary, GridMembership
from app.grids.rules import GridKind, GridStage, MembershipKind


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


# Grids know of technicians only that they exist and where they belong.
_technician = table("technician", column("id"), column("code"), column("name"))


async def grid_for_change(tx: AsyncSession, grid_id: UUID, caller: Caller) -> Grid:
    """Lock a grid of the caller's part of the organisation. Raises NotFound."""
    grid = (
        await tx.scalars(
            select(Grid)
            .where(Grid.id == grid_id, subtree(Grid.org_unit_id, caller))
            .with_for_update()
        )
    ).one_or_none()
    if grid is None:
        raise NotFound(grid_id=grid_id)
    return grid


class KnownMembership(NamedTuple):
    """A membership with the technician's code and name, as lists show it."""

    id: UUID
    grid_id: UUID
    technician_id: UUID
    technician_code: str
    technician_name: str
    kind: MembershipKind
    rank: int
    valid_from: date
    valid_to: date | None
    weekdays: int


_MEMBERSHIPS = select(
    GridMembership.id,
    GridMembership.grid_id,
    GridMembership.technician_id,
    _technician.c.code.label("technician_code"),
    _technician.c.name.label("technician_name"),
    GridMembership.kind,
    GridMembership.rank,
    GridMembership.valid_from,
    GridMembership.valid_to,
    GridMembership.weekdays,
).join(_technician, _technician.c.id == GridMembership.technician_id)


async def memberships_of(session: AsyncSession, grid_id: UUID) -> list[KnownMembership]:
    """List who has looked, looks and will look after a grid: primaries first, then by rank."""
    rows = await session.execute(
        _MEMBERSHIPS.where(GridMembership.grid_id == grid_id).order_by(
            GridMembership.kind.desc(), GridMembership.rank, GridMembership.valid_from
        )
    )
    return [KnownMembership(**row._mapping) for row in rows]


async def primary_between(
    session: AsyncSession, grid_id: UUID, valid_from: date, valid_to: date | None
) -> KnownMembership | None:
    """Find a primary of a grid on any of some local days."""
    statement = _MEMBERSHIPS.where(
        GridMembership.grid_id == grid_id,
        GridMembership.kind == MembershipKind.PRIMARY,
        or_(GridMembership.valid_to.is_(None), GridMembership.valid_to > valid_from),
    )
    if valid_to is not None:
        statement = statement.where(GridMembership.valid_from < valid_to)
    row = (await session.execute(statement.limit(1))).one_or_none()
    return None if row is None else KnownMembership(**row._mapping)


class KnownGrid(NamedTuple):
    """A grid with the shape it has now, as WKB in WGS-84 (None: none now)."""

    id: UUID
    org_unit_id: UUID
    code: str
    name: str
    kind: GridKind
    stage: GridStage
    area_m2: float | None
    wkb: bytes | None


def _grids(caller: Caller, *, shaped: bool) -> Select[Any]:
    wkb = func.ST_AsBinary(GridBoundary.boundary) if shaped else null()
    return (
        select(
            Grid.id,
            Grid.org_unit_id,
            Grid.code,
            Grid.name,
            Grid.kind,
            Grid.stage,
            GridBoundary.area_m2,
            wkb.label("wkb"),
        )
        .outerjoin(
            GridBoundary,
            and_(GridBoundary.grid_id == Grid.id, GridBoundary.valid_to.is_(None)),
        )
        .where(subtree(Grid.org_unit_id, caller), Grid.retired_at.is_(None))
    )


async def one_grid(session: AsyncSession, grid_id: UUID, caller: Caller) -> KnownGrid:
    """Read a grid of the caller's part of the organisation. Raises NotFound."""
    row = (
        await session.execute(_grids(caller, shaped=True).where(Grid.id == grid_id))
    ).one_or_none()
    if row is None:
        raise NotFound(grid_id=grid_id)
    return KnownGrid(**row._mapping)


async def grid_page(
    session: AsyncSession, caller: Caller, *, size: int, after: str | None, shaped: bool
) -> list[KnownGrid]:
    """Read a page of grids by code, with one row more if there is a next page."""
    statement = _grids(caller, shaped=shaped).order_by(Grid.code).limit(size + 1)
    if after is not None:
        statement = statement.where(Grid.code > after)
    return [KnownGrid(**row._mapping) for row in await session.execute(statement)]


async def all_boundaries(session: AsyncSession, caller: Caller) -> dict[str, bytes]:
    """Read the boundaries in force of the caller's part of the organisation: WKB by code."""
    rows = await session.execute(_grids(caller, shaped=True))
    return {row.code: row.wkb for row in rows if row.wkb is not None}
