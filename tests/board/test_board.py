"""The board over HTTP: who is on it, what it says of each visit, and whose rows it never shows."""

from datetime import date, datetime, time, timedelta

import pytest

from app.auth.rules import Role
from app.board import queries
from app.board.schemas import (
    BoardOut,
    BoardTechnicianOut,
    BoardVisitOut,
    TotalsOut,
    UnplacedOut,
)
from app.core.db import driver_connection, new_id
from app.core.parameter_values import ParameterValue
from app.dispatch.models import DispatchPin
from app.grids.models import Grid
from app.technicians.availability import write_routes
from app.technicians.models import Leave, Shift, TechnicianLoan
from app.technicians.rules import LeaveCause
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from tests.conftest import SHANGHAI
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.technicians import make_technician
from tests.make.visits import LAT, LON, TODAY, make_assigned_order, make_phone
from tests.make.visits import at as door
from tests.make.workorders import make_work_order

TOMORROW = TODAY + timedelta(days=1)


def at(clock: str, day: date = TODAY) -> datetime:
    """A moment in Shanghai, on Monday 2 March 2026 unless told otherwise."""
    return datetime.combine(day, time.fromisoformat(clock), SHANGHAI)


def said(moment: str | None) -> str | None:
    """The local time of a moment that the board tells."""
    return moment and f"{datetime.fromisoformat(moment).astimezone(SHANGHAI):%H:%M}"


class Supervisor:
    """Somebody who watches a unit's board."""

    def __init__(self, http, app, unit, role=Role.SUPERVISOR):
        self.http, self.headers = http, bearer(app, caller_for(role, unit))
        self.cache = app.state.database.cache

    def forget(self):
        """Let the process read its parameters anew."""
        self.cache.clear()

    async def get(self, query="", **headers):
        return await self.http.get(f"/v1/board{query}", headers={**self.headers, **headers})

    async def look(self, query=""):
        answer = await self.get(query)
        assert answer.status_code == 200, answer.text
        read = answer.json()
        documented(read)
        return read

    async def route(self, technician, query=""):
        """A technician's row, and the visits in it by their external ids."""
        board = await self.look(query)
        [row] = [one for one in board["technicians"] if one["id"] == str(technician.id)]
        return row, {one["external_id"]: one for one in row["visits"]}


def documented(board):
    """What is sent by hand is what is documented: every field, and no other."""
    BoardOut.model_validate(board, strict=False)
    assert board.keys() == BoardOut.model_fields.keys()
    if board["totals"]:
        assert board["totals"].keys() == TotalsOut.model_fields.keys()
    for row in board["technicians"] or ():
        assert row.keys() == BoardTechnicianOut.model_fields.keys()
        for visit in row["visits"]:
            assert visit.keys() == BoardVisitOut.model_fields.keys()
    for waiting in board["unplaced"] or ():
        assert waiting.keys() == UnplacedOut.model_fields.keys()


