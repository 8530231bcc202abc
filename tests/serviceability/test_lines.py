"""What a line can do is asked once, remembered, and told with where it comes from."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.core.db import new_id
from app.core.outside import Failed
from app.serviceability.client import ServiceabilityClient
from app.serviceability.codec import Shape
from app.serviceability.rules import (
    Recorded,
    Remembered,
    Said,
    Source,
    expires,
    line_of,
)
from app.serviceability.service import known, lines_at
from app.serviceability.simulator import (
    BASE_PATH,
    OFFERING_BASE_PATH,
    Dials,
    create_simulator,
)
from tests.make.customers import make_address, make_customer
from tests.make.platforms import served

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("asked_before", "expires_in", "recorded_before", "source"),
    [
        (None, None, HOUR, Source.NOT_ASKED),
        (HOUR, HOUR, None, Source.CACHED),
        (HOUR, HOUR, timedelta(), Source.CACHED),
        (5 * HOUR, -HOUR, None, Source.STALE),
        (5 * HOUR, -HOUR, 30 * HOUR, Source.STALE),
        (5 * HOUR, -HOUR, HOUR, Source.NOT_ASKED),
        (73 * HOUR, -HOUR, None, Source.NOT_ASKED),
        # An answer from the future is none: somebody's clock is wrong.
        (-HOUR, 2 * HOUR, None, Source.STALE),
    ],
)
def test_the_best_that_is_known_is_told_with_its_source(
    asked_before, expires_in, recorded_before, source
):
    checked_at = None if recorded_before is None else NOW - recorded_before
    recorded = Recorded(new_id(), "A1", True, 500, "OLT-0", checked_at)
    remembered = asked_before and Remembered(
        Said(False, 1000, "OLT-1", "noFreePort"), NOW - asked_before, NOW + expires_in
    )
    line = line_of(recorded, remembered, NOW, timedelta(hours=72))
    assert line.source is source
    of_record = source is Source.NOT_ASKED
    assert (line.port_free, line.max_speed_mbps) == ((True, 500) if of_record else (False, 1000))
    assert line.as_of == (checked_at if of_record else NOW - asked_before)


def test_the_other_side_may_take_its_word_back_sooner():
    assert expires(Said(True, 1), NOW, 60) == NOW + HOUR
    assert expires(Said(True, 1, until=NOW + HOUR / 2), NOW, 60) == NOW + HOUR / 2
    assert expires(Said(True, 1, until=NOW - HOUR), NOW, 60) == NOW


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """A simulator, and where it is."""
    app = create_simulator(tmp_path_factory.mktemp("lines") / "lines.db", Dials(), token="pass")
    with served(app) as origin:
        yield app, origin


BASES = {Shape.TMF645: BASE_PATH, Shape.TMF679: OFFERING_BASE_PATH}


@pytest.fixture(params=BASES)
async def client(simulator, request):
    """A client of each shape that waits a fifth of a second."""
    app, origin = simulator
    app.state.dials = Dials()
    app.state.memory.db.execute("DELETE FROM posts")
    base = origin + BASES[request.param]
    given = {"shape": request.param, "token": "pass", "time_limit": 0.2}
    async with ServiceabilityClient(base, **given) as client:
        yield client


async def test_many_addresses_are_asked_in_one_exchange_and_remembered(
    tx, database, client, simulator, clock
):
    app, origin = simulator
    customer = await make_customer(tx)
    addresses = [await make_address(tx, customer) for _ in range(3)]
    await tx.commit()
    ids = [one.id for one in addresses]
    async with httpx.AsyncClient() as http:
        told = {"port_free": False, "max_speed_mbps": 100}
        await http.put(f"{origin}/_simulator/lines/{addresses[0].code}", json=told)

    async def look():
        return await lines_at(database, client, ids, org_path="", now=clock.now())

    lines = await look()
    assert {line.source for line in lines.values()} == {Source.ASKED}
    taken = lines[ids[0]]
    assert (taken.port_free, taken.max_speed_mbps) == (False, 100)
    assert taken.reason == "noFreePort Every port of the splitter is taken"
    posts = app.state.memory.db.execute("SELECT sum(times) FROM posts").fetchone()[0]
    assert posts == 1
    clock.tick(timedelta(minutes=239))
    assert {line.source for line in (await look()).values()} == {Source.CACHED}
    clock.tick(timedelta(minutes=1))
    assert {line.source for line in (await look()).values()} == {Source.ASKED}
    # A system that does not answer holds nobody up twice, and what it said last is marked.
    clock.tick(timedelta(hours=5))
    app.state.dials = Dials(hang_after=1)
    assert {line.source for line in (await look()).values()} == {Source.STALE}
    assert client.quiet
    app.state.dials = Dials()
    assert {line.source for line in (await look()).values()} == {Source.STALE}
    clock.tick(timedelta(days=4))
    async with database.read() as read:
        lines = await known(read, ids, org_path="", now=clock.now())
    assert {line.source for line in lines.values()} == {Source.NOT_ASKED}


@pytest.mark.parametrize("dials", [{"error_before": 1}, {"cut_after": 1}, {"too_many": 1}])
async def test_a_system_in_trouble_is_left_alone_for_a_while(client, simulator, dials):
    simulator[0].state.dials = Dials(**dials)
    with pytest.raises(Failed):
        await client.check({new_id(): "A1"})
    assert client.quiet


async def test_without_a_system_nobody_is_asked(tx, database, clock):
    address = await make_address(tx, await make_customer(tx))
    await tx.commit()
    [line] = (await lines_at(database, None, [address.id], org_path="", now=clock.now())).values()
    assert (line.source, line.max_speed_mbps, line.as_of) == (
        Source.NOT_ASKED,
        1000,
        address.checked_at,
    )
