"""A bare stream of server-sent events, as ASGI lets one write it: no token, cursor or rights."""

import argparse
import asyncio

import uvicorn
from starlette.types import Receive, Scope, Send

_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with a stream that says a word every quarter of a minute."""
    if scope["type"] != "http":
        return
    status = 200
    await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
    if scope["path"] == "/healthz":
        await send({"type": "http.response.body", "body": b""})
        return
    left = asyncio.ensure_future(receive())
    await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
    try:
        while True:
            await asyncio.sleep(15)
            await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
    finally:
        left.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(app, port=parser.parse_args().port, http="h11", access_log=False, log_config=None)
