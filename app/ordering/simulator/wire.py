"""What every door of the simulator reads and answers with: bodies, queries, TMF630's errors."""

from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.core.db import new_id
from app.core.simulating import as_json, luck
from app.ordering.simulator.life import Life

_BODY_LIMIT = 1_000_000


def life(request: Request) -> Life:
    """Give the orders behind a request."""
    found: Life = request.app.state.life
    return found


async def body(request: Request) -> Any:
    """Read a JSON body; a Response instead says why it cannot be read."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _BODY_LIMIT:
            return error(413, "27", "Too large", f"At most {_BODY_LIMIT} bytes are taken")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as broken:
        return error(400, "22", "Invalid body", f"Not JSON: {broken}")


def read_fails(request: Request) -> Response | None:
    """Draw whether a read fails, and give the answer if so."""
    orders = life(request)
    if orders.dials.error_on_read == 0:
        return None
    # Unlike a POST, a read leaves no trace to number it by; its own id is as good a source of luck.
    if luck(orders.dials.seed, "read", new_id()) >= orders.dials.error_on_read:
        return None
    orders.store.count("error_on_read")
    return error(500, "1", "Internal error", "A simulated error on reading")


def number(request: Request, name: str, default: int) -> int:
    """Read a whole number of a query. Raises ValueError."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{name} must be a whole number")
    return int(text)


def moment(request: Request, name: str) -> float | None:
    """Read a time of a query, in epoch seconds. Raises ValueError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    told = datetime.fromisoformat(text)
    if told.tzinfo is None:
        raise ValueError(f"{name} must name its time zone")
    return told.timestamp()


def only(order: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """Keep the attributes asked for; id and href always come along."""
    if fields is None:
        return order
    wanted = {"id", "href", *fields.split(",")}
    return {name: value for name, value in order.items() if name in wanted}


def error(status: int, code: str, reason: str, message: str) -> Response:
    """Answer in TMF630's shape of an error."""
    told = {"code": code, "reason": reason, "message": message, "status": str(status)}
    return as_json({"@type": "Error", **told}, status)
