"""Many orders moved by one command: all or none, each row told why, previewed, and undone."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from geoalchemy2 import WKTElement
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.dispatch import queries as dispatch
from app.dispatch.models import BulkMove
from app.dispatch.rules.why_not import OVERRIDABLE, WHY_NOT_WORDS, WhyNot
from app.grids.rules import MembershipKind
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.technicians.models import Leave, TechnicianDay, TechnicianLoan
from app.technicians.rules import LeaveCause
from app.workorders import queries
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.counting import counted
from tests.make.dispatch import Territory, make_territory
from tests.make.terminals import make_terminal
from tests.make.workorders import make_work_order

TODAY, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture
async def land(tx) -> Territory:
    """A grid with a primary (Zhang) and a backup (Li)."""
    territory = await make_territory(tx)
    await territory.add_technician(territory.grids[0], name="张师傅")
    await territory.add_technician(
        territory.grids[0], MembershipKind.BACKUP, name="李师傅", home_point=None
    )
    return territory


@pytest.fixture
def zhang(land):
    return land.people[0]


@pytest.fixture
def li(land):
    return land.people[1]


@pytest.fixture
async def supervisor(tx, land):
    account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
    return caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id)


@pytest.fixture
def make(tx, land, clock):
    """Make an order at a place of the grid, given to somebody on a day unless nobody is named."""

    async def order(holder=None, day=TODAY, *, east=0.5, step=None, **fields) -> WorkOrder:
        row = await make_work_order(
            tx,
            now=clock.now(),
            org_unit=fields.pop("org_unit", land.org_unit),
            state=State.LOCATED,
            grid_id=land.grids[0].id,
            point=(112.0 + 0.01 * east, 28.005),
            **fields,
        )
        if holder is not None:
            await take_step(
                tx, row, Step.ASSIGN, now=clock.now(), holder_id=holder.id, planned_day=day
            )
        for one in step or ():
            await take_step(tx, row, one, now=clock.now())
        return row

    return order


@pytest.fixture
def send(app, http, supervisor):
    async def post(path="", *, caller=None, method="POST", **body: Any):
        return await http.request(
            method,
            f"/v1/work-orders/moves{path}",
            headers=bearer(app, caller or supervisor),
            **({"json": body} if body else {}),
        )

    return post


def give(orders, technician=None, day=None, **fields):
    """A command that gives orders as they are now."""
    return {
        "id": str(new_id()),
        "kind": "give",
        "reason": "Zhang is ill",
        "rows": [{"order_id": str(row.id), "version": row.version} for row in orders],
        **({"technician_id": str(technician.id)} if technician else {}),
        **({"day": str(day)} if day else {}),
        **fields,
    }


def reasons(answer):
    """The reasons of each row of a preview or of a refusal."""
    body = answer.json()
    rows = body["rows"] if "rows" in body else body["facts"]["rows"]
    return [[why["reason"] for why in row["reasons"]] for row in rows]


async def holders(tx, rows):
    found = await tx.execute(
        select(WorkOrder.id, WorkOrder.holder_id, WorkOrder.planned_day).where(
            WorkOrder.id.in_([row.id for row in rows])
        )
    )
    return {row.id: (row.holder_id, row.planned_day) for row in found}


# --- giving and taking back -----------------------------------------------------------------------


async def test_everything_of_one_person_is_given_to_another(tx, land, zhang, li, make, send):
    rows = [await make(zhang, east=0.1 * n) for n in range(1, 4)]
    answer = await send(**give(rows, li))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["orders"] == len(body["moved"]) == 3
    assert {one["after"]["technician_id"] for one in body["moved"]} == {str(li.id)}
    assert await holders(tx, rows) == {row.id: (li.id, TODAY) for row in rows}
    assert await availability.promised(tx, zhang.id, TODAY) == NOTHING
    assert await availability.promised(tx, li.id, TODAY) == Promised(180, 3)
    days = {day["technician_id"]: day for day in body["days"]}
    assert (days[str(zhang.id)]["minutes_before"], days[str(zhang.id)]["minutes_after"]) == (180, 0)
    assert (days[str(li.id)]["orders_before"], days[str(li.id)]["orders_after"]) == (0, 3)


async def test_each_order_tells_who_moved_it_and_why(tx, supervisor, zhang, li, make, send):
    row = await make(zhang)
    move = (await send(**give([row], li))).json()
    last = (await queries.history(tx, row.id))[-1]
    assert (last.step, last.reason) == ("assign", "Zhang is ill")
    assert last.account_id == supervisor.account_id
    assert last.facts["move_id"] == move["id"]
    decision = await dispatch.decision(tx, row.id)
    assert decision is not None
    assert (decision.reason, decision.note) == ("by_hand", "Zhang is ill")
    pin = await dispatch.pin_of(tx, row.id)
    assert pin is not None
    assert (pin.technician_id, pin.reason) == (li.id, "Zhang is ill")


async def test_a_selection_takes_what_can_be_moved_and_names_the_rest(
    tx, zhang, li, make, send, clock
):
    left = await make(zhang, TODAY - timedelta(days=1))
    today = await make(zhang)
    under_way = await make(zhang, step=[Step.ACKNOWLEDGE, Step.TRAVEL])
    later = await make(zhang, TOMORROW)
    chosen = {"technician_id": str(zhang.id), "day": str(TODAY)}
    answer = await send(**give([], li, of=chosen, rows=[]))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert [(one["order_id"], one["reason"]) for one in body["left_out"]] == [
        (str(under_way.id), "under_way")
    ]
    assert await holders(tx, [left, today, later]) == {
        left.id: (li.id, TODAY),  # what was left from before is today's work
        today.id: (li.id, TODAY),
        later.id: (zhang.id, TOMORROW),
    }


async def test_a_grids_orders_wherever_they_are(tx, land, zhang, li, make, send):
    waiting, planned = await make(), await make(zhang, TOMORROW)
    of = {"grid_id": str(land.grids[0].id)}
    assert (await send(**give([], li, TOMORROW, of=of, rows=[]))).status_code == 201
    found = await holders(tx, [waiting, planned])
    assert found == {row.id: (li.id, TOMORROW) for row in (waiting, planned)}


async def test_taken_back_orders_wait_for_a_person(tx, zhang, make, send):
    rows = [await make(zhang), await make(zhang)]
    answer = await send(**give(rows, kind="take_back"))
    assert answer.status_code == 201, answer.text
    assert await availability.promised(tx, zhang.id, TODAY) == NOTHING
    for row in rows:
        await tx.refresh(row)
        assert (row.state, row.holder_id) == (State.UNPLACED, None)
        assert row.unplaced_reason is UnplacedReason.TAKEN_BACK
    decision = await dispatch.decision(tx, rows[0].id)
    assert decision is not None
    assert (decision.reason, decision.note) == ("taken_back", "Zhang is ill")


async def test_two_people_swap_their_full_days(tx, land, make, send):
    """Orders leave their days before any takes its place."""
    people = [await land.add_technician(None, daily_minutes=75) for _ in range(2)]
    rows = [await make(person) for person in people]
    swap = give(rows)
    for row, person in zip(swap["rows"], reversed(people), strict=True):
        row["technician_id"] = str(person.id)
    assert (await send(**swap)).status_code == 201
    assert await holders(tx, rows) == {
        rows[0].id: (people[1].id, TODAY),
        rows[1].id: (people[0].id, TODAY),
    }


async def test_terminals_go_along_with_the_orders_that_need_them(tx, land, zhang, li, make, send):
    """What one order leaves in a van another may take; the first rows get what there is."""
    for _ in range(2):
        await make_terminal(tx, land.org_unit, technician_id=li.id)
    leaves = await make(li, terminals=["ont_gateway"])
    rows = [await make(zhang, terminals=["ont_gateway"]) for _ in range(3)]
    command = {
        **give([]),
        "rows": [
            {
                "order_id": str(row.id),
                "version": row.version,
                "technician_id": str(to.id),
                "day": str(TODAY),
            }
            for row, to in [(leaves, zhang), *((row, li) for row in rows)]
        ],
    }
    seen = await send("/preview", **command)
    assert reasons(seen) == [["no_stock"], [], [], ["no_stock"]]
    command["rows"] = command["rows"][1:2]
    moved = await send(**command)
    assert moved.status_code == 201, moved.text


async def test_to_another_day_of_whoever_has_it(tx, zhang, li, make, send):
    rows = [await make(zhang), await make(li)]
    assert (await send(**give(rows, day=TOMORROW))).status_code == 201
    assert await holders(tx, rows) == {
        rows[0].id: (zhang.id, TOMORROW),
        rows[1].id: (li.id, TOMORROW),
    }


# --- reasons --------------------------------------------------------------------------------------


def test_every_reason_has_words_in_both_languages():
    assert WHY_NOT_WORDS.keys() == set(WhyNot)


async def every_reason(tx, land, make):
    """For each reason a row that it alone speaks against: order, person and day."""
    elsewhere = await make_org_unit(tx)
    now = datetime(2026, 3, 1, 16, tzinfo=UTC)

    async def somebody(**fields):
        return await land.add_technician(None, **fields)

    lent, away, busy = await somebody(), await somebody(), await somebody()
    loan = {"reason": "x", "asked_at": now, "agreed_at": now, "org_unit_id": elsewhere.id}
    tx.add(TechnicianLoan(technician_id=lent.id, valid_from=TODAY, valid_to=TOMORROW, **loan))
    leave = {"starts_at": now, "ends_at": now + timedelta(days=1), "cause": LeaveCause.HOLIDAY}
    tx.add(Leave(technician_id=away.id, **leave))
    changed = await make()
    seen = SimpleNamespace(id=changed.id, version=changed.version + 1)
    begun = await make(busy, step=[Step.ACKNOWLEDGE, Step.TRAVEL])
    others = await somebody(org_unit=elsewhere)
    return {
        WhyNot.UNKNOWN: (await make(org_unit=elsewhere), await somebody(), TODAY),
        WhyNot.UNDER_WAY: (begun, await somebody(), TODAY),
        WhyNot.CLOSED: (await make(step=[Step.CANCEL]), await somebody(), TODAY),
        WhyNot.CHANGED: (seen, await somebody(), TODAY),
        WhyNot.UNKNOWN_TECHNICIAN: (await make(), others, TODAY),
        WhyNot.INACTIVE: (await make(), await somebody(active=False), TODAY),
        WhyNot.DAY_OUT_OF_RANGE: (await make(), await somebody(), TODAY - timedelta(days=1)),
        WhyNot.LENT: (await make(), lent, TODAY),
        WhyNot.NO_SKILL: (await make(skills=["fibre"]), await somebody(), TODAY),
        WhyNot.NOT_ON_SHIFT: (await make(), await somebody(weekdays=range(1, 2)), TODAY),
        WhyNot.ON_LEAVE: (await make(), away, TODAY),
        WhyNot.NO_STOCK: (await make(terminals=["camera"]), await somebody(), TODAY),
        WhyNot.NO_MINUTES_LEFT: (await make(), await somebody(daily_minutes=60), TODAY),
    }


async def test_why_not(tx, land, make, send):
    """The preview and the refusal say the same of each row, and what can be insisted on."""
    cases = await every_reason(tx, land, make)
    await tx.flush()
    command = give([])
    command["rows"] = [
        {
            "order_id": str(row.id),
            "version": row.version,
            "technician_id": str(technician.id),
            "day": str(day),
        }
        for row, technician, day in cases.values()
    ]
    seen = await send("/preview", **command)
    assert seen.status_code == 200, seen.text
    assert reasons(seen) == [[why] for why in cases]
    assert (seen.json()["possible"], seen.json()["refused"]) == (False, len(cases))
    assert reasons(await send(**command)) == [[why] for why in cases]
    insisting = (await send("/preview", **{**command, "override": True})).json()
    possible = {why for why, row in zip(cases, insisting["rows"], strict=True) if row["possible"]}
    assert possible == set(cases) & OVERRIDABLE
    command["rows"] = [
        given for why, given in zip(cases, command["rows"], strict=True) if why in OVERRIDABLE
    ]
    assert (await send(**command)).status_code == 409
    done = await send(**{**command, "override": True})
    assert done.status_code == 201, done.text
    assert {one["insisted"][0] for one in done.json()["moved"]} == possible


async def test_an_appointment_that_cannot_be_reached(tx, land, zhang, li, make, send, clock):
    """Two at opposite ends of the day's first hour: the second person cannot keep both."""
    window = {
        "appointment_from": clock.now(),
        "appointment_until": clock.now() + timedelta(minutes=20),
    }
    kept = await make(li, **window)
    row = await make(zhang, **window)
    assert reasons(await send("/preview", **give([row], li)))[0] == ["window_taken"]
    too_soon = await make(
        zhang,
        appointment_from=clock.now() - timedelta(hours=3),
        appointment_until=clock.now() - timedelta(hours=2),
    )
    assert reasons(await send("/preview", **give([too_soon], li)))[0] == ["window_unreachable"]
    assert await holders(tx, [kept]) == {kept.id: (li.id, TODAY)}


