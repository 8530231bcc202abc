"""The simulator's doors: TMF645 checks, and `/_simulator` for whoever sets it."""

import asyncio
import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.core import clock
from app.core.db import new_id
from app.core.simulating import (
    Memory,
    SmallSimulator,
    as_json,
    body_of,
    lost_after,
    refused_before,
)
from app.serviceability.client import PORT, PORT_FREE, SPEED
from app.serviceability.simulator.dials import Dials

NAME = "Yingwei serviceability simulator"
BASE_PATH = "/tmf-api/serviceQualificationManagement/v4"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lines (code TEXT PRIMARY KEY, port_free INTEGER, speed INTEGER);
CREATE TABLE IF NOT EXISTS checks (code TEXT PRIMARY KEY, times INTEGER NOT NULL);
"""


async def _check(request: Request) -> Response:
    """POST /checkServiceQualification: what can be had at each item's address."""
    memory, dials = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    try:
        codes = {
            str(item["id"]): str(item["service"]["place"][0]["id"])
            for item in body["serviceQualificationItem"]
        }
    except (KeyError, TypeError, IndexError):
        message = "serviceQualificationItem with id and service.place[0].id is mandatory"
        return as_json({"code": "invalid", "message": message}, 400)
    key = ",".join(codes.values())
    fault = dials.fault_of(key, memory.count_post(key))
    if refused := refused_before(fault, dials):
        return refused
    await asyncio.sleep(dials.delay_seconds)
    check_id = str(new_id())
    answer = {
        "id": check_id,
        "href": f"{BASE_PATH}/checkServiceQualification/{check_id}",
        "@type": "CheckServiceQualification",
        "state": "done",
        "effectiveQualificationDate": clock.wall().isoformat(),
        "serviceQualificationItem": [
            _item(memory.db, dials, number, code) for number, code in codes.items()
        ],
    }
    return lost_after(fault) or as_json(answer, 201)


def _item(db: sqlite3.Connection, dials: Dials, number: str, code: str) -> dict[str, Any]:
    db.execute(
        "INSERT INTO checks VALUES (?, 1) ON CONFLICT (code) DO UPDATE SET times = times + 1",
        (code,),
    )
    found = db.execute("SELECT port_free, speed FROM lines WHERE code = ?", (code,)).fetchone()
    free, speed = (bool(found[0]), found[1]) if found else dials.line_of(code)
    item: dict[str, Any] = {
        "id": number,
        "@type": "CheckServiceQualificationItem",
        "state": "done",
        "qualificationResult": "qualified" if free else "unqualified",
        "service": {
            "@type": "Service",
            "serviceType": "broadband",
            "place": [{"id": code, "role": "installationAddress"}],
            "serviceCharacteristic": [
                {"name": SPEED, "valueType": "integer", "value": speed},
                {"name": PORT_FREE, "valueType": "boolean", "value": free},
                {"name": PORT, "valueType": "string", "value": f"SIM-{code[-6:]}"},
            ],
        },
    }
    if not free:
        reason = {"code": "noFreePort", "label": "Every port of the splitter is taken"}
        item["eligibilityUnavailabilityReason"] = [reason]
    return item


# --- the simulator's own --------------------------------------------------------------------------


async def _checks(request: Request) -> Response:
    """List the addresses that were asked about, each with how often."""
    memory, _ = _of(request)
    rows = memory.db.execute("SELECT code, times FROM checks ORDER BY code")
    return as_json({"checks": [{"code": code, "times": times} for code, times in rows]})


async def _set_line(request: Request) -> Response:
    """PUT /_simulator/lines/{code}: say what the line to an address can do."""
    memory, _ = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    free, speed = body.get("port_free"), body.get("max_speed_mbps")
    if not isinstance(free, bool) or not isinstance(speed, int) or isinstance(speed, bool):
        message = "port_free (true or false) and max_speed_mbps (a whole number) are mandatory"
        return as_json({"code": "invalid", "message": message}, 400)
    code = request.path_params["code"]
    memory.db.execute(
        "INSERT INTO lines VALUES (?, ?, ?) ON CONFLICT (code)"
        " DO UPDATE SET port_free = excluded.port_free, speed = excluded.speed",
        (code, free, speed),
    )
    return as_json({"code": code, "port_free": free, "max_speed_mbps": speed})


def _of(request: Request) -> tuple[Memory, Dials]:
    return request.app.state.memory, request.app.state.dials


SIMULATOR = SmallSimulator(
    NAME,
    said={
        "what": "A simulator: what it says of lines is made up.",
        "说明": "这是模拟器：此处的线路资源信息均为虚构。",
        "api": f"{BASE_PATH}/checkServiceQualification",
        "checks": "/_simulator/checks",
        "lines": "/_simulator/lines/{code}",
    },
    base_path=BASE_PATH,
    schema=_SCHEMA,
    dials=Dials,
    api=[
        Route("/checkServiceQualification", _check, methods=["POST"]),
    ],
    own=[
        Route("/_simulator/checks", _checks),
        Route("/_simulator/lines/{code}", _set_line, methods=["PUT"]),
    ],
)
create_simulator = SIMULATOR.create
serve = SIMULATOR.serve
