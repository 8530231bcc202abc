"""Searching for slots over HTTP: which are offered, how good they are, and why not the others."""

from datetime import date, time, timedelta

import pytest

from app.auth.rules import Role
from app.grids.rules import MembershipKind
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from app.worktypes.rules import WorkType
from tests.dispatch.appointing import Desk, at
from tests.make.auth import make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_address, make_customer
from tests.make.dispatch import make_territory, order
from tests.make.slots import holding, make_slots, search
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal
from tests.make.workorders import make_promise

TUESDAY = date(2026, 3, 3)


@pytest.fixture
async def land(tx):
    """Two grids; the first has a primary who works from eight to six."""
    land = await make_territory(tx, grids=2)
    await land.add_technician(land.grids[0], skills={"fibre": 1})
    await make_slots(tx)
    return land


@pytest.fixture
def here(land):
    return land.point_in(land.grids[0])


@pytest.fixture
def crm(app, http, land) -> Desk:
    """The upstream system."""
    return Desk(app, http, land)


@pytest.fixture
def boss(app, http, land) -> Desk:
    """A supervisor."""
    return Desk(app, http, land, Role.SUPERVISOR)


def whys(slots):
    return {code: slot["not_offered"] for code, slot in slots.items()}


async def test_free_slots_are_green_and_the_evening_has_nobody(crm, here, land):
    answer = await crm.post("/appointments/search-time-slots", search(here))
    found = answer.json()
    assert found["grid_id"] == str(land.grids[0].id)
    assert [one["slot"] for one in found["slots"]] == ["s08", "s10", "s14", "s16", "s18"]
    assert [one["grade"] for one in found["slots"]] == ["green"] * 4 + [None]
    first, *_, evening = found["slots"]
    assert (first["begins_at"], first["ends_at"]) == (
        "2026-03-03T00:00:00Z",
        "2026-03-03T02:00:00Z",
    )
    assert (first["minutes"], first["free_minutes"]) == (120, 120)
    assert first["closes_at"] == "2026-03-02T23:00:00Z"
    assert first["valid_until"] == "2026-03-02T01:10:00Z"  # ten minutes from now, to hold it
    assert evening["not_offered"] == "nobody_on_shift"
    assert evening["not_offered_words"]["zh"] == "该时段无人当班"


async def closed(tx, land):
    return search(first_day="2026-03-02", last_day="2026-03-02"), {"s08": "closed", "s10": "closed"}


async def before_earliest(tx, land):
    fields = search(earliest="2026-03-03T13:00:00+08:00")
    return fields, {"s08": "before_earliest", "s10": "before_earliest", "s14": None}


async def beyond_promise(tx, land):
    await make_promise(tx, work_type=WorkType.INSTALL, cut_off=time(16), due_time=time(15))
    fields = search(first_day="2026-03-02", last_day="2026-03-02")
    return fields, {"s14": None, "s16": "beyond_promise"}


async def nobody_with_skill(tx, land):
    return search(skills=["copper"]), {"s10": "nobody_with_skill"}


async def nobody_on_shift(tx, land):
    leave = Leave(
        technician_id=land.people[0].id,
        starts_at=at("3 00:00"),
        ends_at=at("3 13:00"),
        cause=LeaveCause.ILLNESS,
    )
    tx.add(leave)
    await tx.flush()
    return search(), {"s08": "nobody_on_shift", "s10": "nobody_on_shift", "s14": None}


async def nobody_assigned(tx, land):
    far = [await land.add_grid() for _ in range(2)][-1]
    return search(grid_id=str(far.id)), {"s10": "nobody_assigned"}


async def too_long(tx, land):
    return search(estimated_minutes=400), {"s08": None, "s14": "nobody_on_shift"}


@pytest.mark.parametrize(
    "arranged",
    [
        closed,
        before_earliest,
        beyond_promise,
        nobody_with_skill,
        nobody_on_shift,
        nobody_assigned,
        too_long,
    ],
)
async def test_what_is_not_offered_says_why(tx, land, crm, here, arranged):
    body, expected = await arranged(tx, land)
    if "grid_id" not in body:
        body["point"] = here
    found = whys(await crm.slots(body))
    assert expected.items() <= found.items()


async def test_a_slot_after_the_promise_is_red_when_the_customer_wants_it(tx, crm, here):
    await make_promise(tx, work_type=WorkType.INSTALL, cut_off=time(16), due_time=time(15))
    body = search(here, first_day="2026-03-02", last_day="2026-03-03", later_agreed=True)
    slots = await crm.slots(body)
    assert (slots["02 s14"]["grade"], slots["02 s14"]["beyond_promise"]) == ("yellow", False)
    assert (slots["03 s08"]["grade"], slots["03 s08"]["beyond_promise"]) == ("red", True)


# --- what is taken --------------------------------------------------------------------------------


