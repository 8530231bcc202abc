"""Tiles of grids: what they show, to whom, and how a client knows that nothing has changed."""

import gzip
from datetime import date, timedelta

import pytest
import shapely
from sqlalchemy import text

from app.auth.rules import Role
from app.core.geo import CoordSys
from app.core.jobs import Worker
from app.grids import boundaries, tile_shapes
from app.grids.jobs import draw_shapes
from app.grids.models import Grid
from app.grids.rules import GridStage
from app.maps.queries import tiles as queries
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_contract, make_grid, make_membership
from tests.make.maps import SOUTH, WEST, WIDTH, draw_cells, features, on_map, tile_at
from tests.make.technicians import make_technician

MIDDLE = (WEST + 2 * WIDTH, SOUTH + 2 * WIDTH)
# A tile's own units a pixel, when it is drawn 512 pixels wide.
PIXEL = 4096 / 512


def by_code(answer):
    assert answer.status_code == 200, answer.text
    return {each.properties["code"]: each for each in features(answer.content, "grids")}


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize("coordsys", list(CoordSys))
async def test_a_shape_is_where_it_belongs_on_the_map_within_a_pixel(tile, cells, coordsys):
    square = shapely.box(0, 0, 4096, 4096)
    for z in (7, 8, 9, 10, 11, 12):
        place = tile_at(*MIDDLE, z, coordsys)
        shown = by_code(await tile("grids", place, coordsys=coordsys.value))
        for code, cell in cells.items():
            meant = shapely.intersection(on_map(cell, place, coordsys), square)
            if meant.area < 4 * PIXEL**2:
                continue  # not in this tile, or too small to be seen
            drawn = shapely.intersection(shown[code].geometry, square)
            assert shapely.hausdorff_distance(drawn, meant) < 1.1 * PIXEL, z


async def test_whole_from_zoom_fourteen_on(tile, cells):
    place = tile_at(*MIDDLE, 14)
    for code, feature in by_code(await tile("grids", place)).items():
        square = shapely.box(0, 0, 4096, 4096)
        meant = shapely.intersection(on_map(cells[code], place), square)
        drawn = shapely.intersection(feature.geometry, square)
        assert shapely.hausdorff_distance(drawn, meant) < 1.5


async def test_maps_of_other_systems_lie_as_far_off_as_the_shift(tile, cells):
    place = tile_at(*MIDDLE, 11)
    drawn = {
        coordsys: by_code(await tile("grids", place, coordsys=coordsys))["G05"].geometry.centroid
        for coordsys in CoordSys
    }
    metres = place.side_m / 4096
    for coordsys, least, most in ((CoordSys.GCJ02, 300, 800), (CoordSys.BD09, 700, 1700)):
        assert least < drawn[CoordSys.WGS84].distance(drawn[coordsys]) * metres < most


async def test_neighbours_show_no_gap_and_no_overlap_at_any_zoom(tile, cells):
    for z in range(5, 13):
        place = tile_at(*MIDDLE, z)
        shown = [each.geometry for each in by_code(await tile("grids", place)).values()]
        together = shapely.union_all(shown)
        # Holes inside the territory are gaps; what is counted twice is overlap. Corners come to lie
        # on whole units, so a border may be left by one of them.
        holes = sum(
            shapely.Polygon(ring).area
            for part in shapely.get_parts(together)
            for ring in part.interiors
        )
        twice = sum(each.area for each in shown) - together.area
        border = sum(each.length for each in shown)
        assert holes <= 0.02 * border, z
        assert abs(twice) <= 0.02 * border, z


async def test_a_coarse_tile_has_few_vertices(tile, cells):
    coarse = by_code(await tile("grids", tile_at(*MIDDLE, 7)))
    vertices = [shapely.get_num_coordinates(each.geometry) for each in coarse.values()]
    assert shapely.get_num_coordinates(cells["G05"]) == 57
    assert sum(vertices) / len(vertices) < 12


async def test_what_a_grid_says_of_itself(tile, tx, cells, branch, clock):
    grid_id = await tx.scalar(text("SELECT id FROM grid WHERE code = 'G05'"))
    technician = await make_technician(tx, org_unit=branch, code="T-7")
    grid = await tx.get_one(Grid, grid_id)
    await make_membership(tx, grid, technician)
    await make_contract(tx, grid, stage=GridStage.PILOT)
    shown = by_code(await tile("grids", tile_at(*MIDDLE, 11)))
    assert shown["G05"].properties == {
        "id": str(grid_id),
        "code": "G05",
        "name": "网格5",
        "kind": "compound",
        "stage": "pilot",
        "primary_code": "T-7",
        "vacant": False,
    }
    assert shown["G06"].properties["vacant"] is True
    assert "primary_code" not in shown["G06"].properties


