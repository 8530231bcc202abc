"""The reference phone hears of changes as they happen, and pulls when there are some."""

import asyncio
from contextlib import nullcontext, suppress

import httpx
import pytest

from app.phone import in_touch, listening
from app.phone.line import Line, SignInNeeded
from app.phone.server import Synced
from app.phone.store import Store
from tests.make.phones import make_reference_phone
from tests.make.streams import PATIENCE, served
from tests.make.visits import make_assigned_order, make_phone


async def test_what_has_changed_is_pulled_as_it_happens(
    real_app, real_http, real_database, clock, tmp_path
):
    async with real_database.begin() as tx:
        hand = await make_phone(tx, real_app, real_http, clock)
    synced: asyncio.Queue[Synced] = asyncio.Queue()
    async with served(real_app) as address, httpx.AsyncClient(base_url=address) as http:
        phone = make_reference_phone(tmp_path, hand, http, store=Store(tmp_path))
        staying = asyncio.create_task(in_touch.stay(phone, synced.put_nowait))
        async with asyncio.timeout(PATIENCE):
            assert (await synced.get()).anew
            for _ in "12":
                async with real_database.begin() as tx:
                    order = await make_assigned_order(tx, hand.technician, now=clock.now())
                while str(order.id) not in phone.store.rows("work_orders"):
                    await synced.get()
        staying.cancel()
        with suppress(asyncio.CancelledError):
            await staying
        real_app.state.news.stop()


def told(name, number, said="{}"):
    return f"event: {name}\nid: {number}\ndata: {said}\n\n"


ENDS = told("end", 9, '{"reason": "%s"}')


@pytest.mark.parametrize(
    "streams, news, asked",
    [
        # What was pulled already is no news, and a sign of life is none.
        ([told("changed", 6) + ":\nid: 8\n\n" + ENDS % "replaced"], 0, 1),
        ([told("changed", 7) + told("reset", 1) + ENDS % "replaced"], 2, 1),
        # It comes back with what it has pulled, and is over when it is to be emptied.
        ([ENDS % "expired", "", 503, told("wipe", 9)], 1, 4),
        ([401], 0, 1),
        ([403], 1, 1),
        ([ENDS % "signed_out"], 0, 1),
    ],
)
async def test_a_stream_is_listened_to_again_until_it_is_over(
    tmp_path, monkeypatch, streams, news, asked
):
    monkeypatch.setattr(listening, "SOON", 0.0)
    monkeypatch.setattr(listening, "LATER", 0.0)
    seen, heard = [], []

    def answer(request):
        seen.append(request.headers.get("last-event-id"))
        given = streams[len(seen) - 1]
        return httpx.Response(given) if isinstance(given, int) else httpx.Response(200, text=given)

    store = Store(tmp_path)
    store["tokens"], store["cursor"] = {"access_token": "it", "refresh_token": None}, 7
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://yingwei.test")
    line = Line(http, store)
    last = streams[-1]
    signed_out = last == 401 or (isinstance(last, str) and "signed_out" in last)
    with pytest.raises(SignInNeeded) if signed_out else nullcontext():
        await listening.listen(line, store, lambda: heard.append(1))
    assert (len(heard), seen) == (news, ["7"] * asked)
