"""Who had how much in the last month: added up every night, shown, and weighed in plans."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.planning.models import WorkloadDay
from app.planning.rules.fairness import Measure, Past, Standing, hint, leanings, standing
from app.planning.service.reading import read_districts
from app.suggestions.models import SuggestionDecision
from app.suggestions.rules import Group, Mode
from app.visits.models import Visit
from app.workorders.rules import Step
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_customer
from tests.make.dispatch import Territory, make_territory
from tests.make.history import SHANGHAI, History, door_in, local
from tests.make.planning import make_leave
from tests.make.technicians import make_technician

SUNDAY = date(2026, 3, 1)
SATURDAY = SUNDAY - timedelta(days=1)

# --- rules ----------------------------------------------------------------------------------------

ANNA, BEN, CHEN = (UUID(int=number) for number in (1, 2, 3))
MONTH = 160 * 3600


def test_who_had_more_than_the_median_gets_less_and_the_other_way_round():
    past = {
        ANNA: Past(MONTH, round(MONTH * 0.55)),
        BEN: Past(MONTH, round(MONTH * 0.50)),
        CHEN: Past(MONTH // 2, round(MONTH / 2 * 0.46)),  # part time is no reason
    }
    factors = leanings(past, least_present=40 * 3600, most=0.15)
    assert factors == pytest.approx({ANNA: 0.9, BEN: 1.0, CHEN: 1.08}, abs=0.001)


def test_it_never_leans_farther_than_was_set():
    past = {ANNA: Past(MONTH, MONTH), BEN: Past(MONTH, MONTH // 2), CHEN: Past(MONTH, 0)}
    assert leanings(past, least_present=0, most=0.15) == {ANNA: 0.85, BEN: 1.0, CHEN: 1.15}


@pytest.mark.parametrize(
    "past",
    [
        {},
        {ANNA: Past(0, 0), BEN: Past(0, 0)},
        {ANNA: Past(MONTH, 0), BEN: Past(MONTH, 0)},  # nobody has had anything yet
        {ANNA: Past(3600, 3600), BEN: Past(7200, 60)},  # too short to be compared
    ],
)
def test_where_little_is_known_nobody_leans(past):
    assert set(leanings(past, least_present=40 * 3600, most=0.15).values()) <= {1.0}


@given(
    st.dictionaries(
        st.uuids(), st.builds(Past, st.integers(0, 10**6), st.integers(0, 10**6)), max_size=8
    ),
    st.floats(0, 1),
)
def test_leanings_keep_to_their_bounds_and_to_the_order_of_the_past(past, most):
    factors = leanings(past, least_present=3600, most=most)
    assert factors.keys() == past.keys()
    assert all(1 - most <= factor <= 1 + most for factor in factors.values())
    there = sorted(
        (one.worked / one.present, factors[who]) for who, one in past.items() if one.present >= 3600
    )
    # Whoever had more never gets the larger share of those that come.
    assert [factor for _, factor in there] == sorted((f for _, f in there), reverse=True)


@pytest.mark.parametrize(
    ("ratio", "how", "words"),
    [
        (1.30, Standing.MORE, "30% more visits than the median of the org unit"),
        (1.10, Standing.EVEN, "visits: about the median of the org unit"),
        (0.60, Standing.LESS, "40% fewer visits than the median of the org unit"),
        (None, Standing.UNKNOWN, "visits: too little to compare"),
    ],
)
def test_how_a_share_stands_is_said_in_words(ratio, how, words):
    assert standing(ratio, 0.15) is how
    assert hint(Measure.VISITS, ratio, 0.15).en == words


# --- sums of days ---------------------------------------------------------------------------------


@pytest.fixture
async def land(tx) -> Territory:
    """Three squares, and two technicians who live in the first and work 8 to 18."""
    territory = await make_territory(tx, grids=3)
    for code in ("T-anna", "T-ben"):
        await territory.add_technician(
            None,
            code=code,
            home_point="SRID=4326;POINT(112.005 28.005)",
            daily_minutes=600,
        )
    return territory


async def sums(tx):
    rows = await tx.scalars(
        select(WorkloadDay)
        .order_by(WorkloadDay.day, WorkloadDay.technician_id)
        .execution_options(populate_existing=True)
    )
    return {(row.technician_id, row.day): row for row in rows}


async def test_a_day_is_added_up_from_its_steps(tx, land, nights):
    anna, ben = land.people
    history, (_, east, far_east) = History(), land.grids
    history.visit(anna, door_in(land.grids, east), local(SUNDAY, 8), 500)
    history.visit(
        anna,
        door_in(land.grids, far_east),
        local(SUNDAY, 10),
        700,
        work=timedelta(minutes=45),
        ends=Step.HAND_BACK,
    )
    await history.write(tx)
    await make_leave(tx, ben, local(SUNDAY, 12), local(SUNDAY, 14))
    await nights()
    found = await sums(tx)
    had, rested = found[anna.id, SUNDAY], found[ben.id, SUNDAY]
    assert (had.present_seconds, rested.present_seconds) == (10 * 3600, 8 * 3600)
    assert (had.work_seconds, had.travel_seconds, had.visits) == (75 * 60, 1_200, 2)
    assert had.metres == pytest.approx(2 * 982, abs=4)
    assert (rested.work_seconds, rested.visits, rested.metres) == (0, 0, 0)


async def test_what_is_forgotten_to_be_ended_counts_no_more_than_was_set(tx, land, nights):
    history = History()
    door = door_in(land.grids, land.grids[1])
    history.visit(land.people[0], door, local(SUNDAY, 8), 500, work=timedelta(hours=14))
    await history.write(tx)
    await nights()
    assert (await sums(tx))[land.people[0].id, SUNDAY].work_seconds == 8 * 3600


async def test_what_a_phone_tells_a_day_late_is_added_to_its_own_day_once(tx, land, nights, clock):
    anna, history = land.people[0], History()
    door = door_in(land.grids, land.grids[1])
    history.visit(anna, door, local(SUNDAY, 8), 500)
    await history.write(tx)
    await nights()
    history.visit(anna, door, local(SUNDAY, 16), 400, heard=timedelta(hours=17))
    # Something that is told at once shows that the phone's clock is right.
    history.visit(anna, door, local(SUNDAY + timedelta(days=1), 10), 300)
    await history.write(tx)
    clock.tick(timedelta(days=1))
    await nights()
    await nights()
    found = await sums(tx)
    assert [found[anna.id, day].visits for day in (SUNDAY, SUNDAY + timedelta(days=1))] == [2, 1]
    assert found[anna.id, SUNDAY].travel_seconds == 900
    assert found[anna.id, SUNDAY].present_seconds == 10 * 3600


async def test_an_opportunity_is_a_visit_at_which_something_was_shown(tx, land, nights):
    anna, history = land.people[0], History()
    door = door_in(land.grids, land.grids[1])
    customer = await make_customer(tx, org_unit=land.org_unit)
    visits = {new_id(): held_back for held_back in (None, "not_fixed_yet", "none")}
    driven = {
        visit_id: history.visit(anna, door, local(SUNDAY, 8 + 2 * n), 400, visit_id=visit_id)
        for n, visit_id in enumerate(visits)
    }
    await history.write(tx)
    for visit_id, held_back in visits.items():
        order_id = driven[visit_id].order_id
        tx.add(
            Visit(
                id=visit_id,
                work_order_id=order_id,
                technician_id=anna.id,
                travel_started_at=local(SUNDAY, 8),
                ended_at=local(SUNDAY, 18),
            )
        )
        await tx.flush()
        if held_back == "none":  # nobody asked what to offer
            continue
        # Twice shown is one opportunity.
        tx.add_all(
            SuggestionDecision(
                visit_id=visit_id,
                work_order_id=order_id,
                customer_id=customer.id,
                technician_id=anna.id,
                at=local(SUNDAY, 9),
                policy="test",
                group=Group.POLICY,
                mode=Mode.PERSONAL,
                as_of=local(SUNDAY, 9),
                facts={},
                fingerprint="",
                held_back=held_back,
            )
            for _ in range(2)
        )
    await tx.flush()
    await nights()
    had = (await sums(tx))[anna.id, SUNDAY]
    assert (had.visits, had.opportunities) == (3, 1)


# --- the report -----------------------------------------------------------------------------------


async def had(tx, technician, *, days=20, **amounts):
    """Give somebody the same on each of many days of February."""
    for back in range(days):
        tx.add(
            WorkloadDay(
                technician_id=technician.id,
                day=SUNDAY - timedelta(days=back),
                **{"present_seconds": 8 * 3600, **amounts},
            )
        )
    await tx.flush()


@pytest.fixture
def ask(app, http, land):
    async def asking(unit=None, **query):
        supervisor = caller_for(Role.SUPERVISOR, unit or land.org_unit)
        return await http.get("/v1/fairness", params=query, headers=bearer(app, supervisor))

    return asking


async def test_the_report_holds_everybody_against_their_branch_by_the_hour(tx, land, ask):
    anna, ben = land.people
    cara = await land.add_technician(None, code="T-cara")
    await had(tx, anna, work_seconds=18_000, metres=20_000, visits=6, opportunities=1)
    await had(tx, ben, work_seconds=14_400, metres=10_000, visits=5, opportunities=2)
    await had(tx, cara, work_seconds=14_400, metres=10_000, visits=5, opportunities=2, days=3)
    page = (await ask()).json()
    assert (page["since"], page["until"]) == ("2026-01-30", "2026-03-01")
    found = {one["code"]: one for one in page["technicians"]}
    assert list(found) == ["T-anna", "T-ben", "T-cara"]
    assert found["T-anna"]["hours_present"] == 160
    of_anna = {one["measure"]: one for one in found["T-anna"]["measures"]}
    assert of_anna["minutes"]["amount"] == 6_000
    assert of_anna["minutes"]["ratio"] == pytest.approx(18_000 / 16_200, abs=0.001)
    assert of_anna["km"]["amount"] == 540  # 400 km in straight lines, times the detour
    assert of_anna["km"]["standing"] == "more"
    assert of_anna["opportunities"]["standing"] == "less"
    assert of_anna["opportunities"]["zh"] == "随销机会低于所在组织中位数 33%"
    assert {one["standing"] for one in found["T-cara"]["measures"]} == {"unknown"}


async def test_it_comes_in_pages_of_ones_own_part_of_the_organisation(tx, land, ask):
    elsewhere = await make_org_unit(tx)
    await make_technician(tx, org_unit=elsewhere)
    first = (await ask(size=1)).json()
    second = (await ask(size=1, page_token=first["next_page_token"])).json()
    codes = [page["technicians"][0]["code"] for page in (first, second)]
    assert codes == ["T-anna", "T-ben"]
    assert second["next_page_token"] is None
    assert (await ask(org_unit_id=str(elsewhere.id))).status_code == 404


async def test_it_costs_the_same_whatever_the_history(tx, land, ask, database):
    async def statements():
        with counted(database) as seen:
            await ask()
        return len(seen)

    await statements()  # what a process remembers is remembered by now
    few = await statements()
    for technician in land.people:
        await had(tx, technician, days=60, visits=5)
    assert await statements() == few
    of_anna = (await ask()).json()["technicians"][0]["measures"]
    assert of_anna[2]["amount"] == 31 * 5  # no more than the month


# --- in a plan ------------------------------------------------------------------------------------


async def test_a_plan_gives_those_who_had_more_a_smaller_share(tx, land):
    anna, ben = land.people
    await had(tx, anna, work_seconds=18_000)
    await had(tx, ben, work_seconds=12_000)
    now = datetime(2026, 3, 2, 9, tzinfo=SHANGHAI)
    [district] = await read_districts(
        tx, land.org_unit.path, SUNDAY + timedelta(days=2), zone=SHANGHAI, now=now
    )
    share = dict(
        zip(district.technician_ids, district.problem.technicians.share.tolist(), strict=True)
    )
    # Both lean by as much as the number allows: a fifth from the median would be more.
    assert share[anna.id] / share[ben.id] == pytest.approx(0.85 / 1.15, abs=0.001)
