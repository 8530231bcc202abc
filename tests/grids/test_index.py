"""The index of the map: PostGIS says the same of every point, and it is never older than it may."""

import asyncio
import csv
import gzip
import json
from datetime import timedelta

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.db import open_database
from app.core.geo import CoordSys, to_wgs84
from app.core.settings import Settings
from app.grids import boundaries, importing, locating
from app.grids.boundaries import Shape
from app.grids.layers import read_layer
from app.grids.rules import GridKind
from tests.make.auth import make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_grid
from tests.make.judge import judge
from tests.make.races import until_waiting

NEAR_M = 15.0


async def differences(session, index, points, near_m=NEAR_M):
    """The points of which the index and PostGIS do not say the same."""
    lons, lats = np.array(points, dtype=float).T
    places = index.locate(lons, lats, near_m=near_m).places()
    verdicts = await judge(session, lons.tolist(), lats.tolist(), near_m=near_m)
    return [
        (point, place, verdict)
        for point, place, verdict in zip(points, places, verdicts, strict=True)
        if (place.grid_id, place.near_border) != tuple(verdict)
    ]


# --- PostGIS as the judge -------------------------------------------------------------------------


def requests(geo):
    with gzip.open(geo / "boston/service_requests_2015_jan_apr.csv.gz", "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["latitude"]]
    return [(float(row["longitude"]), float(row["latitude"])) for row in rows]


def compounds(geo):
    with (geo / "beijing/compounds_bd09_a.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    given = [[float(row[axis]) for row in rows] for axis in ("longitude", "latitude")]
    # As they are, and as they would lie if their system were mistaken.
    return [
        pair
        for declared in CoordSys
        for pair in zip(*to_wgs84(np.array(given[0]), np.array(given[1]), declared), strict=True)
    ]


def places(geo):
    with (geo / "crs/gcoord_vectors_a.csv").open() as lines:
        rows = list(csv.reader(lines))
    vectors = json.loads((geo / "crs/eviltransform_vectors.json").read_text())
    numbers = [[float(cell) for cell in row if _number(cell)] for row in rows[1:]]
    pairs = [tuple(row[n : n + 2]) for row in numbers for n in range(len(row) - 1)]
    flat = [value for value in _leaves(vectors) if isinstance(value, float)]
    pairs += list(zip(flat[::2], flat[1::2], strict=False))
    return [pair for pair in pairs if abs(pair[0]) <= 180 and abs(pair[1]) <= 90]


def _number(cell):
    try:
        return abs(float(cell)) <= 180
    except ValueError:
        return False


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for one in value for leaf in _leaves(one)] if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    "file, coordsys, field, known",
    [
        ("boston/precincts.geojson", CoordSys.WGS84, "precinct", requests),
        ("beijing/districts_16_echarts.geojson", CoordSys.GCJ02, "name", compounds),
        ("suzhou/districts_9_echarts.geojson", CoordSys.GCJ02, "name", places),
        ("shenzhen/districts_10.geojson", CoordSys.WGS84, "qh", places),
    ],
    ids=["boston", "beijing", "suzhou", "shenzhen"],
)
async def test_postgis_says_the_same_of_every_point(tx, clock, geo, file, coordsys, field, known):
    unit = await make_org_unit(tx)
    layer = read_layer((geo / file).read_bytes(), coordsys=coordsys, name_field=field)
    await importing.write_layer(
        tx,
        layer,
        importing.Wanted(org_unit=unit, coordsys=CoordSys.WGS84, kind=GridKind.STREET),
        now=clock.now(),
    )
    shapes = np.array(list(layer.boundaries().values()), dtype=object)
    draw = np.random.default_rng(7)
    borders = shapely.boundary(shapes)[draw.integers(0, len(shapes), 300)]
    along = shapely.line_interpolate_point(borders, draw.random(300), normalized=True)
    on_borders = shapely.get_coordinates(along)
    west, south, east, north = shapely.total_bounds(shapes)
    corners = shapely.get_coordinates(shapes)
    points = [
        *known(geo),
        *corners[:: len(corners) // 600].tolist(),
        *on_borders.tolist(),
        *(on_borders + draw.uniform(-3e-4, 3e-4, on_borders.shape)).tolist(),
        *zip(draw.uniform(west, east, 500), draw.uniform(south, north, 500), strict=True),
    ]
    index = await locating.as_seen(tx)
    assert await differences(tx, index, points) == []
    # Not a matter of which share of a layer is held.
    middle = locating.Box(*np.percentile(points, 40, axis=0), *np.percentile(points, 60, axis=0))
    inside = [
        (x, y)
        for x, y in points
        if middle.west <= x <= middle.east and middle.south <= y <= middle.north
    ]
    part = await locating.as_seen(tx, box=middle)
    assert inside and await differences(tx, part, inside) == []


_DRAW = text(
    "UPDATE grid_boundary SET boundary = ST_Multi(ST_GeomFromWKB(:wkb, 4326)) WHERE grid_id = :id"
)
LATTICE = st.tuples(st.integers(0, 8), st.integers(0, 8))
CORNERS = st.tuples(LATTICE, LATTICE, st.booleans()).filter(
    lambda drawn: drawn[0][0] != drawn[1][0] and drawn[0][1] != drawn[1][1]
)


# The same examples each time: on a slanted border PostGIS and GEOS round the last digit
# differently, and only whether a border is near within nothing at all could tell.
@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    drawn=st.lists(CORNERS, min_size=1, max_size=6),
    halves=st.lists(st.tuples(st.integers(-1, 17), st.integers(-1, 17)), min_size=1, max_size=30),
    near_m=st.sampled_from([0.001, 1.0, 15.0, 48.0, 56.0, 200.0]),
)
async def test_boxes_and_triangles_over_each_other_are_settled_alike(
    tx, branch, drawn, halves, near_m
):
    """Corners and points from one lattice, so that many lie on borders and as deep in several."""

    def at(x, y):
        return 112.6 + x / 1000, 28.9 + y / 1000

    async with tx.begin_nested() as savepoint:
        for (x1, y1), (x2, y2), whole in drawn:
            corners = [at(x1, y1), at(x2, y1), at(x2, y2)] + ([at(x1, y2)] if whole else [])
            grid = await make_grid(tx, org_unit=branch)
            await tx.execute(_DRAW, {"id": grid.id, "wkb": shapely.Polygon(corners).wkb})
        index = await locating.as_seen(tx)
        points = [at(x / 2, y / 2) for x, y in halves]
        assert await differences(tx, index, points, near_m) == []
        await savepoint.rollback()


