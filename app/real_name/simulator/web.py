"""The simulator's doors: checks are made and looked up, `/_simulator` sets it."""

import asyncio
from typing import Any, Self

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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

NAME = "Yingwei real-name simulator"
BASE_PATH = "/real-name-api"

_SCHEMA = "CREATE TABLE IF NOT EXISTS checks (id TEXT PRIMARY KEY, result TEXT NOT NULL);"


class Dials(FaultDials):
    """All dials; the defaults are a fast and faultless system that lets everybody pass."""

    mismatch: Share = Field(default=0, description="Of numbers, always the same ones.")
    not_found: Share = Field(default=0, description="Alike.")
    document_invalid: Share = Field(default=0, description="Alike.")

    @model_validator(mode="after")
    def _one_result_each(self) -> Self:
        if self.mismatch + self.not_found + self.document_invalid > 1 + 1e-9:
            raise ValueError("the shares of results are more than 1 together")
        return self

    def result_of(self, number: str) -> str:
        """Draw what is said of a number."""
        drawn = luck(self.seed, "result", number)
        for result in ("mismatch", "not_found", "document_invalid"):
            drawn -= float(getattr(self, result))
            if drawn < 0:
                return result
        return "match"


async def _check(request: Request) -> Response:
    """POST /checks: the same key a second time is the same check."""
    memory, dials = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    key, number = body.get("id"), body.get("number")
    given = (key, number, body.get("name"), body.get("document"))
    if not all(given) or request.headers.get("idempotency-key") != key:
        message = "Mandatory: id (also as Idempotency-Key), document, number, name"
        return as_json({"code": "invalid", "message": message}, 400)
    fault = dials.fault_of(str(key), memory.count_post(str(key)))
    if refused := refused_before(fault, dials):
        return refused
    await asyncio.sleep(dials.delay_seconds)
    result = memory.db.execute(
        "INSERT INTO checks (id, result) VALUES (?, ?)"
        " ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING result",
        (key, dials.result_of(str(number))),
    ).fetchone()[0]
    return lost_after(fault) or as_json(_told(str(key), result))


async def _read(request: Request) -> Response:
    """GET /checks/{id}: a check by its key."""
    memory, _ = _of(request)
    key = request.path_params["id"]
    row = memory.db.execute("SELECT result FROM checks WHERE id = ?", (key,)).fetchone()
    if row is None:
        return as_json({"code": "not_known", "message": "There is no such check"}, 404)
    return as_json(_told(key, row[0]))


def _told(key: str, result: str) -> dict[str, Any]:
    told = {"id": key, "result": result}
    return told if result == "match" else {**told, "message": "A simulated result"}


# --- the simulator's own --------------------------------------------------------------------------


async def _counts(request: Request) -> Response:
    """Count the checks it made by what it said, and the POSTs that came."""
    memory, _ = _of(request)
    results = dict(memory.db.execute("SELECT result, count(*) FROM checks GROUP BY result"))
    posts = memory.db.execute("SELECT coalesce(sum(times), 0) FROM posts").fetchone()[0]
    return as_json({"results": results, "posts": posts})


def _of(request: Request) -> tuple[Memory, Dials]:
    return request.app.state.memory, request.app.state.dials


SIMULATOR = SmallSimulator(
    NAME,
    said={
        "what": "A simulator: no document is checked here against any register.",
        "说明": "这是模拟器：此处的核验不会查询任何真实的人口或证件库。",
        "api": f"{BASE_PATH}/checks",
        "counts": "/_simulator/counts",
    },
    base_path=BASE_PATH,
    schema=_SCHEMA,
    dials=Dials,
    api=[
        Route("/checks", _check, methods=["POST"]),
        Route("/checks/{id}", _read),
    ],
    own=[
        Route("/_simulator/counts", _counts),
    ],
)
create_simulator = SIMULATOR.create
serve = SIMULATOR.serve
