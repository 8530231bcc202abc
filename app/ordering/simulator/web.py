"""The simulator as a whole: TMF622 v4 and v5, TMF630's hub, and `/_simulator` for tests."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from app.core.db import new_id
from app.core.log import log
from app.core.simulating import Doorman, as_json, serve_app
from app.ordering.simulator import wire
from app.ordering.simulator.dials import Dials
from app.ordering.simulator.life import NAME, Life
from app.ordering.simulator.orders import BASE_PATH, BASE_PATH_V5, doors
from app.ordering.simulator.store import Hub, Store

_CONFIGURED = "configured"
_GUARDED = "/tmf-api/"


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
        driving.add_done_callback(_stop_if_it_failed)
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
            *(
                Mount(path, routes=[*doors(path), *_hub_of(path)])
                for path in (BASE_PATH, BASE_PATH_V5)
            ),
            Route("/_simulator/dials", _dials, methods=["GET", "PUT"]),
            Route("/_simulator/orders", _orders),
            Route("/_simulator/counts", _counts),
        ],
        middleware=[Middleware(Doorman, name=NAME, token=token, guarded=_GUARDED)],
        exception_handlers={404: _no_such_path, 405: _no_such_method},
        lifespan=lifespan,
    )


def _stop_if_it_failed(driving: asyncio.Task[None]) -> None:
    """Orders that stand still look like a slow system; a simulator that has ended does not."""
    if not driving.cancelled() and driving.exception() is not None:
        log.error("the orders stand still; it ends", exc_info=driving.exception())
        signal.raise_signal(signal.SIGTERM)


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


# --- TMF630 ---------------------------------------------------------------------------------------


def _hub_of(base_path: str) -> list[Route]:
    async def register(request: Request) -> Response:
        return await _register(request, base_path)

    return [
        Route("/hub", register, methods=["POST"]),
        Route("/hub/{id}", _listener),
        Route("/hub/{id}", _unregister, methods=["DELETE"]),
    ]


async def _register(request: Request, base_path: str) -> Response:
    """POST /hub: register a listener; one address counts once."""
    body = await wire.body(request)
    if isinstance(body, Response):
        return body
    callback = body.get("callback") if isinstance(body, dict) else None
    query = body.get("query") if isinstance(body, dict) else None
    if not isinstance(callback, str) or not callback.startswith(("http://", "https://")):
        reason = "callback must be an http or https address"
        return wire.error(400, "21", "Missing attribute", reason)
    if query is not None and not isinstance(query, str):
        return wire.error(400, "21", "Invalid attribute", "query must be a text")
    store = wire.life(request).store
    if any(hub.callback == callback for hub in store.hubs()):
        return wire.error(409, "62", "Conflict", "This address is registered already")
    hub = Hub(new_id().hex, callback, query)
    store.put_hub(hub)
    return as_json(_shown(hub), 201, {"Location": f"{base_path}/hub/{hub.id}"})


async def _listener(request: Request) -> Response:
    """GET /hub/{id}: more than TMF630 asks for, as many real hubs offer it."""
    for hub in wire.life(request).store.hubs():
        if hub.id == request.path_params["id"]:
            return as_json(_shown(hub))
    return wire.error(404, "60", "Resource not found", "There is no such listener")


async def _unregister(request: Request) -> Response:
    """DELETE /hub/{id}."""
    if wire.life(request).store.drop_hub(request.path_params["id"]):
        return Response(status_code=204)
    return wire.error(404, "60", "Resource not found", "There is no such listener")


def _shown(hub: Hub) -> dict[str, str]:
    return {name: value for name, value in hub._asdict().items() if value is not None}


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
    life = wire.life(request)
    if request.method == "PUT":
        body = await wire.body(request)
        if isinstance(body, Response):
            return body
        try:
            life.dials = Dials.model_validate(body)
        except ValidationError as error:
            return wire.error(400, "21", "Invalid dials", str(error))
    return as_json(life.dials.model_dump())


async def _orders(request: Request) -> Response:
    """List all orders in short, each with the number of POSTs of its externalId."""
    orders, without = wire.life(request).store.overview()
    return as_json({"orders": orders, "without_order": without})


async def _counts(request: Request) -> Response:
    """Give every figure of the store."""
    return as_json(wire.life(request).store.counts())


# --- what is not offered --------------------------------------------------------------------------


async def _no_such_path(request: Request, error: Exception) -> Response:
    return wire.error(404, "60", "Resource not found", f"Nothing at {request.url.path}")


async def _no_such_method(request: Request, error: Exception) -> Response:
    answer = wire.error(405, "44", "Method not allowed", f"{request.method} is not offered here")
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer
