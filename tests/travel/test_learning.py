"""A night's learning: what phones told of a day becomes trips, medians, and better times."""

import statistics
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text

from app.core.geo import distance_m
from app.core.nights import Night
from app.core.parameter_values import ParameterValue
from app.grids.rules import GridKind
from app.travel import jobs, service
from app.travel.models import TravelMedian, TravelRatio, Trip
from app.travel.queries import travel_in_force
from app.travel.rules import ALL_DAY, Cut, Place, Travel
from app.workorders.happened import HAPPENED
from app.workorders.rules import Step
from tests.make.history import History, door_in, drive_days, local

# Business time stands at nine on Monday; so the last night that is over ended at two that morning.
SUNDAY = date(2026, 3, 1)
WEEK = [SUNDAY - timedelta(days=back) for back in range(4, -1, -1)]


@pytest.fixture
async def lee(tx, land):
    """A technician who lives in the middle of the first square."""
    home = "SRID=4326;POINT(112.005 28.005)"
    return await land.add_technician(land.grids[0], home_point=home)


@pytest.fixture
def history() -> History:
    """What phones will have told."""
    return History()


async def set_number(tx, name, value, org_path=""):
    tx.add(
        ParameterValue(
            name=name, org_path=org_path, valid_from=datetime(2020, 1, 1, tzinfo=UTC), value=value
        )
    )
    await tx.flush()


async def trips(tx):
    return list(await tx.scalars(select(Trip).order_by(Trip.set_out_at)))


# --- from check-ins to trips ----------------------------------------------------------------------


async def test_a_way_goes_from_door_to_door_and_the_first_one_from_home(
    tx, worker, land, lee, history
):
    east, far_east = (door_in(land.grids, grid) for grid in land.grids[1:])
    one = history.visit(lee, east, local(SUNDAY, 8), 500)
    two = history.visit(lee, far_east, local(SUNDAY, 10, 30), 700)
    await history.write(tx)
    await jobs.learn(worker)
    first, second = await trips(tx)
    assert (first.id, first.work_order_id, first.from_grid_id) == (one.event_id, one.order_id, None)
    assert (second.id, second.from_grid_id) == (two.event_id, east.grid.id)
    assert (first.seconds, second.seconds) == (500, 700)
    assert (second.day, second.hour, second.to_grid_id) == (SUNDAY, 10, far_east.grid.id)
    assert second.metres == pytest.approx(982, abs=2)
    assert second.expected == second.by_distance == 120 + int(981.8 * 1.35 / 5)
    assert first.cut is second.cut is None


async def test_it_begins_where_the_technician_was_last_whatever_became_of_that_order(
    tx, worker, land, lee, history
):
    first, second, third = (door_in(land.grids, grid) for grid in land.grids)
    history.visit(lee, third, local(SUNDAY, 8), 500, ends=Step.HAND_BACK)
    history.visit(lee, second, local(SUNDAY, 10), 500, ends=Step.SUSPEND)
    history.visit(lee, first, local(SUNDAY, 12), 500)
    await history.write(tx)
    await jobs.learn(worker)
    began = [trip.from_grid_id for trip in await trips(tx)]
    assert began == [None, third.grid.id, second.grid.id]


async def test_where_it_began_nobody_knows_it_is_no_trip(tx, worker, land, lee, history):
    near, east, far_east = (door_in(land.grids, grid) for grid in land.grids)
    history.visit(lee, east, local(SUNDAY, 8), 500)
    history.gave_back(lee, near, local(SUNDAY, 10))
    history.visit(lee, far_east, local(SUNDAY, 11), 500)  # from somewhere on the way
    history.visit(lee, near, local(SUNDAY, 13), 500, far=True)  # not to this door
    history.visit(lee, east, local(SUNDAY, 15), 500)  # and so not from it
    history.visit(lee, near, local(SUNDAY, 17), 500)
    await history.write(tx)
    await jobs.learn(worker)
    assert [trip.set_out_at.astimezone(UTC).hour for trip in await trips(tx)] == [0, 9]


async def test_told_hours_later_or_by_a_wrong_clock_it_is_still_that_hours_way(
    tx, worker, land, lee, history
):
    """The phone is two hours ahead. At noon it has no signal for three hours."""
    east, far_east = (door_in(land.grids, grid) for grid in land.grids[1:])
    ahead = timedelta(hours=2)
    history.visit(lee, east, local(SUNDAY, 9), 500, clock=ahead)
    history.visit(lee, far_east, local(SUNDAY, 12), 700, clock=ahead, heard=timedelta(hours=3))
    await history.write(tx)
    await jobs.learn(worker)
    assert [(trip.hour, trip.seconds) for trip in await trips(tx)] == [(9, 500), (12, 700)]


