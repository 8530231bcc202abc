"""Layers into the database, by API: all or nothing, by code, and with their history."""

import asyncio
import csv
import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.auth.rules import Role
from app.core.geo import CoordSys, to_wgs84
from app.grids import boundaries, locating
from tests.grids.geojson import feature, layer, square
from tests.grids.test_layers import DISTRICTS
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.grids import make_grid
from tests.make.races import until_waiting

TABLES = ("grid", "grid_boundary", "grid_neighbour", "grid_change", "audit_entry")


async def written(session):
    """How many rows each table has that an import writes to."""
    return {table: await session.scalar(text(f"SELECT count(*) FROM {table}")) for table in TABLES}


async def names_of(session):
    rows = await session.execute(text("SELECT code, name FROM grid ORDER BY code"))
    return {row.code: row.name for row in rows}


async def listed(http, headers, **parameters):
    answer = await http.get("/v1/grids", params=parameters, headers=headers)
    return answer.json()["grids"]


def coded(code, name, *rings):
    return feature(name, *rings, properties={"name": name, "code": code})


# --- the real layers ------------------------------------------------------------------------------


async def test_bostons_255_features_are_253_grids_and_a_second_import_changes_nothing(
    http, tx, geo, supervisor, import_layer, boston
):
    assert boston.status_code == 200, boston.text
    report = boston.json()
    assert report["counts"] == {"imported": 251, "merged": 4, "repaired": 0, "refused": 0}
    assert len(report["features"]) == 255
    assert len(report["created"]) == len(set(report["created"])) == 253
    merged = [line for line in report["features"] if line["verdict"] == "merged"]
    assert [line["name"] for line in merged] == ["0207", "0207", "0305", "0305"]
    assert merged[0]["findings"][0]["zh"] == "要素 [190, 191] 同名，已合并为一个网格「0207」。"
    before = await written(tx)
    assert (before["grid"], before["grid_boundary"], before["audit_entry"]) == (253, 253, 1)

    data = (geo / "boston/precincts.geojson").read_bytes()
    again = (await import_layer(data, name_field="precinct")).json()
    assert (again["created"], again["reshaped"], again["renamed"]) == ([], [], [])
    assert len(again["unchanged"]) == 253
    assert await written(tx) == before


async def test_the_coverage_report_names_23_pairs_and_11_holes(http, supervisor, boston):
    now = (await http.get("/v1/grids/coverage", headers=supervisor)).json()
    assert now == boston.json()["coverage"]
    assert (len(now["overlaps"]), len(now["holes"])) == (23, 11)
    assert now["overlaps"][0] == {
        "first": "1307",
        "second": "1308",
        "area_m2": pytest.approx(620.9, abs=0.1),
    }
    assert sum(one["area_m2"] for one in now["overlaps"]) == pytest.approx(1435, rel=0.002)
    assert now["holes"][0]["beside"] == ["1307", "1308", "1310"]


async def test_precincts_next_to_each_other_are_neighbours_both_ways(tx, boston):
    pairs = text(
        "SELECT count(*) AS all_of_them, count(*) FILTER (WHERE distance_m = 0) AS touching,"
        " max(distance_m) AS farthest, count(*) FILTER (WHERE EXISTS (SELECT FROM grid_neighbour b"
        "   WHERE b.grid_id = n.neighbour_id AND b.neighbour_id = n.grid_id)) AS mutual"
        " FROM grid_neighbour n"
    )
    row = (await tx.execute(pairs)).one()
    assert row.mutual == row.all_of_them
    assert row.touching > 1000
    assert row.all_of_them > row.touching
    assert row.farthest <= 50