# --- how fresh it is ------------------------------------------------------------------------------

INSIDE = (112.605, 28.905)


def holder(index, point=INSIDE):
    """The code of the grid at a point."""
    (place,) = index.locate([point[0]], [point[1]], near_m=NEAR_M).places()
    return place.grid_id and index.territory(place.grid_id).code


async def kept(database):
    async with database.begin() as tx:
        return await locating.for_keeps(tx)


@pytest.fixture
async def two_grids(real_database):
    """Grid A in the middle of which INSIDE lies, and grid B to the east; committed."""
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx, code="east")
        a = await make_grid(tx, org_unit=unit, code="A")
        b = await make_grid(tx, org_unit=unit, code="B", lon=112.61)
    return a, b


@pytest.fixture
async def elsewhere(real_database, tmp_path):
    """Another process's way to the same database."""
    url = real_database.engine.url.render_as_string(hide_password=False)
    opened = open_database(Settings(database_url=url, signing_keys=tmp_path / "keys"))
    yield opened
    await opened.close()


async def give_all_to_b(tx, a, b, now):
    """Let B take A's ground."""
    await boundaries.alone(tx)
    await boundaries.end(tx, [a.id], now=now)
    whole = shapely.MultiPolygon([shapely.box(112.6, 28.9, 112.62, 28.91)])
    await boundaries.reshape(tx, {b.id: Shape(whole, 2e6)}, source="test", now=now)


async def test_a_change_is_seen_by_the_next_who_locates_for_keeps(
    real_database, elsewhere, two_grids, clock
):
    a, b = two_grids
    assert [holder(await kept(one)) for one in (real_database, elsewhere)] == ["A", "A"]
    async with real_database.begin() as tx:
        await give_all_to_b(tx, a, b, clock.now())
    assert [holder(await kept(one)) for one in (real_database, elsewhere)] == ["B", "B"]


