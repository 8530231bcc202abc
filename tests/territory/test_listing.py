"""Grids' lists of addresses: set as a whole, with history, and what lies by them follows."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.grids.models import GridListEntry
from app.grids.rules import ListKind
from app.territory import jobs
from app.territory.models import AddressGrid
from app.territory.queries import listing as queries
from app.territory.rules.listing import Line
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_address, make_customer
from tests.make.grids import make_grid
from tests.make.workorders import make_work_order

COMPOUND = {"kind": "compound", "name": "碧波园", "building": None}
BUILDING = {"kind": "building", "name": "海棠里", "building": "7栋"}
PREFIX = {"kind": "prefix", "name": "澄湖市南浦区望江路1", "building": None}


@pytest.fixture
async def city(tx):
    """The city above the district."""
    return await make_org_unit(tx, code="sz", parent=await make_org_unit(tx, code="gd"))


@pytest.fixture
async def district(tx, city):
    """The district above the branch."""
    return await make_org_unit(tx, code="ns", parent=city)


@pytest.fixture
async def here(tx, branch):
    """The grid in which (112.605, 28.905) lies."""
    return await make_grid(tx, org_unit=branch, code="A1")


@pytest.fixture
async def there(tx, branch):
    """The grid to the east of it."""
    return await make_grid(tx, org_unit=branch, code="A2", lon=112.61)


@pytest.fixture
def put(http, supervisor):
    """Set a grid's list, as the branch's supervisor unless told otherwise."""

    async def send(grid, lines, *, headers=None, **fields):
        body = {"id": str(new_id()), "version": grid.version, "reason": "三期交付", "lines": lines}
        return await http.put(
            f"/v1/grids/{grid.id}/list", json={**body, **fields}, headers=headers or supervisor
        )

    return send


@pytest.fixture
def get(http, supervisor):
    async def read(path, *, headers=None, **query):
        return await http.get(f"/v1{path}", params=query, headers=headers or supervisor)

    return read


def without_dates(answer):
    return [{key: line[key] for key in COMPOUND} for line in answer.json()["lines"]]


# --- setting a list -------------------------------------------------------------------------------


async def test_a_list_is_what_was_put_and_its_past_can_be_read(put, get, there, clock):
    first = (await put(there, [PREFIX, COMPOUND, BUILDING, COMPOUND])).json()
    assert (first["added"], first["removed"], first["kept"]) == (3, 0, 0)
    answer = await get(f"/grids/{there.id}/list")
    assert without_dates(answer) == [BUILDING, COMPOUND, PREFIX]
    assert answer.json()["version"] == 2
    then = clock.now()
    clock.tick(timedelta(hours=1))
    second = (await put(there, [COMPOUND | {"name": " 碧波 园 "}], version=2)).json()
    assert (second["added"], second["removed"], second["kept"]) == (0, 2, 1)
    assert without_dates(await get(f"/grids/{there.id}/list")) == [COMPOUND]
    past = await get(f"/grids/{there.id}/list", at=then.isoformat())
    assert without_dates(past) == [BUILDING, COMPOUND, PREFIX]


async def test_the_same_again_is_answered_alike_and_other_content_is_refused(tx, put, there):
    given = {"id": str(new_id())}
    first = await put(there, [COMPOUND], **given)
    again = await put(there, [COMPOUND], version=1, **given)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await tx.scalar(select(func.count()).select_from(GridListEntry)) == 1
    other = await put(there, [BUILDING], version=1, **given)
    assert (other.status_code, other.json()["type"][-21:]) == (409, "same-id-other-content")


async def test_who_saw_an_older_list_is_told(put, there):
    assert (await put(there, [COMPOUND])).status_code == 200
    late = await put(there, [BUILDING], version=1)
    assert late.status_code == 409
    assert late.json()["type"].endswith("grid-changed-meanwhile")
    assert late.json()["facts"]["version"] == 2


async def test_what_another_grid_lists_is_refused_with_its_code_and_nothing_is_changed(
    tx, app, put, get, here, there, district, city
):
    assert (await put(here, [COMPOUND, BUILDING])).status_code == 200
    taken = await put(there, [PREFIX, BUILDING, COMPOUND])
    assert (taken.status_code, taken.json()["type"][-16:]) == (409, "listed-elsewhere")
    assert [line["grid_code"] for line in taken.json()["facts"]["lines"]] == ["A1", "A1"]
    assert "碧波园 (A1)" in taken.json()["detail"]
    assert (await get(f"/grids/{there.id}/list")).json()["lines"] == []
    # Who may not know of the grid hears only that somebody has it.
    west = await make_org_unit(tx, code="west", parent=district)
    theirs = await make_grid(tx, org_unit=west, code="W1", lon=112.7)
    headers = bearer(app, caller_for(Role.SUPERVISOR, west))
    hidden = await put(theirs, [COMPOUND], headers=headers)
    assert hidden.json()["facts"]["lines"] == [
        {"kind": "compound", "name": "碧波园", "building": "", "grid_code": None}
    ]
    # In another district the same name is another place.
    ft = await make_org_unit(tx, code="ft", parent=city)
    far = await make_grid(tx, org_unit=ft, code="F1", lon=112.8)
    headers = bearer(app, caller_for(Role.SUPERVISOR, ft))
    assert (await put(far, [COMPOUND], headers=headers)).status_code == 200


async def test_a_line_that_was_taken_off_can_go_to_another_grid_at_the_same_moment(
    put, here, there
):
    assert (await put(here, [COMPOUND])).status_code == 200
    assert (await put(here, [], version=2)).status_code == 200
    assert (await put(there, [COMPOUND])).status_code == 200


async def test_a_grid_of_others_or_of_none_is_not_found_and_a_retired_one_is_refused(
    tx, app, put, get, there, clock
):
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx, code="x")))
    assert (await put(there, [COMPOUND], headers=stranger)).status_code == 404
    assert (await get(f"/grids/{there.id}/list", headers=stranger)).status_code == 404
    assert (await get(f"/grids/{there.id}/list-conflicts", headers=stranger)).status_code == 404
    assert (await get(f"/grids/{new_id()}/list")).status_code == 404
    technician = bearer(app, caller_for(Role.TECHNICIAN, await make_org_unit(tx, code="y")))
    assert (await put(there, [COMPOUND], headers=technician)).status_code == 403
    there.retired_at = clock.now()
    await tx.flush()
    refused = await put(there, [COMPOUND], version=there.version)
    assert (refused.status_code, refused.json()["type"][-12:]) == (409, "grid-retired")


@pytest.mark.parametrize(
    "line",
    [
        BUILDING | {"building": None},
        BUILDING | {"building": "  "},
        COMPOUND | {"building": "3栋"},
        COMPOUND | {"name": "   "},
        PREFIX | {"name": "澄"},
        COMPOUND | {"kind": "street"},
        COMPOUND | {"name": "园" * 301},
        COMPOUND | {"grid": "A1"},
    ],
)
async def test_what_is_no_line_is_refused(put, there, line):
    assert (await put(there, [line])).status_code == 422


async def test_thousands_of_lines_are_a_fixed_number_of_statements(put, get, there, database):
    lines = [COMPOUND | {"name": f"小区{n}"} for n in range(5_000)]
    with counted(database) as statements:
        assert (await put(there, lines)).json()["added"] == 5_000
    assert len(statements) < 25, statements
    assert (await put(there, [*lines, COMPOUND], version=2)).status_code == 422
    seen: list[str] = []
    token = None
    while not seen or token:
        page = (
            await get(f"/grids/{there.id}/list", **({"page_token": token} if token else {}))
        ).json()
        seen += [line["name"] for line in page["lines"]]
        token = page["next_page_token"]
    assert sorted(seen) == sorted(str(line["name"]) for line in lines)


# --- what lies by it ------------------------------------------------------------------------------


async def test_addresses_and_open_orders_follow_and_the_answer_counts_them(
    tx, put, get, http, supervisor, here, there, branch, settings, clock, database
):
    customer = await make_customer(tx, org_unit=branch)
    for building in ("1栋", "1栋", "2栋"):
        await make_address(tx, customer, building=building, lon=112.605, lat=28.905)
    order = await make_work_order(
        tx,
        now=clock.now(),
        org_unit=branch,
        point=(112.605, 28.905),
        grid_id=here.id,
        locality="碧波园",
        state=State.LOCATED,
    )
    answer = (await put(there, [COMPOUND, PREFIX])).json()
    assert answer["addresses"] == 3
    # A point alone lies where it is drawn; with its address it is the list's.
    point = {"lon": 112.605, "lat": 28.905, "coordsys": "wgs84"}
    asked = {"points": [point, point | {"locality": "碧波园"}]}
    places = (await http.post("/v1/grids/locate", json=asked, headers=supervisor)).json()["places"]
    assert [(place["grid_code"], place["listed"]) for place in places] == [
        ("A1", False),
        ("A2", True),
    ]
    await jobs.map_changed(Worker(settings, clock, database), answer["id"])
    rows = (await tx.scalars(select(AddressGrid))).all()
    assert [(row.grid_id, row.drawn_grid_id, row.listed) for row in rows] == [
        (there.id, here.id, True)
    ] * 3
    moved = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    assert moved.grid_id == there.id
    # And back, when the line goes.
    gone = (await put(there, [PREFIX], version=2)).json()
    assert (gone["removed"], gone["addresses"]) == (1, 3)
    await jobs.map_changed(Worker(settings, clock, database), gone["id"])
    assert await tx.scalar(select(func.count()).where(AddressGrid.grid_id == here.id)) == 3


async def test_where_lists_and_polygons_disagree_is_told_by_grid_and_by_building(
    tx, app, get, here, there, branch, district
):
    west = await make_org_unit(tx, code="west", parent=district)
    hidden = await make_grid(tx, org_unit=west, code="W1", lon=112.7)
    customer = await make_customer(tx, org_unit=branch)
    for building, grid, drawn, listed in (
        ("1栋", there, here, True),
        ("1栋", there, here, True),
        ("2栋", there, None, True),
        ("3栋", there, hidden, True),
        ("4栋", there, there, True),
        (None, here, None, True),
        ("5栋", here, here, False),
    ):
        address = await make_address(tx, customer, building=building, room="2单元1203室")
        tx.add(
            AddressGrid(
                service_address_id=address.id,
                grid_id=grid.id,
                drawn_grid_id=drawn and drawn.id,
                listed=listed,
                near_border=False,
            )
        )
    await tx.flush()
    answer = (await get("/list-conflicts")).json()
    assert [(one["grid_code"], one["addresses"], one["undrawn"]) for one in answer["grids"]] == [
        ("A1", 1, 1),
        ("A2", 4, 1),
    ]
    first = (await get("/list-conflicts", size=1)).json()
    second = (await get("/list-conflicts", size=1, page_token=first["next_page_token"])).json()
    assert [*first["grids"], *second["grids"]] == answer["grids"]
    pages: list[Any] = []
    token = None
    while not pages or token:
        query: dict[str, Any] = {"page_token": token} if token else {}
        page = (await get(f"/grids/{there.id}/list-conflicts", size=1, **query)).json()
        pages += page["buildings"]
        token = page["next_page_token"]
    assert [(one["place"], one["drawn_grid_code"], one["addresses"]) for one in pages] == [
        ("碧波园1栋", "A1", 2),
        ("碧波园2栋", None, 1),
        ("碧波园3栋", None, 1),
    ]
    assert "1203" not in str(pages) and str(hidden.id) not in str(pages)
    stranger = bearer(app, caller_for(Role.SUPERVISOR, west))
    assert (await get("/list-conflicts", headers=stranger)).json()["grids"] == []


# --- what it costs --------------------------------------------------------------------------------


@pytest.mark.unused_database
async def test_what_names_addresses_is_found_along_their_indexes(tx, branch, there):
    customer = await make_customer(tx, org_unit=branch)
    await tx.execute(
        text(
            "INSERT INTO service_address (id, customer_id, code, standard_address, locality)"
            " SELECT gen_random_uuid(), :id, 'A' || n, '路' || n || '号', '小区' || n % 900"
            " FROM generate_series(1, 9000) AS n"
        ),
        {"id": customer.id},
    )
    await tx.execute(text("ANALYZE service_address"))
    lines = [Line(ListKind.COMPOUND, "小区7"), Line(ListKind.PREFIX, "路123")]
    explain = text(f"EXPLAIN {queries._ADDRESSES.text}")
    given = {"district": branch.path, **queries._columns(lines)}
    plan = "\n".join(row[0] for row in await tx.execute(explain, given))
    assert "ix_service_address_compound" in plan and "ix_service_address_standard" in plan, plan
    assert "Seq Scan on service_address" not in plan, plan
    assert await queries.addresses_named(tx, lines, district=branch.path) == 10 + 11


@pytest.mark.unused_database
async def test_disagreements_are_found_along_the_index_of_them(tx, branch, here, there):
    customer = await make_customer(tx, org_unit=branch)
    await tx.execute(
        text(
            "WITH made AS (INSERT INTO service_address"
            "   (id, customer_id, code, standard_address, locality)"
            "   SELECT gen_random_uuid(), :customer, 'A' || n, '', '小区'"
            "   FROM generate_series(1, 5000) AS n RETURNING id)"
            " INSERT INTO address_grid SELECT id, :here, :here, false, false FROM made"
        ),
        {"customer": customer.id, "here": here.id},
    )
    await tx.execute(text("ANALYZE address_grid"))
    by_grid = {"org_path": branch.path, "size": 51, "after": None}
    by_building = {
        **by_grid,
        "grid_id": there.id,
        "nowhere": queries._NOWHERE,
        **dict.fromkeys(("locality", "building", "drawn")),
    }
    for statement, given in ((queries._BY_GRID, by_grid), (queries._BY_BUILDING, by_building)):
        explain = text(f"EXPLAIN {statement.text}")
        plan = "\n".join(row[0] for row in await tx.execute(explain, given))
        assert "ix_address_grid_disagreeing" in plan, plan
