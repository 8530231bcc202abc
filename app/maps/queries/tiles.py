"""Tiles as PostgreSQL makes them, each layer with one statement built once."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.clock import wall
from app.core.db import database_of
from app.maps.rules.tiles import BUFFER, EXTENT, Tile
from app.maps.rules.windows import Window

_FORM = f"{EXTENT}, {BUFFER}"

# --- grids ----------------------------------------------------------------------------------------

_PRIMARY = """
    SELECT t.code
    FROM grid_membership m JOIN technician t ON t.id = m.technician_id
    WHERE m.grid_id = g.id AND m.kind = 'primary' AND m.valid_from <= here.today
        AND (m.valid_to IS NULL OR m.valid_to > here.today)
"""
STAGE = """
    SELECT c.stage FROM grid_contract c
    WHERE c.grid_id = g.id AND c.valid_from <= here.today
        AND (c.valid_to IS NULL OR c.valid_to > here.today)
"""
HERE = """
    CROSS JOIN LATERAL (
        SELECT (CAST(:now AS timestamptz) AT TIME ZONE o.time_zone)::date AS today
    ) AS here
"""

_GRIDS = text(
    f"""
    SELECT ST_AsMVT(shown, 'grids', {EXTENT}, 'geom') FROM (
        SELECT ST_AsMVTGeom(ST_FilterByM(s.shape, 0, :z), tile.box, {_FORM}) AS geom,
            g.id::text AS id, g.code, g.name, g.kind,
            coalesce(({STAGE}), 'none') AS stage,
            primary_.code AS primary_code, primary_.code IS NULL AS vacant
        FROM (SELECT ST_TileEnvelope(:z, :x, :y) AS box,
                ST_TileEnvelope(:z, :x, :y, margin => {BUFFER}.0 / {EXTENT}) AS reach
        ) AS tile
        JOIN grid_tile_shape s ON s.coordsys = :coordsys AND s.shape && tile.reach
        JOIN grid g ON g.id = s.grid_id AND g.retired_at IS NULL
        JOIN org_unit o ON o.id = g.org_unit_id AND starts_with(o.path, :path)
        {HERE}
        LEFT JOIN LATERAL ({_PRIMARY}) AS primary_ ON true
    ) AS shown WHERE geom IS NOT NULL
    """  # noqa: S608 - text of our own
)
_EDITION = text("SELECT edition FROM grid_edition")
# What all tiles of grids say, as one number: it is the same only if they say the same.
_MARK = text(
    f"""
    SELECT (SELECT edition FROM grid_edition) AS edition,
        coalesce(sum(hashtextextended(row(
            g.id, g.code, g.name, g.kind, o.path, s.boundary_id, ({STAGE}), ({_PRIMARY})
        )::text, 0)), 0)::text AS mark
    FROM grid g
    JOIN org_unit o ON o.id = g.org_unit_id
    LEFT JOIN grid_tile_shape s ON s.grid_id = g.id AND s.coordsys = 'wgs84'
    {HERE}
    WHERE g.retired_at IS NULL
    """  # noqa: S608 - text of our own
)
# A change of who looks after a grid shows after so many seconds; one of the map shows at once.
STALE_AFTER_SECONDS = 5.0


class _Mark(NamedTuple):
    edition: object
    mark: str
    read_at: datetime


async def grids_mark(session: AsyncSession, now: datetime) -> str:
    """Give a mark of all that tiles of grids show: as long as it is the same, so are they.

    It is worked out when the map has a new edition, else at most every few seconds; a tile that
    is read after it is at least as new.
    """
    cache = database_of(session).cache
    edition = await session.scalar(_EDITION)
    # A map asks for a dozen tiles at once; one of them works the mark out, the others wait.
    async with cache.setdefault("maps.marking", asyncio.Lock()):
        held: _Mark | None = cache.get("maps.mark")
        if (
            held is None
            or held.edition != edition
            or (wall() - held.read_at).total_seconds() >= STALE_AFTER_SECONDS
        ):
            row = (await session.execute(_MARK, {"now": now})).one()
            cache["maps.mark"] = held = _Mark(row.edition, row.mark, wall())
    return f"{held.edition}.{held.mark}"


async def grids(session: AsyncSession, caller: Caller, asked: Tile, now: datetime) -> bytes:
    """Make a tile of the caller's grids; empty when none is there."""
    given = {**asked._asdict(), "path": caller.org_path, "now": now}
    return bytes(await session.scalar(_GRIDS, given) or b"")


# --- points ---------------------------------------------------------------------------------------

# How a point of WGS-84 comes onto the map of a tile: see `rules.windows.Window`.
_ON_THE_MAP = f"""
    CROSS JOIN LATERAL (
        SELECT ST_X(flat) AS x, ST_Y(flat) AS y FROM ST_Transform(point, 3857) AS flat
    ) AS plain
    CROSS JOIN LATERAL (
        SELECT 1 + greatest(0, least(:parts - 1, floor((x - :part_west) / :part_width)))::int
            + :parts * greatest(0, least(:parts - 1, floor((y - :part_south) / :part_height)))::int
            AS n
    ) AS part
    CROSS JOIN LATERAL (
        SELECT ST_AsMVTGeom(
            ST_SetSRID(ST_MakePoint(
                (CAST(:xx AS float8[]))[n] * x + (CAST(:xy AS float8[]))[n] * y
                    + (CAST(:x1 AS float8[]))[n],
                (CAST(:yx AS float8[]))[n] * x + (CAST(:yy AS float8[]))[n] * y
                    + (CAST(:y1 AS float8[]))[n]
            ), 3857),
            ST_TileEnvelope(:z, :x, :y), {_FORM}
        ) AS geom
    ) AS drawn
    WHERE geom IS NOT NULL
"""  # noqa: S608 - text of our own
_WINDOW = "ST_MakeEnvelope(:west, :south, :east, :north, 4326)"
_UNITS = """
    units AS MATERIALIZED (
        SELECT id, (CAST(:now AS timestamptz) AT TIME ZONE time_zone) AS local, time_zone
        FROM org_unit WHERE starts_with(path, :path)
    )
"""

