"""A light load generator: prepared requests over a few kept connections, one at a time on each.

Raw HTTP/1.1 on asyncio streams, since the client shares the machine with what it measures.
"""

import asyncio
import gzip
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson


class Reply(NamedTuple):
    """An answer: its status, its headers as they came, its body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value; empty when it is absent."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.decode().lower() == name:
                return value.strip().decode()
        return ""

    def json(self) -> Any:
        """Read the body as JSON, packed or not."""
        packed = self.header("content-encoding") == "gzip"
        return orjson.loads(gzip.decompress(self.body) if packed else self.body)


def request(
    method: str,
    path: str,
    *,
    token: str = "",
    body: bytes | None = None,
    kind: str = "application/json",
    **headers: str,
) -> bytes:
    """Write a whole request; underscores in names of further headers become hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "accept-language: en"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body is not None:
        lines += [f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


class Connection:
    """One kept connection to a server on this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**26))

    async def ask(self, prepared: bytes) -> Reply:
        """Send a prepared request and read the whole answer."""
        self._writer.write(prepared)
        await self._writer.drain()
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        body = b""
        lower = head.lower()
        at = lower.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 : head.index(b"\r\n", at)])
            body = await self._reader.readexactly(length)
        elif b"transfer-encoding: chunked" in lower:
            body = await self._chunks()
        return Reply(status, head, body)

    async def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            part = await self._reader.readexactly(size + 2)
            if size == 0:
                return b"".join(parts)
            parts.append(part[:-2])

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


class Unexpected(Exception):
    """An answer with another status than the work needs; the words are the answer's."""


@dataclass
class Timing:
    """How a run of requests went; latencies in seconds."""

    seconds: float
    latencies: list[float] = field(repr=False)
    replies: list[Reply] = field(repr=False)
    turned_away: int = 0

    def percentile(self, share: float) -> float:
        """Return the latency that this share of the requests did not exceed, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def run(
    port: int,
    prepared: Sequence[bytes],
    *,
    connections: int,
    expect: Iterable[int] = (200,),
    keep_replies: bool = False,
    patient: bool = False,
    done: Callable[[int], None] = lambda count: None,
) -> Timing:
    """Send requests over some connections, each taking the next one when it has its answer.

    Latencies and replies come in the order of the requests. `done` hears of every 50 answers.
    With `patient`, an answer of 503 is asked again after a moment, as a phone would, and counted in
    `turned_away`. Raises Unexpected at the first answer whose status is not expected.
    """
    wanted = frozenset(expect)
    latencies = [0.0] * len(prepared)
    replies: list[Reply] = [Reply(0, b"", b"")] * (len(prepared) if keep_replies else 0)
    turn = iter(range(len(prepared)))
    turned_away = 0

    async def one(connection: Connection) -> None:
        nonlocal turned_away
        count = 0
        for place in turn:
            began = time.perf_counter()
            reply = await connection.ask(prepared[place])
            while patient and reply.status == 503:
                turned_away += 1
                await asyncio.sleep(0.5)
                reply = await connection.ask(prepared[place])
            latencies[place] = time.perf_counter() - began
            if reply.status not in wanted:
                raise Unexpected(f"{reply.status}: {reply.body[:2000].decode(errors='replace')}")
            if keep_replies:
                replies[place] = reply
            count += 1
            if count % 50 == 0:
                done(50)
        done(count % 50)

    open_ones = [await Connection.open(port) for _ in range(min(connections, len(prepared)))]
    began = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for connection in open_ones:
                group.create_task(one(connection))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        for connection in open_ones:
            connection.close()
    return Timing(time.perf_counter() - began, latencies, replies, turned_away)