async def test_a_reshaped_grid_and_its_neighbours_are_drawn_anew(tile, tx, cells, clock):
    ids = {row.code: row.id for row in await tx.execute(text("SELECT code, id FROM grid"))}
    place = tile_at(*MIDDLE, 11)
    before = by_code(await tile("grids", place))
    smaller = shapely.affinity.scale(cells["G05"], 0.5, 0.5)
    clock.tick(timedelta(hours=1))
    await boundaries.alone(tx)
    shape = boundaries.Shape(smaller, area_m2=1.0)
    await boundaries.reshape(tx, {ids["G05"]: shape}, source="test", now=clock.now())
    after = by_code(await tile("grids", place))
    assert after["G05"].geometry.area == pytest.approx(before["G05"].geometry.area / 4, rel=0.02)
    await boundaries.end(tx, [ids["G05"]], now=clock.now())
    assert "G05" not in by_code(await tile("grids", place))


async def test_grids_made_past_the_boundaries_are_drawn_by_the_worker(
    tile, tx, database, settings, branch, clock
):
    grid = await make_grid(tx, org_unit=branch, code="old", lon=WEST, lat=SOUTH)
    place = tile_at(WEST, SOUTH, 10)
    assert (await tile("grids", place)).status_code == 204
    assert await tile_shapes.not_drawn(tx, most=5) == [grid.id]
    await draw_shapes(Worker(settings, clock, database))
    assert await tile_shapes.not_drawn(tx, most=5) == []
    assert list(by_code(await tile("grids", place))) == ["old"]


# --- to whom --------------------------------------------------------------------------------------


async def test_only_grids_of_the_callers_part_are_shown(app, tile, tx, cells, branch, clock):
    other = await make_org_unit(tx, code="west")
    below = await make_org_unit(tx, parent=branch)
    await draw_cells(tx, other, clock.now(), side=2, prefix="X", west=WEST - 2 * WIDTH)
    await draw_cells(tx, below, clock.now(), side=2, prefix="B", west=WEST + 5 * WIDTH)
    place = tile_at(*MIDDLE, 7)
    mine = by_code(await tile("grids", place))
    assert {code[0] for code in mine} == {"G", "B"}
    others = bearer(app, caller_for(Role.SUPERVISOR, other))
    assert {code[0] for code in by_code(await tile("grids", place, headers=others))} == {"X"}


@pytest.mark.parametrize("layer", ["grids", "orders", "technicians"])
async def test_whoever_may_not_see_a_layer_gets_none(app, http, tile, branch, layer):
    place = tile_at(*MIDDLE, 10)
    path = f"/v1/tiles/{layer}/{place.z}/{place.x}/{place.y}.mvt"
    assert (await http.get(path)).status_code == 401
    assert (await http.get(f"/v1/tiles/{layer}.json")).status_code == 401
    for role in (Role.TECHNICIAN, Role.INTEGRATION):
        headers = bearer(app, caller_for(role, branch))
        assert (await tile(layer, place, headers=headers)).status_code == 403
    less = frozenset({"me:read", "catalog:read"})
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch, scopes=less))
    assert (await tile(layer, place, headers=headers)).status_code == 403


# --- known again ----------------------------------------------------------------------------------