async def test_a_day_has_to_end_in_time_with_the_way_home(tx, land, zhang, make, send):
    """Enough minutes are left, but home is an hour and a half away."""
    far = await land.add_technician(None, home_point=WKTElement("POINT(112.2 28.005)", srid=4326))
    rows = [await make(zhang, estimated_minutes=105) for _ in range(4)]
    assert reasons(await send("/preview", **give(rows[:3], far))) == [[], [], []]
    assert reasons(await send("/preview", **give(rows, far))) == [[], [], [], ["shift_end"]]


async def test_all_reasons_of_a_row_are_told_together(land, make, send):
    person = await land.add_technician(None, daily_minutes=60)
    row = await make(skills=["fibre"])
    assert reasons(await send("/preview", **give([row], person, TODAY))) == [
        ["no_skill", "no_minutes_left"]
    ]


async def test_of_rows_that_want_the_same_minutes_the_first_get_them(land, make, send):
    person = await land.add_technician(None, daily_minutes=160)
    rows = [await make() for _ in range(3)]
    assert reasons(await send("/preview", **give(rows, person, TODAY))) == [
        [],
        [],
        ["no_minutes_left"],
    ]
    assert reasons(await send("/preview", **give([rows[0], rows[0]], person, TODAY)))[1] == [
        "named_twice"
    ]


