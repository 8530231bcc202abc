"""The simulator's doors: asks, lines and their tests, and `/_simulator` for whoever sets it."""

import asyncio
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.activation.simulator.dials import Dials
from app.core import clock
from app.core.db import new_id
from app.core.simulating import (
    Memory,
    SmallSimulator,
    as_json,
    body_of,
    lost_after,
    luck,
    refused_before,
)

NAME = "Yingwei activation simulator"
BASE_PATH = "/activation-api"

# `effects` counts how often an ask was carried out: a doubled one has two.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS asks (
    id TEXT PRIMARY KEY, line TEXT NOT NULL, serial TEXT NOT NULL, order_number TEXT,
    code TEXT, finish_at REAL NOT NULL, effects INTEGER NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS lines (line TEXT PRIMARY KEY, serial TEXT, online INTEGER);
CREATE INDEX IF NOT EXISTS lines_serial ON lines (serial);
"""


class _Ask(NamedTuple):
    id: str
    line: str
    serial: str
    code: str | None
    finish_at: float

    def told(self) -> dict[str, Any]:
        """Write it as the platform tells of it."""
        if clock.wall().timestamp() < self.finish_at:
            return {"id": self.id, "state": "in_progress"}
        if self.code is None:
            return {"id": self.id, "state": "provisioned"}
        return {"id": self.id, "state": "failed", "code": self.code, "message": "A simulated end"}


async def _ask(request: Request) -> Response:
    """POST /activations: the same key a second time is the same ask."""
    memory, dials = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    key, serial = body.get("id"), body.get("serial_number")
    line = body.get("loid") or body.get("service_number")
    if not key or not serial or not line or request.headers.get("idempotency-key") != key:
        message = "id (also as Idempotency-Key), serial_number, and loid or service_number"
        return as_json({"code": "invalid", "message": f"Mandatory: {message}"}, 400)
    nth = memory.count_post(key)
    fault = dials.fault_of(key, nth)
    if refused := refused_before(fault, dials):
        return refused
    await asyncio.sleep(dials.delay_seconds)
    known = _find(memory, key)
    code = dials.code_of(key, nth)
    if known is None and code == "platform_busy":
        busy = {"id": key, "state": "failed", "code": code, "message": "Try again"}
        return lost_after(fault) or as_json(busy)
    if known is None:
        known = _carry_out(memory, dials, _Ask(key, line, serial, code, 0), body)
    elif dials.forgets_keys:
        memory.db.execute("UPDATE asks SET effects = effects + 1 WHERE id = ?", (key,))
    told = known.told()
    return lost_after(fault) or as_json(told, 202 if told["state"] == "in_progress" else 200)


def _carry_out(memory: Memory, dials: Dials, ask: _Ask, body: dict[str, Any]) -> _Ask:
    taken = "SELECT 1 FROM lines WHERE serial = ? AND line <> ?"
    if memory.db.execute(taken, (ask.serial, ask.line)).fetchone():
        ask = ask._replace(code="serial_taken")
    ask = ask._replace(finish_at=clock.wall().timestamp() + dials.seconds_to_finish)
    memory.db.execute(
        "INSERT INTO asks (id, line, serial, code, finish_at, order_number)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*ask, body.get("order_number")),
    )
    if ask.code is None:
        memory.db.execute(
            "INSERT INTO lines (line, serial) VALUES (?, ?)"
            " ON CONFLICT (line) DO UPDATE SET serial = excluded.serial",
            (ask.line, ask.serial),
        )
    return ask


def _find(memory: Memory, key: str) -> _Ask | None:
    row = memory.db.execute(
        "SELECT id, line, serial, code, finish_at FROM asks WHERE id = ?", (key,)
    ).fetchone()
    return _Ask(*row) if row else None


async def _read(request: Request) -> Response:
    """GET /activations/{id}: an ask by its key."""
    memory, dials = _of(request)
    # A read leaves no trace to number it by; its own id is as good a source of luck.
    if dials.error_on_read and luck(dials.seed, "read", new_id()) < dials.error_on_read:
        return as_json({"code": "error", "message": "A simulated error on reading"}, 500)
    known = _find(memory, request.path_params["id"])
    if known is None:
        return as_json({"code": "not_known", "message": "There is no such ask"}, 404)
    return as_json(known.told())


async def _test(request: Request) -> Response:
    """POST /line-tests: how a line stands, by what was set for it or else by luck."""
    memory, dials = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    line = body.get("loid") or body.get("service_number")
    if not line:
        return as_json({"code": "invalid", "message": "loid or service_number is mandatory"}, 400)
    await asyncio.sleep(dials.delay_seconds)
    found = memory.db.execute("SELECT online FROM lines WHERE line = ?", (line,)).fetchone()
    if found is None and luck(dials.seed, "unknown", line) < dials.line_unknown:
        return as_json({"code": "not_known", "message": "There is no such line"}, 404)
    drawn = luck(dials.seed, "offline", line) >= dials.offline
    online = drawn if found is None or found[0] is None else bool(found[0])
    # Where the light of most lines lies, in dBm.
    power = round(-15 - 10 * luck(dials.seed, "power", line), 1)
    return as_json(
        {
            "online": online,
            "optical_rx_power_dbm": power if online else None,
            "tested_at": clock.wall().isoformat(),
        }
    )


# --- the simulator's own --------------------------------------------------------------------------


async def _asks(request: Request) -> Response:
    """List all asks, each with how often it was posted and carried out."""
    memory, _ = _of(request)
    names = ("id", "line", "serial_number", "order_number", "code", "effects", "posts")
    rows = memory.db.execute(
        "SELECT id, line, serial, order_number, code, effects, times FROM asks"
        " JOIN posts ON posts.key = asks.id ORDER BY asks.rowid"
    )
    return as_json({"asks": [dict(zip(names, row, strict=True)) for row in rows]})


async def _set_line(request: Request) -> Response:
    """PUT /_simulator/lines/{line}: let a line's terminal be online or not."""
    memory, _ = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    online = body.get("online")
    if not isinstance(online, bool):
        return as_json({"code": "invalid", "message": "online must be true or false"}, 400)
    memory.db.execute(
        "INSERT INTO lines (line, online) VALUES (?, ?)"
        " ON CONFLICT (line) DO UPDATE SET online = excluded.online",
        (request.path_params["line"], online),
    )
    return as_json({"line": request.path_params["line"], "online": online})


def _of(request: Request) -> tuple[Memory, Dials]:
    return request.app.state.memory, request.app.state.dials


SIMULATOR = SmallSimulator(
    NAME,
    said={
        "what": "A simulator: no line here is opened in a real network.",
        "说明": "这是模拟器：此处的开通不会进入真实网络。",
        "api": f"{BASE_PATH}/activations",
        "line_tests": f"{BASE_PATH}/line-tests",
        "asks": "/_simulator/asks",
        "lines": "/_simulator/lines/{line}",
    },
    base_path=BASE_PATH,
    schema=_SCHEMA,
    dials=Dials,
    api=[
        Route("/activations", _ask, methods=["POST"]),
        Route("/activations/{id}", _read),
        Route("/line-tests", _test, methods=["POST"]),
    ],
    own=[
        Route("/_simulator/asks", _asks),
        Route("/_simulator/lines/{line}", _set_line, methods=["PUT"]),
    ],
)
create_simulator = SIMULATOR.create
serve = SIMULATOR.serve
