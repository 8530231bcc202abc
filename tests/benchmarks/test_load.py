"""The load generator reads answers as they come and does not count failures as work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from benchmarks import load

Serve = Callable[[list[bytes]], Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve prepared answers on a loopback port, one to each request, the last one for ever."""
    servers: list[asyncio.Server] = []

    async def start(answers: list[bytes]) -> int:
        turn = iter(answers)
        last = answers[-1]

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await _head(reader):
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line[:14] == _LENGTH), 0
                )
                await reader.readexactly(length)
                writer.write(next(turn, last))
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()


_LENGTH = b"content-length"


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\netag: "x"\r\n\r\n{}'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"
NOTHING_NEW = b"HTTP/1.1 304 Not Modified\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


async def test_answers_of_every_framing_are_read(serve):
    port = await serve([OK, CHUNKED, NOTHING_NEW])
    ask = load.request("GET", "/", token="t")
    timing = await load.run(port, [ask] * 3, connections=1, expect=(200, 304), keep_replies=True)
    assert [(reply.status, reply.body) for reply in timing.replies] == [
        (200, b"{}"),
        (200, b"[1]"),
        (304, b""),
    ]
    assert timing.replies[0].header("etag") == '"x"'


async def test_every_request_is_sent_once_over_all_connections(serve):
    port = await serve([OK])
    counted: list[int] = []
    timing = await load.run(
        port,
        [load.request("POST", "/", body=b"{}")] * 130,
        connections=4,
        done=counted.append,
    )
    assert len(timing.latencies) == sum(counted) == 130
    assert 0 < timing.percentile(0.5) <= timing.percentile(0.95) <= timing.seconds


async def test_an_unexpected_answer_ends_the_run(serve):
    with pytest.raises(load.Unexpected, match="503"):
        await load.run(await serve([OK, BUSY]), [load.request("GET", "/")] * 5, connections=2)


async def test_the_patient_ask_again_and_it_is_counted(serve):
    port = await serve([BUSY, BUSY, OK])
    timing = await load.run(port, [load.request("GET", "/")], connections=1, patient=True)
    assert timing.turned_away == 2
    assert timing.latencies[0] >= 1.0