async def test_what_is_only_shown_is_at_most_a_second_old(
    real_database, elsewhere, two_grids, clock, monkeypatch
):
    a, b = two_grids
    at = clock.now()
    monkeypatch.setattr(locating, "wall", lambda: at)

    async def shown(database):
        async with database.read() as session:
            return holder(await locating.for_reading(session))

    assert [await shown(one) for one in (real_database, elsewhere)] == ["A", "A"]
    async with real_database.begin() as tx:
        await give_all_to_b(tx, a, b, clock.now())
    # Who changed it sees it at once.
    assert [await shown(one) for one in (real_database, elsewhere)] == ["B", "A"]
    with counted(elsewhere) as statements:
        at += timedelta(seconds=0.9)
        assert await shown(elsewhere) == "A"
        assert statements == []
        at += timedelta(seconds=0.2)
        assert await shown(elsewhere) == "B"


async def test_while_nothing_changes_one_message_asks_for_the_lock_and_the_edition(
    real_database, two_grids
):
    first = await kept(real_database)
    with counted(real_database) as statements:
        assert await kept(real_database) is first
    assert len(statements) == 1


async def test_only_what_is_new_is_fetched_and_by_one_of_all_who_wait(
    real_database, two_grids, clock
):
    _, b = two_grids
    before = await kept(real_database)
    async with real_database.begin() as tx:
        await boundaries.alone(tx)
        moved = shapely.MultiPolygon([shapely.box(112.7, 28.9, 112.71, 28.91)])
        await boundaries.reshape(tx, {b.id: Shape(moved, 1e6)}, source="test", now=clock.now())
    with counted(real_database) as statements:
        after = await asyncio.gather(*(kept(real_database) for _ in range(5)))
    assert all(one is after[0] for one in after)
    assert sum("ST_AsBinary" in statement for statement in statements) == 1
    (same,) = before.shapes.keys() & after[0].shapes.keys()
    assert after[0].shapes[same] is before.shapes[same]
    assert (holder(before, (112.615, 28.905)), holder(after[0], (112.615, 28.905))) == ("B", None)


async def test_who_changes_the_map_sees_it_and_nobody_else_until_the_commit(
    real_database, two_grids, clock
):
    a, b = two_grids
    await kept(real_database)
    async with real_database.begin() as tx:
        await give_all_to_b(tx, a, b, clock.now())
        for seen in (locating.as_seen, locating.for_keeps, locating.for_reading):
            assert holder(await seen(tx)) == "B"
        async with real_database.read() as other:
            assert holder(await locating.for_reading(other)) == "A"
        await tx.rollback()
    assert holder(await kept(real_database)) == "A"


# --- races ----------------------------------------------------------------------------------------


async def test_who_changes_the_map_waits_for_those_who_locate_for_keeps(
    real_database, two_grids, clock
):
    a, b = two_grids

    async def change():
        async with real_database.begin() as tx:
            await give_all_to_b(tx, a, b, clock.now())

    async with real_database.begin() as tx:
        assert holder(await locating.for_keeps(tx)) == "A"
        changing = asyncio.create_task(change())
        await until_waiting(real_database)
        # Whatever this transaction writes by it is right until the very end.
        assert await tx.scalar(_IN_FORCE, {"id": a.id}) == 1
    await changing
    assert holder(await kept(real_database)) == "B"


_IN_FORCE = text("SELECT count(*) FROM grid_boundary WHERE valid_to IS NULL AND grid_id = :id")


@pytest.mark.unused_database
async def test_a_part_of_the_map_is_read_along_its_index(tx, branch):
    for n in range(50):
        await make_grid(tx, org_unit=branch, lon=100 + n / 10)
    await tx.execute(text("ANALYZE grid_boundary"))
    explain = text(f"EXPLAIN {locating._PART_OF_MAP.text}")
    box = locating.Box(100.0, 28.9, 100.01, 28.91)
    plan = "\n".join(row[0] for row in await tx.execute(explain, box._asdict()))
    assert "Index Scan using ix_grid_boundary_current" in plan, plan
