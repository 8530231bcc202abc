"""OGC API - Features: walked through as QGIS does, and held against the standard's requirements.

The names in brackets are requirements of OGC 17-069r4.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest
import shapely
from jsonschema import Draft202012Validator
from shapely.geometry import shape
from sqlalchemy import text

from app.auth.rules import Role
from app.grids import boundaries
from app.grids.rules import GridStage
from app.maps.queries import features
from tests.house.served import described
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_boundary, make_contract, make_grid
from tests.make.maps import SOUTH, WEST, WIDTH, draw_cells

ITEMS = "/ogc/collections/grids/items"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


@pytest.fixture(scope="module")
def written():
    """The description. A busy machine takes longer to write it than a transaction may be idle,
    so it is written before a test begins one."""
    return described()


@pytest.fixture(autouse=True)
def _described(app, written):
    app.openapi_schema = written


@pytest.fixture
def read(http, supervisor):
    """Read an address as the branch's supervisor."""

    async def get(address, **params):
        answer = await http.get(address, params=params or None, headers=supervisor)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


@pytest.fixture
def refused(http, supervisor):
    """Read an address that must be refused with 400; give the facts."""

    async def get(address, **params):
        answer = await http.get(address, params=params or None, headers=supervisor)
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:yingwei:problem:query-parameter-refused"
        return answer.json()["facts"]

    return get


def link(document, rel):
    (found,) = (each for each in document["links"] if each["rel"] == rel)
    return found


def codes(page):
    return [each["properties"]["code"] for each in page["features"]]


# --- as QGIS does ---------------------------------------------------------------------------------


async def test_from_the_landing_page_to_every_grid(read, cells):
    landing = await read("/ogc")
    assert landing["title"]
    conformance = await read(link(landing, "conformance")["href"])
    assert set(conformance["conformsTo"]) == {
        "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
        "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    }
    (collection,) = (await read(link(landing, "data")["href"]))["collections"]
    assert collection == await read(link(collection, "self")["href"])
    ((west, south, east, north),) = collection["extent"]["spatial"]["bbox"]
    address, met, pages = link(collection, "items")["href"], [], 0
    page = await read(address, bbox=f"{west},{south},{east},{north}", limit=5)
    while True:
        pages += 1
        met += page["features"]
        assert page["numberMatched"] == 16
        assert page["numberReturned"] == len(page["features"])
        following = [each["href"] for each in page["links"] if each["rel"] == "next"]
        if not following:
            break
        page = await read(following[0])
    assert pages == 4
    assert [each["properties"]["code"] for each in met] == sorted(cells)
    for each in met:
        assert shape(each["geometry"]).equals(cells[each["properties"]["code"]])
    one = await read(f"{ITEMS}/{met[3]['id']}")
    assert {name: one[name] for name in met[3]} == met[3]
    assert link(one, "collection")["href"] == link(collection, "self")["href"]
    assert link(one, "self")["href"].endswith(met[3]["id"])


async def test_the_description_tells_clients_what_they_look_for(read, http, supervisor):
    landing = await read("/ogc")
    described = link(landing, "service-desc")
    answer = await http.get(described["href"], headers=supervisor)
    assert answer.headers["content-type"] == described["type"]
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "http://yingwei.test/ogc"}]
    # [fc-limit-definition], and where QGIS looks for it
    limit = document["components"]["parameters"]["limit"]
    schema = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert {name: limit["schema"][name] for name in schema} == schema
    assert (limit["in"], limit["required"]) == ("query", False)
    names = {
        each["name"] for each in document["paths"]["/collections/grids/items"]["get"]["parameters"]
    }
    assert {"limit", "bbox", "datetime"} <= names
    # It stands by itself: every reference leads somewhere in it.
    for kind, name in re.findall(r"#/components/(\w+)/(\w+)", answer.text):
        assert name in document["components"][kind]
    assert "/v1/" not in document["paths"]


