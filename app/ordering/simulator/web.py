"""The simulator's doors: TMF622 v4 for orders, TMF630 for its hub, and `/_simulator` for tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from app.core.db import new_id
from app.core.simulating import Cut, Doorman, Silence, as_json, luck, serve_app
from app.ordering.simulator.checks import faults_in
from app.ordering.simulator.dials import Dials, Fault, fault_of
from app.ordering.simulator.life import NAME, Life
from app.ordering.simulator.store import Filters, Hub, Store

BASE_PATH = "/tmf-api/productOrderingManagement/v4"

_BODY_LIMIT = 1_000_000
_PAGE = 100
_LONGEST_PAGE = 1000
_CONFIGURED = "configured"


def create_simulator(
    store: Path,
    dials: Dials,
    *,
    callback_url: str | None = None,
    callback_token: str = "",
    token: str = "",
) -> Starlette:
    """Make the simulator as an ASGI application that keeps its orders in the file `store`.

    Events go to `callback_url`, when given, as if it had registered on the hub, carrying
    `callback_token` as a bearer token. With `token` set, callers must carry that one. Cut
    connections need the server of `serve`; elsewhere they end in a broken answer.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        memory = Store(store)
        memory.drop_hub(_CONFIGURED)
        if callback_url:
            memory.put_hub(Hub(_CONFIGURED, callback_url, None))
        app.state.life = life = Life(memory, dials, callback_token)
        driving = asyncio.create_task(life.run())
        try:
            yield
        finally:
            driving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await driving
            memory.close()

    return Starlette(
        routes=[
            Route("/", _who),
            Mount(
                BASE_PATH,
                routes=[
                    Route("/productOrder", _place, methods=["POST"]),
                    Route("/productOrder", _search),
                    Route("/productOrder/{id}", _read),
                    Route("/hub", _register, methods=["POST"]),
                    Route("/hub/{id}", _unregister, methods=["DELETE"]),
                ],
            ),
            Route("/_simulator/dials", _dials, methods=["GET", "PUT"]),
            Route("/_simulator/orders", _orders),
            Route("/_simulator/counts", _counts),
        ],
        middleware=[Middleware(Doorman, name=NAME, token=token, guarded=BASE_PATH)],
        exception_handlers={404: _no_such_path, 405: _no_such_method},
        lifespan=lifespan,
    )


def serve(
    host: str,
    port: int,
    store: Path,
    dials: Dials,
    callback_url: str | None = None,
    *,
    callback_token: str = "",
    token: str = "",
) -> None:
    """Run the simulator in this process until SIGINT or SIGTERM; the parameters are those of
    `create_simulator`. Its TMF622 API is at `http://host:port` + BASE_PATH."""
    app = create_simulator(
        store, dials, callback_url=callback_url, callback_token=callback_token, token=token
    )
    serve_app(app, host, port)


# --- TMF622 ---------------------------------------------------------------------------------------


async def _place(request: Request) -> Response:
    """POST /productOrder: two POSTs make two orders, whatever their externalId."""
    life = _life(request)
    body = await _body(request)
    if isinstance(body, Response):
        return body
    faults = faults_in(body)
    if faults:
        life.store.count("bad_bodies")
        return _error(400, "21", "Missing or invalid attribute", "; ".join(faults))
    external_id = body.get("externalId")
    # Orders without an externalId share one sequence of draws.
    key = external_id or ""
    with life.store.transaction():
        nth = life.store.count_post(key)
        fault = fault_of(life.dials, key, nth)
        if fault:
            life.store.count(fault)
    if fault is Fault.TOO_MANY:
        answer = _error(429, "61", "Too many requests", "Slow down")
        answer.headers["Retry-After"] = str(life.dials.retry_after_seconds)
        return answer
    await asyncio.sleep(life.dials.delay_seconds)
    if fault is Fault.ERROR_BEFORE:
        return _error(500, "1", "Internal error", "A simulated error: nothing was stored")
    root = str(request.base_url).rstrip("/") if life.dials.absolute_href else ""
    order = life.take(body, key, nth, lambda id_: f"{root}{BASE_PATH}/productOrder/{id_}")
    match fault:
        case Fault.ERROR_AFTER:
            return _error(500, "1", "Internal error", "A simulated error after storing")
        case Fault.HANG_AFTER:
            return Silence()
        case Fault.CUT_AFTER:
            return Cut(b"")
        case Fault.CUT_MIDWAY:
            return Cut(order)
    accepted = luck(life.dials.seed, "accepted", key, nth) < life.dials.accepted
    location = orjson.loads(order)["href"]
    return Response(order, 202 if accepted else 201, {"Location": location}, "application/json")


async def _search(request: Request) -> Response:
    """GET /productOrder with filters, offset, limit and fields (TMF630)."""
    if failed := _read_fails(request):
        return failed
    known = {"externalId", "state", "orderDate.gte", "orderDate.lt", "offset", "limit", "fields"}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        return _error(400, "23", "Invalid query", f"Not offered here: {', '.join(unknown)}")
    try:
        offset = _number(request, "offset", 0)
        limit = min(_number(request, "limit", _PAGE), _LONGEST_PAGE)
        by = Filters(
            # An id may hold a comma, a state may not; several states are an "or" (TMF630).
            external_ids=request.query_params.getlist("externalId"),
            states=[s for s in request.query_params.get("state", "").split(",") if s],
            since=_moment(request, "orderDate.gte"),
            before=_moment(request, "orderDate.lt"),
        )
    except ValueError as error:
        return _error(400, "23", "Invalid query", str(error))
    total, orders = _life(request).store.search(by, offset, limit)
    wanted = request.query_params.get("fields")
    headers = {"X-Total-Count": str(total), "X-Result-Count": str(len(orders))}
    status = 200 if len(orders) == total else 206
    return as_json([_only(order, wanted) for order in orders], status, headers)


