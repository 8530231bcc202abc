"""Events on several connections at once, among themselves and with our own steps."""

import asyncio

import pytest

from app.ordering import service
from app.ordering.client.reading import read_event
from tests.make.races import until_waiting
from tests.ordering.delivering import event, make_desk, remote


async def test_the_same_event_on_two_connections_at_once_has_one_effect(
    real_database, clock, settings
):
    desk = await make_desk(real_database, clock, settings)
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    body = event(sale_id, "completed")

    async def hear():
        async with real_database.begin() as tx:
            return await service.hear(tx, read_event(body), body, clock.now())

    async with real_database.begin() as tx:
        first = await service.hear(tx, read_event(body), body, clock.now())
        second = asyncio.create_task(hear())
        await until_waiting(real_database)
    assert (first, await second) == ("move", "duplicate")
    assert len(await desk.callbacks()) == 1


async def test_an_event_whose_first_hearing_fails_is_heard_the_second_time(
    real_database, clock, settings
):
    """The other side was answered 503, and sends it again."""
    desk = await make_desk(real_database, clock, settings)
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    body = event(sale_id, "completed")

    async def hear(then=None):
        async with real_database.begin() as tx:
            verdict = await service.hear(tx, read_event(body), body, clock.now())
            if then:
                raise then
            return verdict

    with pytest.raises(ZeroDivisionError):
        await hear(then=ZeroDivisionError)
    assert await hear() == "move"


async def test_events_settling_and_asking_all_at_once_end_where_the_order_ended(
    real_database, clock, settings
):
    """Twelve events in any order, three of them twice, while our own attempts are settled."""
    desk = await make_desk(real_database, clock, settings)
    sale_ids = [await desk.sell() for _ in range(4)]
    attempts = [await desk.claimed(sale_id) for sale_id in sale_ids]
    states = ["acknowledged", "inProgress", "completed"]
    bodies = [
        event(sale_id, state, remote_id=f"{number:08}", minutes=minutes)
        for number, sale_id in enumerate(sale_ids)
        for minutes, state in enumerate(states)
    ]

    async def hear(body):
        async with real_database.begin() as tx:
            return await service.hear(tx, read_event(body), body, clock.now())

    await asyncio.gather(
        *(hear(body) for body in reversed([*bodies, *bodies[:3]])),
        *(
            desk.settle(attempt, [remote(f"{number:08}")])
            for number, attempt in enumerate(attempts)
        ),
    )
    assert await desk.states(sale_ids) == ["completed"] * 4
    assert [(await desk.sync(sale_id)).doubles for sale_id in sale_ids] == [[]] * 4
    assert len(await desk.callbacks()) == 12