async def test_beijings_compounds_lie_in_their_own_district(http, tx, geo, import_layer):
    """Districts in GCJ-02, 12 of 16 invalid as published; compounds in BD-09."""
    data = (geo / "beijing/districts_16_echarts.geojson").read_bytes()
    answer = await import_layer(data, coordsys="gcj02")
    assert answer.json()["counts"] == {"imported": 4, "merged": 0, "repaired": 12, "refused": 0}
    with (geo / "beijing/compounds_bd09_a.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    lons, lats = ([float(row[axis]) for row in rows] for axis in ("longitude", "latitude"))
    names = {row.id: row.name for row in await tx.execute(text("SELECT id, name FROM grid"))}

    async def share(declared):
        xs, ys = to_wgs84(lons, lats, declared)
        places = (await locating.as_seen(tx)).locate(xs, ys, near_m=15).places()
        own = sum(
            place.grid_id is not None and names[place.grid_id] == DISTRICTS[row["district"]]
            for place, row in zip(places, rows, strict=True)
        )
        return own / len(rows)

    assert len(rows) == 2_426
    assert await share(CoordSys.BD09) >= 0.985
    # What an undeclared system would cost: every ninth compound in another district.
    assert await share(CoordSys.GCJ02) < 0.92


async def test_bad_files_are_refused_with_feature_and_reason(http, geo, tx, import_layer):
    with (geo / "badgeo/index.csv").open() as lines:
        files = [entry["file"] for entry in csv.DictReader(lines)]
    assert len(files) == 62
    for file in files:
        answer = await import_layer((geo / "badgeo" / file).read_bytes())
        assert answer.status_code == 422, (file, answer.text)
        problem = answer.json()
        assert problem["detail"], file
        kind = problem["type"].removeprefix("urn:yingwei:problem:")
        if kind == "layer-refused":
            assert problem["facts"]["code"] and "path" in problem["facts"], file
            continue
        assert kind == "layer-has-refusals", file
        named = problem["facts"]["features"]
        assert len(named) == problem["facts"]["refused"] > 0, file
        for one in named:
            assert isinstance(one["index"], int), file
            for reason in one["reasons"]:
                assert reason["code"] and reason["zh"] and reason["en"], file
            assert one["reasons"], file
    assert set((await written(tx)).values()) == {0}


# --- codes ----------------------------------------------------------------------------------------


async def test_codes_are_made_from_names_and_a_prefix_keeps_two_layers_apart(tx, import_layer):
    row = layer(feature("碧波园（南区）"))
    assert (await import_layer(row)).json()["created"] == ["碧波园-南区"]
    assert (await import_layer(row, prefix="E.")).json()["created"] == ["E.碧波园-南区"]
    assert await names_of(tx) == {
        "E.碧波园-南区": "碧波园（南区）",
        "碧波园-南区": "碧波园（南区）",
    }


@pytest.mark.parametrize("prefix", ["two words", "a?b", "p" * 33])
async def test_a_prefix_that_no_code_can_begin_with_is_refused(import_layer, prefix):
    answer = await import_layer(layer(feature()), prefix=prefix)
    assert answer.status_code == 422
    assert answer.json()["facts"]["errors"][0]["field"] == "prefix"


async def test_with_a_code_field_a_new_name_is_a_renaming(tx, import_layer):
    await import_layer(layer(coded("A1", "甲")), code_field="code")
    answer = (await import_layer(layer(coded("A1", "乙")), code_field="code")).json()
    assert (answer["renamed"], answer["unchanged"]) == (["A1"], ["A1"])
    assert await names_of(tx) == {"A1": "乙"}


async def test_a_code_made_from_a_name_never_takes_a_grid_of_another_name(tx, import_layer):
    await import_layer(layer(feature("甲（1）")))
    answer = await import_layer(layer(feature("甲-1", square(lon=116.5))))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:yingwei:problem:grid-code-of-another"
    assert "甲-1: 甲（1） / 甲-1" in answer.json()["detail"]
    assert await names_of(tx) == {"甲-1": "甲（1）"}


async def test_a_code_of_another_unit_is_refused(tx, import_layer):
    await make_grid(tx, code="A1", name="别处")
    answer = await import_layer(layer(coded("A1", "甲"), coded("A2", "乙")), code_field="code")
    assert answer.status_code == 409
    assert answer.json()["facts"] == {"codes": "A1"}
    assert list(await names_of(tx)) == ["A1"]


# --- shapes have a history ------------------------------------------------------------------------


async def test_a_new_shape_ends_the_old_one_and_both_stay_readable(
    http, clock, supervisor, import_layer
):
    first, moved = square(), square(lon=116.401)
    rows = [coded("A1", "甲", first), coded("A2", "乙", square(lon=116.5))]
    await import_layer(layer(*rows), code_field="code")
    began = clock.now()
    clock.tick(timedelta(days=3))
    rows[0] = coded("A1", "甲", moved)
    answer = (await import_layer(layer(*rows), code_field="code")).json()
    assert (answer["reshaped"], answer["unchanged"]) == (["A1"], ["A2"])

    grid_id = (await listed(http, supervisor))[0]["id"]
    url = f"/v1/grids/{grid_id}/boundaries"
    history = (await http.get(url, params={"coordsys": "wgs84"}, headers=supervisor)).json()
    now, before = history["boundaries"]
    assert history["next_page_token"] is None
    changed = (began + timedelta(days=3)).isoformat().replace("+00:00", "Z")
    assert (before["valid_from"], before["valid_to"]) == (
        began.isoformat().replace("+00:00", "Z"),
        changed,
    )
    assert (now["valid_from"], now["valid_to"]) == (changed, None)
    for shape, ring in ((now, moved), (before, first)):
        got = shape["boundary"]["coordinates"][0][0]
        assert sorted(map(tuple, got)) == sorted(map(tuple, ring))
        assert shape["source"] == "import:wgs84"


async def test_the_history_is_paged(http, clock, supervisor, import_layer):
    for step in range(3):
        clock.tick(timedelta(days=1))
        ring = square(lon=116.4 + step / 1000)
        await import_layer(layer(coded("A1", "甲", ring)), code_field="code")
    grid_id = (await listed(http, supervisor))[0]["id"]
    days, token = [], None
    while True:
        parameters = {"size": 2} | ({"page_token": token} if token else {})
        url = f"/v1/grids/{grid_id}/boundaries"
        page = (await http.get(url, params=parameters, headers=supervisor)).json()
        days += [one["valid_from"][:10] for one in page["boundaries"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert days == ["2026-03-05", "2026-03-04", "2026-03-03"]


async def test_a_clock_that_stands_behind_never_ends_a_shape_before_it_began(
    tx, clock, import_layer
):
    await import_layer(layer(coded("A1", "甲")), code_field="code")
    clock.tick(timedelta(days=-30))
    moved = layer(coded("A1", "甲", square(lon=116.401)))
    assert (await import_layer(moved, code_field="code")).json()["reshaped"] == ["A1"]
    current = text("SELECT count(*) FROM grid_boundary WHERE valid_to IS NULL")
    assert await tx.scalar(current) == 1


async def test_the_same_shape_drawn_otherwise_is_no_change(import_layer):
    ring = square()
    await import_layer(layer(coded("A1", "甲", ring)), code_field="code")
    # The other way round, from another corner, with a vertex on an edge.
    south_west, south_east, north_east, north_west, _ = ring
    middle = [116.405, 39.91]
    other = [north_east, south_east, south_west, north_west, middle, north_east]
    answer = (await import_layer(layer(coded("A1", "甲", other)), code_field="code")).json()
    assert answer["unchanged"] == ["A1"]


async def test_what_was_repaired_is_kept_with_the_shape(http, supervisor, import_layer):
    bow = [[116.4, 39.9], [116.41, 39.91], [116.41, 39.9], [116.4, 39.91], [116.4, 39.9]]
    answer = (await import_layer(layer(feature("蝶", bow)), accept_repair=True)).json()
    assert answer["counts"]["repaired"] == 1
    grid_id = (await listed(http, supervisor))[0]["id"]
    history = (await http.get(f"/v1/grids/{grid_id}/boundaries", headers=supervisor)).json()
    (note,) = history["boundaries"][0]["notes"]
    assert note["code"] == "repaired"
    assert note["facts"]["why_zh"] == "边界自相交"


# --- all or nothing -------------------------------------------------------------------------------


async def test_a_dry_run_reports_and_writes_nothing(tx, import_layer):
    await import_layer(layer(coded("A1", "甲"), coded("A2", "乙", square(lon=116.5))))
    before = await written(tx)
    rows = [
        coded("A1", "甲", square(lon=116.401)),
        coded("A2", "乙", square(lon=116.5)),
        coded("A3", "丙", square(lon=116.6)),
        coded("A4", "丁", [[116.7, 39.9]]),
    ]
    answer = await import_layer(layer(*rows), dry_run=True)
    assert answer.status_code == 200
    report = answer.json()
    assert report["dry_run"] is True
    assert (report["created"], report["reshaped"], report["unchanged"]) == (["丙"], ["甲"], ["乙"])
    assert report["counts"]["refused"] == 1
    assert report["features"][3]["findings"][0]["code"] == "ring-short"
    assert await written(tx) == before


async def test_one_bad_feature_refuses_the_whole_unless_it_is_left_out(tx, import_layer):
    rows = layer(feature("甲"), feature("乙", geometry=None), feature(None, square(lon=116.5)))
    answer = await import_layer(rows)
    assert answer.status_code == 422
    facts = answer.json()["facts"]
    assert facts["refused"] == 2
    assert [(one["index"], one["name"]) for one in facts["features"]] == [(1, "乙"), (2, None)]
    assert [one["reasons"][0]["code"] for one in facts["features"]] == ["no-geometry", "unnamed"]
    assert set((await written(tx)).values()) == {0}

    answer = await import_layer(rows, skip_refused=True)
    assert answer.status_code == 200
    assert answer.json()["created"] == ["甲"]
    assert answer.json()["counts"]["refused"] == 2


@pytest.mark.parametrize("declared", [{}, {"coordsys": "epsg:4326"}])
async def test_a_layer_that_does_not_declare_its_system_is_refused(http, supervisor, declared):
    answer = await http.post(
        "/v1/grids/import",
        params={"name_field": "name", **declared},
        content=layer(feature()),
        headers=supervisor,
    )
    assert answer.status_code == 422
    assert answer.json()["facts"]["errors"][0]["field"] == "coordsys"


@pytest.mark.parametrize(
    "data, problem",
    [
        (b" " * (16 * 1024 * 1024 + 1), "too-large"),
        (b"[" * 100, "layer-too-large"),
        (json.dumps({"type": "FeatureCollection", "features": [0] * 10_001}).encode(), None),
    ],
    ids=["17 MB", "100 levels deep", "10,001 features"],
)
async def test_what_is_too_large_is_told_the_limit(import_layer, data, problem):
    answer = await import_layer(data)
    assert answer.status_code == 413
    assert answer.json()["type"] == f"urn:yingwei:problem:{problem or 'layer-too-large'}"
    assert "limit" in answer.json()["facts"]


async def test_an_empty_layer_imports_nothing(tx, import_layer):
    answer = await import_layer(layer())
    assert answer.status_code == 200
    assert answer.json()["created"] == []
    assert set((await written(tx)).values()) == {0}


# --- who may --------------------------------------------------------------------------------------


async def test_grids_go_to_a_unit_of_ones_own_part_only(http, tx, branch, import_layer):
    crew = await make_org_unit(tx, code="crew", parent=branch)
    await make_org_unit(tx, code="west")
    assert (await import_layer(layer(feature()), org_unit_code="west")).status_code == 404
    assert (await import_layer(layer(feature()), org_unit_code="crew")).status_code == 200
    assert await tx.scalar(text("SELECT org_unit_id FROM grid")) == crew.id


async def test_others_do_not_see_the_grids(app, http, tx, supervisor, import_layer):
    await import_layer(layer(feature()))
    (grid,) = await listed(http, supervisor)
    west = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx, code="west")))
    assert await listed(http, west) == []
    for path in ("", "/boundaries", "/memberships"):
        url = f"/v1/grids/{grid['id']}{path}"
        assert (await http.get(url, headers=supervisor)).status_code == 200
        assert (await http.get(url, headers=west)).status_code == 404
    assert (await http.get("/v1/grids/coverage", headers=west)).json()["overlaps"] == []