async def test_one_row_that_cannot_be_done_stops_all(tx, zhang, li, make, send):
    good = [await make(zhang), await make(zhang)]
    bad = await make(zhang, skills=["fibre"])
    before = [len(await queries.history(tx, row.id)) for row in (*good, bad)]
    answer = await send(**give([*good, bad], li))
    assert answer.status_code == 409
    facts = answer.json()["facts"]
    assert (facts["refused"], [row["row"] for row in facts["rows"]]) == (1, [3])
    assert facts["rows"][0]["order_id"] == str(bad.id)
    assert await holders(tx, good) == {row.id: (zhang.id, TODAY) for row in good}
    assert before == [len(await queries.history(tx, row.id)) for row in (*good, bad)]
    assert await tx.scalar(select(BulkMove.id)) is None


async def test_what_is_there_already_does_not_move(tx, li, make, send):
    row, other = await make(li), await make()
    answer = await send(**give([row, other], li, TODAY))
    assert [one["order_id"] for one in answer.json()["moved"]] == [str(other.id)]
    assert await dispatch.pin_of(tx, row.id) is not None  # but it is pinned with the rest
    nothing = await send(**give([row], li, TODAY))
    assert nothing.json()["type"].endswith("nothing-to-move")


async def test_a_borrowed_person_is_given_work_on_the_days_of_the_loan(tx, land, make, send):
    helper = await land.add_technician(None, org_unit=await make_org_unit(tx))
    given = {"reason": "x", "asked_at": datetime(2026, 3, 1, tzinfo=UTC)}
    given |= {"agreed_at": given["asked_at"], "technician_id": helper.id}
    given |= {"org_unit_id": land.org_unit.id, "valid_from": TODAY, "valid_to": TOMORROW}
    tx.add(TechnicianLoan(**given))
    await tx.flush()
    row, late = await make(), await make()
    assert (await send(**give([row], helper, TODAY))).status_code == 201
    assert reasons(await send(**give([late], helper, TOMORROW))) == [["unknown_technician"]]


