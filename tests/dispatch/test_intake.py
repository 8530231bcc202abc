"""Taking one order in: placed at once, or in the supervisor's queue with a reason."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.customers.models import Interaction
from app.dispatch.service import intake
from app.grids.rules import MembershipKind
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_customer, make_subscription
from tests.make.dispatch import Territory, make_territory, order
from tests.make.terminals import make_terminal
from tests.make.workorders import make_promise

TODAY = date(2026, 3, 2)


@pytest.fixture
async def land(tx) -> Territory:
    """One grid without anybody who looks after it."""
    return await make_territory(tx)


@pytest.fixture
def crm(app, http, land):
    """Post as the upstream system of the branch, or of another unit."""

    async def post(body, *, unit=None, role=Role.INTEGRATION):
        headers = bearer(app, caller_for(role, unit or land.org_unit))
        return await http.post("/v1/work-orders", json=body, headers=headers)

    return post


@pytest.fixture
def get(app, http, land):
    """Read as a supervisor of the branch, or of another unit."""

    async def read(path, *, unit=None, **query):
        headers = bearer(app, caller_for(Role.SUPERVISOR, unit or land.org_unit))
        return await http.get(f"/v1{path}", headers=headers, params=query)

    return read


# --- placed -------------------------------------------------------------------------------------


async def test_an_order_finds_its_grid_and_the_grids_primary(land, crm, get, tx):
    technician = await land.add_technician(land.grids[0])
    answer = await crm(order(point=land.point_in(land.grids[0])))
    assert answer.status_code == 201
    placed = answer.json()
    assert placed["state"] == "assigned"
    assert placed["grid_id"] == str(land.grids[0].id)
    assert placed["holder_id"] == str(technician.id)
    assert (placed["planned_day"], placed["near_border"]) == ("2026-03-02", False)
    assert await availability.promised(tx, technician.id, TODAY) == Promised(60, 1)

    history = (await get(f"/work-orders/{placed['id']}/history")).json()["events"]
    assert [(event["from_state"], event["step"], event["to_state"]) for event in history] == [
        (None, None, "received"),
        ("received", "locate", "located"),
        ("located", "assign", "assigned"),
    ]
    assert history[2]["reason"] == "primary"
    assert history[2]["facts"] == {
        "technician_id": str(technician.id),
        "planned_day": "2026-03-02",
    }


async def test_the_decision_names_who_was_considered_and_why_not(land, crm, get):
    grid = land.grids[0]
    primary = await land.add_technician(grid, starts_at=time(8), ends_at=time(9))
    first = await land.add_technician(grid, MembershipKind.BACKUP, rank=1, active=False)
    second = await land.add_technician(grid, MembershipKind.BACKUP, rank=2)
    await land.add_technician(grid, MembershipKind.BACKUP, rank=3)
    placed = (await crm(order(point=land.point_in(grid)))).json()
    decision = (await get(f"/work-orders/{placed['id']}/decision")).json()
    assert decision["technician_id"] == str(second.id)
    assert decision["reason"] == "backup"
    assert decision["reason_words"] == {"zh": "备岗", "en": "backup of this grid"}
    assert [
        (one["technician_id"], one["kind"], one["rank"], one["passed_over"])
        for one in decision["candidates"]
    ] == [
        (str(primary.id), "primary", 1, "not_on_shift"),
        (str(first.id), "backup", 1, "inactive"),
        (str(second.id), "backup", 2, None),
    ]
    assert decision["candidates"][0]["passed_over_words"] == {
        "zh": "不当班",
        "en": "not on shift for this grid",
    }
    assert decision["not_considered"] == 1


async def test_a_loan_wins_while_it_runs(land, crm):
    grid = land.grids[0]
    await land.add_technician(grid)
    lent = await land.add_technician(
        grid, MembershipKind.LOAN, valid_from=TODAY, valid_to=TODAY + timedelta(days=1)
    )
    over = await land.add_technician(grid, MembershipKind.LOAN, valid_to=TODAY)
    placed = (await crm(order(point=land.point_in(grid)))).json()
    assert placed["holder_id"] == str(lent.id) != str(over.id)


async def test_a_neighbouring_grids_primary_helps_out(tx, crm, land, get):
    neighbour = await land.add_grid()
    helper = await land.add_technician(neighbour)
    await land.add_technician(neighbour, MembershipKind.BACKUP)
    placed = (await crm(order(point=land.point_in(land.grids[0])))).json()
    assert placed["grid_id"] == str(land.grids[0].id)
    assert placed["holder_id"] == str(helper.id)
    decision = (await get(f"/work-orders/{placed['id']}/decision")).json()
    assert decision["reason"] == "neighbour"
    assert [(one["kind"], one["passed_over"]) for one in decision["candidates"]] == [
        ("neighbour", None),
        ("branch", "dearer"),
    ]
    chosen, other = (one["cost"] for one in decision["candidates"])
    assert chosen["ownership_s"] == 720
    assert chosen["travel_s"] > 0
    assert other["total_s"] == chosen["total_s"]
    assert other["more_than_chosen_s"] == 0


async def test_a_full_day_leads_to_the_next(land, crm, tx):
    technician = await land.add_technician(land.grids[0], daily_minutes=150)
    point = land.point_in(land.grids[0])
    days = [(await crm(order(f"F-{n}", point=point))).json()["planned_day"] for n in range(4)]
    assert days == ["2026-03-02", "2026-03-02", "2026-03-03", "2026-03-03"]
    assert await availability.promised(tx, technician.id, TODAY) == Promised(120, 2)


async def test_an_appointment_fixes_the_day(land, crm):
    await land.add_technician(land.grids[0])
    window = {
        "appointment_from": "2026-03-12T14:00:00+08:00",  # beyond the horizon of seven days
        "appointment_until": "2026-03-12T16:00:00+08:00",
    }
    placed = (await crm(order(point=land.point_in(land.grids[0]), **window))).json()
    assert placed["planned_day"] == "2026-03-12"


async def test_appointments_that_overlap_go_to_two_people_or_to_nobody(land, crm):
    """There are minutes enough; but nobody can begin three times within half an hour."""
    primary = await land.add_technician(land.grids[0])
    backup = await land.add_technician(land.grids[0], MembershipKind.BACKUP)
    window = {
        "appointment_from": "2026-03-03T14:00:00+08:00",
        "appointment_until": "2026-03-03T14:30:00+08:00",
    }
    point = land.point_in(land.grids[0])
    placed = [(await crm(order(f"F-{n}", point=point, **window))).json() for n in range(3)]
    assert [one["holder_id"] for one in placed] == [str(primary.id), str(backup.id), None]
    assert placed[2]["unplaced_reason"] == "window_unreachable"


async def test_the_promise_of_the_grids_own_unit_counts(land, crm, tx):
    await land.add_technician(land.grids[0])
    district = await make_org_unit(tx, parent=land.org_unit)
    other = await land.add_grid(org_unit=district)
    await make_promise(tx)
    await make_promise(tx, org_path=district.path, cut_off=None, hours_after=4.0)
    here = (await crm(order("F-1", point=land.point_in(land.grids[0])))).json()
    there = (await crm(order("F-2", point=land.point_in(other)))).json()
    assert here["due_at"] == "2026-03-02T10:00:00Z"  # 18:00 in Shanghai
    assert there["due_at"] == "2026-03-02T04:30:00Z"  # reported at 8:30
    assert (here["org_unit_id"], there["org_unit_id"]) == (str(land.org_unit.id), str(district.id))


async def test_minutes_that_were_not_sent_come_from_the_work_type(land, crm, tx):
    technician = await land.add_technician(land.grids[0])
    await crm(
        order(point=land.point_in(land.grids[0]), work_type="install", estimated_minutes=None)
    )
    assert await availability.promised(tx, technician.id, TODAY) == Promised(90, 1)


@pytest.mark.parametrize(
    ("east", "near"),
    [(0.5, False), (0.0001, True), (0.014, True), (0.018, False)],  # 0.01 is 9.8 m
)
async def test_a_point_near_a_border_is_marked_wherever_the_order_is_shown(
    land, crm, get, east, near
):
    placed = (await crm(order(point=land.point_in(land.grids[0], east=east)))).json()
    one = (await get(f"/work-orders/{placed['id']}")).json()
    (listed,) = (await get("/work-orders")).json()["orders"]
    assert [shown["near_border"] for shown in (placed, one, listed)] == [near] * 3


# --- unplaced -----------------------------------------------------------------------------------


@pytest.fixture
def queue(get):
    """Read the supervisor's queue as pairs of external id and reason."""

    async def read(**query):
        found = await get("/work-orders", state="unplaced", **query)
        return [(one["external_id"], one["unplaced_reason"]) for one in found.json()["orders"]]

    return read