async def test_answers_are_what_the_description_says(read, cells):
    document = await read("/ogc/api")
    for path in ("/", "/conformance", "/collections", "/collections/grids"):
        answer = await read(f"/ogc{path.rstrip('/')}")
        check(document, path, answer)
    page = await read(ITEMS, limit=2)
    check(document, "/collections/grids/items", page)
    one = await read(f"{ITEMS}/{page['features'][0]['id']}")
    check(document, "/collections/grids/items/{feature_id}", one)


def check(document, path, answer):
    (content,) = document["paths"][path]["get"]["responses"]["200"]["content"].values()
    schema = {**content["schema"], "components": document["components"]}
    faults = [fault.message for fault in Draft202012Validator(schema).iter_errors(answer)]
    assert not faults


# --- a collection ---------------------------------------------------------------------------------


async def test_an_empty_collection_has_no_extent(read):
    collection = await read("/ogc/collections/grids")
    assert collection["extent"] == {}
    assert collection["crs"] == [CRS84]
    assert collection["itemType"] == "feature"
    page = await read(ITEMS)
    assert (page["numberMatched"], page["numberReturned"], page["features"]) == (0, 0, [])


async def test_a_collection_that_is_not_there(http, supervisor):
    for path in ("/ogc/collections/customers", "/ogc/collections/customers/items"):
        answer = await http.get(path, headers=supervisor)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


# --- features -------------------------------------------------------------------------------------


async def test_a_feature_is_geojson(read, http, supervisor, tx, branch, clock):
    grid = await make_grid(tx, org_unit=branch, code="A", name="碧波园", lon=112.6, lat=28.9)
    await make_contract(tx, grid, stage=GridStage.PILOT)
    answer = await http.get(ITEMS, headers=supervisor)
    assert answer.headers["content-type"] == "application/geo+json"
    page = answer.json()
    assert page["type"] == "FeatureCollection"
    assert page["timeStamp"] == "2026-03-02T01:00:00Z"
    assert link(page, "self") == {
        "href": f"http://yingwei.test{ITEMS}",
        "rel": "self",
        "type": "application/geo+json",
        "title": "This document",
    }
    (feature,) = page["features"]
    assert feature["id"] == str(grid.id)
    area = feature["properties"].pop("area_m2")
    assert area == pytest.approx(1_083_000, rel=0.01)
    assert feature["properties"] == {
        "code": "A",
        "name": "碧波园",
        "kind": "compound",
        "stage": "pilot",
        "org_unit_code": "east",
        "valid_from": "2025-01-01T00:00:00Z",
        "valid_to": None,
    }
    ring = feature["geometry"]["coordinates"][0][0]
    # RFC 7946: longitude first, outer rings against the clock, at most seven digits.
    assert ring[0] == ring[-1] and min(ring) == [112.6, 28.9]
    assert shapely.is_ccw(shapely.LinearRing(ring))


async def test_a_feature_that_is_not_there(http, supervisor, tx, clock):
    theirs = await make_grid(tx)
    for name in (str(theirs.id), "01a214923cf2761cbed111b457e93d63", "G00", "x" * 300):
        answer = await http.get(f"{ITEMS}/{name}", headers=supervisor)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:yingwei:problem:not-found"


async def test_grids_of_others_are_nowhere(app, http, read, tx, branch, clock):
    other = await make_org_unit(tx, code="west")
    await draw_cells(tx, branch, clock.now(), side=2)
    await draw_cells(tx, other, clock.now(), side=2, prefix="X", west=WEST + 1)
    page = await read(ITEMS)
    assert codes(page) == ["G00", "G01", "G02", "G03"] and page["numberMatched"] == 4
    collection = await read("/ogc/collections/grids")
    assert collection["extent"]["spatial"]["bbox"][0][2] < WEST + 0.2
    headers = bearer(app, caller_for(Role.SUPERVISOR, other))
    theirs = (await http.get(ITEMS, headers=headers)).json()
    assert codes(theirs) == ["X00", "X01", "X02", "X03"]
    for role in (Role.TECHNICIAN, Role.INTEGRATION):
        headers = bearer(app, caller_for(role, branch))
        for path in ("/ogc", "/ogc/api", "/ogc/collections", ITEMS):
            assert (await http.get(path, headers=headers)).status_code == 403
            assert (await http.get(path)).status_code == 401