async def test_a_technician_imports_nothing(app, http, tx, branch):
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch))
    answer = await http.post(
        "/v1/grids/import",
        params={"coordsys": "wgs84", "name_field": "name"},
        content=layer(feature()),
        headers=phone,
    )
    assert answer.status_code == 403


# --- lists ----------------------------------------------------------------------------------------


async def test_the_list_is_paged_by_code_and_shows_shapes_when_asked(
    http, supervisor, import_layer
):
    rows = [coded(f"A{n}", "园", square(lon=116.4 + n / 10)) for n in (2, 0, 1)]
    await import_layer(layer(*rows), code_field="code")
    parameters = {"size": 2}
    page = (await http.get("/v1/grids", params=parameters, headers=supervisor)).json()
    assert [(one["code"], one["boundary"]) for one in page["grids"]] == [("A0", None), ("A1", None)]
    shaped = {
        "size": 2,
        "page_token": page["next_page_token"],
        "boundaries": True,
        "coordsys": "wgs84",
    }
    page = (await http.get("/v1/grids", params=shaped, headers=supervisor)).json()
    (grid,) = page["grids"]
    assert page["next_page_token"] is None
    assert grid["area_m2"] / 1e6 == pytest.approx(0.855 * 1.110, rel=0.01)
    assert sorted(grid["boundary"]["coordinates"][0][0]) == sorted(square(lon=116.6))