async def no_point(land):
    await land.add_technician(land.grids[0])
    return {"point": None}


async def no_grid(land):
    return {"point": {"lon": 110.0, "lat": 28.0, "coordsys": "wgs84"}}


async def nobody_assigned(land):
    return {}


async def nobody_with_skill(land):
    await land.add_technician(land.grids[0], skills={"fibre": 1})
    return {"skills": ["fibre", "iptv"]}


async def nobody_on_shift(land):
    await land.add_technician(land.grids[0], weekdays=range(0))
    technician = await land.add_technician(land.grids[0], MembershipKind.BACKUP)
    land.tx.add(
        Leave(
            technician_id=technician.id,
            starts_at=datetime(2026, 3, 1, tzinfo=UTC),
            ends_at=datetime(2026, 4, 1, tzinfo=UTC),
            cause=LeaveCause.HOLIDAY,
        )
    )
    await land.tx.flush()
    return {}


async def no_stock(land):
    technician = await land.add_technician(land.grids[0])
    await make_terminal(land.tx, land.org_unit, technician_id=technician.id)
    return {"terminals": ["ont_gateway", "set_top_box"]}


async def no_minutes_left(land):
    await land.add_technician(land.grids[0], daily_minutes=74)
    return {}


async def window_unreachable(land):
    await land.add_technician(land.grids[0])
    return {
        "appointment_from": "2026-03-02T20:00:00+08:00",
        "appointment_until": "2026-03-02T21:00:00+08:00",
    }


