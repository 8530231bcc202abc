"""The simulator's doors: messages come in, phones read their inbox, `/_simulator` sets it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from app.core import clock
from app.core.simulating import (
    Doorman,
    FaultDials,
    Memory,
    Share,
    as_json,
    body_of,
    lost_after,
    luck,
    refused_before,
    serve_app,
    set_dials,
)

NAME = "Yingwei messaging simulator"
BASE_PATH = "/messaging-api"
# What a phone shows of its inbox.
_SHOWN = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL,
    text TEXT NOT NULL, kind TEXT, taken_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_recipient ON messages (recipient, number);
"""


class Dials(FaultDials):
    """All dials; the defaults are a fast and faultless provider. Shares are 0 to 1."""

    refused: Share = Field(default=0, description="Numbers that are turned down, always the same.")


def create_simulator(store: Path, dials: Dials, *, token: str = "") -> Starlette:
    """Make the simulator as an ASGI application that keeps what it took in the file `store`.

    With `token` set, callers must carry that one. Cut connections need the server of `serve`.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.memory = Memory(store, _SCHEMA)
        app.state.dials = dials
        yield
        app.state.memory.close()

    return Starlette(
        routes=[
            Route("/", _who),
            Mount(BASE_PATH, routes=[Route("/messages", _take, methods=["POST"])]),
            Route("/inbox/{number}", _inbox),
            Route("/_simulator/dials", _dials, methods=["GET", "PUT"]),
            Route("/_simulator/counts", _counts),
        ],
        middleware=[Middleware(Doorman, name=NAME, token=token, guarded=BASE_PATH)],
        lifespan=lifespan,
    )


def serve(host: str, port: int, store: Path, dials: Dials, *, token: str = "") -> None:
    """Run the simulator in this process until SIGINT or SIGTERM; the parameters are those of
    `create_simulator`. Its API is at `http://host:port` + BASE_PATH."""
    serve_app(create_simulator(store, dials, token=token), host, port)


async def _take(request: Request) -> Response:
    """POST /messages: the same key a second time is the same message."""
    memory, dials = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    key, to, text = body.get("id"), body.get("to"), body.get("text")
    if not key or not to or not text or request.headers.get("idempotency-key") != key:
        message = "Mandatory: id (also as Idempotency-Key), to, text"
        return as_json({"code": "invalid", "message": message}, 400)
    fault = dials.fault_of(key, memory.count_post(key))
    if refused := refused_before(fault, dials):
        return refused
    if luck(dials.seed, "refused", to) < dials.refused:
        return as_json({"code": "blocked", "message": "This number takes no messages"}, 422)
    await asyncio.sleep(dials.delay_seconds)
    number = memory.db.execute(
        "INSERT INTO messages (id, recipient, text, kind, taken_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING number",
        (key, to, text, body.get("kind"), clock.wall().isoformat()),
    ).fetchone()[0]
    return lost_after(fault) or as_json({"id": f"M{number:08d}"}, 202)


async def _inbox(request: Request) -> Response:
    """GET /inbox/{number}: what a phone got, newest first."""
    memory, _ = _of(request)
    rows = memory.db.execute(
        "SELECT id, kind, text, taken_at FROM messages WHERE recipient = ?"
        " ORDER BY number DESC LIMIT ?",
        (request.path_params["number"], _SHOWN),
    )
    names = ("id", "kind", "text", "taken_at")
    return as_json({"messages": [dict(zip(names, row, strict=True)) for row in rows]})


# --- the simulator's own --------------------------------------------------------------------------


async def _who(request: Request) -> Response:
    """Say what this is."""
    return as_json(
        {
            "name": NAME,
            "what": "A simulator: no message here reaches a real telephone.",
            "说明": "这是模拟器：此处的短信不会发到真实手机。",
            "api": f"{BASE_PATH}/messages",
            "inbox": "/inbox/{number}",
            "dials": "/_simulator/dials",
            "counts": "/_simulator/counts",
        }
    )


async def _dials(request: Request) -> Response:
    """GET the dials, or PUT them all; a dial that is left out returns to its default."""
    return await set_dials(request, Dials)


async def _counts(request: Request) -> Response:
    """Count the messages it took, and the POSTs that came."""
    memory, _ = _of(request)
    messages, posts = memory.db.execute(
        "SELECT (SELECT count(*) FROM messages), (SELECT coalesce(sum(times), 0) FROM posts)"
    ).fetchone()
    return as_json({"messages": messages, "posts": posts})


def _of(request: Request) -> tuple[Memory, Dials]:
    return request.app.state.memory, request.app.state.dials