async def test_to_whom_or_when_has_to_be_said(make, send):
    row = await make()
    assert (await send(**give([row]))).json()["type"].endswith("no-target")
    assert (await send(**give([], rows=[]))).status_code == 422


# --- the order of the day -------------------------------------------------------------------------


async def route_of(tx, technician):
    return await tx.scalar(
        select(TechnicianDay.route).where(
            TechnicianDay.technician_id == technician.id, TechnicianDay.day == TODAY
        )
    )


async def test_what_is_given_takes_the_place_where_it_costs_least(tx, land, zhang, li, make, send):
    """Li goes from west to east; what comes from the middle is done on the way."""
    west, east = await make(li, east=0.0), await make(li, east=8.0)
    await availability.write_routes(tx, {(li.id, TODAY): [west.id, east.id]})
    middle = await make(zhang, east=4.0)
    assert (await send(**give([middle], li))).status_code == 201
    assert await route_of(tx, li) == [west.id, middle.id, east.id]


# --- again, and undone ----------------------------------------------------------------------------


async def test_sent_again_it_is_answered_like_the_first_time(tx, zhang, li, make, send):
    rows = [await make(zhang), await make(zhang)]
    command = give(rows, li)
    first, again = await send(**command), await send(**command)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    other = await send(**{**command, "reason": "something else"})
    assert other.json()["type"].endswith("same-id-other-content")
    assert len(await queries.history(tx, rows[0].id)) == 2


