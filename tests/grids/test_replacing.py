"""An import as a change of the map: done once, replacing, repairing only so much, and in doubt."""

import asyncio
from datetime import date, timedelta

import numpy as np
import pytest
import shapely
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.core.geo import CoordSys, from_wgs84
from app.grids.models import GridBoundary, GridChange, GridMembership
from app.grids.rules import MembershipKind
from tests.grids.geojson import feature, layer, square
from tests.grids.packed import geopackage, shapefile
from tests.grids.test_import import coded, names_of
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.grids import make_grid
from tests.make.technicians import make_technician

A, B, C = (coded(f"A{n}", name, square(lon=116.4 + n / 50)) for n, name in enumerate("甲乙丙"))


@pytest.fixture
def by_code(import_layer):
    """Import a layer whose features give the codes, and give the report."""

    async def send(*rows, **parameters):
        data = rows[0] if isinstance(rows[0], bytes) else layer(*rows)
        return await import_layer(data, **({"code_field": "code"} | parameters))

    return send


async def in_force(tx):
    statement = text(
        "SELECT g.code FROM grid g JOIN grid_boundary b ON b.grid_id = g.id"
        " WHERE b.valid_to IS NULL AND g.retired_at IS NULL ORDER BY g.code"
    )
    return list(await tx.scalars(statement))


async def told_of(tx):
    """The changes that the worker was told of."""
    statement = text(
        "SELECT args ->> 'change_id' FROM procrastinate_jobs WHERE task_name = 'map.changed'"
    )
    return list(await tx.scalars(statement))


# --- other formats, by the same doorway -----------------------------------------------------------


@pytest.mark.parametrize("pack", [shapefile, geopackage], ids=["Shapefile", "GeoPackage"])
async def test_a_packed_layer_comes_in_by_the_same_doorway(tx, import_layer, pack):
    shapes = [shapely.box(448_000 + n * 2_000, 4_417_000, 449_000 + n * 2_000, 4_418_000)
              for n in range(3)]  # fmt: skip
    data = pack(shapes, {"name": list("甲乙丙"), "code": ["A", "B", "C"]}, crs="EPSG:4548")
    parameters = {"code_field": "code", "file_name": "网格.zip"}
    answer = await import_layer(data, **parameters)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["created"] == ["A", "B", "C"]
    read_as = report["file"]
    assert read_as["format"] == ("Shapefile" if pack is shapefile else "GeoPackage")
    assert (read_as["layer"], read_as["crs"]) == ("grids", "EPSG:4548")
    assert [one["code"] for one in read_as["findings"]] == ["crs-transformed"]
    assert await tx.scalar(select(GridBoundary.source).limit(1)) == "import:网格.zip:wgs84"
    again = (await import_layer(data, **parameters)).json()
    assert (again["unchanged"], again["change_id"]) == (["A", "B", "C"], None)


async def test_what_is_not_a_layer_is_refused_with_words(import_layer):
    answer = await import_layer(b"Rar!\x1a\x07\x00")
    assert answer.status_code == 422
    assert "a zip of .shp, .shx, .dbf and .prj" in answer.json()["detail"]


# --- a change -------------------------------------------------------------------------------------


async def test_an_import_is_a_change_of_the_map_that_the_worker_hears_of(tx, branch, by_code):
    first = (await by_code(A, B, file_name="east.geojson")).json()
    change = await tx.get(GridChange, first["change_id"])
    assert (change.kind, change.org_unit_id) == ("import", branch.id)
    assert change.asked["file"] == "east.geojson" and len(change.asked["sha256"]) == 64
    assert change.asked["coordsys"] == "wgs84" and change.asked["code_field"] == "code"
    assert len(change.grid_ids) == 2
    boundaries = (await tx.scalars(select(GridBoundary.change_id))).all()
    assert boundaries == [change.id, change.id]
    assert await told_of(tx) == [str(change.id)]
    # What changes nothing is no change, and nobody need hear of it.
    assert (await by_code(A, B)).json()["change_id"] is None
    assert (await by_code(A, B, dry_run=True)).json()["change_id"] is None
    assert len(await told_of(tx)) == 1


async def test_an_import_sent_again_with_its_id_is_done_once_and_answered_alike(tx, by_code, clock):
    asked = {"change_id": str(new_id())}
    first = (await by_code(A, B, **asked)).json()
    assert first["change_id"] == asked["change_id"]
    clock.tick(timedelta(hours=1))
    assert (await by_code(A, B, **asked)).json() == first
    assert len(await told_of(tx)) == 1
    other = await by_code(A, B, C, **asked)
    assert other.status_code == 409
    assert other.json()["type"] == "urn:yingwei:problem:same-id-other-content"
    assert (await by_code(A, B, mode="replace", **asked)).status_code == 409
    assert await in_force(tx) == ["A0", "A1"]


