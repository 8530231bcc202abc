"""A routing engine that knows the roads: what it is asked, what it says, and who goes by it."""

from contextlib import aclosing
from datetime import timedelta

import httpx
import orjson
import pytest
from sqlalchemy import select, text

from app.core.geo import distance_m
from app.core.jobs import Worker
from app.travel import jobs, service
from app.travel.models import TravelMedian, TravelRoad
from app.travel.queries import travel_in_force
from app.travel.roads import Roads, RoadsUnavailable
from app.travel.rules import ALL_DAY, Place
from tests.make.dispatch import make_territory

HOME, ENDS = (112.0, 28.0), [(112.01, 28.0), (112.02, 28.0)]


def engine(answer, kind="osrm", asked=None):
    """An engine that gives an answer to whatever it is asked, and notes what that was."""

    def answering(request):
        if asked is not None:
            asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    transport = httpx.MockTransport(answering)
    return Roads("http://roads.example/", kind, transport=transport)


def table(*seconds):
    return httpx.Response(200, json={"code": "Ok", "durations": [list(seconds)]})


# --- what engines are asked and say ---------------------------------------------------------------


async def test_osrm_is_asked_for_one_row_of_its_table():
    asked: list[httpx.Request] = []
    async with aclosing(engine(table(61.5, None), asked=asked)) as roads:
        assert await roads.seconds(HOME, ENDS) == [61.5, None]
    [request] = asked
    places = "112.000000,28.000000;112.010000,28.000000;112.020000,28.000000"
    assert request.url.path == f"/table/v1/driving/{places}"
    assert dict(request.url.params) == {
        "sources": "0",
        "destinations": "1;2",
        "annotations": "duration",
    }


async def test_valhalla_is_asked_for_one_row_of_its_matrix():
    asked: list[httpx.Request] = []
    times = [{"time": 61, "distance": 1.0}, {"time": None, "distance": None}]
    answer = httpx.Response(200, json={"sources_to_targets": [times]})
    async with aclosing(engine(answer, "valhalla", asked)) as roads:
        assert await roads.seconds(HOME, ENDS) == [61, None]
    [request] = asked
    assert request.url.path == "/sources_to_targets"
    assert orjson.loads(request.content) == {
        "sources": [{"lon": 112.0, "lat": 28.0}],
        "targets": [{"lon": 112.01, "lat": 28.0}, {"lon": 112.02, "lat": 28.0}],
        "costing": "auto",
    }


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.ConnectError("refused"), "ConnectError"),
        (httpx.ReadTimeout("slow"), "ReadTimeout"),
        (httpx.Response(502, text="<html>"), "502"),
        (httpx.Response(400, json={"code": "TooBig", "message": "Too many"}), "Too many"),
        (httpx.Response(200, json={"code": "Ok"}), "not a table"),
        (httpx.Response(200, json=[]), "not a table"),
        (table(1.0), "1 times for 2 ways"),
    ],
)
async def test_any_other_answer_is_none(answer, words):
    async with aclosing(engine(answer)) as roads:
        with pytest.raises(RoadsUnavailable, match=words):
            await roads.seconds(HOME, ENDS)


# --- who goes by them -----------------------------------------------------------------------------


def driving(metres_per_second):
    """An engine by whose roads everybody drives straight at one speed."""

    def answer(request):
        first, *others = (
            tuple(map(float, place.split(",")))
            for place in request.url.path.rsplit("/", 1)[1].split(";")
        )
        return table(*(distance_m(*first, *other) / metres_per_second for other in others))

    return answer


async def paces(tx):
    return {
        (row.from_grid_id, row.to_grid_id): row.pace for row in await tx.scalars(select(TravelRoad))
    }


async def test_ways_between_grids_go_by_the_roads_until_they_are_learned(
    tx, land, database, worker, clock
):
    a, b, c = (grid.id for grid in land.grids)
    start, end = Place(112.005, 28.005, a), Place(112.015, 28.005, b)
    assert await service.ask_roads(database, engine(driving(2.0)), clock.now()) == 3
    known = await paces(tx)
    assert known.keys() == {(x, y) for x in (a, b, c) for y in (a, b, c) if x != y}
    assert all(pace == pytest.approx(0.5, rel=0.01) for pace in known.values())
    await jobs.learn(worker)
    travel = await travel_in_force(tx, clock.now(), land.org_unit.path)
    metres = distance_m(start.lon, start.lat, end.lon, end.lat)
    assert travel.seconds(start, end) == pytest.approx(travel.least + metres * 0.5, abs=10)
    tx.add(TravelMedian(from_grid_id=a, to_grid_id=b, hour=ALL_DAY, pace=0.1, seconds=100, trips=9))
    await tx.flush()
    database.cache.pop("travel.known")
    travel = await travel_in_force(tx, clock.now(), land.org_unit.path)
    assert travel.seconds(start, end) == pytest.approx(travel.least + metres * 0.1, abs=10)
    assert travel.seconds(end, start) == pytest.approx(travel.least + metres * 0.5, abs=10)


async def test_nobody_is_asked_about_the_same_roads_for_a_month(tx, land, database, clock):
    asked: list[httpx.Request] = []
    roads = engine(driving(2.0), asked=asked)
    assert await service.ask_roads(database, roads, clock.now()) == 3
    assert await service.ask_roads(database, roads, clock.now()) == 0
    clock.tick(timedelta(days=29))
    assert await service.roads_left(tx, clock.now()) == 0
    clock.tick(timedelta(days=2))
    assert await service.roads_left(tx, clock.now()) == 3
    assert await service.ask_roads(database, engine(driving(4.0)), clock.now()) == 3
    assert all(pace == pytest.approx(0.25, rel=0.01) for pace in (await paces(tx)).values())
    assert len(asked) == 3


async def test_where_no_road_leads_the_way_goes_by_distance(tx, land, database, worker, clock):
    roads = engine(lambda request: table(*[None] * request.url.path.count(";")))
    await service.ask_roads(database, roads, clock.now())
    await jobs.learn(worker)
    travel = await travel_in_force(tx, clock.now(), land.org_unit.path)
    start, end = Place(112.005, 28.005, land.grids[0].id), Place(112.015, 28.005, land.grids[1].id)
    assert travel.seconds(start, end) == travel.by_distance(start, end)


async def test_a_grid_far_from_all_others_is_not_asked_about_again_and_again(tx, database, clock):
    await make_territory(tx, grids=1)
    unasked = engine(AssertionError("there is nothing to ask"))
    assert await service.ask_roads(database, unasked, clock.now()) == 1
    assert await service.ask_roads(database, unasked, clock.now()) == 0


async def test_what_was_said_before_the_engine_failed_is_known(tx, land, database, clock):
    answers = [driving(2.0), httpx.ConnectError("gone")]

    def failing(request):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(request)

    with pytest.raises(RoadsUnavailable):
        await service.ask_roads(database, engine(failing), clock.now())
    assert len(await paces(tx)) == 2
    assert await service.roads_left(tx, clock.now()) == 2


async def test_without_an_engine_workers_ask_nobody(worker, land, tx):
    await jobs.ask_roads(worker)
    assert await tx.scalar(text("SELECT count(*) FROM travel_road")) == 0


async def test_an_engine_that_is_away_is_no_failure_of_the_job(worker, land, tx, settings):
    away = settings.model_copy(update={"routing_url": "http://127.0.0.1:9/"})
    await jobs.ask_roads(Worker(away, worker.clock, worker.database))
    assert await paces(tx) == {}