async def test_orders_with_appointments_count_wherever_they_came_from(crm, here):
    """One leaves the slot to one more visit, and brings somebody close by; the second fills it."""
    window = {
        "appointment_from": "2026-03-03T10:00:00+08:00",
        "appointment_until": "2026-03-03T12:00:00+08:00",
    }
    for number, grade, free in ((1, "green", 45), (2, None, 0)):
        answer = await crm.post("/work-orders", order(f"F-{number}", point=here, **window))
        assert answer.json()["planned_day"] == "2026-03-03"
        slot = (await crm.slots(search(here, estimated_minutes=90)))["s10"]
        assert slot["close_by"]
        assert (slot["grade"], slot["free_minutes"]) == (grade, free)
    assert slot["not_offered"] == "full"


async def test_a_full_day_has_no_slot_however_free_its_hours_are(tx, crm, here, land):
    """Orders without an appointment may be done at any hour, and still take their minutes."""
    land.people[0].daily_minutes = 150
    await tx.flush()
    for number in range(4):
        await crm.post("/work-orders", order(f"F-{number}", point=here))
    assert set(whys(await crm.slots(search(here))).values()) == {"full", "nobody_on_shift"}


async def test_a_part_of_the_minutes_is_kept_for_what_is_urgent(crm, here, land):
    """Three installs take more than four fifths of the four hours of two people."""
    await land.add_technician(land.grids[0], MembershipKind.BACKUP, starts_at=time(10))
    window = {
        "appointment_from": "2026-03-03T10:00:00+08:00",
        "appointment_until": "2026-03-03T12:00:00+08:00",
        "work_type": "install",
    }
    ask = search(here)
    for number in range(3):
        assert (await crm.slots(ask))["s10"]["not_offered"] is None
        await crm.post("/work-orders", order(f"F-{number}", point=here, **window))
    assert (await crm.slots(ask))["s10"]["not_offered"] == "reserve_only"
    for urgent in ({"priority": 2}, {"work_type": "repair"}):
        assert (await crm.slots({**ask, **urgent}))["s10"]["not_offered"] is None


async def test_an_order_that_is_there_makes_room_for_itself(tx, crm, here, land):
    land.people[0].daily_minutes = 75
    await tx.flush()
    window = {
        "appointment_from": "2026-03-03T10:00:00+08:00",
        "appointment_until": "2026-03-03T12:00:00+08:00",
    }
    placed = (await crm.post("/work-orders", order(point=here, **window))).json()
    assert (await crm.slots(search(here)))["s14"]["not_offered"] == "full"
    body = {"work_order_id": placed["id"], "first_day": "2026-03-03", "last_day": "2026-03-03"}
    assert (await crm.slots(body))["s14"]["not_offered"] is None


async def test_a_slot_is_kept_by_somebody_with_the_orders_terminals(tx, crm, here, land):
    """The order that has the terminal keeps it for another slot; the other one has to wait."""
    [primary] = land.people
    await make_terminal(tx, land.org_unit, technician_id=primary.id)
    window = {
        "appointment_from": "2026-03-03T10:00:00+08:00",
        "appointment_until": "2026-03-03T12:00:00+08:00",
    }
    install = {"point": here, "terminals": ["ont_gateway"]}
    has = (await crm.post("/work-orders", order("F-1", **install, **window))).json()
    waits = (await crm.post("/work-orders", order("F-2", **install))).json()
    days = {"first_day": "2026-03-03", "last_day": "2026-03-03"}
    slots = await crm.slots({"work_order_id": waits["id"], **days})
    assert slots["s14"]["not_offered"] == "no_stock"
    slots = await crm.slots({"work_order_id": has["id"], **days})
    assert slots["s14"]["not_offered"] is None
    await crm.hold(holding(work_order_id=has["id"], slot="s14"))
    refused = await crm.post("/appointments/holds", holding(work_order_id=waits["id"], slot="s16"))
    assert refused.json()["facts"]["why"] == "no_stock"


async def test_the_minutes_of_a_grids_share_are_kept(tx, crm, here, land):
    """A loan for a sixth of the day: one visit, and no other."""
    _, other = land.grids
    lent = await land.add_technician(other)
    await land.give(land.grids[0], lent, MembershipKind.LOAN, ratio=16)
    land.people[0].active = False
    await tx.flush()
    assert (await crm.slots(search(here)))["s08"]["not_offered"] is None
    await crm.post(
        "/work-orders",
        order(
            point=here,
            appointment_from="2026-03-03T14:00:00+08:00",
            appointment_until="2026-03-03T16:00:00+08:00",
        ),
    )
    assert (await crm.slots(search(here)))["s08"]["not_offered"] == "full"


# --- slots, limits, places ------------------------------------------------------------------------


async def test_the_slots_of_the_closest_unit_count_on_their_weekdays(tx, crm, here, land):
    await make_slots(tx, prefix="own-", org_path=land.org_unit.path, weekdays=2)  # Tuesdays
    slots = await crm.slots(search(here, last_day="2026-03-04"))
    assert set(slots) == {"own-s08", "own-s10", "own-s14", "own-s16", "own-s18"}


