"""Many callbacks taken in together leave what each would have left by itself."""

import asyncio
from itertools import product

import orjson
import pytest
from sqlalchemy import text

from app.core.db import new_id
from app.core.errors import Unavailable
from app.ordering import queries, service
from app.ordering.callbacks import ear as ears
from app.ordering.callbacks.ear import Ear
from app.ordering.client.reading import read_event
from app.ordering.delivery import ChangeKind, SyncState
from app.ordering.order import Amendment
from app.ordering.service import Heard, HeardAs
from tests.conftest import nobody_has_a_connection_of
from tests.ordering.delivering import NOON, event, make_desk, remote
from tests.ordering.waiting import until

STATES = ["acknowledged", "inProgress", "held", "completed", "rejected", "on a journey"]


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


def heard(body) -> Heard:
    return Heard(read_event(body), orjson.dumps(body))


async def test_each_is_written_down_as_if_it_had_come_alone(desk):
    """Every state of a delivery and of its order, and every event that may come then."""
    known = [
        (SyncState.SENDING, None),
        (SyncState.PARKED, None),
        *((SyncState.DELIVERED, state) for state in (None, *STATES[:3])),
        (SyncState.FINISHED, "completed"),
        # Ended by a person, and yet there is an order.
        *product((SyncState.GIVEN_UP, SyncState.FINISHED), (None, "inProgress")),
    ]
    cases = list(product(known, STATES, (-1, 0, 1)))
    first = await desk.sell()
    await desk.settle(await desk.claimed(first), [remote()])
    alone, together = [new_id() for _ in cases], [new_id() for _ in cases]
    async with desk.database.begin() as tx:
        for ids in (alone, together):
            await tx.execute(
                text(_LIKE_THE_FIRST),
                {
                    "first": first,
                    "ids": ids,
                    "numbers": list(range(len(ids))),
                    "states": [state for (state, _), _, _ in cases],
                    "remote_states": [remote_state for (_, remote_state), _, _ in cases],
                    "noon": NOON,
                },
            )
    bodies = {
        id_: event(id_, state, remote_id=f"{number}", minutes=minutes)
        for ids in (alone, together)
        for number, (id_, (_, state, minutes)) in enumerate(zip(ids, cases, strict=True))
    }
    async with desk.database.begin() as tx:
        for id_ in alone:
            await service.hear(tx, read_event(bodies[id_]), bodies[id_], desk.clock.now())
    async with desk.database.begin() as tx:
        many = [heard(bodies[id_]) for id_ in together]
        told = await service.hear_many(tx, many, desk.clock.now())
    left = [id_ for id_ in together if told[bodies[id_]["eventId"]] is HeardAs.ODD]
    assert set(told.values()) == {HeardAs.KEPT, HeardAs.ODD}
    # Only two ends of one order are looked at one by one.
    assert {cases[together.index(id_)][:2] for id_ in left} == {
        ((SyncState.FINISHED, "completed"), "rejected")
    }
    async with desk.database.begin() as tx:
        for id_ in left:
            await service.hear(tx, read_event(bodies[id_]), bodies[id_], desk.clock.now())
    async with desk.database.read() as read:
        by_sale = {
            row[0]: row[1:] for row in await read.execute(text(_AS_IT_STANDS), {"since": first})
        }
    assert [by_sale[id_] for id_ in alone] == [by_sale[id_] for id_ in together]
    assert {verdict for *_, verdict in by_sale.values()} >= {"move", "same", "stale", "look"}


