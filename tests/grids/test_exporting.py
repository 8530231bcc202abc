"""Layers out: what an export holds, for whom, as of when, and that an import reads it again."""

import json
from datetime import timedelta

import pytest
import shapely
from sqlalchemy import text

from app.auth.rules import Role
from app.core.geo import CoordSys
from app.grids import exporting
from tests.grids.geojson import layer, square
from tests.grids.test_import import coded
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_grid
from tests.make.technicians import make_technician

HOLED = [square(), square(116.403, 39.903, 0.002)]


@pytest.fixture
def export(http, supervisor):
    """Export grids as the branch's supervisor would, in WGS-84 unless told."""

    async def get(headers=supervisor, **parameters):
        more = parameters.pop("more", {})
        given = {"coordsys": "wgs84"} | parameters
        return await http.get("/v1/grids/export", params=given, headers=headers | more)

    return get


def codes(answer):
    return [row["properties"]["code"] for row in answer.json()["features"]]


async def test_an_export_is_geojson_as_the_rfc_has_it(tx, branch, export, import_layer):
    await import_layer(layer(coded("A2", "甲", *HOLED), coded("A1", "乙", square(lon=116.5))),
                       code_field="code")  # fmt: skip
    grid_id = await tx.scalar(text("SELECT id FROM grid WHERE code = 'A2'"))
    person = await make_technician(tx, org_unit=branch, code="T-7")
    await tx.execute(
        text(
            "INSERT INTO grid_membership (id, grid_id, technician_id, kind, valid_from)"
            " VALUES (gen_random_uuid(), :grid, :person, 'primary', '2026-01-01')"
        ),
        {"grid": grid_id, "person": person.id},
    )
    answer = await export()
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    file = "grids-east-20260302-wgs84.geojson"
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{file}"
    document = json.loads(answer.text, object_pairs_hook=list)
    assert [name for name, _ in document] == ["type", "coordsys", "features"]
    first = dict(document)["features"][0]
    assert [name for name, _ in first] == ["type", "id", "geometry", "properties"]
    assert [name for name, _ in dict(first)["geometry"]] == ["type", "coordinates"]
    assert codes(answer) == ["A1", "A2"]
    row = answer.json()["features"][1]
    assert row["properties"] == {
        "code": "A2",
        "name": "甲",
        "kind": "compound",
        "stage": "none",
        "org_unit_code": "east",
        "area_m2": row["properties"]["area_m2"],
        "primary_technician_code": "T-7",
    }
    assert answer.json()["features"][0]["properties"]["primary_technician_code"] is None
    # The right-hand rule: shells counter-clockwise, holes clockwise.
    ((shell, hole),) = row["geometry"]["coordinates"]
    assert shapely.LinearRing(shell).is_ccw and not shapely.LinearRing(hole).is_ccw
    assert all(len(repr(value).partition(".")[2]) <= 7 for point in shell for value in point)


async def test_only_the_callers_part_is_exported_and_of_that_the_unit_asked_for(
    app, tx, branch, export
):
    crew = await make_org_unit(tx, code="crew", parent=branch)
    west = await make_org_unit(tx, code="west")
    for unit, code in ((branch, "B"), (crew, "C"), (west, "W")):
        await make_grid(tx, org_unit=unit, code=code)
    assert codes(await export()) == ["B", "C"]
    assert codes(await export(org_unit_code="crew")) == ["C"]
    assert (await export(org_unit_code="west")).status_code == 404
    other = bearer(app, caller_for(Role.SUPERVISOR, west))
    assert codes(await export(headers=other)) == ["W"]
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch))
    assert (await export(headers=phone)).status_code == 403


async def test_as_of_a_moment(export, import_layer, clock):
    await import_layer(layer(coded("A1", "甲"), coded("A2", "乙", square(lon=116.5))),
                       code_field="code")  # fmt: skip
    clock.tick(timedelta(days=2))
    moved = layer(coded("A1", "甲", square(lon=116.401)))
    await import_layer(moved, code_field="code", mode="replace")
    now, before = await export(), await export(at="2026-03-03T00:00:00+08:00")
    assert (codes(now), codes(before)) == (["A1"], ["A1", "A2"])
    west = [
        min(point[0] for point in answer.json()["features"][0]["geometry"]["coordinates"][0][0])
        for answer in (now, before)
    ]
    assert west == [116.401, 116.4]
    assert "20260303" in before.headers["content-disposition"]
    assert codes(await export(at="2020-01-01T00:00:00+08:00")) == []


