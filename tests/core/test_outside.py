"""One exchange with another system, however badly it goes."""

import asyncio
from typing import Any

import pytest
from httpcore._backends.anyio import AnyIOStream

from app.core.outside import Lost, NoAnswer, Outside

CONNECTIONS = 2


async def cut_halfway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()


async def test_a_connection_is_given_back_though_time_ran_out_while_it_was_closed(monkeypatch):
    """Otherwise each such exchange would cost a connection, until nothing could be sent at all."""
    close = AnyIOStream.aclose

    async def slowly(stream: AnyIOStream) -> None:
        await asyncio.sleep(0.1)
        await close(stream)

    monkeypatch.setattr(AnyIOStream, "aclose", slowly)
    server = await asyncio.start_server(cut_halfway, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    lost = []
    async with (
        server,
        Outside(f"http://127.0.0.1:{port}", time_limit=0.05, connections=CONNECTIONS) as far,
    ):
        for _ in range(2 * CONNECTIONS):
            with pytest.raises(NoAnswer) as failed:
                await far.exchange("GET", "order")
            lost.append(failed.value.lost)
    assert set(lost) <= {Lost.CUT, Lost.TIMED_OUT}, lost


async def test_a_connection_that_is_gone_the_moment_it_was_made_is_cut(monkeypatch):
    """The event loop has no socket of it any more, and httpcore asks the socket for its peer."""

    def nothing_there(stream: Any, info: str) -> object:
        stream._stream._transport.abort()
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")

    server = await asyncio.start_server(cut_halfway, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Outside(f"http://127.0.0.1:{port}") as far:
        monkeypatch.setattr(AnyIOStream, "get_extra_info", nothing_there)
        with pytest.raises(NoAnswer) as failed:
            await far.exchange("GET", "order")
        await asyncio.sleep(0.01)
    assert (failed.value.lost, failed.value.sent) == (Lost.CUT, True)