async def test_an_id_of_anothers_import_is_taken(app, http, tx, branch, by_code):
    asked = {"change_id": str(new_id())}
    await by_code(A, **asked)
    answer = await http.post(
        "/v1/grids/import",
        params={"coordsys": "wgs84", "name_field": "name", "code_field": "code"} | asked,
        content=layer(A),
        headers=bearer(app, caller_for(Role.ADMIN, branch)),
    )
    assert answer.status_code == 409


# --- replace --------------------------------------------------------------------------------------


async def test_replacing_retires_what_is_not_in_the_file(tx, branch, by_code, clock):
    await by_code(A, B, C)
    grids = {row.code: row.id for row in await tx.execute(text("SELECT code, id FROM grid"))}
    person = await make_technician(tx, org_unit=branch)
    memberships = {}
    for name, since, until in (
        ("runs", date(2026, 1, 1), None),
        ("to come", date(2026, 6, 1), None),
        ("past", date(2025, 1, 1), date(2025, 2, 1)),
    ):
        row = GridMembership(
            grid_id=grids["A1"], technician_id=person.id, kind=MembershipKind.BACKUP,
            valid_from=since, valid_to=until,
        )  # fmt: skip
        tx.add(row)
        memberships[name] = row
    await tx.flush()
    await tx.execute(
        text(
            "INSERT INTO grid_list_entry (id, grid_id, kind, district_path, name, valid_from)"
            " VALUES (gen_random_uuid(), :id, 'compound', 'east.', '碧波园', :now)"
        ),
        {"id": grids["A1"], "now": clock.now()},
    )
    clock.tick(timedelta(days=1))

    seen = (await by_code(A, C, mode="replace", dry_run=True)).json()
    assert (seen["retired"], seen["memberships_ended"]) == (["A1"], 2)
    assert await in_force(tx) == ["A0", "A1", "A2"]

    done = (await by_code(A, C, mode="replace")).json()
    assert (done["retired"], done["unchanged"]) == (["A1"], ["A0", "A2"])
    assert await in_force(tx) == ["A0", "A2"]
    change = await tx.get(GridChange, done["change_id"])
    assert change.grid_ids == [grids["A1"]]
    for row in memberships.values():
        await tx.refresh(row)
    assert memberships["runs"].valid_to == date(2026, 3, 3)
    assert memberships["to come"].valid_to == date(2026, 6, 1)
    assert memberships["past"].valid_to == date(2025, 2, 1)
    assert await tx.scalar(text("SELECT valid_to FROM grid_list_entry")) == clock.now()

    # In a later file it is back, with its history.
    back = (await by_code(A, B, C)).json()
    assert (back["reshaped"], back["created"]) == (["A1"], [])
    assert await in_force(tx) == ["A0", "A1", "A2"]


async def test_merging_leaves_the_others_alone_and_replacing_only_the_units_own(
    tx, branch, by_code
):
    crew = await make_org_unit(tx, code="crew", parent=branch)
    await make_grid(tx, org_unit=crew, code="C1", lon=110)
    await by_code(A, B)
    assert (await by_code(A)).json()["retired"] == []
    assert (await by_code(A, mode="replace")).json()["retired"] == ["A1"]
    assert await in_force(tx) == ["A0", "C1"]


async def test_a_grid_whose_feature_is_refused_is_not_retired(tx, by_code):
    await by_code(A, B, C)
    broken = coded("A1", "乙", [[116.7, 39.9]])
    assert (await by_code(A, broken, mode="replace")).status_code == 422
    done = (await by_code(A, broken, mode="replace", skip_refused=True)).json()
    assert done["retired"] == ["A2"]
    assert await in_force(tx) == ["A0", "A1"]


async def test_a_file_without_grids_replaces_nothing(tx, by_code):
    await by_code(A, B)
    answer = await by_code(layer(), mode="replace")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:yingwei:problem:grids-replaced-by-nothing"
    assert "all 2 grids" in answer.json()["detail"]
    assert await in_force(tx) == ["A0", "A1"]


# --- repair ---------------------------------------------------------------------------------------

# A square with a corner pulled across the opposite edge: a small ear lies outside, wound the
# other way, so that repair adds twice its area.
CROSSED = [[116.4, 39.9], [116.41, 39.9], [116.4005, 39.9105], [116.41, 39.91], [116.4, 39.91],
           [116.4, 39.9]]  # fmt: skip