# --- bbox -----------------------------------------------------------------------------------------


async def test_a_box_finds_the_grids_that_meet_it(read, cells):
    box = (WEST + 0.6 * WIDTH, SOUTH + 0.6 * WIDTH, WEST + 2.1 * WIDTH, SOUTH + 1.4 * WIDTH)
    page = await read(ITEMS, bbox=",".join(map(str, box)))
    meant = [code for code, cell in cells.items() if cell.intersects(shapely.box(*box))]
    assert codes(page) == meant and 3 < len(meant) < 12
    assert page["numberMatched"] == len(meant)
    with_heights = await read(ITEMS, bbox=f"{box[0]},{box[1]},-10,{box[2]},{box[3]},9000")
    assert codes(with_heights) == meant
    assert codes(await read(ITEMS, bbox="-180,-90,180,90")) == list(cells)
    assert codes(await read(ITEMS, bbox="10,10,11,11")) == []
    # A point is a box, too.
    inside = cells["G05"].representative_point()
    point = f"{inside.x},{inside.y},{inside.x},{inside.y}"
    assert codes(await read(ITEMS, bbox=point)) == ["G05"]


async def test_a_box_over_the_180th_meridian(read, tx, branch):
    for code, lon in (("east", 179.5), ("west", -179.6), ("home", 112.6)):
        await make_grid(tx, org_unit=branch, code=code, lon=lon, lat=-17)
    assert codes(await read(ITEMS, bbox="179,-20,-179,-10")) == ["east", "west"]
    assert codes(await read(ITEMS, bbox="110,-20,-179.9,-10")) == ["east", "home"]


# --- datetime -------------------------------------------------------------------------------------


def moment(day, month=1):
    return datetime(2026, month, day, tzinfo=UTC)


@pytest.fixture
async def history(tx, branch):
    """Grid A moved on 10 January; B was there from the 5th to the 20th; C is there since then."""
    a = await make_grid(tx, org_unit=branch, code="A", lon=112.0)
    b = await make_grid(tx, org_unit=branch, code="B", lon=112.2)
    await tx.execute(
        text("UPDATE grid_boundary SET valid_to = :to WHERE grid_id = :id"),
        {"to": moment(10), "id": a.id},
    )
    await make_boundary(tx, a, lon=112.1, valid_from=moment(10))
    await tx.execute(
        text("UPDATE grid_boundary SET valid_from = :at, valid_to = :to WHERE grid_id = :id"),
        {"at": moment(5), "to": moment(20), "id": b.id},
    )
    c = await make_grid(tx, org_unit=branch, code="C", lon=112.4)
    await tx.execute(
        text("UPDATE grid_boundary SET valid_from = :at WHERE grid_id = :id"),
        {"at": moment(20), "id": c.id},
    )
    # Drawn and taken back at once: never in force.
    await make_boundary(tx, b, lon=112.9, valid_from=moment(1), valid_to=moment(1))