REASONS = [
    no_point,
    no_grid,
    nobody_assigned,
    nobody_with_skill,
    nobody_on_shift,
    no_stock,
    no_minutes_left,
    window_unreachable,
]


@pytest.mark.parametrize("arranged", REASONS, ids=lambda arranged: arranged.__name__)
async def test_an_order_that_nobody_can_take_waits_with_a_reason(land, crm, get, queue, arranged):
    reason = arranged.__name__
    fields = {"point": land.point_in(land.grids[0])}
    fields |= await arranged(land)
    placed = (await crm(order(**fields))).json()
    assert (placed["state"], placed["unplaced_reason"]) == ("unplaced", reason)
    assert placed["holder_id"] is placed["planned_day"] is None
    assert await queue() == [("F-1", reason)]
    assert await queue(unplaced_reason=reason) == [("F-1", reason)]
    decision = (await get(f"/work-orders/{placed['id']}/decision")).json()
    assert (decision["reason"], decision["technician_id"]) == (reason, None)
    assert all(decision["reason_words"].values())


async def test_a_grid_outside_the_senders_area_is_no_grid(land, crm, tx):
    await land.add_technician(land.grids[0])
    other = await make_org_unit(tx)
    placed = (await crm(order(point=land.point_in(land.grids[0])), unit=other)).json()
    assert (placed["unplaced_reason"], placed["grid_id"]) == ("no_grid", None)
    assert placed["org_unit_id"] == str(other.id)


