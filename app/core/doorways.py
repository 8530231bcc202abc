"""Doorways of the house's own kind: what each of them minds before and after its endpoint."""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from app.core.bounds import longest_of, unfit
from app.core.colliding import until_through
from app.core.db import ONCE, Tx
from app.core.errors import Invalid, UnsupportedMedia
from app.core.http import placed
from app.core.once import HEADER, Known, Once
from app.core.unchanged import IF_MATCH, NothingToMatch, Unchanged, asked_of, tagged

Handle = Callable[[Request], Coroutine[Any, Any, Response]]
_TX = Tx.__metadata__[0].dependency  # type: ignore[attr-defined]

_WRITING = {"POST", "PUT", "PATCH", "DELETE"}
# What is asked of something as it stands: of which a tag could be told.
_OF_A_STATE = {"GET", "PUT", "PATCH", "DELETE"}
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")

IDEMPOTENCY_KEY = {"$ref": "#/components/parameters/IdempotencyKey"}


class Doorway(APIRoute):
    """One doorway.

    It takes an idempotency key where it writes in the one transaction of its request, for a caller
    who is known before that begins; so whether it does follows from what it depends on.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        super().__init__(path, endpoint, **given)
        self._writes = _TX in _calls(self.dependant) or bool((self.methods or set()) & _WRITING)
        if self.takes_keys:
            self.openapi_extra = {"parameters": [IDEMPOTENCY_KEY], **(self.openapi_extra or {})}

    @property
    def takes_keys(self) -> bool:
        """Whether a request can be sent again under its key."""
        if not (self.methods or set()) & {"POST", "PATCH"}:
            return False
        calls = list(_calls(self.dependant))
        proved = [nth for nth, call in enumerate(calls) if isinstance(call, OAuth2PasswordBearer)]
        return _TX in calls and bool(proved) and proved[0] < calls.index(_TX)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; one that writes, until it is through."""
        if self._writes:
            await until_through(super().handle, scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Handle:
        """Make the function that answers a request."""
        handle: Handle = super().get_route_handler()
        if longest := _longest(self.dependant):
            handle = _fitting(handle, longest)
        if self.body_field is not None:
            handle = _readable(handle, _media_of(self))
        if self.takes_keys:
            handle = _once(handle)
        return _edited(handle, self) if (self.methods or set()) & _OF_A_STATE else handle


class Router(APIRouter):
    """A room's doorways, each a `Doorway`."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"route_class": Doorway, **given})


def editable(routes: Iterable[BaseRoute]) -> dict[str, tuple[str, APIRoute]]:
    """Find what can be read and replaced under one address, by the names of both operations: the
    address, and the doorway that reads it."""
    found = [(prefix + one.path_format, one) for prefix, one in placed(routes)]
    readers = {place: one for place, one in found if "GET" in (one.methods or ())}
    pairs: dict[str, tuple[str, APIRoute]] = {}
    for place, one in found:
        reader = readers.get(place)
        taken = {each.alias for each in one.dependant.query_params}
        if "PUT" in (one.methods or ()) and reader is not None and _needed(reader) <= taken:
            pairs |= {str(each.operation_id): (place, reader) for each in (one, reader)}
    return pairs


def _needed(route: APIRoute) -> set[str]:
    return {each.alias for each in route.dependant.query_params if each.field_info.is_required()}


def _edited(handle: Handle, route: APIRoute) -> Handle:
    """Give what is edited a tag when it is read, and mind the tag when it is replaced.

    Who sends `If-Match` where nothing has a tag, be it `*`, would be answered as if it had been
    minded, and so is refused: no representation is there that it could match (RFC 9110, 13.1.1).
    """

    async def answered(request: Request) -> Response:
        found = request.app.state.editable.get(route.operation_id)
        if found is None:
            if request.method != "GET" and IF_MATCH in request.headers:
                raise NothingToMatch()
            return await handle(request)
        _, reader = found
        if request.method == "GET":
            return tagged(request, await handle(request))
        if IF_MATCH in request.headers:
            request.scope[ONCE] = Unchanged(request, partial(asked_of, reader.app, request))
        return await handle(request)

    return answered


def _calls(dependant: Dependant) -> Iterator[Any]:
    """Name what a doorway depends on, in the order in which it is called."""
    for each in dependant.dependencies:
        yield from _calls(each)
        yield each.call


def _longest(dependant: Dependant) -> dict[str, int | None]:
    """Name what may stand in an address, and how long it may be where a form says so."""
    found = {
        each.alias: longest_of(each.field_info.annotation)
        for each in (*dependant.path_params, *dependant.query_params)
    }
    for each in dependant.dependencies:
        found |= _longest(each)
    return found


def _fitting(handle: Handle, longest: dict[str, int | None]) -> Handle:
    """Refuse a day, moment or id in an address that is longer than its form, and text with NUL."""

    async def fitted(request: Request) -> Response:
        given = [*request.path_params.items()]
        if request.scope["query_string"]:
            given += request.query_params.multi_items()
        for name, value in given:
            if name in longest and (wrong := unfit(value, longest[name])):
                raise Invalid(errors=[{"field": name, "message": wrong, "kind": "value_error"}])
        return await handle(request)

    return fitted


def _media_of(route: APIRoute) -> str:
    field = route.body_field
    assert field is not None
    return getattr(field.field_info, "media_type", "application/json")


def _readable(handle: Handle, media: str) -> Handle:
    """Refuse a body that says it is of another kind than the doorway reads."""

    akin = ("/json", "+json") if media.endswith("json") else _FORMS

    async def checked(request: Request) -> Response:
        said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        fits = said == media or said.endswith(akin)
        if said and not fits and request.headers.get("content-length") != "0":
            raise UnsupportedMedia(accepted=[media])
        return await handle(request)

    return checked


def _once(handle: Handle) -> Handle:
    """Answer a request that comes again under its key like the first time."""

    async def answered(request: Request) -> Response:
        if HEADER not in request.headers:
            return await handle(request)
        # The body is read before a transaction begins.
        once = await Once.of(request)
        request.scope[ONCE] = once
        try:
            once.answer = await handle(request)
        except Known as known:
            return known.answer
        # The transaction, which is still open, keeps it as it ends.
        return once.answer

    return answered