async def test_the_etag_tells_whether_the_document_would_be_another(
    tx, branch, export, import_layer, clock
):
    await import_layer(layer(coded("A1", "甲")), code_field="code")
    mark = (await export()).headers["etag"]
    clock.tick(timedelta(minutes=5))
    again = await export(more={"if-none-match": mark})
    assert (again.status_code, again.content) == (304, b"")
    assert (await export(coordsys="gcj02")).headers["etag"] != mark
    for change in (
        "UPDATE grid SET name = '改'",
        "INSERT INTO grid_contract (id, grid_id, stage, valid_from)"
        " SELECT gen_random_uuid(), id, 'pilot', '2026-01-01' FROM grid",
    ):
        await tx.execute(text(change))
        answer = await export(more={"if-none-match": mark})
        assert (answer.status_code, answer.headers["etag"] != mark) == (200, True)
        mark = answer.headers["etag"]
    assert answer.json()["features"][0]["properties"]["stage"] == "pilot"


async def test_many_grids_are_read_in_pages(database, tx, branch, export):
    unit = branch
    await tx.execute(
        text(
            """
            WITH made AS (
                INSERT INTO grid (id, org_unit_id, code, name, kind)
                SELECT gen_random_uuid(), :unit, 'G' || lpad(n::text, 4, '0'), 'g', 'compound'
                FROM generate_series(1, 450) n RETURNING id
            )
            INSERT INTO grid_boundary (id, grid_id, boundary, area_m2, valid_from, source)
            SELECT gen_random_uuid(), id, ST_Multi(ST_MakeEnvelope(116, 39, 116.1, 39.1, 4326)),
                1e6, '2026-01-01', 'test' FROM made
            """
        ),
        {"unit": unit.id},
    )
    with counted(database) as statements:
        answer = await export()
    assert codes(answer) == [f"G{n:04}" for n in range(1, 451)]
    pages = [one for one in statements if "ST_AsBinary" in one]
    assert len(pages) == 3


@pytest.mark.parametrize("coordsys", CoordSys)
@pytest.mark.parametrize("file", ["boston", "beijing"])
async def test_what_is_exported_and_imported_again_is_unchanged(
    geo, export, import_layer, coordsys, file
):
    if file == "boston":
        data, given = (geo / "boston/precincts.geojson").read_bytes(), {"name_field": "precinct"}
    else:  # Districts have edges of many kilometres, and shapes repaired and bent.
        data = (geo / "beijing/districts_16_echarts.geojson").read_bytes()
        given = {"coordsys": "gcj02"}
    first = (await import_layer(data, **given)).json()
    answer = await export(coordsys=coordsys.value)
    again = await import_layer(
        answer.content, coordsys=coordsys.value, code_field="code", dry_run=True
    )
    report = again.json()
    assert sorted(report["unchanged"]) == sorted(first["created"])
    assert (report["created"], report["reshaped"], report["renamed"]) == ([], [], [])
    assert report["counts"]["refused"] == report["counts"]["repaired"] == 0


async def test_a_move_of_five_centimetres_is_a_change(export, import_layer):
    await import_layer(layer(coded("A1", "甲")), code_field="code")
    for metres, found in ((0.005, "unchanged"), (0.05, "reshaped")):
        ring = [[lon, lat + metres / 111_000] for lon, lat in square()]
        report = (await import_layer(layer(coded("A1", "甲", ring)), code_field="code",
                                     dry_run=True)).json()  # fmt: skip
        assert report[found] == ["A1"]


@pytest.mark.unused_database
async def test_the_hot_statements_use_the_index_of_a_grids_boundaries(tx):
    await tx.execute(text("SET LOCAL enable_seqscan = off"))
    given = {"path": "gd.", "at": "2026-03-02T00:00:00Z", "after": "", "size": 200}
    lines = await tx.scalars(text(f"EXPLAIN {exporting._SOME.text}"), given)
    assert "ex_grid_boundary_one_at_a_time" in "\n".join(lines)