async def undone(send, move, **fields):
    body = {"id": str(new_id()), "reason": "the wrong Li", **fields}
    return await send(f"/{move['id']}/undo", **body)


async def test_undoing_puts_everything_back(tx, land, zhang, li, make, send):
    """Holder, day, place on the way, the reason why nobody had it, and the pin."""
    first, second, third = [await make(zhang, east=n) for n in (0.1, 0.5, 0.9)]
    route = [third.id, first.id, second.id]
    await availability.write_routes(tx, {(zhang.id, TODAY): route})
    waiting = await make()
    await take_step(
        tx,
        waiting,
        Step.UNPLACE,
        now=waiting.received_at,
        unplaced_reason=UnplacedReason.NO_MINUTES_LEFT,
    )
    await send(**give([third], zhang, TODAY, reason="promised", id=str(new_id())))
    tomorrow = await make(li, TOMORROW)
    rows = [first, third, waiting, tomorrow]
    before = await holders(tx, rows)
    for row in rows:
        await tx.refresh(row)
    move = (await send(**give(rows, li, TODAY))).json()
    assert await route_of(tx, zhang) == [second.id]
    answer = await undone(send, move)
    assert answer.status_code == 201, answer.text
    assert await holders(tx, rows) == before
    assert await route_of(tx, zhang) == route
    await tx.refresh(waiting)
    assert waiting.unplaced_reason is UnplacedReason.NO_MINUTES_LEFT
    assert await availability.promised(tx, zhang.id, TODAY) == Promised(180, 3)
    assert await availability.promised(tx, li.id, TODAY) == NOTHING
    assert await availability.promised(tx, li.id, TOMORROW) == Promised(60, 1)
    assert await dispatch.pin_of(tx, first.id) is None
    again = (await send(f"/{move['id']}", method="GET")).json()
    assert again["undone_by"] == answer.json()["id"]
    assert answer.json()["undoes"] == move["id"]


