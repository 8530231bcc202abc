"""`yingwei grids import` as an office runs it, on a database of its own."""

import json

import pytest
import shapely
from sqlalchemy import text

from tests.grids.geojson import feature, layer, square
from tests.grids.packed import geopackage, shapefile
from tests.make.auth import make_org_unit
from tests.make.commands import started, told


@pytest.fixture
async def east(real_database):
    """The org unit that gets the grids."""
    async with real_database.begin() as tx:
        return await make_org_unit(tx, code="east")


@pytest.fixture
def yingwei(real_database, east, tmp_path):
    """Run `yingwei grids import` and give what it said and how it ended."""

    async def run(data, *options, does="import", by=told):
        file = tmp_path / "layer.geojson"
        if data is not None:
            file.write_bytes(data)
        url = real_database.engine.url.set(drivername="postgresql")
        environment = {
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "COLUMNS": "120",
        }
        return await by("grids", does, file, *options, env=environment)

    return run


async def rows(database, statement):
    async with database.read() as read:
        return (await read.execute(text(statement))).all()


OPTIONS = ("--coordsys", "wgs84", "--name-field", "name", "--org-unit", "east")


async def test_boston_by_command_line_twice(geo, real_database, yingwei):
    data = (geo / "boston/precincts.geojson").read_bytes()
    options = ("--coordsys", "wgs84", "--name-field", "precinct", "--org-unit", "east")
    done = await yingwei(data, *options, by=started)
    assert done.returncode == 0, done.stderr
    assert "255 features give 253 grids: 251 imported, 4 merged" in done.stdout
    assert "23 pairs overlap" in done.stdout and "11 holes" in done.stdout
    assert "253 grids created, 0 reshaped, 0 unchanged" in done.stdout
    again = await yingwei(data, *options)
    assert "0 grids created, 0 reshaped, 253 unchanged" in again.stdout
    trail = "SELECT changes FROM audit_entry WHERE action = 'command_line_grids_import'"
    (entry,) = await rows(real_database, trail)
    counts = {change["table"]: change["count"] for change in entry.changes}
    assert counts == {"grid": 253, "grid_boundary": 253, "grid_change": 1}


async def test_a_dry_run_writes_nothing(real_database, yingwei):
    done = await yingwei(layer(feature("甲")), *OPTIONS, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1 grids created" in done.stdout and "nothing was written" in done.stdout
    assert await rows(real_database, "SELECT FROM grid") == []
    assert await rows(real_database, "SELECT FROM audit_entry WHERE action LIKE '%grids%'") == []


async def test_what_is_refused_is_named_and_can_be_left_out(real_database, yingwei):
    data = layer(feature("甲"), feature("乙", geometry=None))
    done = await yingwei(data, *OPTIONS)
    assert done.returncode == 1
    assert "乙" in done.stdout and "The feature has no geometry" in done.stdout
    assert "有 1 个要素无法导入" in done.stderr and "skip_refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert await rows(real_database, "SELECT FROM grid") == []
    done = await yingwei(data, *OPTIONS, "--skip-refused", "--prefix", "E.")
    assert done.returncode == 0, done.stderr
    assert await rows(real_database, "SELECT code, name FROM grid") == [("E.甲", "甲")]


async def test_a_zipped_shapefile_replaces_and_an_export_brings_it_back(
    real_database, yingwei, tmp_path
):
    metres = [shapely.box(448_000 + n * 2_000, 4_417_000, 449_000 + n * 2_000, 4_418_000)
              for n in range(3)]  # fmt: skip
    columns = {"name": ["甲", "乙", "丙"]}
    # Whatever the file is called, its content says what it is.
    done = await yingwei(shapefile(metres, columns, crs="EPSG:4548", encoding="GBK"), *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert "Shapefile, grids, EPSG:4548, gb18030" in done.stdout
    assert "transformed from EPSG:4548" in done.stdout
    assert "3 grids created" in done.stdout and "grids relocate" in done.stdout
    done = await yingwei(geopackage(metres[:2], {"name": ["甲", "乙"]}, crs="EPSG:4548"), *OPTIONS,
                         "--mode", "replace")  # fmt: skip
    assert "2 unchanged, 0 renamed, 1 retired" in done.stdout
    assert "retired, with 0 memberships: 丙" in done.stdout

    options = ("--coordsys", "gcj02", "--org-unit", "east")
    done = await yingwei(None, *options, does="export")
    assert done.returncode == 0, done.stderr
    exported = (tmp_path / "layer.geojson").read_bytes()
    assert [row["properties"]["code"] for row in json.loads(exported)["features"]] == ["乙", "甲"]
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    again = ("--coordsys", "gcj02", "--name-field", "name", "--org-unit", "east", "--dry-run")
    assert "0 reshaped, 2 unchanged" in (await yingwei(exported, *again)).stdout
    # It says its system itself.
    wrong = await yingwei(exported, *OPTIONS)
    assert wrong.returncode == 1 and "contradicts the declared wgs84" in wrong.stderr


async def test_a_great_repair_has_to_be_accepted(real_database, yingwei):
    bow = [[116.4, 39.9], [116.41, 39.91], [116.41, 39.9], [116.4, 39.91], [116.4, 39.9]]
    done = await yingwei(layer(feature("蝶", bow)), *OPTIONS)
    assert done.returncode == 1 and "0 repaired, 1 refused" in done.stdout
    done = await yingwei(layer(feature("蝶", bow)), *OPTIONS, "--accept-repair")
    assert done.returncode == 0, done.stderr
    assert await rows(real_database, "SELECT code FROM grid") == [("蝶",)]


@pytest.mark.parametrize(
    "data, options, words",
    [
        (b"{", OPTIONS, "The file is not JSON"),
        (layer(feature("甲", square())), (*OPTIONS[:-1], "west"), "It does not exist"),
    ],
    ids=["not JSON", "no such unit"],
)
async def test_what_cannot_be_done_is_said_in_words(yingwei, data, options, words):
    done = await yingwei(data, *options)
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr
