"""The stream of changes, on a real server and with real commits."""

import contextlib
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from sqlalchemy import text

from app.auth.rules import Role
from app.board.rules.changes import MOST_NAMED, Changed, gathered
from app.core import stream as bedrock
from app.core.clock import wall
from app.core.db import new_id
from app.dispatch.models import DispatchPin
from app.technicians.availability import write_routes
from app.technicians.models import Leave, TechnicianLoan
from app.technicians.rules import LeaveCause
from app.workorders import queries as workorders
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.streams import PATIENCE, Listener, served
from tests.make.technicians import make_technician
from tests.make.visits import TODAY
from tests.make.workorders import make_work_order


@pytest.fixture
async def server(real_app):
    """The application on a real server; its address."""
    async with served(real_app) as address:
        yield address
        real_app.state.changes.stop()


@pytest.fixture
async def place(real_database):
    """A city with two branches and a technician each."""
    async with real_database.begin() as tx:
        city = await make_org_unit(tx)
        units = [await make_org_unit(tx, parent=city) for _ in range(2)]
        people = [await make_technician(tx, org_unit=unit) for unit in units]
    return city, units, people


@pytest.fixture
def listen(server, real_app):
    """Listen to a unit's stream."""

    @contextlib.asynccontextmanager
    async def listen(unit, *, since=None, caller=None):
        headers = bearer(real_app, caller or caller_for(Role.SUPERVISOR, unit))
        if since is not None:
            headers["last-event-id"] = since
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as client,
            client.stream("GET", f"{server}/v1/board/stream", headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Listener(answer)

    return listen


@pytest.fixture
def order_for(real_database, clock):
    """Commit an order that somebody holds, or nobody does."""

    async def order_for(unit, technician=None, **fields):
        given: dict[str, Any] = {"state": State.UNPLACED, "unplaced_reason": UnplacedReason.NO_GRID}
        if technician is not None:
            given = {
                "state": State.ASSIGNED,
                "holder_id": technician.id,
                "planned_day": TODAY,
            }
        async with real_database.begin() as tx:
            return await make_work_order(tx, now=clock.now(), org_unit=unit, **given | fields)

    return order_for


async def test_what_is_committed_is_heard_and_nothing_else(
    listen, place, order_for, real_database, clock
):
    _, [here, _], [technician, _] = place
    async with listen(here) as listener:
        assert (await listener.next()).name == "reset"
        with contextlib.suppress(ZeroDivisionError):
            async with real_database.begin() as tx:
                await make_work_order(tx, now=clock.now(), org_unit=here)
                raise ZeroDivisionError
        order = await order_for(here, technician)
        event = await listener.next()
        assert event.name == "changed"
        assert event.data == {
            "technicians": [str(technician.id)],
            "orders": [str(order.id)],
            "unplaced": False,
            "alerts": False,
        }
        waiting = await order_for(here)
        assert (await listener.next()).data == {
            "technicians": [],
            "orders": [str(waiting.id)],
            "unplaced": True,
            "alerts": False,
        }


async def test_units_hear_of_their_own(listen, place, order_for):
    city, [here, there], [technician, other] = place
    async with listen(here) as listener, listen(city) as above:
        await listener.next()
        await above.next()
        await order_for(there, other)
        mine = await order_for(here, technician)
        # Whoever is above hears of both; of the first, nothing is said here.
        heard = set()
        while str(mine.id) not in heard:
            heard |= set((await above.next()).data["orders"])
        assert len(heard) == 2
        event = await listener.next()
        assert (event.data["orders"], event.data["technicians"]) == (
            [str(mine.id)],
            [str(technician.id)],
        )


async def test_who_loses_and_who_gets_an_order_is_told(
    listen, place, order_for, real_database, clock
):
    _, [here, there], [technician, other] = place
    order = await order_for(here, technician)
    async with listen(here) as listener, listen(there) as helping:
        await listener.next()
        await helping.next()
        async with real_database.begin() as tx:
            held = await workorders.for_change(tx, order.id)
            await tx.execute(
                text(
                    "INSERT INTO technician_day (technician_id, day, committed_minutes, orders)"
                    " VALUES (:id, :day, 60, 1)"
                ),
                {"id": technician.id, "day": TODAY},
            )
            await take_step(
                tx, held, Step.ASSIGN, now=clock.now(), holder_id=other.id, planned_day=TODAY
            )
        assert (await listener.next()).data["technicians"] == sorted(
            [str(technician.id), str(other.id)]
        )
        # The helper's own unit hears of the helper, not of an order that is not theirs.
        assert (await helping.next()).data == {
            "technicians": [str(other.id)],
            "orders": [],
            "unplaced": False,
            "alerts": False,
        }


async def test_what_else_changes_a_day_is_told(listen, place, order_for, real_database, clock):
    _, [here, there], [technician, _] = place
    order = await order_for(here, technician)
    begins, ends = clock.now(), clock.now() + timedelta(hours=1)
    rows = (
        Leave(
            technician_id=technician.id,
            starts_at=begins,
            ends_at=ends,
            cause=LeaveCause.ILLNESS,
        ),
        DispatchPin(
            work_order_id=order.id, technician_id=technician.id, day=TODAY, at=begins, reason=""
        ),
        TechnicianLoan(
            technician_id=technician.id,
            org_unit_id=there.id,
            valid_from=TODAY,
            valid_to=TODAY + timedelta(days=1),
            reason="",
            asked_at=begins,
            agreed_at=begins,
        ),
    )
    told = {"technicians": [str(technician.id)], "orders": [], "unplaced": False, "alerts": False}
    async with listen(here) as listener, listen(there) as borrower:
        await listener.next()
        await borrower.next()
        for route in ([order.id], []):  # written down for the first time, and anew
            async with real_database.begin() as tx:
                await write_routes(tx, {(technician.id, TODAY): route})
            assert (await listener.next()).data == told
        for row in rows:
            async with real_database.begin() as tx:
                tx.add(row)
            assert (await listener.next()).data == told
        # The first that the borrower hears of is the loan.
        assert (await borrower.next()).data == told


async def test_a_day_whose_minutes_change_alone_is_no_news(
    listen, place, order_for, real_database, clock
):
    _, [here, _], [technician, _] = place
    async with listen(here) as listener:
        await listener.next()
        async with real_database.begin() as tx:
            await tx.execute(
                text(
                    "INSERT INTO technician_day (technician_id, day, committed_minutes, orders)"
                    " VALUES (:id, :day, 60, 1)"
                ),
                {"id": technician.id, "day": TODAY},
            )
            await tx.execute(text("UPDATE technician_day SET committed_minutes = 120"))
        order = await order_for(here)
        assert (await listener.next()).data == {
            "technicians": [],
            "orders": [str(order.id)],
            "unplaced": True,
            "alerts": False,
        }


async def test_it_goes_on_where_it_was_interrupted(listen, place, order_for):
    _, [here, _], [technician, _] = place
    async with listen(here) as listener:
        await listener.next()
        await order_for(here, technician)
        last = (await listener.next()).id
    missed = [await order_for(here, technician) for _ in range(2)]
    async with listen(here, since=last) as listener:
        event = await listener.next()
        assert (event.name, event.data["orders"]) == (
            "changed",
            sorted(str(order.id) for order in missed),
        )
    # An id that is not known, and what lies too far back, are answered alike.
    for since in ("nobody-said-this", ""):
        async with listen(here, since=since) as listener:
            assert (await listener.next()).name == "reset"


async def test_a_heartbeat_says_up_to_where_it_has_been_heard(listen, place, order_for):
    _, [here, there], [_, other] = place
    with patch("app.core.events.HEARTBEAT", 0.05):
        async with listen(here) as listener:
            first = (await listener.next()).id
            await order_for(there, other)
            while (last := await listener.heartbeat()) == first:
                pass
        async with listen(here, since=last) as listener:
            assert await listener.heartbeat() == last


async def test_a_lost_connection_is_made_again_and_everybody_asks_anew(
    listen, place, order_for, real_database
):
    _, [here, _], [technician, _] = place
    async with listen(here) as listener:
        first = await listener.next()
        async with real_database.read() as read:
            ended = await read.scalar(
                text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND query LIKE 'LISTEN %'"
                )
            )
        assert ended == 1
        again = await listener.next()
        assert again.name == "reset"
        assert again.id != first.id
        order = await order_for(here, technician)
        assert (await listener.next()).data["orders"] == [str(order.id)]


async def test_many_people_at_once_are_not_named(listen, place, real_database, clock):
    """A message has room for so many ids: orders are left off first."""
    _, [here, _], [technician, _] = place
    async with listen(here) as listener:
        await listener.next()
        async with real_database.begin() as tx:
            await tx.execute(
                text(
                    "INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash,"
                    " work_type, state, address, summary, estimated_minutes, reported_at,"
                    " received_at, holder_id, planned_day)"
                    " SELECT gen_random_uuid(), :unit, 'test', n::text, '', 'repair', 'assigned',"
                    " '', '', 60, now(), now(), :holder, :day FROM generate_series(1, 400) AS n"
                ),
                {"unit": here.id, "holder": technician.id, "day": TODAY},
            )
        assert (await listener.next()).data == {
            "technicians": [str(technician.id)],
            "orders": [],
            "unplaced": False,
            "alerts": False,
        }
        async with real_database.begin() as tx:
            people = [
                await make_technician(tx, org_unit=here, weekdays=range(0)) for _ in range(181)
            ]
            tx.add_all(
                Leave(
                    technician_id=one.id,
                    starts_at=clock.now(),
                    ends_at=clock.now() + timedelta(hours=1),
                    cause=LeaveCause.OTHER,
                )
                for one in people
            )
        assert (await listener.next()).name == "reset"


async def test_the_end_of_a_token_is_the_end_of_the_stream(listen, place):
    _, [here, _], _ = place
    with patch("app.auth.tokens.good_until", return_value=wall()):
        async with listen(here) as listener:
            assert (await listener.next()).name == "expired"
            with pytest.raises(AssertionError, match="ended"):
                await listener.next()


async def test_a_server_that_stops_ends_its_streams(listen, place, real_app):
    _, [here, _], _ = place
    async with listen(here) as listener:
        await listener.next()
        real_app.state.changes.stop()
        with pytest.raises(AssertionError, match="ended"):
            await listener.next()


async def test_who_may_listen(server, real_app, place):
    city, [here, there], [technician, _] = place
    supervisor = caller_for(Role.SUPERVISOR, here)
    async with httpx.AsyncClient(timeout=PATIENCE) as client:

        async def status(caller, query=""):
            headers = bearer(real_app, caller) if caller else {}
            async with client.stream(
                "GET", f"{server}/v1/board/stream{query}", headers=headers
            ) as answer:
                return answer.status_code

        assert await status(None) == 401
        person = caller_for(Role.TECHNICIAN, here, technician_id=technician.id)
        assert await status(person) == 403
        assert await status(caller_for(Role.SUPERVISOR, here, scopes=frozenset())) == 403
        assert await status(supervisor, f"?org_unit_id={here.id}") == 200
        for unit in (there.id, city.id, new_id()):
            assert await status(supervisor, f"?org_unit_id={unit}") == 404


# --- without a database ---------------------------------------------------------------------------


def message(number: int, **facts) -> bedrock.Message:
    return bedrock.Message(str(number), {"path": "a.b.", "number": number, **facts})


async def test_whoever_is_slow_is_told_to_ask_anew_and_holds_no_more():
    watch = bedrock.Watch(lambda facts: facts["number"] % 2 == 0, "0")
    for number in range(2 * bedrock.WAITING + 3):
        watch.tell(message(number))
    assert not watch._waiting
    heard = await watch.next(within=1, gather=0)
    assert (heard.missed, heard.messages) == (True, [])
    watch.tell(message(5_000))
    heard = await watch.next(within=1, gather=0)
    assert (heard.missed, [one.id for one in heard.messages]) == (False, ["5000"])


async def test_nothing_is_heard_when_nothing_happens():
    watch = bedrock.Watch(lambda facts: False, "0")
    watch.tell(message(1))
    heard = await watch.next(within=0, gather=0)
    assert heard == bedrock.Heard("1", [], False, False)


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([], Changed([], [], False, False)),
        (
            [(["b"], ["1"], False), (["a", "b"], None, True)],
            Changed(["a", "b"], ["1"], True, False),
        ),
        ([(["a"], [], False), (None, None, False)], None),
        ([([f"{n:03}" for n in range(MOST_NAMED)], [], False), (["a"], [], False)], None),
    ],
)
def test_messages_are_gathered(messages, told):
    named = ("technicians", "orders", "unplaced")
    assert gathered(dict(zip(named, one, strict=True)) for one in messages) == told