_LIKE_THE_FIRST = """
WITH given AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS int[]), CAST(:states AS text[]),
                         CAST(:remote_states AS text[])) AS g (id, number, state, remote_state)
), sold AS (
    INSERT INTO sale SELECT r.* FROM given g, sale s, LATERAL jsonb_populate_record(NULL::sale,
        to_jsonb(s) || jsonb_build_object('id', g.id, 'sent_at', NULL, 'acknowledged_at', NULL,
            'state', CASE WHEN g.state = 'finished' THEN 'completed'
                          WHEN g.remote_state IS NULL THEN 'confirmed' ELSE 'acknowledged' END)) r
     WHERE s.id = :first
)
INSERT INTO order_sync (id, sale_id, org_unit_id, state, remote_id, remote_state, remote_state_at,
                        next_try_at, last_error)
SELECT gen_random_uuid(), g.id, s.org_unit_id, g.state,
       CASE WHEN g.state IN ('delivered', 'finished') THEN g.number::text END, g.remote_state,
       CASE WHEN g.remote_state IS NOT NULL THEN CAST(:noon AS timestamptz) END,
       CASE WHEN g.state <> 'finished' THEN now() END, 'before'
  FROM given g, sale s WHERE s.id = :first
"""
_AS_IT_STANDS = """
SELECT s.id, s.state, s.sent_at, s.acknowledged_at, s.completed_at, s.rejected_reason,
       s.reversed_at, o.state, o.remote_id, o.remote_href, o.remote_state, o.remote_state_at,
       o.last_error, o.last_cause, o.next_try_at > c.received_at + interval '20 s', c.event_type,
       c.event_time,
       ARRAY(SELECT e.step || e.facts::text FROM sale_event e WHERE e.sale_id = s.id ORDER BY e.id),
       c.verdict
  FROM sale s JOIN order_sync o ON o.sale_id = s.id JOIN order_callback c ON c.order_sync_id = o.id
 WHERE s.id <> :since
"""


async def test_what_is_no_plain_case_is_left_to_be_heard_alone(desk):
    delivered, doubled, to_change = [await desk.sell() for _ in range(3)]
    for number, sale_id in enumerate((delivered, doubled, to_change)):
        await desk.settle(await desk.claimed(sale_id), [remote(f"{number}")])
    async with desk.database.begin() as tx:
        await service.ask_for_change(
            tx,
            change_id=new_id(),
            sale_id=to_change,
            kind=ChangeKind.CANCEL,
            reason="x",
            amendment=Amendment(),
            caller=desk.door.seller,
            now=desk.clock.now(),
        )
    plain = event(delivered, "completed", remote_id="0")
    others = [
        event(doubled, "completed", remote_id="another"),
        event(to_change, "cancelled", remote_id="2"),  # ends a change that is under way
        event(new_id(), "completed", remote_id="3"),
        event("S-2026-17", "completed", remote_id="4"),
    ]
    async with desk.database.begin() as tx:
        many = [heard(body) for body in (plain, *others)]
        told = await service.hear_many(tx, many, desk.clock.now())
    out_of_reach, odd = HeardAs.OUT_OF_REACH, HeardAs.ODD
    assert list(told.values()) == [HeardAs.KEPT, odd, odd, out_of_reach, odd]
    assert [each.event_id for each in await desk.callbacks()] == [plain["eventId"]]
    # Known by now: told as such, and without effect.
    async with desk.database.begin() as tx:
        again = [heard({**plain, "eventTime": NOON.isoformat()})]
        told = await service.hear_many(tx, again, desk.clock.now())
    assert told == {plain["eventId"]: HeardAs.KNOWN}
    assert len(await desk.callbacks()) == 1