@pytest.fixture
async def city(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def branch(tx, city):
    return await make_org_unit(tx, parent=city)


@pytest.fixture
async def elsewhere(tx, city):
    return await make_org_unit(tx, parent=city)


@pytest.fixture
async def watch(http, app, branch):
    return Supervisor(http, app, branch)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
def give(tx, clock):
    """Give an order to somebody."""

    async def give(technician, name="F-1", **fields):
        return await make_assigned_order(
            tx, technician, now=clock.now(), external_id=name, **fields
        )

    return give


async def test_an_empty_board(watch, branch):
    board = await watch.look()
    assert (board["day"], board["as_of"]) == ("2026-03-02", "2026-03-02T01:00:00Z")
    assert board["org_unit_id"] == str(branch.id)
    assert (board["technicians"], board["unplaced"], board["unplaced_count"]) == ([], [], 0)
    assert set(board["totals"].values()) == {0}


# --- who is on it ---------------------------------------------------------------------------------


def loan(technician, unit, **fields):
    """Somebody lent to a unit today."""
    given = {
        "technician_id": technician.id,
        "org_unit_id": unit.id,
        "valid_from": TODAY,
        "valid_to": TOMORROW,
        "reason": "",
        "asked_at": at("08:00"),
        "agreed_at": at("08:05"),
    }
    return TechnicianLoan(**given | fields)


async def on(watch, query=""):
    return {one["code"]: one["works"] for one in (await watch.look(query))["technicians"]}


async def test_everybody_of_the_subtree_is_on_it(tx, http, app, city, branch, elsewhere):
    for unit, code in ((branch, "B"), (elsewhere, "E"), (city, "C")):
        await make_technician(tx, org_unit=unit, code=code)
    await make_technician(tx, org_unit=branch, code="gone", active=False)
    assert await on(Supervisor(http, app, branch)) == {"B": "own"}
    above = Supervisor(http, app, city, Role.ADMIN)
    assert await on(above) == {"B": "own", "C": "own", "E": "own"}
    assert await on(above, f"?org_unit_id={elsewhere.id}") == {"E": "own"}


@pytest.mark.parametrize(
    ("given", "here", "there"),
    [
        ({}, {}, {"T": "borrowed"}),
        ({"agreed_at": None}, {"T": "own"}, {}),
        ({"ended_at": at("08:30")}, {"T": "own"}, {}),
        ({"valid_from": TODAY - timedelta(days=3), "valid_to": TODAY}, {"T": "own"}, {}),
        ({"valid_from": TOMORROW, "valid_to": TOMORROW + timedelta(days=1)}, {"T": "own"}, {}),
    ],
)
async def test_whoever_is_lent_is_on_the_borrowers_board(
    tx, http, app, city, branch, elsewhere, given, here, there
):
    technician = await make_technician(tx, org_unit=branch, code="T")
    tx.add(loan(technician, elsewhere, **given))
    await tx.flush()
    assert await on(Supervisor(http, app, branch)) == here
    assert await on(Supervisor(http, app, elsewhere)) == there
    # For who watches both, nobody has gone anywhere.
    assert await on(Supervisor(http, app, city)) == {"T": "own"}


async def test_whoever_holds_an_order_of_the_unit_is_on_it(
    tx, http, app, branch, elsewhere, give, watch
):
    helper = await make_technician(tx, org_unit=elsewhere, code="H")
    await give(helper, "ours", org_unit_id=branch.id)
    await give(helper, "theirs")
    row, visits = await watch.route(helper)
    assert (row["works"], row["org_unit_id"]) == ("helping", str(elsewhere.id))
    assert list(visits) == ["ours"]
    assert row["visits_elsewhere"] == 1
    # At home both are seen: as a visit, and as one of another unit.
    row, visits = await Supervisor(http, app, elsewhere).route(helper)
    assert (row["works"], list(visits), row["visits_elsewhere"]) == ("own", ["theirs"], 1)


async def test_every_open_order_of_the_unit_is_there_once(
    tx, city, branch, elsewhere, give, watch, clock
):
    lent = await make_technician(tx, org_unit=branch)
    tx.add(loan(lent, elsewhere))
    left = await make_technician(tx, org_unit=branch, active=False)
    here = await make_technician(tx, org_unit=branch)
    names = {
        (await give(one, f"{number}", org_unit_id=branch.id)).external_id
        for number, one in enumerate((lent, left, here, here))
    }
    names.add((await make_work_order(tx, now=clock.now(), org_unit=branch)).external_id)
    board = await watch.look()
    seen = [one["external_id"] for row in board["technicians"] for one in row["visits"]]
    seen += [one["external_id"] for one in board["unplaced"]]
    assert sorted(seen) == sorted(names)
    assert (board["totals"]["to_do"], board["totals"]["unplaced"]) == (4, 1)


async def test_other_units_rows_never_appear(tx, http, app, city, branch, elsewhere, give, clock):
    foreign = await make_technician(tx, org_unit=elsewhere)
    await give(foreign, "held")
    await make_work_order(tx, now=clock.now(), org_unit=elsewhere, external_id="waits")
    watch = Supervisor(http, app, branch)
    board = await watch.look()
    assert (board["technicians"], board["unplaced"]) == ([], [])
    board = await watch.look(f"?technician_id={foreign.id}")
    assert (board["technicians"], board["unplaced"], board["totals"]) == ([], [], None)
    for unit in (elsewhere.id, city.id, new_id()):
        assert (await watch.get(f"?org_unit_id={unit}")).status_code == 404


async def test_who_may_look(http, app, branch):
    assert (await http.get("/v1/board")).status_code == 401
    technician = caller_for(Role.TECHNICIAN, branch, technician_id=new_id())
    for one in (technician, caller_for(Role.SUPERVISOR, branch, scopes=frozenset())):
        answer = await http.get("/v1/board", headers=bearer(app, one))
        assert answer.status_code == 403


async def test_a_board_of_too_many_is_refused(tx, city, branch, http, app):
    for _ in range(2):
        await make_technician(tx, org_unit=branch)
    tx.add(ParameterValue(name="board.most_people", org_path="", valid_from=at("00:00"), value=1))
    await tx.flush()
    answer = await Supervisor(http, app, city).get()
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:yingwei:problem:board-too-large"
    assert answer.json()["facts"] == {"people": 2, "most": 1}


# --- what it says of a day ------------------------------------------------------------------------


async def test_a_day_as_it_goes(tx, clock, phone, give, watch):
    """From the first door on: what is done has its own times, what is ahead those expected."""
    technician = phone.technician
    clock.set(at("08:10"))
    done, now, booked, last = [
        await give(technician, name, **fields)
        for name, fields in (
            ("done", {}),
            ("now", {}),
            ("booked", {"appointment_from": at("13:00"), "appointment_until": at("14:00")}),
            ("last", {"due_at": at("13:30"), "point": None}),
        )
    ]
    await write_routes(tx, {(technician.id, TODAY): [one.id for one in (done, now, booked, last)]})
    for order in (booked, last):
        await phone.acknowledge(order)
    clock.set(at("08:20"))
    visit_id = await phone.set_out(done)
    clock.set(at("08:40"))
    await phone.post(f"/visits/{visit_id}/check-in", point=door(LON, LAT))
    clock.set(at("09:30"))
    await phone.complete(visit_id)
    clock.set(at("09:40"))
    visit_id = await phone.set_out(now)
    clock.set(at("10:00"))
    row, _ = await watch.route(technician)
    assert (row["doing"], said(row["since"])) == ("on_the_way", "09:40")
    await phone.post(f"/visits/{visit_id}/check-in", point=door(LON, LAT))
    # Marking that the service works again is no new arrival.
    clock.set(at("10:20"))
    await phone.post(f"/visits/{visit_id}/restored")
    clock.set(at("10:25"))

    row, visits = await watch.route(technician)
    assert list(visits) == ["done", "now", "booked", "last"]
    assert (row["doing"], said(row["since"]), said(row["free_at"])) == ("at_door", "10:00", "11:00")
    assert row["counts"] == {"done": 1, "to_do": 3, "at_risk": 1, "late": 1}
    times = ("leaves_at", "arrives_at", "begins_at", "ends_at")
    assert {name: [said(one[time]) for time in times] for name, one in visits.items()} == {
        "done": ["08:20", "08:40", "08:40", "09:30"],
        "now": ["09:40", "10:00", "10:00", "11:00"],
        "booked": ["11:00", "11:00", "13:00", "14:00"],
        # How far it is nobody knows: a quarter of an hour is thought of.
        "last": ["14:00", "14:15", "14:15", "15:15"],
    }
    assert (visits["last"]["late_minutes"], visits["last"]["slack_minutes"]) == (105, 0)
    assert visits["last"]["risks"] == [{"code": "promise", "minutes": -105}]
    assert visits["booked"]["slack_minutes"] == 60
    # Two hours are waited for the appointment, and the evening is free from a quarter past three.
    assert row["free_minutes"] == 120 + 165
    assert [one["state"] for one in visits.values()] == [
        "completed",
        "on_site",
        "acknowledged",
        "acknowledged",
    ]


async def test_a_row_has_what_a_board_needs(tx, clock, branch, phone, give, watch):
    grid = Grid(org_unit_id=branch.id, code="G1", name="碧波园网格", kind="compound")
    tx.add(grid)
    await tx.flush()
    order = await give(
        phone.technician,
        grid_id=grid.id,
        priority=2,
        due_at=at("18:00"),
        appointment_from=at("10:00"),
        appointment_until=at("12:00"),
    )
    tx.add(
        DispatchPin(
            work_order_id=order.id,
            technician_id=phone.technician.id,
            day=TODAY,
            at=clock.now(),
            reason="客户指定",
        )
    )
    await tx.flush()
    answer = await watch.get()
    assert "王小明" not in answer.text
    assert "15412341234" not in answer.text
    assert "1203" not in answer.text
    _, visits = await watch.route(phone.technician)
    assert visits["F-1"] == {
        "id": str(order.id),
        "external_id": "F-1",
        "work_type": "repair",
        "priority": 2,
        "state": "assigned",
        "version": order.version,
        "address": "碧波园3栋*",
        "locality": "碧波园",
        "grid_code": "G1",
        "estimated_minutes": 60,
        "appointment_from": "2026-03-02T02:00:00Z",
        "appointment_until": "2026-03-02T04:00:00Z",
        "due_at": "2026-03-02T10:00:00Z",
        "planned_day": "2026-03-02",
        "pinned": True,
        "repeats": 0,
        "nudges": 0,
        "resume_at": None,
        "leaves_at": "2026-03-02T01:00:00Z",
        "arrives_at": "2026-03-02T01:15:00Z",
        "begins_at": "2026-03-02T02:00:00Z",
        "ends_at": "2026-03-02T03:00:00Z",
        "late_minutes": 0,
        "slack_minutes": 120,
        "at_risk": False,
        "risks": [],
    }


async def test_presence(tx, branch, watch):
    technician = await make_technician(tx, org_unit=branch, ends_at=time(12), name="张师傅")
    tx.add(Shift(technician_id=technician.id, weekday=0, starts_at=time(13), ends_at=time(18)))
    tx.add(
        Leave(
            technician_id=technician.id,
            starts_at=at("16:00"),
            ends_at=at("20:00"),
            cause=LeaveCause.TRAINING,
        )
    )
    await tx.flush()
    row, _ = await watch.route(technician)

    def pieces(name):
        return [(said(one["from_at"]), said(one["until_at"])) for one in row[name]]

    assert (row["name"], row["code"]) == ("张师傅", technician.code)
    assert pieces("shifts") == [("08:00", "12:00"), ("13:00", "16:00")]
    assert pieces("leave") == [("16:00", "20:00")]
    assert pieces("breaks") == [("12:00", "13:00")]
    assert row["free_minutes"] == 6 * 60
    assert "training" not in str(row)


async def test_which_orders_count_on_which_day(tx, clock, phone, give, watch):
    technician = phone.technician
    yesterday = TODAY - timedelta(days=1)
    left = await give(technician, "left from yesterday", planned_day=yesterday)
    done_late = await give(technician, "left, done today", planned_day=yesterday)
    await give(technician, "today")
    await give(technician, "tomorrow", planned_day=TOMORROW)
    begun = await give(technician, "tomorrow, begun", planned_day=TOMORROW)
    cancelled = await give(technician, "cancelled")
    await take_step(tx, cancelled, Step.CANCEL, now=clock.now())
    await phone.complete(await phone.arrive(done_late))
    await phone.set_out(begun)
    _, today = await watch.route(technician)
    assert list(today) == [
        "left, done today",
        "tomorrow, begun",
        "left from yesterday",
        "today",
    ]
    assert today["left from yesterday"]["planned_day"] == "2026-03-01"
    row, tomorrow = await watch.route(technician, "?day=2026-03-03")
    assert list(tomorrow) == ["tomorrow"]
    assert (row["doing"], row["free_at"], said(tomorrow["tomorrow"]["leaves_at"])) == (
        None,
        None,
        "08:00",
    )
    clock.set(at("09:00", TOMORROW))
    board = await watch.look("?day=2026-03-02")
    [row] = board["technicians"]
    assert [one["external_id"] for one in row["visits"]] == ["left, done today"]
    assert (board["totals"]["on_shift"], board["totals"]["done"]) == (0, 1)
    assert left.planned_day == yesterday


async def test_totals(tx, clock, phone, branch, give, watch):
    busy = phone.technician
    await phone.complete(await phone.arrive(await give(busy, "done")))
    await phone.arrive(await give(busy, "now"))
    await give(busy, "late", due_at=at("09:30"))
    await make_technician(tx, org_unit=branch)
    await make_technician(tx, org_unit=branch, weekdays=range(1, 2))
    for _ in range(2):
        await make_work_order(tx, now=clock.now(), org_unit=branch)
    assert (await watch.look())["totals"] == {
        "technicians": 3,
        "on_shift": 2,
        "free_now": 1,
        "visits": 3,
        "done": 1,
        "to_do": 2,
        "at_risk": 1,
        "late": 1,
        "unplaced": 2,
    }


async def test_what_nobody_has_comes_the_most_pressing_first(tx, clock, branch, watch):
    async def wait(name, **fields):
        given = {"state": State.UNPLACED, "unplaced_reason": UnplacedReason.NO_MINUTES_LEFT}
        return await make_work_order(
            tx, now=clock.now(), org_unit=branch, external_id=name, **given | fields
        )

    await wait("whenever")
    await wait("whenever, urgent", priority=1)
    await wait("due", due_at=at("15:00"))
    await wait(
        "booked",
        appointment_from=at("10:00"),
        appointment_until=at("11:00"),
        received_at=at("07:30"),
        skills=["fibre"],
        locality="碧波园",
    )
    await make_work_order(
        tx, now=clock.now(), org_unit=branch, external_id="new", due_at=at("20:00")
    )
    board = await watch.look()
    assert [one["external_id"] for one in board["unplaced"]] == [
        "booked",
        "due",
        "new",
        "whenever, urgent",
        "whenever",
    ]
    booked, *_ = board["unplaced"]
    assert (booked["reason"], booked["waiting_minutes"]) == ("no_minutes_left", 90)
    assert (booked["address"], booked["locality"]) == ("碧波园3栋*", "碧波园")
    assert booked["skills"] == ["fibre"]
    assert board["reason_words"]["no_minutes_left"]["zh"] == "工时均已排满"
    tx.add(ParameterValue(name="board.most_unplaced", valid_from=at("00:00"), value=2))
    await tx.flush()
    watch.forget()
    board = await watch.look()
    assert ([one["external_id"] for one in board["unplaced"]], board["unplaced_count"]) == (
        ["booked", "due"],
        5,
    )


# --- a part of it, and nothing new ----------------------------------------------------------------


async def test_a_part_of_the_board(tx, branch, give, watch, clock):
    one, other = [await make_technician(tx, org_unit=branch) for _ in range(2)]
    await give(one, "F-1")
    await give(other, "F-2")
    await make_work_order(tx, now=clock.now(), org_unit=branch)
    board = await watch.look(f"?technician_id={one.id}&technician_id={new_id()}&part=technicians")
    assert [row["id"] for row in board["technicians"]] == [str(one.id)]
    assert [visit["external_id"] for visit in board["technicians"][0]["visits"]] == ["F-1"]
    assert (board["unplaced"], board["unplaced_count"], board["totals"]) == (None, None, None)
    board = await watch.look("?part=unplaced")
    assert (board["technicians"], len(board["unplaced"]), board["totals"]) == (None, 1, None)
    whole = await watch.look()
    assert (
        whole["technicians"][0]
        == (await watch.look(f"?technician_id={whole['technicians'][0]['id']}"))["technicians"][0]
    )


async def test_a_board_that_says_the_same_is_not_sent_again(
    tx, branch, elsewhere, give, watch, clock
):
    technician = await make_technician(tx, org_unit=branch)
    foreign = await make_technician(tx, org_unit=elsewhere)
    order = await give(technician)

    async def known(tag):
        return (await watch.get(**{"if-none-match": tag})).status_code == 304

    async def changes(change):
        """Whether a change gives the board another tag; without one nothing may have changed."""
        before = await watch.get()
        assert await known(before.headers["etag"])
        await change
        await tx.flush()
        after = await watch.get()
        assert before.headers["etag"] != after.headers["etag"] or before.text == after.text
        return not await known(before.headers["etag"])

    async def add(row):
        tx.add(row)

    assert await changes(give(technician, "F-2"))
    assert await changes(take_step(tx, order, Step.ACKNOWLEDGE, now=clock.now()))
    assert await changes(write_routes(tx, {(technician.id, TODAY): [order.id]}))
    assert await changes(make_technician(tx, org_unit=branch))
    assert await changes(make_work_order(tx, now=clock.now(), org_unit=branch))
    assert await changes(add(loan(foreign, branch)))
    assert await changes(give(foreign, "theirs"))
    assert await changes(
        add(
            Leave(
                technician_id=technician.id,
                starts_at=at("15:00"),
                ends_at=at("16:00"),
                cause=LeaveCause.OTHER,
            )
        )
    )
    assert await changes(
        add(
            DispatchPin(
                work_order_id=order.id,
                technician_id=technician.id,
                day=TODAY,
                at=clock.now(),
                reason="",
            )
        )
    )
    # What does not concern the unit's day changes nothing.
    assert not await changes(make_work_order(tx, now=clock.now(), org_unit=elsewhere))
    assert not await changes(give(technician, "later", planned_day=TOMORROW))
    clock.tick(timedelta(seconds=59))
    assert not await changes(add_nothing())
    etag = (await watch.get()).headers["etag"]
    clock.tick(timedelta(seconds=1))
    assert not await known(etag)


async def add_nothing():
    """Change nothing."""


async def test_the_same_board_packed_has_a_tag_of_its_own(tx, branch, watch):
    await make_technician(tx, org_unit=branch)
    plain = await watch.get(**{"accept-encoding": "identity"})
    packed = await watch.get(**{"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert plain.json() == packed.json()
    assert plain.headers["etag"] != packed.headers["etag"]
    assert "Accept-Encoding" in plain.headers["vary"]


@pytest.mark.parametrize(("people", "orders"), [(1, 1), (6, 4)])
async def test_a_board_costs_the_same_few_statements(
    tx, branch, elsewhere, give, watch, clock, people, orders, database
):
    for _ in range(people):
        technician = await make_technician(tx, org_unit=branch)
        for number in range(orders):
            await give(technician, new_id().hex, org_unit_id=(branch, elsewhere)[number % 2].id)
        await make_work_order(tx, now=clock.now(), org_unit=branch)
    await watch.get()
    with counted(database) as sent:
        first = await watch.get()
    assert len(sent) == 6
    with counted(database) as sent:
        answer = await watch.get(**{"if-none-match": first.headers["etag"]})
    assert answer.status_code == 304
    assert len(sent) == 1
    with counted(database) as sent:
        await watch.get(f"?technician_id={technician.id}&part=technicians")
    assert len(sent) == 3


async def test_no_read_goes_through_what_was_closed_long_ago(tx, branch, give, clock):
    """However many orders were closed before today, no statement so much as looks at them."""
    technician = await make_technician(tx, org_unit=branch)
    await give(technician)
    await make_work_order(tx, now=clock.now(), org_unit=branch)
    driver = await driver_connection(tx)
    await driver.execute(
        "INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type,"
        " state, address, summary, estimated_minutes, reported_at, received_at, holder_id,"
        " planned_day, completed_at)"
        " SELECT gen_random_uuid(), %(unit)s, 'past', n::text, '', 'repair', 'archived', '', '', 9,"
        " at, at, %(holder)s, at::date, at"
        " FROM (SELECT n, timestamptz '2026-02-20Z' - n * interval '1 hour' AS at"
        " FROM generate_series(1, 4000) AS n) AS past",
        {"unit": branch.id, "holder": technician.id},
    )
    await driver.execute("ANALYZE work_order")
    begins, ends = at("00:00"), at("00:00", TOMORROW)
    asked = queries.Asked([branch.id], TODAY, begins, ends, True, False, None, True)
    given = asked.given() | {
        "people": [technician.id],
        "holders": [technician.id],
        "most": 300,
    }
    for statement in (
        queries._OURS,
        queries._OTHERS,
        queries._MARK,
        queries._UNPLACED,
        queries._STAFF,
    ):
        cursor = await driver.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
        [([explained],)] = await cursor.fetchall()
        assert looked_at(explained["Plan"]) < 20, statement


def looked_at(node):
    """How many orders a plan looks at."""
    here = 0
    if node.get("Relation Name") == "work_order":
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        here = rows * node["Actual Loops"]
    return here + sum(looked_at(one) for one in node.get("Plans", ()))