async def _read(request: Request) -> Response:
    """GET /productOrder/{id}."""
    if failed := _read_fails(request):
        return failed
    id_ = request.path_params["id"]
    number = int(id_) if id_.isascii() and id_.isdigit() and len(id_) < 18 else 0
    order = _life(request).store.order(number)
    if order is None or order["id"] != id_:
        return _error(404, "60", "Resource not found", f"There is no product order {id_}")
    return as_json(_only(order, request.query_params.get("fields")))


async def _register(request: Request) -> Response:
    """POST /hub: register a listener; one address counts once."""
    body = await _body(request)
    if isinstance(body, Response):
        return body
    callback = body.get("callback") if isinstance(body, dict) else None
    query = body.get("query") if isinstance(body, dict) else None
    if not isinstance(callback, str) or not callback.startswith(("http://", "https://")):
        return _error(400, "21", "Missing attribute", "callback must be an http or https address")
    if query is not None and not isinstance(query, str):
        return _error(400, "21", "Invalid attribute", "query must be a text")
    store = _life(request).store
    if any(hub.callback == callback for hub in store.hubs()):
        return _error(409, "62", "Conflict", "This address is registered already")
    hub = Hub(new_id().hex, callback, query)
    store.put_hub(hub)
    location = {"Location": f"{BASE_PATH}/hub/{hub.id}"}
    return as_json({k: v for k, v in hub._asdict().items() if v is not None}, 201, location)


async def _unregister(request: Request) -> Response:
    """DELETE /hub/{id}."""
    if _life(request).store.drop_hub(request.path_params["id"]):
        return Response(status_code=204)
    return _error(404, "60", "Resource not found", "There is no such listener")


# --- the simulator's own --------------------------------------------------------------------------


async def _who(request: Request) -> Response:
    """Say what this is."""
    return as_json(
        {
            "name": NAME,
            "what": "A simulator: no order here reaches a real ordering system.",
            "说明": "这是模拟器：此处的订单不会进入真实的订单系统。",
            "api": f"{BASE_PATH}/productOrder",
            "hub": f"{BASE_PATH}/hub",
            "dials": "/_simulator/dials",
            "orders": "/_simulator/orders",
            "counts": "/_simulator/counts",
        }
    )


async def _dials(request: Request) -> Response:
    """GET the dials, or PUT them all; a dial that is left out returns to its default."""
    life = _life(request)
    if request.method == "PUT":
        body = await _body(request)
        if isinstance(body, Response):
            return body
        try:
            life.dials = Dials.model_validate(body)
        except ValidationError as error:
            return _error(400, "21", "Invalid dials", str(error))
    return as_json(life.dials.model_dump())


async def _orders(request: Request) -> Response:
    """List all orders in short, each with the number of POSTs of its externalId."""
    orders, without = _life(request).store.overview()
    return as_json({"orders": orders, "without_order": without})


async def _counts(request: Request) -> Response:
    """Give every figure of the store."""
    return as_json(_life(request).store.counts())


# --- pieces ---------------------------------------------------------------------------------------


def _life(request: Request) -> Life:
    life: Life = request.app.state.life
    return life


async def _body(request: Request) -> Any:
    """Read a JSON body; a Response instead says why it cannot be read."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _BODY_LIMIT:
            return _error(413, "27", "Too large", f"At most {_BODY_LIMIT} bytes are taken")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return _error(400, "22", "Invalid body", f"Not JSON: {error}")


def _read_fails(request: Request) -> Response | None:
    life = _life(request)
    if life.dials.error_on_read == 0:
        return None
    # Unlike a POST, a read leaves no trace to number it by; its own id is as good a source of luck.
    if luck(life.dials.seed, "read", new_id()) >= life.dials.error_on_read:
        return None
    life.store.count("error_on_read")
    return _error(500, "1", "Internal error", "A simulated error on reading")


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{name} must be a whole number")
    return int(text)


def _moment(request: Request, name: str) -> float | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{name} must name its time zone")
    return moment.timestamp()


def _only(order: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """Keep the attributes asked for; id and href always come along."""
    if fields is None:
        return order
    wanted = {"id", "href", *fields.split(",")}
    return {name: value for name, value in order.items() if name in wanted}


def _error(status: int, code: str, reason: str, message: str) -> Response:
    """Answer in TMF630's shape of an error."""
    error = {"code": code, "reason": reason, "message": message, "status": str(status)}
    return as_json({"@type": "Error", **error}, status)


async def _no_such_path(request: Request, error: Exception) -> Response:
    return _error(404, "60", "Resource not found", f"Nothing at {request.url.path}")


async def _no_such_method(request: Request, error: Exception) -> Response:
    answer = _error(405, "44", "Method not allowed", f"{request.method} is not offered here")
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer
