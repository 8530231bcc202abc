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

    async def __call__(self, seconds):
        self.asked += 1
        return await reserve(self._database, URL, seconds)


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
    async def never(seconds):
        raise AssertionError

    await asyncio.gather(*(Pace(0, never).turn() for _ in range(100)))


async def test_a_turn_may_be_seldom(real_database):
    """Less than one in a second."""
    place = partial(reserve, real_database, URL)
    assert await place(2.0) == pytest.approx(0, abs=0.1)
    assert await place(2.0) == pytest.approx(2, abs=0.2)
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE ordering_pace SET taken_until = now() - interval '1 h'"))
    assert await place(2.0) == pytest.approx(0, abs=0.1)


async def test_without_the_database_nothing_is_sent(real_database, monkeypatch):
    def refuse():
        raise Unavailable(retry_after=1)

    monkeypatch.setattr(real_database, "begin", refuse)
    with pytest.raises(NotSent) as lost:
        await reserve(real_database, URL, 1.0)
    assert lost.value.cause is Cause.TOO_LATE