async def test_the_ear_hears_many_with_few_statements_and_each_order_in_its_turn(
    real_database, clock, settings, monkeypatch
):
    """Two events of one order and one twice go one after the other; nobody waits for a held row."""
    desk = await make_desk(real_database, clock, settings)
    sale_ids = [await desk.sell() for _ in range(6)]
    for number, sale_id in enumerate(sale_ids):
        await desk.settle(await desk.claimed(sale_id), [remote(f"{number}")])
    batches = []
    together = service.hear_many

    async def counted(tx, many, now):
        batches.append(len(many))
        return await together(tx, many, now)

    monkeypatch.setattr(service, "hear_many", counted)
    ear = Ear(real_database)
    steps = [
        event(sale_id, state, remote_id=f"{number}", minutes=minutes)
        for minutes, state in enumerate(("inProgress", "completed"))
        for number, sale_id in enumerate(sale_ids)
    ]
    async with real_database.begin() as tx:
        assert await queries.for_change(tx, sale_ids[0]) is not None
        calls = [
            asyncio.create_task(ear.hear(heard(body), clock.now())) for body in [*steps, steps[1]]
        ]
        await until(lambda: sum(call.done() for call in calls) == 11, "hearing the others")
        _, waiting = await asyncio.wait(calls, timeout=0.2)
        assert len(waiting) == 2
    await asyncio.gather(*calls)
    assert await desk.states(sale_ids) == ["completed"] * 6
    assert len(await desk.callbacks()) == 12
    # Two for the two events of each order; the held one had its turns, and then went alone.
    assert len(batches) < 12


async def test_those_who_were_answered_together_wait_a_moment_for_each_other(
    database, clock, monkeypatch
):
    """Whoever calls alone is not held up by it."""
    batches = []

    async def kept(tx, many, now):
        batches.append(len(many))
        return {one.event.id: HeardAs.KEPT for one in many}

    monkeypatch.setattr(service, "hear_many", kept)
    monkeypatch.setattr(ears, "_GATHER_SECONDS", 0.5)
    ear = Ear(database)
    alone, *several = (heard(event(new_id(), "completed", remote_id=f"{n}")) for n in range(7))
    await ear.hear(alone, clock.now())
    await asyncio.gather(*(ear.hear(one, clock.now()) for one in several[:3]))
    calls = []
    for one in several[3:]:
        # They come one after the other, as answers travel.
        calls.append(asyncio.create_task(ear.hear(one, clock.now())))
        await asyncio.sleep(0.001)
    await asyncio.gather(*calls)
    assert batches == [1, 3, 3]


async def test_what_the_database_will_not_have_harms_only_its_own_caller(
    real_database, clock, settings
):
    desk = await make_desk(real_database, clock, settings)
    sale_ids = [await desk.sell() for _ in range(2)]
    for number, sale_id in enumerate(sale_ids):
        await desk.settle(await desk.claimed(sale_id), [remote(f"{number}")])
    odd, even = (
        event(sale_id, "completed", remote_id=f"{number}")
        for number, sale_id in enumerate(sale_ids)
    )
    # A number that no database can hold.
    too_large = orjson.dumps(odd)[:-1] + b', "n": 1e200000}'
    ear = Ear(real_database)
    told = await asyncio.gather(
        ear.hear(Heard(read_event(odd), too_large), clock.now()),
        ear.hear(heard(even), clock.now()),
        return_exceptions=True,
    )
    assert [isinstance(each, Exception) for each in told] == [True, False]
    assert await desk.states(sale_ids) == ["acknowledged", "completed"]


async def test_what_is_being_written_down_is_finished_before_the_database_is_closed(
    real_database, clock, settings
):
    """Also for a caller who has hung up."""
    desk = await make_desk(real_database, clock, settings)
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote("1")])
    ear = Ear(real_database)
    async with real_database.begin() as tx:
        assert await queries.for_change(tx, sale_id) is not None
        body = event(sale_id, "completed", remote_id="1")
        calling = asyncio.create_task(ear.hear(heard(body), clock.now()))
        # It had its turns with others, and now waits by itself for whoever holds the order.
        await until(lambda: ear._one_by_one, "going alone")
        calling.cancel()
        closing = asyncio.create_task(ear.close())
        _, still = await asyncio.wait([closing], timeout=0.2)
        assert still
    await closing
    nobody_has_a_connection_of(real_database)
    assert await desk.states([sale_id]) == ["completed"]
    with pytest.raises(Unavailable):
        await ear.hear(heard(body), clock.now())
