"""Server-sent events: an answer that goes on, to whoever reads it and no longer.

Nothing is kept for a reader who does not take what is there: what a connection holds is bounded by
the server's own buffer, and whoever lets that stand full is left.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.log import log

# Seconds. Routers and proxies forget a connection that is silent for half a minute.
HEARTBEAT = 15.0
# How long a reader may leave what was sent to them.
STALLED = 15.0
# Milliseconds until a client that has lost the connection tries again.
RETRY = 2_000


def beginning() -> bytes:
    """Write what a stream begins with: when to come back after it broke."""
    return f"retry: {RETRY}\n\n".encode()


def event(name: str, data: Mapping[str, object], *, last_id: str = "") -> bytes:
    """Write an event; `last_id` is what a client sends back as `Last-Event-ID`."""
    known = f"id: {last_id}\n" if last_id else ""
    return f"event: {name}\n{known}data: {orjson.dumps(data).decode()}\n\n".encode()


def heartbeat(last_id: str) -> bytes:
    """Write a sign of life. Without data it is no event to a client, which remembers the id all the
    same."""
    return f":\nid: {last_id}\n\n".encode()


class EventStream(Response):
    """An answer of server-sent events, which no proxy may hold back."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        *,
        status_code: int = 200,  # the API's description looks for it here
        stalled: float = STALLED,
    ) -> None:
        super().__init__(
            status_code=status_code,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        # How long it will be, nobody knows.
        del self.headers["content-length"]
        self._events = events
        self._stalled = stalled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until there are none, or nobody who reads them."""
        sending = asyncio.current_task()
        assert sending is not None
        left = False

        def leave(_: Any) -> None:
            nonlocal left
            left = True
            sending.cancel()

        leaving = asyncio.create_task(_left(receive))
        leaving.add_done_callback(leave)
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for part in self._events:
                async with asyncio.timeout(self._stalled):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            async with asyncio.timeout(self._stalled):
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            log.info("a reader of events was left that did not take them")
        except asyncio.CancelledError:
            if not left or sending.uncancel() > 0:
                raise
        finally:
            leaving.remove_done_callback(leave)
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            await self._events.aclose()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