async def test_an_unchanged_tile_is_not_sent_again(tile, cells, database):
    place = tile_at(*MIDDLE, 9)
    first = await tile("grids", place)
    again = await tile("grids", place, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == "private, no-cache"
    with counted(database) as statements:
        await tile("grids", place, headers={"if-none-match": first.headers["etag"]})
        # A tile asked for by another client of the same part of the organisation is on the shelf.
        assert (await tile("grids", place)).content == first.content
    assert [statement.split()[1] for statement in statements] == ["edition", "edition"]


async def test_every_tile_system_and_part_of_the_organisation_has_its_own_tag(
    app, tile, tx, cells, branch
):
    below = await make_org_unit(tx, parent=branch)
    place, beside = tile_at(*MIDDLE, 9), tile_at(WEST + 1, SOUTH, 9)
    other = bearer(app, caller_for(Role.SUPERVISOR, below))
    answers = [
        await tile("grids", place),
        await tile("grids", place, coordsys="gcj02"),
        await tile("grids", beside),
        await tile("grids", place, headers=other),
        await tile("grids", place, headers={"accept-encoding": "identity"}),
    ]
    assert len({answer.headers["etag"] for answer in answers}) == 5


async def test_what_a_tile_shows_changes_its_tag(tile, tx, database, cells, branch, clock):
    place = tile_at(*MIDDLE, 9)

    async def tag():
        database.cache.pop("maps.mark", None)  # as some seconds later
        return (await tile("grids", place)).headers["etag"]

    grid_id = await tx.scalar(text("SELECT id FROM grid WHERE code = 'G05'"))
    grid = await tx.get_one(Grid, grid_id)
    technician = await make_technician(tx, org_unit=branch)
    seen = [await tag()]
    await tx.execute(text("UPDATE grid SET name = '新名' WHERE code = 'G05'"))
    seen.append(await tag())
    membership = await make_membership(tx, grid, technician)
    seen.append(await tag())
    membership.valid_to = date(2026, 3, 3)  # from tomorrow on
    await tx.flush()
    assert await tag() == seen[-1]
    clock.tick(timedelta(days=1))
    assert await tag() == seen[-2]  # it says again what it said before
    await make_contract(tx, grid, stage=GridStage.PILOT)
    seen.append(await tag())
    assert len(set(seen)) == len(seen)


async def test_a_new_edition_of_the_map_shows_at_once(tile, tx, cells, clock):
    place = tile_at(*MIDDLE, 9)
    first = await tile("grids", place)
    grid_id = await tx.scalar(text("SELECT id FROM grid WHERE code = 'G05'"))
    await boundaries.end(tx, [grid_id], now=clock.now())
    again = await tile("grids", place, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 200
    assert "G05" not in by_code(again)


# --- form -----------------------------------------------------------------------------------------


async def test_packed_for_whoever_can_unpack(http, tile, cells):
    place = tile_at(*MIDDLE, 9)
    packed = await tile("grids", place)
    plain = await tile("grids", place, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert packed.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert "Accept-Encoding" in packed.headers["vary"]
    assert gzip.decompress(gzip.compress(plain.content)) == plain.content


@pytest.mark.parametrize("layer", ["grids", "orders", "technicians"])
async def test_where_nothing_is_there_is_no_content(tile, cells, layer):
    answer = await tile(layer, tile_at(-100, 40, 9))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["etag"]


@pytest.mark.parametrize(
    "address", ["23/0/0", "1/2/0", "1/0/2", "-1/0/0", "0/-1/0", "3/0/-1", "22/4194304/0"]
)
async def test_beyond_the_map_there_is_no_tile(http, supervisor, address):
    answer = await http.get(f"/v1/tiles/grids/{address}.mvt", headers=supervisor)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:yingwei:problem:tile-outside"


async def test_an_unknown_layer_or_system_is_refused(http, supervisor):
    answer = await http.get("/v1/tiles/customers/1/0/0.mvt", headers=supervisor)
    assert answer.status_code == 404
    answer = await http.get("/v1/tiles/grids/1/0/0.mvt?coordsys=mars", headers=supervisor)
    assert answer.status_code == 422


@pytest.mark.parametrize("layer", ["grids", "orders", "technicians"])
async def test_the_description_of_a_layer_is_true(http, tile, supervisor, cells, layer):
    answer = await http.get(f"/v1/tiles/{layer}.json?coordsys=gcj02", headers=supervisor)
    told = answer.json()
    assert told["tilejson"] == "3.0.0" and told["scheme"] == "xyz"
    (address,) = told["tiles"]
    assert address == (f"http://yingwei.test/v1/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt?coordsys=gcj02")
    (only,) = told["vector_layers"]
    assert only["id"] == layer and (only["minzoom"], only["maxzoom"]) == (told["minzoom"], 16)
    place = tile_at(*MIDDLE, told["maxzoom"], CoordSys.GCJ02)
    filled = address.format(z=place.z, x=place.x, y=place.y)
    shown = await http.get(filled, headers=supervisor)
    assert shown.status_code == (200 if layer == "grids" else 204)
    for each in features(shown.content, layer):
        assert set(each.properties) <= set(only["fields"])
    west, south, east, north = told["bounds"]
    assert west < MIDDLE[0] < east and south < MIDDLE[1] < north
    if layer == "grids":
        assert east - west < 0.2


# --- what it costs --------------------------------------------------------------------------------


@pytest.mark.unused_database
async def test_a_tile_is_three_statements_along_the_index(
    tile, tx, database, settings, branch, clock
):
    await draw_cells(tx, branch, clock.now(), side=20, pieces=1)
    await draw_shapes(Worker(settings, clock, database))  # so many are not drawn at once
    await tx.execute(
        text("ANALYZE grid_tile_shape, grid, org_unit, grid_contract, grid_membership, technician")
    )
    place = tile_at(*MIDDLE, 13)
    with counted(database) as statements:
        await tile("grids", place)
    assert len(statements) == 3
    given = {**place._asdict(), "coordsys": "wgs84", "path": branch.path, "now": clock.now()}
    explain = text(f"EXPLAIN {queries._GRIDS.text}")
    plan = "\n".join(row[0] for row in await tx.execute(explain, given))
    assert "ix_grid_tile_shape_shape" in plan, plan
    assert "Seq Scan on grid_tile_shape" not in plan, plan
