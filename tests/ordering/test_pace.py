"""What may leave in a second is the whole of what leaves, however many processes send."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import text

from app.core.errors import Unavailable
from app.ordering.client.pace import Pace
from app.ordering.courier.reaching import reserve
from app.ordering.rules import Cause, NotSent

URL = "http://ordering.example/v4"


class Counted:
    """Takes turns in the database, and counts how often."""

    def __init__(self, database):
        self.asked = 0
        self._database = database

    async def __call__(self, seconds, within):
        self.asked += 1
        return await reserve(self._database, URL, seconds, within)


async def sent(paces, seconds, *, at_once=20):
    """Send as fast as the paces let, each for itself; gives when each request left."""
    now = asyncio.get_running_loop().time
    left: list[list[float]] = [[] for _ in paces]
    ends = now() + seconds

    async def send(pace, mine):
        while now() < ends:
            await pace.turn()
            mine.append(now())

    each = zip(paces, left, strict=True)
    await asyncio.gather(*(send(*one) for one in each for _ in range(at_once)))
    return [[at for at in mine if at < ends] for mine in left]


async def test_two_processes_send_no_more_together_than_one_may(real_database):
    places = [Counted(real_database), Counted(real_database)]
    left = await sent([Pace(200, place) for place in places], 1.5)
    together = sum(map(len, left))
    # A tenth of a second is taken ahead, and as much may be made up for.
    assert together <= 200 * (1.5 + 0.2)
    assert together >= 200 * 1.5 * 0.6
    # Neither keeps the other from sending.
    assert min(map(len, left)) >= together / 4
    # Many leave for each time that somebody asked.
    assert sum(place.asked for place in places) <= together / 4


async def test_whoever_sends_little_wastes_nothing_of_the_others(real_database):
    idle, busy = Counted(real_database), Counted(real_database)
    seldom, often = Pace(100, idle), Pace(100, busy)

    async def now_and_then():
        for _ in range(5):
            await seldom.turn()
            await asyncio.sleep(0.2)

    [left], _ = await asyncio.gather(sent([often], 1.0), now_and_then())
    assert len(left) >= 75


async def test_where_no_limit_is_set_nobody_asks():
    async def never(seconds, within):
        raise AssertionError

    await asyncio.gather(*(Pace(0, never).turn() for _ in range(100)))


async def test_a_turn_may_be_seldom(real_database):
    """Less than one in a second."""
    place = partial(reserve, real_database, URL, within=10.0)
    now = asyncio.get_running_loop().time
    began = now()
    assert await place(2.0) == pytest.approx(0, abs=0.1)
    wait = await place(2.0)
    # However long asking took: that much of the two seconds is over, and no more.
    assert wait is not None
    assert 2 - (now() - began) - 0.2 <= wait <= 2.2
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE ordering_pace SET taken_until = now() - interval '1 h'"))
    assert await place(2.0) == pytest.approx(0, abs=0.1)


async def test_a_turn_begins_no_earlier_because_asking_for_it_took_long():
    now = asyncio.get_running_loop().time
    begins = []

    async def slow(seconds, within):
        await asyncio.sleep(0.3)
        begins.append(now() + 0.2)
        return 0.2

    await Pace(10, slow).turn()
    assert now() >= begins[0] - 0.01


async def test_a_turn_that_is_far_away_is_not_taken_and_who_has_begun_comes_first(real_database):
    place = partial(reserve, real_database, URL)
    assert await place(3.0, 1.0) == pytest.approx(0, abs=0.1)
    pace = Pace(10, place, within=2.0)
    for _ in range(3):
        with pytest.raises(NotSent) as lost:
            await pace.turn()
        assert lost.value.cause is Cause.TOO_LATE
    # Who was told so has used nothing up.
    assert await place(0.0, 10.0) == pytest.approx(3, abs=0.2)
    began = asyncio.get_running_loop().time()
    await pace.turn(begun=True)
    assert asyncio.get_running_loop().time() - began == pytest.approx(3, abs=0.4)


async def test_whoever_is_patient_gets_a_turn_and_leaves_the_others_theirs(real_database):
    """Many who only ask wait for turns that nobody else takes any more, one after another."""
    place = partial(reserve, real_database, URL)
    await place(3.0, 1.0)
    pace = Pace(10, place, within=1.0)
    for begun in (False, True):
        with pytest.raises(NotSent):
            await pace.turn(begun=begun)
    now = asyncio.get_running_loop().time
    began = now()
    await pace.turn(patient=True)
    assert now() - began == pytest.approx(3, abs=0.4)

    async with asyncio.TaskGroup() as group:
        patient = [group.create_task(pace.turn(patient=True)) for _ in range(20)]
        # Were they all to take theirs at once, the next one would be two seconds away.
        await asyncio.sleep(0.1)
        await pace.turn()
    assert all(task.done() for task in patient)


async def test_many_processes_with_more_to_send_than_may_leave_use_every_turn(real_database):
    """Whoever comes too late comes again, and what is looked for first is sent as well."""
    places = [partial(reserve, real_database, URL) for _ in range(16)]
    paces = [Pace(40, place, within=0.5) for place in places]
    now = asyncio.get_running_loop().time
    began, turns, longest = now(), 0, 0.0

    async def send(pace, looks):
        nonlocal turns, longest
        while True:
            since = now()
            try:
                await pace.turn()
                turns += 1
                if looks:
                    await pace.turn(begun=True)
                    turns += 1
            except NotSent:
                await asyncio.sleep(0.1)
            else:
                longest = max(longest, now() - since)
                return

    async with asyncio.TaskGroup() as group:
        for number in range(96):
            group.create_task(send(paces[number % 16], looks=number % 4 == 0))
    assert turns >= 96 + 24
    assert turns / (now() - began) >= 40 * 0.6
    assert longest <= 2.0


async def test_a_clock_of_the_database_that_went_back_holds_nobody_up(real_database):
    """A standby whose clock is behind took over: what was taken lies far ahead of it."""
    place = partial(reserve, real_database, URL, within=5.0)
    await place(1.0)
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE ordering_pace SET taken_until = now() + interval '1 h'"))
    assert await place(1.0) == pytest.approx(0, abs=0.1)
    assert await place(1.0) == pytest.approx(1, abs=0.2)


async def test_without_the_database_nothing_is_sent(real_database, monkeypatch):
    def refuse():
        raise Unavailable(retry_after=1)

    monkeypatch.setattr(real_database, "begin", refuse)
    with pytest.raises(NotSent) as lost:
        await reserve(real_database, URL, 1.0, 1.0)
    assert lost.value.cause is Cause.TOO_LATE