async def test_an_order_names_the_unit_it_belongs_to_until_it_is_located(land, crm, tx):
    district = await make_org_unit(tx, parent=land.org_unit)
    placed = (await crm(order(org_unit_code=district.code))).json()
    assert placed["org_unit_id"] == str(district.id)


# --- refused, and the same again ----------------------------------------------------------------


async def test_the_same_order_again_is_answered_with_200_and_changes_nothing(land, crm, tx):
    technician = await land.add_technician(land.grids[0])
    body = order(point=land.point_in(land.grids[0]))
    first, again = await crm(body), await crm(body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert await availability.promised(tx, technician.id, TODAY) == Promised(60, 1)
    assert await tx.scalar(select(func.count()).select_from(WorkOrder)) == 1


async def test_an_order_may_bring_its_own_id(land, crm):
    order_id = str(new_id())
    body = order(id=order_id)
    assert (await crm(body)).json()["id"] == order_id
    assert (await crm(body)).status_code == 200
    assert (await crm({**body, "id": None})).status_code == 200
    refused = await crm({**body, "external_id": "F-2"})
    assert (refused.status_code, refused.json()["type"]) == (
        409,
        "urn:yingwei:problem:same-id-other-content",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"summary": "other"},
        {"priority": 1},
        {"skills": ["iptv"]},
        {"terminals": ["camera"]},
        {"point": None},
        {"id": "new"},
    ],
)
async def test_the_same_name_with_other_content_is_refused(land, crm, change):
    first = (await crm(order(point=land.point_in(land.grids[0])))).json()
    if "id" in change:
        change = {"id": str(new_id())}
    body = order(**{"point": land.point_in(land.grids[0]), **change})
    refused = await crm(body)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:yingwei:problem:same-order-other-content"
    assert refused.json()["facts"] == {
        "source": "crm",
        "external_id": "F-1",
        "id": first["id"],
    }


async def test_whose_order_it_is_is_not_told_to_strangers(land, crm, tx):
    await crm(order())
    stranger = await make_org_unit(tx)
    refused = await crm(order(), unit=stranger)
    assert refused.status_code == 409
    assert refused.json()["facts"]["id"] is None


FIELDS = [
    ({"source": None}, "source"),
    ({"source": "a b"}, "source"),
    ({"external_id": None}, "external_id"),
    ({"external_id": ""}, "external_id"),
    ({"external_id": "x" * 129}, "external_id"),
    ({"work_type": "paint"}, "work_type"),
    ({"priority": 0}, "priority"),
    ({"priority": 5}, "priority"),
    ({"address": ""}, "address"),
    ({"summary": "a\x00b"}, ""),
    ({"point": {"lon": 112.0, "lat": 28.0}}, "point.coordsys"),
    ({"point": {"lon": 181, "lat": 28.0, "coordsys": "wgs84"}}, "point.lon"),
    ({"point": {"lon": 112.0, "lat": -90.5, "coordsys": "wgs84"}}, "point.lat"),
    ({"point": {"lon": 112.0, "lat": 28.0, "coordsys": "utm"}}, "point.coordsys"),
    ({"estimated_minutes": 4}, "estimated_minutes"),
    ({"estimated_minutes": 961}, "estimated_minutes"),
    ({"reported_at": "2026-03-02T08:30:00"}, "reported_at"),
    ({"reported_at": "1999-12-31T08:30:00Z"}, "reported_at"),
    ({"skills": ["a,b"]}, "skills.0"),
    ({"skills": ["x"] * 21}, "skills"),
    ({"terminals": ["modem"]}, "terminals.0"),
    ({"terminals": ["camera"] * 9}, "terminals"),
    ({"appointment_from": "2026-03-02T10:00:00Z"}, ""),
    (
        {
            "appointment_from": "2026-03-02T10:00:00Z",
            "appointment_until": "2026-03-02T10:00:00Z",
        },
        "",
    ),
    (
        {
            "appointment_from": "2026-03-02T10:00:00Z",
            "appointment_until": "2026-03-09T10:00:01Z",
        },
        "",
    ),
    ({"id": "7"}, "id"),
    ({"state": "assigned"}, "state"),
    ({"holder_id": str(new_id())}, "holder_id"),
]


