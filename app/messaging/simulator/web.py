"""The simulator's doors: messages come in, phones read their inbox and send texts back, and
`/_simulator` sets it."""

import asyncio

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.core import clock
from app.core.simulating import (
    FaultDials,
    Memory,
    Share,
    SmallSimulator,
    as_json,
    body_of,
    lost_after,
    luck,
    refused_before,
)

NAME = "Yingwei messaging simulator"
BASE_PATH = "/messaging-api"
# What a phone shows of its inbox.
_SHOWN = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL,
    text TEXT NOT NULL, kind TEXT, taken_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS replies (
    number INTEGER PRIMARY KEY, sender TEXT NOT NULL, text TEXT NOT NULL, said_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_recipient ON messages (recipient, number);
"""


class Dials(FaultDials):
    """All dials; the defaults are a fast and faultless provider. Shares are 0 to 1."""

    refused: Share = Field(default=0, description="Numbers that are turned down, always the same.")


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


async def _reply(request: Request) -> Response:
    """POST /inbox/{number}/replies: the owner of a phone sends a text back."""
    memory, _ = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    text = body.get("text")
    if not isinstance(text, str) or not text:
        return as_json({"code": "invalid", "message": "Mandatory: text"}, 400)
    number = memory.db.execute(
        "INSERT INTO replies (sender, text, said_at) VALUES (?, ?, ?) RETURNING number",
        (request.path_params["number"], text, clock.wall().isoformat()),
    ).fetchone()[0]
    return as_json({"id": f"R{number:08d}"}, 202)


async def _replies(request: Request) -> Response:
    """GET /replies?after=: what phones sent back, oldest first, from a number of the list on."""
    memory, _ = _of(request)
    after = request.query_params.get("after", "0")
    if not after.isdigit():
        return as_json({"code": "invalid", "message": "after must be a number"}, 400)
    rows = memory.db.execute(
        "SELECT number, sender, text, said_at FROM replies WHERE number > ?"
        " ORDER BY number LIMIT ?",
        (int(after), _SHOWN),
    )
    return as_json(
        {
            "replies": [
                {"id": f"R{number:08d}", "number": number, "from": by, "text": text, "said_at": at}
                for number, by, text, at in rows
            ]
        }
    )


# --- the simulator's own --------------------------------------------------------------------------


async def _counts(request: Request) -> Response:
    """Count the messages it took, and the POSTs that came."""
    memory, _ = _of(request)
    messages, posts = memory.db.execute(
        "SELECT (SELECT count(*) FROM messages), (SELECT coalesce(sum(times), 0) FROM posts)"
    ).fetchone()
    return as_json({"messages": messages, "posts": posts})


def _of(request: Request) -> tuple[Memory, Dials]:
    return request.app.state.memory, request.app.state.dials


SIMULATOR = SmallSimulator(
    NAME,
    said={
        "what": "A simulator: no message here reaches a real telephone.",
        "说明": "这是模拟器：此处的短信不会发到真实手机。",
        "api": f"{BASE_PATH}/messages",
        "inbox": "/inbox/{number}",
        "reply": "/inbox/{number}/replies",
        "counts": "/_simulator/counts",
    },
    base_path=BASE_PATH,
    schema=_SCHEMA,
    dials=Dials,
    api=[
        Route("/messages", _take, methods=["POST"]),
        Route("/replies", _replies),
    ],
    own=[
        Route("/inbox/{number}", _inbox),
        Route("/inbox/{number}/replies", _reply, methods=["POST"]),
        Route("/_simulator/counts", _counts),
    ],
)
create_simulator = SIMULATOR.create
serve = SIMULATOR.serve
