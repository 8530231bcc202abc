"""Whatever happens on the way, a line that was asked for once is opened once."""

import pytest
from sqlalchemy import text

from app.activation import jobs, service


@pytest.mark.parametrize("forgets_keys", [False, True])
@pytest.mark.parametrize("dial", ["error_after", "hang_after", "cut_after"])
async def test_a_lost_answer_is_looked_for_before_it_is_asked_again(
    door, platform, dial, forgets_keys
):
    """Not even where the platform forgets its keys is anything doubled."""
    platform.dial(**{dial: 1})
    lost = await door.work((await door.ask())["id"])
    assert (lost["state"], lost["code"]) == ("unknown", "platform_away")
    platform.dial(forgets_keys=forgets_keys)
    assert (await door.work(lost["id"], later=True))["state"] == "provisioned"
    assert platform.asks() == [("HWTC-1", None, 1)]
    assert platform.posts() == 1


async def test_what_never_arrived_is_asked_again(door, platform):
    platform.dial(error_before=1)
    lost = await door.work((await door.ask())["id"])
    assert lost["state"] == "unknown"
    platform.dial(error_on_read=1)
    # That it could not be looked for says nothing of it.
    assert (await door.work(lost["id"], later=True))["state"] == "unknown"
    assert platform.posts() == 1
    platform.dial()
    assert (await door.work(lost["id"], later=True))["state"] == "provisioned"


@pytest.mark.parametrize("dial", ["platform_busy", "too_many"])
async def test_a_busy_platform_is_asked_again_by_itself(door, platform, dial, tx):
    platform.dial(**{dial: 1, "retry_after_seconds": 90})
    busy = await door.work((await door.ask())["id"])
    assert busy["state"] == "asked"
    waits = "SELECT extract(epoch FROM next_try_at - now()) FROM activation"
    assert (await tx.scalar(text(waits)) > 60) is (dial == "too_many")
    platform.dial()
    await door.work(busy["id"])
    assert platform.asks() == [], "it is not due yet"
    assert (await door.work(busy["id"], later=True))["state"] == "provisioned"


async def test_what_is_in_progress_is_looked_at_until_it_has_ended(door, platform):
    platform.dial(seconds_to_finish=60)
    asked = await door.ask()
    assert (await door.work(asked["id"]))["state"] == "under_way"
    platform.app.state.memory.db.execute("UPDATE asks SET finish_at = 0")
    assert (await door.work(asked["id"], later=True))["state"] == "provisioned"
    assert platform.posts() == 1


async def test_patience_has_an_end(door, platform, tx):
    platform.dial(error_before=1)
    lost = await door.work((await door.ask())["id"])
    await tx.execute(text("UPDATE activation SET created_at = now() - interval '121 min'"))
    ended = await door.work(lost["id"], later=True)
    assert (ended["state"], ended["code"]) == ("failed", "no_answer")
    assert (await door.ask())["state"] == "asked"


async def test_of_two_workers_one_asks(door, platform, worker):
    asked = await door.ask()
    await door.tx.commit()
    claimed = await service.claim(door.tx, asked["id"], 0.5)
    assert claimed is not None
    assert await service.claim(door.tx, asked["id"], 0.5) is None
    await door.tx.commit()
    await jobs.put(worker, activation_id=asked["id"])
    assert platform.posts() == 0
    # The first one has died; the sweep takes it up when its time is over.
    await door.tx.execute(text("UPDATE activation SET next_try_at = now()"))
    await door.tx.commit()
    await jobs.sweep(worker)
    assert (await door.read(asked["id"]))["state"] == "provisioned"
    assert platform.asks() == [("HWTC-1", None, 1)]


async def test_without_a_platform_the_ask_waits(door, worker):
    asked = await door.ask()
    await door.tx.commit()
    unset = worker.settings.model_copy(update={"activation_url": ""})
    object.__setattr__(worker, "settings", unset)
    await jobs.put(worker, activation_id=asked["id"])
    await jobs.sweep(worker)
    assert (await door.read(asked["id"]))["state"] == "asked"
