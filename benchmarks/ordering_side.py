"""A fast other side: takes orders, answers at once, and calls back three times about each.

It is no ordering system and no simulator: it keeps nothing on disk, checks nothing, and speaks just
so much of HTTP and TMF622 as our deliveries do, so that what is measured is ours and not the other
side's. `GET /` says so. The simulator of the product is measured beside it.

    python -m benchmarks.ordering_side --port PORT [--callback-port PORT --callback-token TOKEN]
"""

import argparse
import asyncio
import contextlib
from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qs, unquote

import orjson
import uvloop

from benchmarks.load import Connection, request

PATH = "/tmf-api/productOrderingManagement/v4"
WHAT = b'{"what": "A stand-in for benchmarks: no order here is kept or reaches anybody."}'
# Orders whose callbacks are on their way at once; those of one order follow each other.
CALLERS = 16
STEPS = ("acknowledged", "inProgress", "completed")


class Side:
    """What it holds, all in memory."""

    def __init__(self, token: str) -> None:
        self.states: list[str] = []
        self.names: list[str] = []
        self.by_name: dict[str, list[int]] = {}
        self.to_call: asyncio.Queue[int] = asyncio.Queue()
        self.called = self.refused = self.searches = 0
        self.token = token

    def take(self, body: bytes) -> bytes:
        """Take an order and return it."""
        name = str(orjson.loads(body)["externalId"])
        number = len(self.states)
        self.states.append(STEPS[0])
        self.names.append(name)
        self.by_name.setdefault(name, []).append(number)
        if self.token:
            self.to_call.put_nowait(number)
        return orjson.dumps(self.order(number))

    def order(self, number: int) -> dict[str, str]:
        """Show an order, as far as anybody reads it."""
        id_ = f"{number:08}"
        return {
            "id": id_,
            "href": f"{PATH}/productOrder/{id_}",
            "externalId": self.names[number],
            "state": self.states[number],
            "orderDate": "2026-03-02T05:00:00Z",
        }

    def search(self, query: str) -> bytes:
        """Find orders by our id."""
        self.searches += 1
        (name,) = parse_qs(query)["externalId"]
        return orjson.dumps([self.order(number) for number in self.by_name.get(name, [])])

    def counts(self) -> bytes:
        """Tell what was taken, and how often it called."""
        return orjson.dumps(
            {
                "orders": len(self.states),
                "external_ids": len(self.by_name),
                "doubled_external_ids": sum(len(each) > 1 for each in self.by_name.values()),
                "searches": self.searches,
                "called": self.called,
                "refused": self.refused,
            }
        )

    async def call(self, port: int) -> None:
        """Call back about one order after the other, for ever."""
        connection = await _connected(port)
        while True:
            number = await self.to_call.get()
            for place, state in enumerate(STEPS):
                self.states[number] = state
                event = {
                    "eventId": f"{self.names[number]}/{place}",
                    "eventTime": datetime.now(UTC).isoformat(),
                    "eventType": "ProductOrderStateChangeEvent",
                    "event": {"productOrder": self.order(number)},
                }
                prepared = request(
                    "POST", "/v1/ordering/callbacks", token=self.token, body=orjson.dumps(event)
                )
                try:
                    reply = await connection.ask(prepared)
                except (asyncio.IncompleteReadError, OSError):
                    # A connection that nobody used for a while is closed by the API.
                    connection = await _connected(port)
                    reply = await connection.ask(prepared)
                self.called += 1
                self.refused += reply.status != 204


async def _connected(port: int) -> Connection:
    while True:
        with contextlib.suppress(OSError):
            return await Connection.open(port)
        await asyncio.sleep(0.1)


class Door(asyncio.Protocol):
    """One connection of HTTP/1.1 with whole requests, one at a time."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._came = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        # The event loop's own class, which does not say that it is one.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            head = self._came[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._came) < end + 4 + length:
                return
            body = self._came[end + 4 : end + 4 + length]
            method, target, _ = self._came.split(b"\r\n", 1)[0].decode().split(" ")
            self._came = self._came[end + 4 + length :]
            status, answer = self._answer(method, target, body)
            assert self._transport is not None
            self._transport.write(
                b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (status, len(answer), answer)
            )

    def _answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        if path == "/":
            return 200, WHAT
        if path == "/counts":
            return 200, self._side.counts()
        if method == "POST":
            return 201, self._side.take(body)
        if query:
            return 200, self._side.search(query)
        return 200, orjson.dumps(self._side.order(int(unquote(path.rpartition("/")[2]))))


async def serve(port: int, callback_port: int, callback_token: str) -> None:
    """Serve until it is ended from outside."""
    side = Side(callback_token)
    server = await asyncio.get_running_loop().create_server(lambda: Door(side), "127.0.0.1", port)
    async with server, asyncio.TaskGroup() as group:
        group.create_task(server.serve_forever())
        for _ in range(CALLERS if callback_token else 0):
            group.create_task(side.call(callback_port))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--callback-port", type=int, default=0)
    parser.add_argument("--callback-token", default="")
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.callback_port, given.callback_token))