# What is open is few beside years of what is closed; of the closed, only what was planned for today
# is shown, and that is found by who holds it.
_ORDERS = text(
    f"""
    WITH {_UNITS}, people AS (
        SELECT t.id, units.local::date AS today
        FROM units JOIN technician t ON t.org_unit_id = units.id
        UNION
        SELECT m.technician_id, units.local::date
        FROM units JOIN grid g ON g.org_unit_id = units.id
        JOIN grid_membership m ON m.grid_id = g.id
    ), met AS (
        SELECT o.id, o.state, o.work_type, o.priority, o.due_at, o.point
        FROM units JOIN work_order o ON o.org_unit_id = units.id
            AND o.state NOT IN ('completed', 'archived', 'cancelled')
        WHERE o.point && {_WINDOW}
        UNION ALL
        SELECT o.id, o.state, o.work_type, o.priority, NULL, o.point
        FROM people CROSS JOIN LATERAL (
            SELECT * FROM work_order
            WHERE holder_id = people.id AND planned_day = people.today
                AND state IN ('completed', 'archived')
            OFFSET 0  -- a fence: the index of holders and days, whatever the statistics say
        ) AS o
        WHERE o.point && {_WINDOW} AND o.org_unit_id IN (SELECT id FROM units)
    ), first AS (
        SELECT * FROM met ORDER BY due_at NULLS LAST, priority, id LIMIT :most
    )
    SELECT ST_AsMVT(shown, 'orders', {EXTENT}, 'geom') FROM (
        SELECT geom, id::text AS id, state, work_type, priority,
            coalesce(due_at <= :now, false) AS overdue,
            coalesce(due_at > :now AND due_at <= :risky, false) AS at_risk
        FROM first {_ON_THE_MAP}
    ) AS shown
    """  # noqa: S608 - text of our own
)
_TECHNICIANS = text(
    f"""
    WITH {_UNITS}, met AS (
        SELECT t.id, t.code,
            CASE WHEN v.check_in_point IS NULL THEN 'home' ELSE 'check_in' END AS source,
            ST_SnapToGrid(coalesce(v.check_in_point, t.home_point), :cell) AS point
        FROM units JOIN technician t ON t.org_unit_id = units.id AND t.active
        LEFT JOIN LATERAL (
            SELECT check_in_point FROM visit
            WHERE technician_id = t.id AND check_in_point IS NOT NULL
                AND travel_started_at >= units.local::date::timestamp AT TIME ZONE units.time_zone
            ORDER BY travel_started_at DESC LIMIT 1
        ) AS v ON true
        WHERE EXISTS (
            SELECT FROM shift s WHERE s.technician_id = t.id
                AND s.weekday = extract(isodow FROM units.local) - 1
                AND s.starts_at <= units.local::time AND units.local::time < s.ends_at
        ) AND NOT EXISTS (
            SELECT FROM leave l
            WHERE l.technician_id = t.id AND l.starts_at <= :now AND l.ends_at > :now
        )
    ), first AS (
        SELECT * FROM met WHERE point && {_WINDOW} ORDER BY code LIMIT :most
    )
    SELECT ST_AsMVT(shown, 'technicians', {EXTENT}, 'geom') FROM (
        SELECT geom, id::text AS id, code, source FROM first {_ON_THE_MAP}
    ) AS shown
    """  # noqa: S608 - text of our own
)
# So many points a tile holds at most: a province has fewer, and a backlog must not choke a map.
MOST_POINTS = 20_000


async def orders(
    session: AsyncSession,
    caller: Caller,
    asked: Tile,
    window: Window,
    *,
    now: datetime,
    risky: datetime,
) -> bytes:
    """Make a tile of the caller's open orders and of those done today; the most urgent come first
    where there are too many. Orders due until `risky` are at risk."""
    return await _points(session, _ORDERS, caller, asked, window, now=now, risky=risky)


async def technicians(
    session: AsyncSession,
    caller: Caller,
    asked: Tile,
    window: Window,
    *,
    now: datetime,
    cell: float,
) -> bytes:
    """Make a tile of the caller's technicians on shift: where they last checked in today, else
    where their day begins, rounded to cells `cell` degrees wide."""
    return await _points(session, _TECHNICIANS, caller, asked, window, now=now, cell=cell)


async def _points(
    session: AsyncSession,
    statement: TextClause,
    caller: Caller,
    asked: Tile,
    window: Window,
    **given: object,
) -> bytes:
    given |= {"z": asked.z, "x": asked.x, "y": asked.y, "path": caller.org_path}
    given |= {**asdict(window), "most": MOST_POINTS}
    return bytes(await session.scalar(statement, given) or b"")
