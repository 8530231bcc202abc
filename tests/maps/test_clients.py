"""A real client on a real server: GDAL reads the features as QGIS does, and draws the tiles."""

import asyncio
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

import httpx
import pyogrio
import pytest
import shapely

from app.auth import tokens
from app.auth.keys import KeyRing
from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import open_database
from app.core.geo import CoordSys
from app.core.settings import Settings
from app.demo.processes import READY_SECONDS, Process, free_port
from tests.make.auth import caller_for, make_org_unit
from tests.make.maps import SOUTH, WEST, WIDTH, draw_cells, on_map, tile_at

DRIVERS = pyogrio.list_drivers()


class Server(NamedTuple):
    """A server with a territory of 64 grids, the shapes by code, and its supervisor's token."""

    url: str
    cells: dict[str, shapely.MultiPolygon]
    token: str


@pytest.fixture(scope="module")
def server(databases, tmp_path_factory):
    """The API as `yingwei serve` runs it, with 64 grids of a branch and four of another."""
    folder, port = tmp_path_factory.mktemp("maps"), free_port()
    with databases.clone() as url:
        settings = Settings(database_url=url, signing_keys=folder / "keys")

        async def fill():
            database = open_database(settings)
            async with database.begin() as tx:
                branch, other = await make_org_unit(tx, code="east"), await make_org_unit(tx)
                now = datetime(2026, 1, 1, tzinfo=UTC)
                cells = await draw_cells(tx, branch, now, side=8)
                await draw_cells(tx, other, now, side=2, prefix="X", west=WEST + 1)
            await database.close()
            return branch, cells

        branch, cells = asyncio.run(fill())
        keys = KeyRing.load(settings.signing_keys)
        token = tokens.issue(keys, settings, caller_for(Role.SUPERVISOR, branch), wall())
        process = Process(
            "api",
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
            {
                "DATABASE_URL": url,
                "YINGWEI_SIGNING_KEYS": str(settings.signing_keys),
                "YINGWEI_LOG_LEVEL": "WARNING",
            },
            folder / "api.log",
        )
        process.start()
        try:
            address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + READY_SECONDS
            while True:
                with suppress(httpx.HTTPError):
                    if httpx.get(f"{address}/readyz", timeout=2).status_code == 200:
                        break
                assert process.alive() and time.monotonic() < deadline, process.tail()
                time.sleep(0.1)
            yield Server(address, cells, token)
        finally:
            process.stop()


@pytest.fixture
def gdal(server):
    """GDAL with the supervisor's token."""
    if "OAPIF" not in DRIVERS:
        pytest.skip("this GDAL has no driver for OGC API - Features")
    pyogrio.set_gdal_config_options(
        {"GDAL_HTTP_AUTH": "BEARER", "GDAL_HTTP_BEARER": server.token, "GDAL_HTTP_MAX_RETRY": "0"}
    )
    yield f"OAPIF:{server.url}/ogc"
    pyogrio.set_gdal_config_options(
        {"GDAL_HTTP_AUTH": None, "GDAL_HTTP_BEARER": None, "GDAL_HTTP_MAX_RETRY": None}
    )


def read(source, **options):
    """Read a layer with GDAL: its facts, the shapes, and the fields by name."""
    facts, _, shapes, fields = pyogrio.raw.read(source, **options)
    return facts, shapely.from_wkb(shapes), dict(zip(facts["fields"], fields, strict=True))


def test_gdal_finds_the_collection(gdal):
    assert pyogrio.list_layers(gdal).tolist() == [["grids", "MultiPolygon"]]
    facts = pyogrio.read_info(gdal, layer="grids", force_total_bounds=True)
    assert facts["features"] == 64
    west, south, east, north = facts["total_bounds"]
    assert WEST - WIDTH < west < WEST + WIDTH and SOUTH - WIDTH < south < SOUTH + WIDTH
    assert east < WEST + 9 * WIDTH and north < SOUTH + 9 * WIDTH


def test_gdal_reads_every_grid_page_by_page(gdal, server):
    facts, shapes, fields = read(gdal, layer="grids", PAGE_SIZE="10")
    assert facts["crs"] in ("OGC:CRS84", "EPSG:4326")
    assert fields["code"].tolist() == sorted(server.cells)
    assert set(fields) >= {"id", "code", "name", "kind", "stage", "valid_from", "area_m2"}
    for code, shape in zip(fields["code"], shapes, strict=True):
        assert shape.equals(server.cells[code])


def test_gdal_reads_a_box_and_another_time(gdal, server):
    box = (WEST + WIDTH, SOUTH + WIDTH, WEST + 2 * WIDTH, SOUTH + 2 * WIDTH)
    _, _, fields = read(gdal, layer="grids", bbox=box)
    meant = [code for code, cell in server.cells.items() if cell.intersects(shapely.box(*box))]
    assert fields["code"].tolist() == meant
    _, shapes, _ = read(gdal, layer="grids", DATETIME="2025-12-31T00:00:00Z")
    assert len(shapes) == 0


def test_without_a_token_gdal_finds_nothing(gdal):
    pyogrio.set_gdal_config_options({"GDAL_HTTP_AUTH": None, "GDAL_HTTP_BEARER": None})
    with pytest.raises(pyogrio.errors.DataSourceError):
        pyogrio.list_layers(gdal)


@pytest.mark.skipif("MVT" not in DRIVERS, reason="this GDAL cannot read vector tiles")
@pytest.mark.parametrize("coordsys", list(CoordSys))
def test_gdal_draws_a_tile(server, tmp_path, coordsys):
    lon, lat = WEST + 4 * WIDTH, SOUTH + 4 * WIDTH
    place = tile_at(lon, lat, 10, coordsys)
    address = f"{server.url}/v1/tiles/grids/{place.z}/{place.x}/{place.y}.mvt"
    answer = httpx.get(
        address,
        params={"coordsys": coordsys.value},
        headers={"authorization": f"Bearer {server.token}"},
    )
    # GDAL takes a tile's place from its path.
    file = tmp_path / str(place.z) / str(place.x) / f"{place.y}.pbf"
    file.parent.mkdir(parents=True)
    file.write_bytes(answer.content)
    facts, shapes, fields = read(file, layer="grids")
    assert facts["crs"] == "EPSG:3857"
    square = shapely.box(0, 0, 4096, 4096)
    seen = 0
    for code, shape in zip(fields["code"], shapes, strict=True):
        drawn = shapely.intersection(shapely.transform(shape, place.units), square)
        meant = shapely.intersection(on_map(server.cells[code], place, coordsys), square)
        if meant.area > 1000:
            assert shapely.hausdorff_distance(drawn, meant) < 9
            seen += 1
    assert seen > 20
