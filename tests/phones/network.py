"""A bad network between phones and the API: seeded, and never worse than it says.

It stands between as a process-local server of HTTP/1.1, so that phones are what they are anywhere.
What it lost or doubled, and what the API answered, is counted.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from enum import StrEnum

import httpx

# Of a hundred requests so many meet each fate; the others pass as they are.
LATE_SECONDS = (0.05, 0.4)
# A copy that was held up somewhere comes so many rounds later.
REPLAYED_AFTER = (1, 6)
# A connection that rests for long is closed by the API, just when the next request may be sent.
ANEW = httpx.Limits(max_keepalive_connections=0)
_OF_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


class Fate(StrEnum):
    """What becomes of a request."""

    PASSED = "passed"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    TWICE = "twice"
    LATE = "late"
    REPLAYED = "replayed"


WEIGHTS = {
    Fate.PASSED: 64,
    Fate.REQUEST_LOST: 9,
    Fate.ANSWER_LOST: 10,
    Fate.TWICE: 6,
    Fate.LATE: 5,
    Fate.REPLAYED: 6,
}


@dataclass(frozen=True)
class Request:
    """A request as a phone sent it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """An answer as the API gave it, its body as it was packed."""

    status: int
    headers: dict[str, str]
    body: bytes

    def written(self) -> bytes:
        """Write it for the wire."""
        lines = [f"HTTP/1.1 {self.status} -", *(f"{k}: {v}" for k, v in self.headers.items())]
        lines += [f"content-length: {len(self.body)}", "connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


class BadNetwork:
    """The network of one seed; `good` lets everything pass from then on."""

    def __init__(self, api_url: str, luck: random.Random) -> None:
        self.good = False
        self.fates: Counter[Fate] = Counter()
        self.statuses: Counter[int] = Counter()
        # What the API answered to whom where it failed, to be told.
        self.failures: list[str] = []
        self.url = ""
        self._luck = luck
        self._held: list[tuple[int, Request]] = []
        self._round = 0
        self._api = httpx.AsyncClient(base_url=api_url, timeout=60.0, limits=ANEW)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator["BadNetwork"]:
        """Serve phones until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, self._api:
            yield self

    async def next_round(self, number: int) -> None:
        """Let what was held up until this round arrive; nobody waits for its answer."""
        self._round = number
        due = [request for at, request in self._held if at <= number]
        self._held = [one for one in self._held if one[0] > number]
        await asyncio.gather(*(self._forward(request) for request in due))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A phone may be switched off at any point of this.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            answer = await self._carry(await _read(reader))
            if answer is None:
                writer.transport.abort()
                return
            writer.write(answer.written())
            await writer.drain()
        writer.close()

    async def _carry(self, request: Request) -> Answer | None:
        fate = Fate.PASSED
        if not self.good:
            fate = self._luck.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.fates[fate] += 1
        match fate:
            case Fate.REQUEST_LOST:
                return None
            case Fate.ANSWER_LOST:
                await self._forward(request)
                return None
            case Fate.TWICE:
                both = await asyncio.gather(self._forward(request), self._forward(request))
                return self._luck.choice(both)
            case Fate.LATE:
                await asyncio.sleep(self._luck.uniform(*LATE_SECONDS))
            case Fate.REPLAYED:
                self._held.append((self._round + self._luck.randint(*REPLAYED_AFTER), request))
        return await self._forward(request)

    async def _forward(self, request: Request) -> Answer:
        sent = self._api.build_request(
            request.method, request.path, headers=request.headers, content=request.body
        )
        answer = await self._api.send(sent, stream=True)
        body = b"".join([part async for part in answer.aiter_raw()])
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500 or answer.status_code in (413, 422):
            words = body[:300].decode(errors="replace")
            self.failures.append(f"{request.method} {request.path}: {answer.status_code} {words}")
        return Answer(answer.status_code, _ends(dict(answer.headers)), body)


def _ends(headers: dict[str, str]) -> dict[str, str]:
    """Leave out what belongs to one hop of the way alone."""
    return {name: value for name, value in headers.items() if name.lower() not in _OF_ONE_HOP}


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, _ends(headers), body)


class SlowLine:
    """A line of so many bytes a second to the phones, on which nothing is lost until it breaks.

    `breaks` says of each of the first answers after how many of its bytes it breaks off; one that
    is negative ends there and leaves the phone waiting. What comes after them comes whole.
    """

    def __init__(self, api_url: str, bytes_a_second: int, breaks: Iterable[int] = ()) -> None:
        self.url = ""
        # What came through of each answer.
        self.came: list[bytearray] = []
        self._api = httpx.URL(api_url)
        self._at_once = bytes_a_second // 20
        self._breaks = list(breaks)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator["SlowLine"]:
        """Carry what phones ask until the block ends."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _carry(self, phone: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, api = await asyncio.open_connection(
            self._api.host, self._api.port, limit=self._at_once
        )
        asking = asyncio.create_task(_pour(phone, api))
        until = self._breaks.pop(0) if self._breaks else None
        came = bytearray()
        self.came.append(came)
        with contextlib.suppress(ConnectionError):
            while part := await answers.read(self._at_once):
                came += part
                back.write(part)
                await back.drain()
                await asyncio.sleep(1 / 20)
                if until is not None and len(came) >= abs(until):
                    break
        if until is not None and until < 0:
            await asking  # which ends when the phone hangs up
        asking.cancel()
        api.transport.abort()
        if until is not None:
            back.transport.abort()
        back.close()


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while part := await source.read(65536):
            into.write(part)
            await into.drain()
        into.write_eof()
