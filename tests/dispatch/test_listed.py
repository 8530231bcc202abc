"""An order at an address that a grid lists goes to that grid, wherever its point lies."""

import pytest

from app.auth.rules import Role
from app.core.jobs import Worker
from app.dispatch import jobs
from app.grids.rules import ListKind
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step, UnplacedReason
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.dispatch import Territory, ndjson, order
from tests.make.grids import make_line
from tests.make.workorders import make_work_order


@pytest.fixture
async def land(tx) -> Territory:
    """Two grids in a branch of a district, each with a primary."""
    province = await make_org_unit(tx)
    city = await make_org_unit(tx, parent=province)
    district = await make_org_unit(tx, parent=city)
    branch = await make_org_unit(tx, parent=district)
    territory = Territory(tx, branch)
    for _ in range(2):
        await territory.add_technician(await territory.add_grid())
    return territory


@pytest.fixture
def crm(app, http, land):
    """Post orders as the upstream system of the branch."""

    async def post(*orders):
        headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
        if len(orders) == 1:
            answer = await http.post("/v1/work-orders", json=orders[0], headers=headers)
        else:
            answer = await http.post(
                "/v1/work-orders/bulk", content=ndjson(*orders), headers=headers
            )
        assert answer.status_code in (200, 201), answer.text
        return answer.json() if len(orders) == 1 else answer.text

    return post


@pytest.fixture
def drawn(land):
    """A point in the middle of the first grid."""
    return land.point_in(land.grids[0])


async def located(tx, order_id):
    """What the order's history says of how its grid was found."""
    events = await workorders.history(tx, order_id)
    return [event.facts for event in events if event.step == Step.LOCATE]


async def test_the_customers_address_decides_and_the_history_says_so(tx, land, crm):
    here, there = land.grids
    # In the eastern part of the first grid: the way is no reason to ask its own people instead.
    drawn = land.point_in(here, east=0.8)
    await make_line(tx, there, "碧波园", kind=ListKind.BUILDING, building="3栋")
    customer = await make_customer(tx, org_unit=land.org_unit)
    await make_address(tx, customer)
    taken = await crm(order(point=drawn, customer_code=customer.code, locality="别处"))
    assert (taken["grid_id"], taken["holder_id"]) == (str(there.id), str(land.people[1].id))
    assert await located(tx, taken["id"]) == [{"grid_id": str(there.id), "listed": True}]
    # Another building is where it is drawn.
    other = await make_customer(tx, org_unit=land.org_unit)
    await make_address(tx, other, building="4栋")
    taken = await crm(order("F-2", point=drawn, customer_code=other.code))
    assert taken["grid_id"] == str(here.id)


async def test_of_several_addresses_it_is_the_one_where_the_service_is(tx, land, crm, drawn):
    here, there = land.grids
    await make_line(tx, there, "碧波园")
    customer = await make_customer(tx, org_unit=land.org_unit)
    at = {
        locality: await make_address(
            tx, customer, locality=locality, standard_address=f"碧波路18号{locality}"
        )
        for locality in ("碧波园", "海棠里")
    }
    numbers = {
        locality: (
            await make_subscription(tx, customer, service_address_id=address.id)
        ).service_number
        for locality, address in at.items()
    }
    for n, (locality, grid) in enumerate({"碧波园": there, "海棠里": here}.items()):
        taken = await crm(order(f"F-{n}", point=drawn, service_number=numbers[locality]))
        assert taken["grid_id"] == str(grid.id), locality
    # By the customer alone nobody knows which; what the order says of itself counts.
    for locality, grid in {"碧波园": there, "海棠里": here}.items():
        taken = await crm(
            order(f"C-{locality}", point=drawn, customer_code=customer.code, locality=locality)
        )
        assert taken["grid_id"] == str(grid.id), locality


async def test_an_order_of_nobody_known_goes_by_what_it_says_itself(tx, land, crm, drawn):
    here, there = land.grids
    await make_line(tx, there, "海棠里")
    await make_line(tx, there, "碧波路1", kind=ListKind.PREFIX)
    for n, (fields, grid) in enumerate(
        [
            ({"locality": "海棠里"}, there),
            ({"locality": "碧波园"}, here),
            ({"address": "碧波路 1号"}, there),
            ({"address": "碧波路18号"}, here),
        ]
    ):
        taken = await crm(order(f"F-{n}", point=drawn, **{"locality": None, **fields}))
        assert taken["grid_id"] == str(grid.id), fields


