"""The simulator's doors: the same checks in two shapes, and `/_simulator` for whoever sets it."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

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
from app.serviceability.codec import PORT, PORT_FREE, SPEED
from app.serviceability.simulator.dials import Dials

NAME = "Yingwei serviceability simulator"
_API = "/tmf-api"
# Where each shape begins: TMF645 and TMF679.
BASE_PATH = f"{_API}/serviceQualificationManagement/v4"
OFFERING_BASE_PATH = f"{_API}/productOfferingQualification/v4"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lines (code TEXT PRIMARY KEY, port_free INTEGER, speed INTEGER);
CREATE TABLE IF NOT EXISTS checks (code TEXT PRIMARY KEY, times INTEGER NOT NULL);
"""


class _Line(NamedTuple):
    code: str
    free: bool
    speed: int

    @property
    def place(self) -> dict[str, Any]:
        return {"id": self.code, "role": "installationAddress"}

    @property
    def characteristics(self) -> list[dict[str, Any]]:
        return [
            {"name": SPEED, "valueType": "integer", "value": self.speed},
            {"name": PORT_FREE, "valueType": "boolean", "value": self.free},
            {"name": PORT, "valueType": "string", "value": f"SIM-{self.code[-6:]}"},
        ]

    @property
    def reason(self) -> dict[str, Any]:
        if self.free:
            return {}
        reason = {"code": "noFreePort", "label": "Every port of the splitter is taken"}
        return {"eligibilityUnavailabilityReason": [reason]}


async def _check_service(request: Request) -> Response:
    """POST /checkServiceQualification: what can be had at each item's address."""
    return await _check(request, "serviceQualificationItem", "service", _service_item)


async def _check_offering(request: Request) -> Response:
    """POST /productOfferingQualification: the same of each item's offering."""
    return await _check(request, "productOfferingQualificationItem", "product", _offering_item)


async def _check(
    request: Request, items: str, subject: str, write: Callable[[str, _Line], dict[str, Any]]
) -> Response:
    memory, dials = _of(request)
    body = await body_of(request)
    if isinstance(body, Response):
        return body
    try:
        codes = {str(item["id"]): str(item[subject]["place"][0]["id"]) for item in body[items]}
    except (KeyError, TypeError, IndexError):
        message = f"{items} with id and {subject}.place[0].id is mandatory"
        return as_json({"code": "invalid", "message": message}, 400)
    key = ",".join(codes.values())
    fault = dials.fault_of(key, memory.count_post(key))
    if refused := refused_before(fault, dials):
        return refused
    await asyncio.sleep(dials.delay_seconds)
    check_id = str(new_id())
    answer = {
        "id": check_id,
        "href": f"{request.url.path}/{check_id}",
        "@type": body.get("@type"),
        "state": "done",
        "effectiveQualificationDate": clock.wall().isoformat(),
        items: [write(number, _line_at(memory.db, dials, code)) for number, code in codes.items()],
    }
    return lost_after(fault) or as_json(answer, 201)


def _line_at(db: sqlite3.Connection, dials: Dials, code: str) -> _Line:
    db.execute(
        "INSERT INTO checks VALUES (?, 1) ON CONFLICT (code) DO UPDATE SET times = times + 1",
        (code,),
    )
    found = db.execute("SELECT port_free, speed FROM lines WHERE code = ?", (code,)).fetchone()
    return _Line(code, *((bool(found[0]), found[1]) if found else dials.line_of(code)))


def _service_item(number: str, line: _Line) -> dict[str, Any]:
    return {
        "id": number,
        "@type": "CheckServiceQualificationItem",
        "state": "done",
        "qualificationResult": "qualified" if line.free else "unqualified",
        "service": {
            "@type": "Service",
            "serviceType": "broadband",
            "place": [line.place],
            "serviceCharacteristic": line.characteristics,
        },
        **line.reason,
    }


def _offering_item(number: str, line: _Line) -> dict[str, Any]:
    return {
        "id": number,
        "@type": "ProductOfferingQualificationItem",
        "state": "done",
        "qualificationItemResult": "qualified" if line.free else "unqualified",
        "product": {
            "@type": "Product",
            "place": [line.place],
            "productCharacteristic": line.characteristics,
        },
        **line.reason,
    }


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
        "offerings": f"{OFFERING_BASE_PATH}/productOfferingQualification",
        "checks": "/_simulator/checks",
        "lines": "/_simulator/lines/{code}",
    },
    base_path=_API,
    schema=_SCHEMA,
    dials=Dials,
    api=[
        Route(f"{path}/{resource}", check, methods=["POST"])
        for path, resource, check in (
            (BASE_PATH.removeprefix(_API), "checkServiceQualification", _check_service),
            (
                OFFERING_BASE_PATH.removeprefix(_API),
                "productOfferingQualification",
                _check_offering,
            ),
        )
    ],
    own=[
        Route("/_simulator/checks", _checks),
        Route("/_simulator/lines/{code}", _set_line, methods=["PUT"]),
    ],
)
create_simulator = SIMULATOR.create
serve = SIMULATOR.serve
