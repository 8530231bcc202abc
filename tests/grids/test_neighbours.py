"""Who is whose neighbour, with PostGIS as the judge."""

import pytest
from sqlalchemy import text

from tests.grids.geojson import layer, square
from tests.grids.test_import import coded

# On the ellipsoid, pair by pair, as nobody would want to wait for it.
JUDGE = text(
    """
    SELECT a.grid_id AS one, b.grid_id AS other,
        ST_Distance(a.boundary::geography, b.boundary::geography) AS metres
    FROM grid_boundary a JOIN grid_boundary b ON a.grid_id <> b.grid_id
        AND a.boundary && ST_Expand(b.boundary, 0.002)
    WHERE a.valid_to IS NULL AND b.valid_to IS NULL
    """
)


async def check(tx):
    """Compare what is kept with what the judge finds; give how many pairs there are."""
    judged = {(row.one, row.other): row.metres for row in await tx.execute(JUDGE)}
    statement = text("SELECT grid_id, neighbour_id, distance_m FROM grid_neighbour")
    kept = {(row.grid_id, row.neighbour_id): row.distance_m for row in await tx.execute(statement)}
    assert kept.keys() == {pair for pair, metres in judged.items() if metres <= 50}
    for pair, metres in kept.items():
        assert metres == pytest.approx(judged[pair], rel=0.001, abs=0.001)
    return len(kept)


async def test_bostons_precincts(tx, boston):
    assert await check(tx) > 1_000


@pytest.mark.parametrize("lat", [0.0, 39.9, 60.0])
async def test_a_street_wide_or_narrow_lies_between(tx, import_layer, lat):
    metres = (0, 0.5, 20, 49, 51, 300)
    rows = []
    lon = 110.0
    for number, gap in enumerate(metres):
        lon += gap / (111_320 * {0.0: 1.0, 39.9: 0.7672, 60.0: 0.5}[lat])
        rows.append(coded(f"A{number}", str(number), square(lon, lat)))
        lon += 0.01
    await import_layer(layer(*rows), code_field="code")
    assert await check(tx) == 2 * 3


async def test_one_grid_that_moves_finds_new_neighbours_among_those_that_stay(tx, import_layer):
    rows = [coded(f"A{n}", str(n), square(lon=116.4 + n / 100)) for n in range(4)]
    await import_layer(layer(*rows), code_field="code")
    assert await check(tx) == 6
    moved = coded("A0", "0", square(lon=116.44))
    await import_layer(layer(moved), code_field="code")
    assert await check(tx) == 6
