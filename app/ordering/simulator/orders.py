"""The simulator's doors of TMF622, v4 and v5: orders, their amendment and their cancellation."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.core.simulating import Cut, CutInHead, Silence, as_json, luck
from app.ordering.simulator import checks, checks_v5, wire
from app.ordering.simulator.dials import Fault, fault_of
from app.ordering.simulator.life import ENDED, Life
from app.ordering.simulator.store import Cancellation, Filters, external_id_of

BASE_PATH = "/tmf-api/productOrderingManagement/v4"
BASE_PATH_V5 = "/tmf-api/productOrderingManagement/v5"

# v5 calls the date on which an order was made by another name.
_SINCE = ("orderDate.gte", "creationDate.gte")
_BEFORE = ("orderDate.lt", "creationDate.lt")
_PAGE = 100
_LONGEST_PAGE = 1000


def doors(base_path: str) -> list[Route]:
    """Make the doors of one version; the orders behind those of both are the same."""
    faults_in = checks_v5.faults_in if base_path == BASE_PATH_V5 else checks.faults_in

    async def place(request: Request) -> Response:
        return await _place(request, base_path, faults_in)

    async def cancel(request: Request) -> Response:
        return await _cancel(request, base_path)

    return [
        Route("/productOrder", place, methods=["POST"]),
        Route("/productOrder", _search),
        Route("/productOrder/{id}", _amend, methods=["PATCH"]),
        Route("/productOrder/{id}", _read),
        Route("/cancelProductOrder", cancel, methods=["POST"]),
        Route("/cancelProductOrder", _cancellations),
        Route("/cancelProductOrder/{id}", _cancellation),
    ]


async def _place(
    request: Request, base_path: str, faults_in: Callable[[object], list[str]]
) -> Response:
    """POST /productOrder: two POSTs make two orders, whatever their externalId."""
    life = wire.life(request)
    body = await wire.body(request)
    if isinstance(body, Response):
        return body
    faults = faults_in(body)
    if faults:
        life.store.count("bad_bodies")
        return wire.error(400, "21", "Missing or invalid attribute", "; ".join(faults))
    # Orders without an externalId share one sequence of draws.
    key = external_id_of(body) or ""
    write = _Write(life, key, life.store.count_post(key))
    if refused := await write.refused_before():
        return refused
    order = life.take(body, key, write.nth, _href_of(request, base_path, "productOrder"))
    accepted = luck(life.dials.seed, "accepted", key, write.nth) < life.dials.accepted
    location = {"Location": orjson.loads(order)["href"]}
    answer = Response(order, 202 if accepted else 201, location, "application/json")
    return await write.answered(answer)


class _Write:
    """One request that is to have an effect, and what goes wrong with it; `key` and `nth` say which
    request of what it is."""

    def __init__(self, life: Life, key: str, nth: int) -> None:
        self.nth = nth
        self._life = life
        self._key = key
        self._fault = fault_of(life.dials, key, nth)
        if self._fault:
            life.store.count(self._fault)

    async def refused_before(self) -> Response | None:
        """Wait for as long as it takes until the effect; an answer says that it has none."""
        dials = self._life.dials
        if self._fault is Fault.TOO_MANY:
            answer = wire.error(429, "61", "Too many requests", "Slow down")
            answer.headers["Retry-After"] = str(dials.retry_after_seconds)
            return answer
        await asyncio.sleep(dials.delay_seconds)
        if self._fault is Fault.ERROR_BEFORE:
            return wire.error(500, "1", "Internal error", "A simulated error: nothing was stored")
        if self._fault is Fault.CONFLICT_BEFORE:
            return wire.error(409, "62", "Conflict", "A simulated conflict: nothing was stored")
        return None

    async def answered(self, answer: Response) -> Response:
        """Give what becomes of an answer after the effect."""
        dials = self._life.dials
        if luck(dials.seed, "slow", self._key, self.nth) < dials.slow:
            self._life.store.count("slow")
            await asyncio.sleep(dials.slow_seconds)
        match self._fault:
            case None:
                return answer
            case Fault.ERROR_AFTER:
                return wire.error(500, "1", "Internal error", "A simulated error after storing")
            case Fault.CONFLICT_AFTER:
                return wire.error(409, "62", "Conflict", "A simulated conflict after storing")
            case Fault.HANG_AFTER:
                return Silence()
            case Fault.CUT_IN_HEAD:
                return CutInHead()
            case Fault.CUT_MIDWAY:
                return Cut(bytes(answer.body))
            case _:
                return Cut(b"")


async def _search(request: Request) -> Response:
    """GET /productOrder with filters, offset, limit and fields (TMF630)."""
    if failed := wire.read_fails(request):
        return failed
    ids = ("externalId", "externalId.id")
    known = {*ids, "state", *_SINCE, *_BEFORE, "offset", "limit", "fields"}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        return wire.error(400, "23", "Invalid query", f"Not offered here: {', '.join(unknown)}")
    try:
        offset = wire.number(request, "offset", 0)
        limit = min(wire.number(request, "limit", _PAGE), _LONGEST_PAGE)
        by = Filters(
            # An id may hold a comma, a state may not; several states are an "or" (TMF630).
            external_ids=[each for name in ids for each in request.query_params.getlist(name)],
            states=[s for s in request.query_params.get("state", "").split(",") if s],
            since=_first(wire.moment(request, name) for name in _SINCE),
            before=_first(wire.moment(request, name) for name in _BEFORE),
        )
    except ValueError as error:
        return wire.error(400, "23", "Invalid query", str(error))
    total, orders = wire.life(request).store.search(by, offset, limit)
    wanted = request.query_params.get("fields")
    headers = {"X-Total-Count": str(total), "X-Result-Count": str(len(orders))}
    status = 200 if len(orders) == total else 206
    return as_json([wire.only(order, wanted) for order in orders], status, headers)


def _first(moments: Iterable[float | None]) -> float | None:
    return next((moment for moment in moments if moment is not None), None)


async def _read(request: Request) -> Response:
    """GET /productOrder/{id}."""
    if failed := wire.read_fails(request):
        return failed
    _, order = _order(request, request.path_params["id"])
    if order is None:
        return _no_such_order(request.path_params["id"])
    return as_json(wire.only(order, request.query_params.get("fields")))


async def _amend(request: Request) -> Response:
    """PATCH /productOrder/{id}."""
    changes = await wire.body(request)
    if isinstance(changes, Response):
        return changes
    life = wire.life(request)
    key = f"amend {request.path_params['id']}"
    write = _Write(life, key, life.store.count_change(key))
    if refused := await write.refused_before():
        return refused
    number, order = _order(request, request.path_params["id"])
    if order is None:
        return _no_such_order(request.path_params["id"])
    if order["state"] in ENDED:
        return wire.error(400, "24", "Not possible any more", f"The order is {order['state']}")
    return await write.answered(as_json(life.amend(number, order, changes)))


async def _cancel(request: Request, base_path: str) -> Response:
    """POST /cancelProductOrder."""
    body = await wire.body(request)
    if isinstance(body, Response):
        return body
    named = body.get("productOrder") if isinstance(body, dict) else None
    if not isinstance(named, dict) or not isinstance(named.get("id"), str):
        return wire.error(400, "21", "Missing attribute", "productOrder.id is mandatory")
    life = wire.life(request)
    key = f"cancel {named['id']}"
    write = _Write(life, key, life.store.count_change(key))
    if refused := await write.refused_before():
        return refused
    number, order = _order(request, named["id"])
    if order is None:
        return _no_such_order(named["id"])
    if order["state"] in ENDED:
        return wire.error(400, "24", "Not possible any more", f"The order is {order['state']}")
    if any(task.due is not None for task in life.store.cancellations(order_number=number)):
        return wire.error(409, "62", "Conflict", "The order is being cancelled already")
    href_of = _href_of(request, base_path, "cancelProductOrder")
    task = life.cancel(number, order, body, href_of)
    return await write.answered(as_json(task, 201, {"Location": task["href"]}))


async def _cancellations(request: Request) -> Response:
    """GET /cancelProductOrder?productOrder.id=."""
    if failed := wire.read_fails(request):
        return failed
    number, order = _order(request, request.query_params.get("productOrder.id", ""))
    found = wire.life(request).store.cancellations(order_number=number) if order else []
    return as_json([task.body for task in found])


async def _cancellation(request: Request) -> Response:
    """GET /cancelProductOrder/{id}."""
    if failed := wire.read_fails(request):
        return failed
    id_ = request.path_params["id"]
    found: list[Cancellation] = []
    if id_[:1] == "c" and id_[1:].isascii() and id_[1:].isdigit() and len(id_) < 18:
        found = wire.life(request).store.cancellations(number=int(id_[1:]))
    if not found or found[0].body["id"] != id_:
        return wire.error(404, "60", "Resource not found", f"There is no cancellation {id_}")
    return as_json(found[0].body)


def _order(request: Request, id_: str) -> tuple[int, dict[str, Any] | None]:
    number = int(id_) if id_.isascii() and id_.isdigit() and len(id_) < 18 else 0
    order = wire.life(request).store.order(number)
    return number, order if order is not None and order["id"] == id_ else None


def _no_such_order(id_: str) -> Response:
    return wire.error(404, "60", "Resource not found", f"There is no product order {id_}")


def _href_of(request: Request, base_path: str, kind: str) -> Callable[[str], str]:
    absolute = wire.life(request).dials.absolute_href
    root = str(request.base_url).rstrip("/") if absolute else ""
    # Behind a mount the address of the request ends in the mount's path.
    root = root.removesuffix(base_path)
    return lambda id_: f"{root}{base_path}/{kind}/{id_}"
