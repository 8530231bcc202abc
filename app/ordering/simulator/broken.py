"""Answers that go wrong on the wire: one that never comes, and connections that break."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_CUT = "yingwei.cut"


class Silence(Response):
    """An answer that never comes: the request stays open until the caller leaves."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the caller to give up."""
        while (await receive())["type"] != "http.disconnect":
            pass


class Cut(Response):
    """A connection that breaks: before the first byte, or halfway through the body given."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body, 201, media_type="application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the body, if there is one, and cut the connection."""
        cut = scope.get("extensions", {}).get(_CUT)
        if self.body or cut is None:
            await send({"type": "http.response.start", "status": 201, "headers": self.raw_headers})
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
            # Let the half leave the machine before the connection goes.
            await asyncio.sleep(0.02)
        if cut is not None:
            cut()
        # A server without the extension sees an answer that ends too early and closes by itself.


class CuttableProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with a way for the application to cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Hand the application the means to cut this connection."""
        super().connection_made(transport)
        app = self.app

        async def with_cut(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), _CUT: transport.abort}
            await app(scope, receive, send)

        self.app = with_cut