async def test_what_was_no_way_is_kept_with_the_reason_and_not_learned_from(
    tx, worker, land, lee, history
):
    await set_number(tx, "travel.least_trips", 1)
    east, far_east = (door_in(land.grids, grid) for grid in land.grids[1:])
    history.visit(lee, east, local(SUNDAY, 8), 500)
    history.visit(lee, far_east, local(SUNDAY, 10), 5)
    history.visit(lee, east, local(SUNDAY, 12), 8_000)
    history.visit(lee, far_east, local(SUNDAY, 16), 400)
    await history.write(tx)
    await jobs.learn(worker)
    assert [trip.cut for trip in await trips(tx)] == [None, Cut.TOO_SHORT, Cut.TOO_LONG, None]
    medians = (await tx.scalars(select(TravelMedian).where(TravelMedian.hour < 0))).all()
    assert [(one.from_grid_id, one.trips, one.seconds) for one in medians] == [
        (east.grid.id, 1, 400)
    ]


# --- from trips to what is expected ---------------------------------------------------------------


def true_pace(land):
    """The rush hour is slow; and from the first square to the third there is a new road."""

    def pace(start, end, hour):
        if start is land.grids[0] and end is land.grids[2]:
            return 0.15
        return 0.8 if hour in (8, 9) else 0.4

    return pace


async def test_true_paces_are_found_and_ways_that_went_wrong_do_not_matter(
    tx, worker, land, history, clock
):
    people = [await land.add_technician(None) for _ in range(12)]
    drive_days(history, land.grids, people, WEEK, true_pace(land))
    # One way in twenty was forgotten to be ended, or to be begun.
    for place, event in enumerate(history.events):
        if event["step"] is Step.TRAVEL and place % 60 == 0:
            event["at"] = event["device_at"] = event["at"] - timedelta(minutes=100)
    await history.write(tx)
    await jobs.learn(worker)
    travel = await travel_in_force(tx, clock.now(), land.org_unit.path)
    first, second, third = (
        Place(door.lon, door.lat, door.grid.id, GridKind.COMPOUND)
        for door in (door_in(land.grids, grid) for grid in land.grids)
    )

    def pace(start, end, hour):
        metres = distance_m(start.lon, start.lat, end.lon, end.lat)
        return (travel.seconds(start, end, hour) - 120) / metres

    assert pace(first, third, ALL_DAY) == pytest.approx(0.15, rel=0.1)
    assert pace(first, second, 9) == pytest.approx(0.8, rel=0.2)
    assert pace(third, second, 13) == pytest.approx(0.4, rel=0.2)
    # What the branch learned serves doors in grids that nobody has driven to.
    door, other = Place(112.3, 28.1, None, GridKind.STREET), Place(112.32, 28.1)
    slow, quick = travel.seconds(door, other, 9), travel.seconds(door, other, 13)
    assert slow - 120 == pytest.approx(2 * (quick - 120), rel=0.15)


async def test_what_is_expected_gets_better_by_what_was_learned_before(tx, worker, land, history):
    """Each day's ways are held against what was known the evening before."""
    people = [await land.add_technician(None) for _ in range(6)]
    drive_days(history, land.grids, people, WEEK, true_pace(land))
    await history.write(tx)
    await jobs.learn(worker)

    def wrong(rows, expected):
        return statistics.median(abs(trip.seconds - expected(trip)) for trip in rows)

    rows = [trip for trip in await trips(tx) if trip.cut is None]
    first = [trip for trip in rows if trip.day == WEEK[0]]
    last = [trip for trip in rows if trip.day == WEEK[-1]]
    assert all(trip.expected == trip.by_distance for trip in first)
    assert wrong(last, lambda trip: trip.expected) < 0.6 * wrong(last, lambda t: t.by_distance)


async def test_without_any_history_the_distance_is_what_there_is(tx, worker, land, clock):
    await jobs.learn(worker)
    travel = await travel_in_force(tx, clock.now(), land.org_unit.path)
    assert len(travel.learned) == 0
    door, other = Place(112.0, 28.0), Place(112.1, 28.0)
    assert travel.seconds(door, other, 9) == Travel().by_distance(door, other)
    assert await service.due(tx, clock.now()) is None