@pytest.mark.parametrize(
    "given, shown",
    [
        (None, {"A": 112.1, "C": 112.4}),
        ("2026-01-01T00:00:00Z", {"A": 112.0}),
        ("2026-01-07T00:00:00Z", {"A": 112.0, "B": 112.2}),
        ("2026-01-10T07:59:59+08:00", {"A": 112.0, "B": 112.2}),
        ("2026-01-10T08:00:00+08:00", {"A": 112.1, "B": 112.2}),
        ("2026-01-20T00:00:00Z", {"A": 112.1, "C": 112.4}),
        ("2020-01-01T00:00:00Z", {}),
        ("../2026-01-06T00:00:00Z", {"A": 112.0, "B": 112.2}),
        ("2026-01-19T00:00:00Z/2026-01-21T00:00:00Z", {"A": 112.1, "B": 112.2, "C": 112.4}),
        ("2026-02-01T00:00:00Z/..", {"A": 112.1, "C": 112.4}),
    ],
)
async def test_boundaries_as_they_were(read, history, given, shown):
    page = await read(ITEMS, **({"datetime": given} if given else {}))
    found = {
        each["properties"]["code"]: round(shape(each["geometry"]).bounds[0], 3)
        for each in page["features"]
    }
    assert found == shown
    assert page["numberMatched"] == len(shown)


async def test_pages_and_boxes_go_with_a_time(read, history):
    page = await read(ITEMS, datetime="2026-01-15T00:00:00Z", limit=1, bbox="112,28,113,29")
    assert codes(page) == ["A"] and page["numberMatched"] == 2
    page = await read(link(page, "next")["href"])
    assert codes(page) == ["B"]
    assert all(each["rel"] != "next" for each in page["links"])
    assert codes(await read(ITEMS, datetime="2026-01-15T00:00:00Z", bbox="112.15,28,113,29")) == [
        "B"
    ]


async def test_a_retired_grid_is_found_in_its_time_only(read, tx, cells, clock):
    grid_id = await tx.scalar(text("SELECT id FROM grid WHERE code = 'G05'"))
    then = clock.now()
    clock.tick(timedelta(days=1))
    await boundaries.alone(tx)
    await boundaries.end(tx, [grid_id], now=clock.now())
    assert "G05" not in codes(await read(ITEMS))
    assert "G05" in codes(await read(ITEMS, datetime=then.isoformat()))


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["", "/conformance", "/api", "/collections", "/collections/grids", ITEMS[4:]]
)
async def test_an_unknown_parameter_is_refused_everywhere(refused, path):
    facts = await refused(f"/ogc{path}", unknownQueryParameter="1")  # [query-param-unknown]
    assert facts["parameter"] == "unknownQueryParameter"


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"}, {"limit": "x"}, {"bbox": "1,2,3"}, {"bbox": "0,50,10,40"},
        {"datetime": "yesterday"}, {"page_token": "!"}, {"page_token": "WzFd"},
        {"crs": CRS84}, {"f": "json"}, {"limit": ["1", "2"]},
    ],
    ids=str,
)  # fmt: skip
async def test_a_parameter_that_is_not_valid_is_refused(refused, params):
    facts = await refused(ITEMS, **params)  # [query-param-invalid]
    assert facts["parameter"] in params
    assert facts["why_zh"] and facts["why_en"]


async def test_too_large_a_limit_is_no_error(read, cells):
    page = await read(ITEMS, limit=100_000)  # [fc-limit-response-1]
    assert page["numberReturned"] == 16


# --- what it costs --------------------------------------------------------------------------------


async def test_a_page_is_two_statements(http, supervisor, database, cells):
    for params in ({"limit": 2}, {"limit": 16}, {"bbox": "112,28,113,29"}):
        with counted(database) as statements:
            await http.get(ITEMS, params=params, headers=supervisor)
        assert len(statements) == 2


@pytest.mark.unused_database
async def test_a_box_is_searched_along_the_index(tx, branch, clock):
    await draw_cells(tx, branch, clock.now(), side=20, pieces=1)
    await tx.execute(text("ANALYZE grid_boundary, grid"))
    given = {"path": branch.path, "now": clock.now(), "after": "", "most": 10}
    for number in "12":
        given |= {f"west{number}": WEST, f"south{number}": SOUTH}
        given |= {f"east{number}": WEST + 0.01, f"north{number}": SOUTH + 0.01}
    explain = text(f"EXPLAIN {features._PAGES[False, True].text}")
    plan = "\n".join(row[0] for row in await tx.execute(explain, given))
    assert "ix_grid_boundary_current" in plan
