"""Bytes in whatever pieces, from wherever, broken off wherever: what is stored is what was sent."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from app.evidence.models import Evidence, EvidencePiece
from app.evidence.service import receiving
from app.evidence.storage import Storage
from tests.make.evidence import BYTES, Upload, photo
from tests.make.visits import make_assigned_order, make_phone

DATA = photo(320, 320)


class Line:
    """A line to the application that can break in the middle of a request."""

    def __init__(self, app: Any, going: Upload) -> None:
        self.app = app
        self.going = going

    async def send(self, offset: int, parts: list[bytes], *, breaks: bool) -> int | None:
        """Send a request in parts; returns its status, or None when nobody is there to hear it."""
        waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        end = {"type": "http.request", "body": b"", "more_body": False}
        waiting.append({"type": "http.disconnect"} if breaks else end)
        status: list[int] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])

        given = {
            **self.going.phone.headers,
            "tus-resumable": "1.0.0",
            "upload-offset": str(offset),
            "content-type": BYTES,
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "PATCH",
            "path": self.going.url,
            "raw_path": self.going.url.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("yingwei.test", 80),
        }
        await self.app(scope, receive, send)
        return None if breaks else status[0]


PATCHES = st.lists(
    st.tuples(
        st.integers(-2_000, 2_000),  # how far from where the upload really stands it is sent
        st.lists(st.integers(1, 3_000), max_size=4),  # the parts it comes in
        st.booleans(),  # whether the line breaks
    ),
    max_size=12,
)


@given(PATCHES)
@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_random_pieces_and_breaks_lose_and_double_no_byte(
    app, tx, upload, monkeypatch_piece, patches
):
    going = upload(DATA)
    assert (await going.announce()).status_code == 201
    line, there = Line(app, going), 0
    for away, lengths, breaks in patches:
        offset = max(0, there + (away if abs(away) > 1_000 else 0))
        parts, at = [], offset
        for length in lengths:
            parts.append(DATA[at : at + length] or b"?")
            at += length
        status = await line.send(offset, parts, breaks=breaks)
        whole = sum(map(len, parts))
        fits = offset + whole <= len(DATA)
        assert status in {
            None,
            204 if offset == there and fits else 409 if fits or offset != there else 413,
        }
        before, there = there, await going.stands()
        if offset != before:
            assert there == before
        elif fits:
            # Without a checksum, what has come counts, also when the line breaks.
            assert there == before + whole
        else:
            assert before <= there <= len(DATA)
        if there == len(DATA):
            break
    if there < len(DATA):
        assert (await going.send(DATA[there:], there)).status_code == 204
    found = await tx.get(Evidence, going.id, populate_existing=True)
    assert (found.state, found.sha256, found.received) == ("stored", going.sha256, len(DATA))
    # The next example's bytes shall not be known already.
    await tx.execute(text("UPDATE evidence SET state = 'withdrawn'"))


@pytest.fixture
def monkeypatch_piece(monkeypatch):
    monkeypatch.setattr(receiving, "PIECE", 1_000)


async def test_of_two_who_send_at_once_one_wins(
    real_database, real_app, real_http, clock, settings
):
    async with real_database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
        order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.acknowledge(order)
    going = Upload(phone, order, DATA)
    answers = [await going.announce() for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    both = asyncio.Barrier(2)

    async def slowly(data):
        yield data[:500]
        await both.wait()
        yield data[500:]

    half = DATA[: len(DATA) // 2]
    answers = await asyncio.gather(*(going.send(slowly(half), 0) for _ in range(2)))
    assert sorted(each.status_code for each in answers) == [204, 409]
    (refused,) = (each for each in answers if each.status_code == 409)
    assert refused.headers["upload-offset"] == str(len(half))
    assert await going.stands() == len(half)
    # What the loser has stored is removed again.
    storage = Storage.of(settings)
    assert len(await storage.names(going.id)) == 1
    answers = await asyncio.gather(
        *(going.send(slowly(DATA[len(half) :]), len(half)) for _ in range(2))
    )
    assert sorted(each.status_code for each in answers) == [204, 409]
    async with real_database.read() as read:
        row = (await read.scalars(select(Evidence))).one()
        left = await read.scalar(select(func.count()).select_from(EvidencePiece))
    assert (row.state, row.received, left) == ("stored", len(DATA), 0)
    assert await storage.read(going.id, "sent") == DATA