async def test_a_few_ways_are_too_few_for_a_median_of_a_pair_or_a_unit(
    tx, worker, land, lee, history
):
    for visit in range(8):
        door = door_in(land.grids, land.grids[visit % 2])
        history.visit(lee, door, local(SUNDAY, 8 + visit), 500)
    await history.write(tx)
    await jobs.learn(worker)
    assert not (await tx.scalars(select(TravelMedian))).all()
    assert not (await tx.scalars(select(TravelRatio))).all()
    await tx.execute(text("DELETE FROM night"))
    await set_number(tx, "travel.least_trips", 3)
    await set_number(tx, "travel.least_unit_trips", 7)
    worker.database.cache.clear()
    await jobs.learn(worker)
    pairs = await tx.scalars(select(TravelMedian.trips).order_by(TravelMedian.trips))
    # The very first way, from home to a door at home, is too near to be learned from.
    assert list(pairs) == [3, 4]
    # The branch and the city above it have the same seven.
    assert list(await tx.scalars(select(TravelRatio.trips))) == [7, 7]


# --- night after night ----------------------------------------------------------------------------


async def test_a_night_reads_only_what_is_new_and_learns_from_the_window(
    tx, worker, land, lee, history, clock
):
    await set_number(tx, "travel.window_days", 2)
    await set_number(tx, "travel.least_trips", 1)
    east, far_east = (door_in(land.grids, grid) for grid in land.grids[1:])

    async def day_of(day, seconds):
        history.visit(lee, east, local(day, 10), 600)
        history.visit(lee, far_east, local(day, 12), seconds)
        await history.write(tx)

    async def known():
        found = (
            select(TravelMedian.seconds)
            .where(TravelMedian.hour < 0)
            .execution_options(populate_existing=True)
        )
        return list(await tx.scalars(found))

    await day_of(SUNDAY, 400)
    await jobs.learn(worker)
    assert await known() == [400]
    clock.tick(timedelta(days=1))
    await day_of(SUNDAY + timedelta(days=1), 800)
    await jobs.learn(worker)
    await jobs.learn(worker)
    assert await known() == [600]
    clock.tick(timedelta(days=1))
    await day_of(SUNDAY + timedelta(days=2), 800)
    await jobs.learn(worker)
    assert await known() == [800]  # Sunday lies before the window
    nights = (await tx.scalars(select(Night).order_by(Night.until))).all()
    # Each night found the two ways of its own day, and none that it had had before.
    assert [night.facts["trips"] for night in nights] == [2, 2, 2]


async def test_what_is_learned_is_read_again_only_when_a_night_has_passed(
    tx, worker, land, history, clock
):
    before = await travel_in_force(tx, clock.now(), land.org_unit.path)
    assert await travel_in_force(tx, clock.now(), land.org_unit.path) is before
    people = [await land.add_technician(None) for _ in range(6)]
    drive_days(history, land.grids, people, WEEK[-2:], true_pace(land))
    await history.write(tx)
    await jobs.learn(worker)
    after = await travel_in_force(tx, clock.now(), land.org_unit.path)
    assert len(after.learned) > 0
    assert await travel_in_force(tx, clock.now(), land.org_unit.path) is after


async def test_ways_are_forgotten_after_a_while(tx, worker, land, lee, history, clock):
    await set_number(tx, "travel.kept_days", 31)
    history.visit(lee, door_in(land.grids, land.grids[1]), local(SUNDAY, 8), 500)
    await history.write(tx)
    await jobs.learn(worker)
    clock.tick(timedelta(days=30))
    await jobs.learn(worker)
    assert len(await trips(tx)) == 1
    clock.tick(timedelta(days=1))
    await jobs.learn(worker)
    assert not await trips(tx)


@pytest.mark.unused_database
async def test_a_nights_events_are_found_along_the_index_of_their_times(tx, land, lee, history):
    """Years of events lie before them."""
    history.visit(lee, door_in(land.grids, land.grids[1]), local(SUNDAY, 8), 500)
    await history.write(tx)
    await tx.execute(
        text(
            "INSERT INTO work_order_event (id, work_order_id, at, step, to_state, technician_id)"
            " SELECT gen_random_uuid(), o.id, CAST(:sunday AS date) - 1000 + n * interval '1 hour',"
            "     'check_in', 'on_site', o.holder_id"
            " FROM generate_series(1, 24000) AS n, (SELECT * FROM work_order LIMIT 1) AS o"
        ),
        {"sunday": SUNDAY},
    )
    await tx.execute(text("ANALYZE work_order_event, work_order, org_unit"))
    given = {"since": SUNDAY, "until": SUNDAY + timedelta(days=1), "steps": ["check_in"]}
    plan = "\n".join(await tx.scalars(text(f"EXPLAIN {HAPPENED}"), given))
    assert "Bitmap Index Scan on ix_work_order_event_at" in plan, plan