async def test_a_slot_may_close_the_evening_before(tx, crm, here, land, clock):
    await make_slots(tx, prefix="own-", org_path=land.org_unit.path, closes_at=time(18))
    clock.tick(timedelta(hours=8, minutes=59))
    assert (await crm.slots(search(here)))["own-s14"]["not_offered"] is None
    clock.tick(timedelta(minutes=1))
    assert (await crm.slots(search(here)))["own-s14"]["not_offered"] == "closed"


async def test_no_slots_at_all_is_told(tx, app, http):
    land = await make_territory(tx)
    crm = Desk(app, http, land)
    answer = await crm.post("/appointments/search-time-slots", search(land.point_in(land.grids[0])))
    assert answer.json()["type"] == "urn:yingwei:problem:no-slots-defined"


async def test_limits_and_holidays(boss, crm, here, land):
    unit = land.org_unit.code
    one = {"org_unit_code": unit, "day": "2026-03-03", "slot": "s10", "most": 1, "note": "training"}
    answer = await boss.put("/appointments/limits", one)
    assert answer.json()["limits"] == [{**one, "category": ""}]
    assert (await crm.slots(search(here)))["s10"]["not_offered"] is None
    await crm.post(
        "/work-orders",
        order(
            point=here,
            estimated_minutes=20,
            appointment_from="2026-03-03T10:00:00+08:00",
            appointment_until="2026-03-03T12:00:00+08:00",
        ),
    )
    slots = await crm.slots(search(here, estimated_minutes=20))
    assert (slots["s10"]["not_offered"], slots["s14"]["not_offered"]) == ("limit_reached", None)
    await boss.put("/appointments/limits", {**one, "slot": "", "most": 0})
    assert set(whys(await crm.slots(search(here))).values()) == {"holiday"}
    listed = await boss.get("/appointments/limits", first_day="2026-03-01", last_day="2026-03-31")
    assert len(listed.json()["limits"]) == 2
    await boss.put("/appointments/limits", {**one, "slot": "", "most": None})
    await boss.put("/appointments/limits", {**one, "most": None})
    assert (await crm.slots(search(here)))["s10"]["not_offered"] is None


async def test_a_limit_of_another_unit_cannot_be_set(tx, boss):
    other = await make_org_unit(tx)
    answer = await boss.put(
        "/appointments/limits", {"org_unit_code": other.code, "day": "2026-03-03", "most": 0}
    )
    assert answer.json()["type"] == "urn:yingwei:problem:unknown-org-unit"


async def test_a_sale_at_the_door_is_offered_the_slot_that_begins_now(tx, crm, here):
    body = search(here, first_day="2026-03-02", last_day="2026-03-02", two_hour_activation=True)
    slots = await crm.slots(body)
    assert slots["now"]["grade"] == "green"
    assert (slots["now"]["begins_at"], slots["now"]["ends_at"]) == (
        "2026-03-02T01:00:00Z",
        "2026-03-02T02:00:00Z",
    )
    slots = await crm.slots({**body, "estimated_minutes": 150})
    assert slots["now"]["not_offered"] == "too_long_for_now"


async def test_the_place_of_a_customer_counts(tx, crm, land):
    customer = await make_customer(tx, org_unit=land.org_unit)
    await make_address(tx, customer, lon=112.005, lat=28.005)
    found = await crm.post("/appointments/search-time-slots", search(customer_code=customer.code))
    assert found.json()["grid_id"] == str(land.grids[0].id)


async def test_what_lies_outside_the_callers_area_is_not_there(tx, app, http, crm, land, here):
    stranger = await make_territory(tx)
    others = Desk(app, http, stranger)
    named = await others.post(
        "/appointments/search-time-slots", search(grid_id=str(land.grids[0].id))
    )
    assert named.status_code == 404
    pointed = await crm.post(
        "/appointments/search-time-slots",
        search({"lon": 10.0, "lat": 10.0, "coordsys": "wgs84"}),
    )
    assert pointed.json()["type"] == "urn:yingwei:problem:place-not-covered"
    customer = await make_customer(tx, org_unit=stranger.org_unit)
    answer = await crm.post("/appointments/search-time-slots", search(customer_code=customer.code))
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"grid_id": "01a201e0-a0d2-738b-a837-f687099e01fe"},
        {"last_day": "2026-03-01"},
        {"last_day": "2026-06-01"},
    ],
)
async def test_questions_that_make_no_sense_are_refused(crm, here, fields):
    answer = await crm.post("/appointments/search-time-slots", search(here, **fields))
    assert answer.status_code == 422


async def test_a_technician_may_not_search(app, http, land, here):
    person = Desk(app, http, land, Role.TECHNICIAN)
    answer = await person.post("/appointments/search-time-slots", search(here))
    assert answer.status_code == 403


async def test_a_week_costs_as_many_statements_as_a_day(tx, database, crm, here, land):
    for _ in range(20):
        await make_technician(tx, org_unit=land.org_unit)
    await crm.slots(search(here))
    with counted(database) as one_day:
        await crm.slots(search(here))
    with counted(database) as a_week:
        await crm.slots(search(here, last_day="2026-03-09"))
    assert len(a_week) == len(one_day) <= 7
