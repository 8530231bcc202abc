"""Our listener on the other side's hub: registered, again when it is lost, moved, taken off."""

import httpx
from sqlalchemy import select, text

from app.ordering import jobs
from app.ordering.client import OrderingClient
from app.ordering.models import OrderingListener
from app.ordering.rules import Cause, NotSent
from tests.ordering.conftest import TOKEN


async def look(desk, callback: str) -> OrderingListener:
    """Do what the worker does every few seconds, as if it were due."""
    settings = desk.settings.model_copy(update={"ordering_callback_url": callback})
    object.__setattr__(desk.worker, "settings", settings)
    async with desk.database.begin() as tx:
        await tx.execute(text("UPDATE ordering_listener SET next_try_at = now()"))
    await jobs.look_after_listener(desk.worker)
    async with desk.database.read() as read:
        found: OrderingListener = (await read.scalars(select(OrderingListener))).one()
        return found


def hub(stand, listener_id: str | None, method: str = "GET") -> int:
    url = f"{stand.simulator.base_url}/hub/{listener_id}"
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx.request(method, url, headers=headers).status_code


async def test_the_listener_is_looked_after(desk, stand):
    listener = await look(desk, "https://us.example/one")
    first = listener.remote_id
    assert first is not None
    assert hub(stand, first) == 200
    assert (await look(desk, "https://us.example/one")).remote_id == first
    # The other side forgets us.
    assert hub(stand, first, "DELETE") == 204
    again = (await look(desk, "https://us.example/one")).remote_id
    assert again not in (None, first)
    # We move.
    moved = await look(desk, "https://us.example/two")
    assert moved.callback == "https://us.example/two"
    assert (hub(stand, again), hub(stand, moved.remote_id)) == (404, 200)
    # We do not want to hear any more.
    gone = await look(desk, "")
    assert gone.remote_id is None
    assert hub(stand, moved.remote_id) == 404


async def test_since_when_it_fails_is_kept_until_it_is_registered(desk, monkeypatch):
    async def away(*_):
        raise NotSent(Cause.UNREACHABLE)

    with monkeypatch.context() as patch:
        patch.setattr(OrderingClient, "register", away)
        first = (await look(desk, "https://us.example/one")).failing_since
        assert first is not None
        assert (await look(desk, "https://us.example/one")).failing_since == first
    assert (await look(desk, "https://us.example/one")).failing_since is None
    # An address that nobody serves would be tried again and again, and hold up who comes next.
    assert (await look(desk, "")).remote_id is None
