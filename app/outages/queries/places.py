"""Places as addresses and grids tell of them: whose lines come from there, and where they are."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.outages.rules import Place, PlaceKind

# Whose line comes from a place; the condition is one that an index answers.
BEHIND = {
    PlaceKind.PORT: "a.olt_port = :key",
    PlaceKind.OLT: "a.olt_port ~>=~ (:key || '/') AND a.olt_port ~<~ (:key || '0')",
    PlaceKind.COMPOUND: "replace(a.locality, ' ', '') = :key AND starts_with(u.path, :path)",
}


def key_of(place: Place) -> dict[str, str]:
    """Give a place's key as the conditions in `BEHIND` take it."""
    if place.kind is PlaceKind.COMPOUND:
        path, _, name = place.key.rpartition("|")
        return {"key": name, "path": path}
    return {"key": place.key}


_HOMES = """
    SELECT count(DISTINCT a.customer_id) FROM service_address a
    JOIN customer c ON c.id = a.customer_id JOIN org_unit u ON u.id = c.org_unit_id
    WHERE {behind}
"""
_HOMES_OF_GRID = text("SELECT count(*) FROM address_grid WHERE grid_id = CAST(:key AS uuid)")


async def homes(session: AsyncSession, place: Place) -> int:
    """Count the customers whose lines come from a place, or the addresses that lie in a grid."""
    if place.kind is PlaceKind.GRID:
        return int(await session.scalar(_HOMES_OF_GRID, key_of(place)) or 0)
    statement = text(_HOMES.format(behind=BEHIND[place.kind]))
    return int(await session.scalar(statement, key_of(place)) or 0)


class Found(NamedTuple):
    """A place that is there: the unit that most of it belongs to, and its name."""

    org_unit_id: UUID
    name: str


_GRID = text(
    """
    SELECT g.org_unit_id, coalesce(nullif(g.name, ''), g.code) FROM grid g
    JOIN org_unit u ON u.id = g.org_unit_id
    WHERE g.id = CAST(:key AS uuid) AND starts_with(u.path, :within)
    """
)
_UNIT_BEHIND = """
    SELECT c.org_unit_id FROM service_address a
    JOIN customer c ON c.id = a.customer_id JOIN org_unit u ON u.id = c.org_unit_id
    WHERE {behind} AND starts_with(u.path, :within)
    GROUP BY c.org_unit_id ORDER BY count(*) DESC, c.org_unit_id LIMIT 1
"""


async def found(session: AsyncSession, place: Place, within: str) -> Found | None:
    """Find a place within an org unit's subtree, given by its path; None: there is none."""
    given = {**key_of(place), "within": within}
    if place.kind is PlaceKind.GRID:
        row = (await session.execute(_GRID, given)).one_or_none()
        return None if row is None else Found(*row)
    statement = text(_UNIT_BEHIND.format(behind=BEHIND[place.kind]))
    unit: UUID | None = await session.scalar(statement, given)
    return None if unit is None else Found(unit, place.key.rpartition("|")[2])


_NAMES = text("SELECT id, coalesce(nullif(name, ''), code) FROM grid WHERE id = ANY(:ids)")


async def name_of(session: AsyncSession, place: Place) -> str:
    """Say the name of a place that has reports."""
    if place.kind is not PlaceKind.GRID:
        return place.key.rpartition("|")[2]
    row = (await session.execute(_NAMES, {"ids": [UUID(place.key)]})).one()
    return str(row[1])


_POINTS = """
    SELECT ST_X(a.point), ST_Y(a.point) FROM service_address a
    JOIN customer c ON c.id = a.customer_id JOIN org_unit u ON u.id = c.org_unit_id
    WHERE {behind} AND a.point IS NOT NULL LIMIT 500
"""
_INSIDE = text(
    """
    SELECT ST_X(p.point), ST_Y(p.point) FROM (
        SELECT ST_PointOnSurface(boundary) AS point FROM grid_boundary
        WHERE grid_id = CAST(:key AS uuid) AND valid_to IS NULL LIMIT 1
    ) AS p
    """
)


async def points_of(session: AsyncSession, place: Place) -> list[tuple[float, float]]:
    """Read points (WGS-84 degrees) of a place: its doors as far as addresses tell, or one within
    a grid."""
    if place.kind is PlaceKind.GRID:
        rows = await session.execute(_INSIDE, key_of(place))
    else:
        rows = await session.execute(text(_POINTS.format(behind=BEHIND[place.kind])), key_of(place))
    return [(lon, lat) for lon, lat in rows]


_PUT_AT = text(
    """
    UPDATE outage SET point = ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) WHERE id = :id
    """
)


async def put_at(tx: AsyncSession, outage_id: UUID, point: tuple[float, float]) -> None:
    """Say where the middle of an outage is, in WGS-84 degrees."""
    await tx.execute(_PUT_AT, {"id": outage_id, "lon": point[0], "lat": point[1]})
