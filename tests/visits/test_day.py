"""A technician's day over HTTP: in order, masked, in the system asked for, and cheap to ask for."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import text, update

from app.auth.rules import Role
from app.core.db import driver_connection
from app.core.geo import CoordSys, from_wgs84
from app.grids.models import Grid
from app.technicians import availability
from app.visits import queries
from app.visits.schemas.day import DayOrderOut, DayOut
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_customer
from tests.make.visits import LAT, LON, TODAY, make_assigned_order, make_phone


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


async def day(phone, query="", **headers):
    answer = await phone.get(f"/my/day{query}", **headers)
    assert answer.status_code == 200, answer.text
    # What is sent by hand is what is documented: every field, and no other.
    read = answer.json()
    DayOut.model_validate(read, strict=False)
    for order in read["orders"]:
        assert order.keys() == DayOrderOut.model_fields.keys()
    return read


def hours(clock, many):
    return clock.now() + timedelta(hours=many)


async def test_an_empty_day(phone):
    assert await day(phone) == {"day": "2026-03-02", "coordsys": "gcj02", "orders": []}


async def test_a_day_with_a_route_is_shown_in_its_order(tx, phone, clock):
    """What the route does not know comes after it, and a visit under way before it."""
    orders = [
        await make_assigned_order(tx, phone.technician, now=clock.now(), external_id=name)
        for name in "ABCD"
    ]
    a, _, c, d = orders
    route = [d.id, a.id, c.id]
    await availability.write_routes(tx, {(phone.technician.id, TODAY): route})
    assert [one["external_id"] for one in (await day(phone))["orders"]] == ["D", "A", "C", "B"]
    await phone.set_out(c)
    assert [one["external_id"] for one in (await day(phone))["orders"]] == ["C", "D", "A", "B"]


async def test_the_day_is_in_the_order_it_is_to_be_worked(tx, phone, clock):
    async def order(name, **fields):
        return await make_assigned_order(
            tx, phone.technician, now=clock.now(), external_id=name, **fields
        )

    done = await order("done")
    await phone.complete(await phone.arrive(done))
    clock.tick(timedelta(minutes=1))
    waiting = await order("suspended")
    suspended = await phone.arrive(waiting)
    await phone.post(
        f"/visits/{suspended}/suspend", cause="other", resume_at=hours(clock, 3).isoformat()
    )
    clock.tick(timedelta(minutes=1))
    await order("urgent", priority=1)
    await order("due late", due_at=hours(clock, 9))
    await order("due early", due_at=hours(clock, 5))
    window = {"appointment_until": hours(clock, 4)}
    await order("afternoon", appointment_from=hours(clock, 3), **window)
    await order("morning", appointment_from=hours(clock, 1), **window)
    await order("under way", priority=4)
    under_way = [row for row in (await day(phone))["orders"] if row["external_id"] == "under way"]
    now_doing = await tx.get(WorkOrder, under_way[0]["id"])
    await phone.set_out(now_doing)
    cancelled = await order("cancelled", priority=1)
    await take_step(tx, cancelled, Step.CANCEL, now=clock.now())
    assert [row["external_id"] for row in (await day(phone))["orders"]] == [
        "under way",
        "suspended",
        "morning",
        "afternoon",
        "urgent",
        "due early",
        "due late",
        "done",
    ]


async def test_a_row_has_what_the_list_needs(tx, phone, clock, branch):
    customer = await make_customer(tx, org_unit=branch)
    grid = Grid(org_unit_id=branch.id, code="G1", name="碧波园网格", kind="compound")
    tx.add(grid)
    await tx.flush()
    order = await make_assigned_order(
        tx,
        phone.technician,
        customer,
        now=clock.now(),
        external_id="F-1",
        grid_id=grid.id,
        near_border=True,
        due_at=hours(clock, 8),
        appointment_from=hours(clock, 1),
        appointment_until=hours(clock, 2),
        priority=2,
    )
    (row,) = (await day(phone))["orders"]
    lon, lat = from_wgs84(LON, LAT, CoordSys.GCJ02)
    point = row.pop("point")
    assert point["coordsys"] == "gcj02"
    assert (point["lon"], point["lat"]) == pytest.approx((lon, lat), abs=1e-8)
    assert row == {
        "id": str(order.id),
        "external_id": "F-1",
        "work_type": "repair",
        "state": "assigned",
        "priority": 2,
        "customer_id": str(customer.id),
        "masked": True,
        "contact_name": "王**",
        "contact_phone": "154****1234",
        "service_number": "073****1234",
        "address": "碧波园3栋2单元1203室",
        "summary": "宽带断网",
        "grid_code": "G1",
        "grid_name": "碧波园网格",
        "near_border": True,
        "estimated_minutes": 60,
        "appointment_from": "2026-03-02T02:00:00+00:00",
        "appointment_until": "2026-03-02T03:00:00+00:00",
        "due_at": "2026-03-02T09:00:00+00:00",
        "planned_day": "2026-03-02",
        "completed_at": None,
        "visit_id": None,
        "resume_at": None,
        "resume_overdue": False,
        "restored_at": None,
        "repeats": 0,
        "nudges": 0,
        "absences": 0,
        "outage_id": None,
        "version": order.version,
        "assisting": False,
        "assist_id": None,
        "allowed": ["acknowledge", "decline", "transfer"],
    }


@pytest.mark.parametrize("coordsys", CoordSys)
async def test_points_come_in_the_system_asked_for(tx, phone, clock, coordsys):
    await make_assigned_order(tx, phone.technician, now=clock.now())
    await make_assigned_order(tx, phone.technician, now=clock.now(), point=None)
    read = await day(phone, f"?coordsys={coordsys.value}")
    points = [row["point"] for row in read["orders"]]
    there = next(point for point in points if point)
    assert (read["coordsys"], there["coordsys"]) == (coordsys.value, coordsys.value)
    assert (there["lon"], there["lat"]) == pytest.approx(from_wgs84(LON, LAT, coordsys), abs=1e-8)
    assert None in points


async def test_who_it_is_is_shown_from_acknowledging_until_the_grace_is_over(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())

    async def row():
        return (await day(phone))["orders"][0]

    assert (await row())["contact_name"] == "王**"
    visit_id = await phone.arrive(order)
    seen = await row()
    assert (
        seen["masked"],
        seen["contact_name"],
        seen["contact_phone"],
        seen["service_number"],
    ) == (
        False,
        "王小明",
        "15412341234",
        "07318881234",
    )
    assert (seen["visit_id"], seen["state"]) == (str(visit_id), "on_site")
    await phone.complete(visit_id)
    clock.tick(timedelta(hours=2))
    assert (await row())["contact_phone"] == "15412341234"
    clock.tick(timedelta(seconds=1))
    gone = await row()
    assert (gone["masked"], gone["contact_name"], gone["contact_phone"], gone["address"]) == (
        True,
        "王**",
        "154****1234",
        "碧波园",
    )
    assert gone["visit_id"] is None


async def test_what_is_left_from_before_is_still_there(tx, phone, clock):
    async def order(name, planned_day):
        return await make_assigned_order(
            tx, phone.technician, now=clock.now(), external_id=name, planned_day=planned_day
        )

    await order("left over", date(2025, 11, 1))
    done = await order("done long ago", date(2025, 11, 1))
    await tx.execute(
        update(WorkOrder)
        .where(WorkOrder.id == done.id)
        .values(state=State.COMPLETED, completed_at=datetime.fromisoformat("2025-11-01T10:00Z"))
    )
    await order("tomorrow", date(2026, 3, 3))
    await order("today", TODAY)
    names = {row["external_id"] for row in (await day(phone))["orders"]}
    assert names == {"left over", "today"}
    tomorrow = await day(phone, "?day=2026-03-03")
    assert tomorrow["day"] == "2026-03-03"
    assert {row["external_id"] for row in tomorrow["orders"]} == {"left over", "today", "tomorrow"}


async def test_the_day_begins_at_the_org_units_midnight(tx, app, http, clock):
    west = await make_org_unit(tx, time_zone="America/Los_Angeles")
    phone = await make_phone(tx, app, http, clock, org_unit=west)
    assert (await day(phone))["day"] == "2026-03-01"


async def test_only_ones_own_orders(tx, app, http, clock, phone, branch):
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    await make_assigned_order(tx, other.technician, now=clock.now())
    assert (await day(phone))["orders"] == []


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.ADMIN, Role.INTEGRATION])
async def test_others_have_no_day(app, http, branch, role):
    answer = await http.get("/v1/my/day", headers=bearer(app, caller_for(role, branch)))
    assert answer.status_code == 403
    assert (await http.get("/v1/my/day")).status_code == 401


async def test_an_empty_poll_is_304_until_something_happens(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    first = await phone.get("/my/day")
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    clock.tick(timedelta(minutes=10))
    for known in (etag, f'"other", {etag}', f"W/{etag}"):
        again = await phone.get("/my/day", **{"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    await phone.acknowledge(order)
    news = await phone.get("/my/day", **{"if-none-match": etag})
    assert news.status_code == 200
    assert news.headers["etag"] != etag
    # Another system is another answer.
    wgs84 = await phone.get("/my/day?coordsys=wgs84", **{"if-none-match": news.headers["etag"]})
    assert wgs84.status_code == 200


async def test_time_alone_is_news_when_it_hides_a_name(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.complete(await phone.arrive(order))
    etag = (await phone.get("/my/day")).headers["etag"]
    clock.tick(timedelta(hours=3))
    assert (await phone.get("/my/day", **{"if-none-match": etag})).status_code == 200


async def test_a_poll_costs_one_statement(tx, phone, clock, database):
    await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.get("/my/day")
    with counted(database) as sent:
        await phone.get("/my/day")
    assert len(sent) == 1, sent
    assert "FROM work_order AS o" in sent[0]


MANY = text(
    """
    INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type,
        priority, state, address, summary, near_border, skills, estimated_minutes,
        reported_at, received_at, holder_id, planned_day, version)
    SELECT gen_random_uuid(), org_unit_id, id::text, n::text, '', 'repair', 3, :state,
        'x', 'x', false, '{}', 60, :now, :now, id, CAST(:today AS date) - (n % :days), 1
    FROM technician, generate_series(1, :many) AS n WHERE id = :technician_id
    """
)


@pytest.mark.unused_database
async def test_a_poll_reads_no_history(tx, app, http, phone, clock, branch):
    """With years of closed orders behind and many open ones around, only the day's are read."""
    await make_assigned_order(tx, phone.technician, now=clock.now())
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    for who, state, many, days in [(phone, "completed", 20000, 900), (other, "assigned", 3000, 1)]:
        await tx.execute(
            MANY,
            {
                "now": clock.now(),
                "today": TODAY - timedelta(days=days > 1),
                "technician_id": who.technician.id,
                "state": state,
                "many": many,
                "days": days,
            },
        )
    await tx.execute(text("ANALYZE work_order"))
    asked = {"technician_id": phone.technician.id, "day": TODAY}
    driver = await driver_connection(tx)
    explain = await driver.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {queries.DAY}", asked)
    ((plan,),) = (await explain.fetchall())[0]
    used = set(indexes(plan["Plan"]))
    assert {"ix_work_order_day", "ix_work_order_held"} <= used
    assert not [name for name in used if name.startswith("ix_work_order_o")]
    top = plan["Plan"]
    assert top["Actual Rows"] == 1
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 30


def indexes(node):
    """List the indexes a plan uses."""
    if "Index Name" in node:
        yield node["Index Name"]
    for below in node.get("Plans", ()):
        yield from indexes(below)