async def test_shapes_are_shown_in_the_system_asked_for(http, supervisor, import_layer):
    await import_layer(layer(feature("甲")), coordsys="gcj02")
    (grid,) = await listed(http, supervisor, boundaries=True, coordsys="gcj02")
    got = sorted(grid["boundary"]["coordinates"][0][0])
    assert got == [pytest.approx(point, abs=1e-7) for point in sorted(square())]
    (grid,) = await listed(http, supervisor, boundaries=True, coordsys="wgs84")
    lons, lats = zip(*grid["boundary"]["coordinates"][0][0], strict=True)
    # GCJ-02 lies some 550 m to the north-east of WGS-84 here.
    assert min(lons) == pytest.approx(116.4 - 0.0062, abs=0.0003)
    assert min(lats) == pytest.approx(39.9 - 0.0014, abs=0.0003)


# --- two at once ----------------------------------------------------------------------------------


async def test_two_imports_of_one_layer_at_once_make_each_grid_once(
    real_app, real_http, real_database
):
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx, code="east")
    headers = bearer(real_app, caller_for(Role.SUPERVISOR, unit))
    rows = layer(*(feature(f"园{n}", square(lon=116 + n / 50)) for n in range(40)))

    async def counts():
        async with real_database.read() as read:
            return await written(read)

    async def send():
        return await real_http.post(
            "/v1/grids/import",
            params={"coordsys": "wgs84", "name_field": "name"},
            content=rows,
            headers=headers,
        )

    before = await counts()
    async with real_database.begin() as first:
        # A third import is under way, so that both wait and then go on at the same moment.
        await boundaries.alone(first)
        both = asyncio.gather(send(), send())
        await until_waiting(real_database, number=2)
    answers = await both
    assert [answer.status_code for answer in answers] == [200, 200]
    reports = sorted((answer.json() for answer in answers), key=lambda one: len(one["created"]))
    assert [len(one["created"]) for one in reports] == [0, 40]
    assert [len(one["unchanged"]) for one in reports] == [40, 0]
    after = await counts()
    assert (after["grid"], after["grid_boundary"]) == (40, 40)
    assert after["audit_entry"] == before["audit_entry"] + 1