async def test_a_pin_that_was_there_before_is_there_again(
    tx, zhang, li, make, send, app, http, supervisor
):
    row = await make(zhang)
    await http.post(
        f"/v1/work-orders/{row.id}/pin",
        json={"reason": "promised"},
        headers=bearer(app, supervisor),
    )
    move = (await send(**give([row], li))).json()
    await undone(send, move)
    pin = await dispatch.pin_of(tx, row.id)
    assert pin is not None
    assert (pin.technician_id, pin.reason) == (zhang.id, "promised")


async def test_what_somebody_has_touched_since_is_not_undone(tx, zhang, li, make, send, clock):
    rows = [await make(zhang), await make(zhang)]
    move = (await send(**give(rows, li))).json()
    await tx.refresh(rows[1])
    await take_step(tx, rows[1], Step.ACKNOWLEDGE, now=clock.now())
    answer = await undone(send, move)
    assert answer.status_code == 409
    [row] = answer.json()["facts"]["rows"]
    assert (row["order_id"], row["state"]) == (str(rows[1].id), "acknowledged")
    assert [why["reason"] for why in row["reasons"]] == ["touched_since"]
    assert await holders(tx, rows) == {row.id: (li.id, TODAY) for row in rows}


async def test_nothing_is_undone_twice_but_an_undoing_can_be(tx, zhang, li, make, send):
    row = await make(zhang)
    move = (await send(**give([row], li))).json()
    back_id = str(new_id())
    back = await undone(send, move, id=back_id)
    assert (await undone(send, move, id=back_id)).json() == back.json()
    twice = await undone(send, move)
    assert twice.json()["type"].endswith("move-undone")
    assert twice.json()["facts"]["undone_by"] == back_id
    forward = await undone(send, back.json())
    assert forward.status_code == 201
    assert await holders(tx, [row]) == {row.id: (li.id, TODAY)}


async def test_a_day_that_has_filled_up_since_is_told(tx, land, li, make, send):
    small = await land.add_technician(None, daily_minutes=75)
    row = await make(small)
    move = (await send(**give([row], li))).json()
    other = await make()
    assert (await send(**give([other], small, TODAY))).status_code == 201
    assert reasons(await undone(send, move)) == [["no_minutes_left"]]
    assert (await undone(send, move, override=True)).status_code == 201


async def test_only_whoever_covers_all_of_it_sees_and_undoes_it(tx, land, zhang, li, make, send):
    crew = await make_org_unit(tx, parent=land.org_unit)
    move = (await send(**give([await make(zhang)], li))).json()
    for unit in (crew, await make_org_unit(tx)):
        other = caller_for(Role.SUPERVISOR, unit)
        assert (await send(f"/{move['id']}", method="GET", caller=other)).status_code == 404
        body = {"id": str(new_id()), "reason": "x", "caller": other}
        assert (await send(f"/{move['id']}/undo", **body)).status_code == 404
        assert (await send(method="GET", caller=other)).json()["moves"] == []


async def test_ones_own_commands_are_listed_newest_first(zhang, li, make, send, clock):
    row = await make(zhang)
    ids = []
    for person in (li, zhang, li):
        ids.append((await send(**give([row], person))).json()["id"])
        row.version += 1
        clock.tick(timedelta(minutes=1))
    page = (await send("?size=2", method="GET")).json()
    assert [one["id"] for one in page["moves"]] == [ids[2], ids[1]]
    rest = (await send(f"?size=2&page_token={page['next_page_token']}", method="GET")).json()
    assert [one["id"] for one in rest["moves"]] == ids[:1]


# --- what it costs --------------------------------------------------------------------------------


async def test_many_cost_as_many_statements_as_few(database, zhang, li, make, send):
    """What is written by COPY is not counted: it is one command for all rows as well."""
    costs = []
    for many in (1, 2, 6):  # the first fills what a process remembers
        rows = [await make(zhang, TOMORROW + timedelta(days=many)) for _ in range(many)]
        with counted(database) as seen:
            answer = await send(**give(rows, li))
        assert answer.status_code == 201, answer.text
        costs.append(len(seen))
    assert costs[1] == costs[2] < 30