async def test_a_listed_address_needs_no_point_and_no_border_puts_it_in_doubt(tx, land, crm):
    _, there = land.grids
    await make_line(tx, there, "海棠里")
    pointless = await crm(order("F-1", point=None, locality="海棠里"))
    assert (pointless["state"], pointless["grid_id"]) == ("assigned", str(there.id))
    on_border = land.point_in(land.grids[0], east=0.0)
    taken = await crm(order("F-2", point=on_border, locality="海棠里"))
    assert (taken["grid_id"], taken["near_border"]) == (str(there.id), False)
    taken = await crm(order("F-3", point=on_border, locality="碧波园"))
    assert taken["near_border"] is True


async def test_a_stand_in_point_is_no_matter_where_a_list_knows_the_address(tx, land, crm, drawn):
    _, there = land.grids
    await make_line(tx, there, "海棠里")
    many = [order(f"F-{n}", point=drawn, locality=f"村{n}") for n in range(50)]
    await crm(*many)
    assert (await crm(order("L-1", point=drawn, locality="某村")))[
        "unplaced_reason"
    ] == "shared_point"
    assert (await crm(order("L-2", point=drawn, locality="海棠里")))["grid_id"] == str(there.id)


async def test_a_list_of_another_district_or_of_a_retired_grid_or_that_ended_says_nothing(
    tx, land, crm, drawn, clock
):
    here, there = land.grids
    await make_line(tx, there, "海棠里", district_path="x.y.z.")
    await make_line(tx, there, "碧波园", valid_to=clock.now())
    retired = await land.add_grid()
    await make_line(tx, retired, "望江村")
    retired.retired_at = clock.now()
    await tx.flush()
    for n, locality in enumerate(("海棠里", "碧波园", "望江村")):
        taken = await crm(order(f"F-{n}", point=drawn, locality=locality))
        assert taken["grid_id"] == str(here.id), locality


async def test_an_order_that_waited_without_a_grid_is_found_one_by_a_list(
    tx, land, settings, clock, database
):
    _, there = land.grids
    row = await make_work_order(
        tx,
        now=clock.now(),
        org_unit=land.org_unit,
        locality="海棠里",
        state=State.UNPLACED,
        unplaced_reason=UnplacedReason.NO_POINT,
    )
    await make_line(tx, there, "海棠里")
    await jobs.place_anew(Worker(settings, clock, database), str(row.id))
    placed = await tx.get_one(WorkOrder, row.id, populate_existing=True)
    assert (placed.state, placed.grid_id) == (State.ASSIGNED, there.id)
    assert await located(tx, row.id) == [{"grid_id": str(there.id), "listed": True}]


async def test_lists_cost_one_statement_for_all_orders_and_none_where_there_are_none(
    tx, land, crm, drawn, database
):
    customers = [await make_customer(tx, org_unit=land.org_unit) for _ in range(6)]
    for customer in customers:
        await make_address(tx, customer)

    async def cost(prefix, count):
        orders = [
            # Short work: nobody's day gets so full that others of the unit are looked at as well.
            order(f"{prefix}-{n}", point=drawn, customer_code=customer.code, estimated_minutes=5)
            for n, customer in enumerate(customers[:count])
        ]
        with counted(database) as statements:
            await crm(*orders)
        return len(statements)

    await cost("warm", 2)
    none = await cost("none", 2)
    elsewhere = await make_line(tx, land.grids[1], "碧波园", district_path="x.y.z.")
    await cost("warm-2", 2)
    assert await cost("elsewhere", 2) == none
    elsewhere.district_path = land.org_unit.path[: land.org_unit.path.rindex(".", 0, -1) + 1]
    await tx.flush()
    await make_line(tx, land.grids[1], "海棠里")
    await cost("warm-3", 2)
    assert await cost("few", 2) == none + 1
    assert await cost("many", 6) == none + 1
