"""Grids as features: the boundary each has now, or had at a moment or in a span of time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.maps.queries.tiles import HERE, STAGE
from app.maps.rules.ogc import Box, Span


class Feature(NamedTuple):
    """A grid with one of its boundaries; `geometry` is GeoJSON in WGS-84."""

    id: UUID
    code: str
    name: str
    kind: str
    stage: str
    org_unit_code: str
    area_m2: float
    valid_from: datetime
    valid_to: datetime | None
    geometry: str


_COLUMNS = f"""
    g.id, g.code, g.name, g.kind, coalesce(({STAGE}), 'none') AS stage,
    o.code AS org_unit_code, b.area_m2, b.valid_from, b.valid_to,
    ST_AsGeoJSON(ST_ForcePolygonCCW(b.boundary), 7) AS geometry
"""
_FROM = """
    FROM grid_boundary b
    JOIN grid g ON g.id = b.grid_id
    JOIN org_unit o ON o.id = g.org_unit_id AND starts_with(o.path, :path)
"""
_NOW = "b.valid_to IS NULL"
# A boundary that ended as it began was never in force.
_THEN = """
    b.valid_from <= coalesce(:until, 'infinity'::timestamptz)
    AND (b.valid_to IS NULL OR b.valid_to > coalesce(:since, '-infinity'::timestamptz)
        AND b.valid_to > b.valid_from)
"""
# A box without width or height is a line or a point, which ST_MakeEnvelope would not give.
_BOX = """ST_Envelope(ST_SetSRID(ST_MakeLine(
    ST_MakePoint(:west{n}, :south{n}), ST_MakePoint(:east{n}, :north{n})), 4326))"""
_IN_BOXES = (
    " AND ("
    + " OR ".join(
        f"b.boundary && {box} AND ST_Intersects(b.boundary, {box})"
        for box in (_BOX.format(n=1), _BOX.format(n=2))
    )
    + ")"
)


def _page(when: str, where: str) -> TextClause:
    # In a span of time a grid may have had several boundaries: the last one stands for it.
    return text(
        f"""
        SELECT {_COLUMNS} FROM (
            SELECT DISTINCT ON (g.code) g.id AS grid_id, g.code, b.id
            {_FROM}
            WHERE {when} {where} AND g.code > :after
            ORDER BY g.code, b.valid_from DESC
            LIMIT :most
        ) AS found
        JOIN grid_boundary b ON b.id = found.id
        JOIN grid g ON g.id = found.grid_id
        JOIN org_unit o ON o.id = g.org_unit_id
        {HERE}
        ORDER BY g.code
        """  # noqa: S608 - text of our own
    )


def _count(when: str, where: str) -> TextClause:
    return text(f"SELECT count(DISTINCT b.grid_id) {_FROM} WHERE {when} {where}")


# By whether a time and a box are asked for.
_KINDS = {
    (dated, boxed): (_THEN if dated else _NOW, _IN_BOXES if boxed else "")
    for dated in (False, True)
    for boxed in (False, True)
}
_PAGES = {kind: _page(*parts) for kind, parts in _KINDS.items()}
_COUNTS = {kind: _count(*parts) for kind, parts in _KINDS.items()}


class Found(NamedTuple):
    """A page of features by their grids' codes, with one more if others follow; and how many there
    are on all pages."""

    features: list[Feature]
    matched: int


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    boxes: Sequence[Box],
    span: Span | None,
    after: str,
    size: int,
    now: datetime,
) -> Found:
    """Read a page of the caller's grids that meet any of the boxes (at most two; none: all), with
    the boundaries in force now or those of a span of time.

    A stage is told as of the end of the span, at the latest of now.
    """
    given: dict[str, Any] = {"path": caller.org_path}
    if boxes:
        for number, box in enumerate((boxes[0], boxes[-1]), start=1):
            given |= {f"{side}{number}": value for side, value in box._asdict().items()}
    if span is not None:
        given |= span._asdict()
    kind = (span is not None, bool(boxes))
    matched = await session.scalar(_COUNTS[kind], given)
    then = min(span.until or now, now) if span else now
    rows = await session.execute(
        _PAGES[kind], {**given, "after": after, "most": size + 1, "now": then}
    )
    return Found([Feature(*row) for row in rows], matched or 0)


_ONE = text(f"SELECT {_COLUMNS} {_FROM} {HERE} WHERE {_NOW} AND g.id = :grid_id")


async def one(
    session: AsyncSession, caller: Caller, grid_id: UUID, *, now: datetime
) -> Feature | None:
    """Read one of the caller's grids with its boundary in force."""
    given = {"path": caller.org_path, "grid_id": grid_id, "now": now}
    row = (await session.execute(_ONE, given)).one_or_none()
    return None if row is None else Feature(*row)


_EXTENT = text(
    f"""
    SELECT ST_XMin(box) AS west, ST_YMin(box) AS south, ST_XMax(box) AS east, ST_YMax(box) AS north,
        since
    FROM (SELECT ST_Extent(b.boundary) FILTER (WHERE {_NOW}) AS box, min(b.valid_from) AS since
        {_FROM}) AS all_of_them
    """  # noqa: S608 - text of our own
)


class Extent(NamedTuple):
    """Where the caller's grids are now (WGS-84 degrees; None: nowhere), and since when they are
    known."""

    box: Box | None
    since: datetime | None


async def extent(session: AsyncSession, caller: Caller) -> Extent:
    """Read where and since when there are grids."""
    row = (await session.execute(_EXTENT, {"path": caller.org_path})).one()
    box = None if row.west is None else Box(row.west, row.south, row.east, row.north)
    return Extent(box, row.since)