async def test_a_repair_that_changes_the_area_has_to_be_accepted(tx, by_code, http, supervisor):
    seen = (await by_code(coded("A1", "甲", CROSSED), dry_run=True)).json()
    (line,) = seen["features"]
    (reason,) = line["findings"]
    assert (line["verdict"], reason["code"]) == ("refused", "repair-too-great")
    facts = reason["facts"]
    assert facts["limit_percent"] == 0.1
    assert abs(facts["change"]) > 0.001
    change = (facts["area_after_m2"] - facts["area_before_m2"]) / facts["area_before_m2"]
    assert facts["change"] == pytest.approx(change, rel=1e-4)
    assert (await by_code(coded("A1", "甲", CROSSED))).status_code == 422
    assert await names_of(tx) == {}
    done = await by_code(coded("A1", "甲", CROSSED), accept_repair=True)
    assert done.json()["counts"]["repaired"] == 1
    assert await names_of(tx) == {"A1": "甲"}


async def test_how_great_a_repair_may_be_is_a_number_of_the_operators(tx, by_code):
    await tx.execute(
        text(
            "INSERT INTO parameter_value (id, org_path, name, value, valid_from) VALUES"
            " (gen_random_uuid(), 'east.', 'grids.repair_limit_percent', '99', '2025-01-01')"
        )
    )
    assert (await by_code(coded("A1", "甲", CROSSED))).json()["counts"]["repaired"] == 1


# --- doubts ---------------------------------------------------------------------------------------


def drawn_as(rows, coordsys):
    """The rows as somebody draws them on a map in another system."""
    moved = []
    for row in rows:
        ring = row["geometry"]["coordinates"][0]
        lons, lats = from_wgs84(np.array(ring)[:, 0], np.array(ring)[:, 1], coordsys)
        moved.append(coded(row["properties"]["code"], row["properties"]["name"],
                           [list(point) for point in zip(lons, lats, strict=True)]))  # fmt: skip
    return moved


BLOCKS = [
    coded(f"K{n}{m}", f"块{n}{m}", square(lon=116.4 + n / 100, lat=39.9 + m / 100))
    for n in range(4)
    for m in range(4)
]


@pytest.mark.parametrize("drawn", [CoordSys.GCJ02, CoordSys.BD09])
async def test_a_wrong_system_is_told_by_the_grids_that_are_there(by_code, drawn):
    await by_code(*BLOCKS)
    wrong = drawn_as(BLOCKS, drawn)
    seen = (await by_code(*wrong, dry_run=True)).json()
    (doubt,) = seen["file"]["findings"]
    assert doubt["code"] == "fits-better"
    assert (doubt["facts"]["coordsys"], doubt["facts"]["better"]) == ("wgs84", drawn.value)
    assert doubt["facts"]["as_better_m2"] < doubt["facts"]["as_declared_m2"] / 100
    right = (await by_code(*wrong, coordsys=drawn.value, dry_run=True)).json()
    assert right["file"]["findings"] == []
    assert len(right["unchanged"]) == 16


async def test_where_nothing_lies_near_nothing_is_said(app, http, tx, by_code, branch):
    assert (await by_code(*drawn_as(BLOCKS, CoordSys.GCJ02))).json()["file"]["findings"] == []
    # Grids of others are not compared with: even their ground is theirs to tell of.
    west = await make_org_unit(tx, code="west")
    headers = bearer(app, caller_for(Role.SUPERVISOR, west))
    rows = [coded(f"W{n}", str(n), *row["geometry"]["coordinates"]) for n, row in enumerate(BLOCKS)]
    answer = await http.post(
        "/v1/grids/import",
        params={"coordsys": "wgs84", "name_field": "name", "code_field": "code", "dry_run": True},
        content=layer(*rows),
        headers=headers,
    )
    assert answer.json()["file"]["findings"] == []


# --- nothing half done ----------------------------------------------------------------------------


async def test_an_import_that_fails_at_the_end_leaves_nothing(
    real_app, real_http, real_database, monkeypatch
):
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx, code="east")

    async def gone(*args, **facts):
        raise RuntimeError("the connection breaks")

    monkeypatch.setattr("app.grids.importing.jobs.tell", gone)
    answer = await real_http.post(
        "/v1/grids/import",
        params={"coordsys": "wgs84", "name_field": "name"},
        content=layer(feature("甲")),
        headers=bearer(real_app, caller_for(Role.SUPERVISOR, unit)),
    )
    assert answer.status_code == 500
    async with real_database.read() as read:
        for table in ("grid", "grid_boundary", "grid_change", "procrastinate_jobs"):
            assert await read.scalar(text(f"SELECT count(*) FROM {table}")) == 0


async def test_the_same_import_twice_at_once_is_done_once(real_app, real_http, real_database):
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx, code="east")
    headers = bearer(real_app, caller_for(Role.SUPERVISOR, unit))
    asked = {"coordsys": "wgs84", "name_field": "name", "change_id": str(new_id())}

    async def send():
        return await real_http.post(
            "/v1/grids/import", params=asked, content=layer(feature("甲")), headers=headers
        )

    one, other = await asyncio.gather(send(), send())
    assert one.status_code == other.status_code == 200
    assert one.json() == other.json()
    assert one.json()["created"] == ["甲"]