@pytest.mark.parametrize(("change", "field"), FIELDS)
async def test_a_wrong_field_is_refused_by_its_name(crm, change, field, tx):
    refused = await crm(order(**change))
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["facts"]["errors"]] == [field]
    assert await tx.scalar(select(func.count()).select_from(WorkOrder)) == 0


async def test_an_unknown_unit_or_one_of_others_is_refused(crm, tx):
    other = await make_org_unit(tx)
    for code in ("nowhere", other.code):
        refused = await crm(order(org_unit_code=code))
        assert refused.status_code == 422
        assert refused.json()["type"] == "urn:yingwei:problem:unknown-org-unit"
        assert refused.json()["facts"]["code"] == code


async def test_technicians_do_not_send_orders(crm):
    assert (await crm(order(), role=Role.TECHNICIAN)).status_code == 403


# --- customers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["customer_code", "service_number"])
async def test_a_known_customer_is_linked_and_the_fault_is_on_their_card(land, crm, tx, by):
    customer = await make_customer(tx, org_unit=land.org_unit)
    subscription = await make_subscription(tx, customer)
    name = {"customer_code": customer.code, "service_number": subscription.service_number}[by]
    placed = (await crm(order(**{by: name}))).json()
    row = await tx.get(WorkOrder, placed["id"])
    assert row is not None
    assert row.customer_id == customer.id
    [contact] = (await tx.scalars(select(Interaction))).all()
    assert (contact.customer_id, contact.kind, contact.subject) == (
        customer.id,
        "fault",
        "宽带断网",
    )
    assert contact.work_order_id == row.id


async def test_an_install_is_no_fault(land, crm, tx):
    customer = await make_customer(tx, org_unit=land.org_unit)
    await crm(order(customer_code=customer.code, work_type="install"))
    assert (await tx.scalars(select(Interaction))).all() == []


async def test_a_customer_of_others_is_not_linked(land, crm, tx):
    stranger = await make_customer(tx, org_unit=await make_org_unit(tx))
    placed = (await crm(order(customer_code=stranger.code))).json()
    row = await tx.get(WorkOrder, placed["id"])
    assert row is not None
    assert row.customer_id is None


# --- when placing fails -------------------------------------------------------------------------


async def test_if_placing_fails_the_order_is_taken_in_and_waits(land, crm, tx, monkeypatch):
    technician = await land.add_technician(land.grids[0])

    async def broken(*_args, **_kwargs):
        await tx.execute(text("SELECT 1 / 0"))

    monkeypatch.setattr(intake, "choose_all", broken)
    answer = await crm(order(point=land.point_in(land.grids[0])))
    assert answer.status_code == 201
    assert answer.json()["state"] == "received"
    assert await availability.promised(tx, technician.id, TODAY) == NOTHING
    row = await tx.get(WorkOrder, answer.json()["id"])
    assert row is not None
    assert (row.state, row.estimated_minutes) == (State.RECEIVED, 60)


# --- cost ---------------------------------------------------------------------------------------


async def test_an_order_costs_as_many_statements_with_many_candidates_as_with_one(
    land, crm, database
):
    await land.add_technician(land.grids[0])
    # Parameters, org units, promises and what is known of ways are read.
    await crm(order("F-0", point=land.point_in(land.grids[0])))
    with counted(database) as few:
        await crm(order("F-1", point=land.point_in(land.grids[0])))
    for rank in range(1, 10):
        await land.add_technician(land.grids[0], MembershipKind.BACKUP, rank=rank)
    with counted(database) as many:
        await crm(order("F-2", point=land.point_in(land.grids[0])))
    assert len(few) == len(many) <= 11, "\n\n".join(few)
