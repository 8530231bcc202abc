"""Doorways gone through later: an action is what would have been sent to its doorway.

The roof hands over the doorways that are served. So a step taken offline is read by the same
shapes, proved by the same rights and carried out by the same services as one taken online.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi import Request
from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from app.core.db import Part, Read, Tx
from app.core.errors import Invalid
from app.core.http import invalid_from, served
from app.sync.rules import STEPS

# What a doorway asks for a session by; it gets the push's own.
_SESSIONS = {get_args(kind)[1].dependency for kind in (Tx, Read)}


class Doorway:
    """One doorway: what it takes of an action, and how it is gone through."""

    def __init__(self, route: APIRoute) -> None:
        self._endpoint = route.endpoint
        asked = route.dependant
        bodies = {one.name for one in asked.body_params}
        named = {one.name for one in (*asked.path_params, *asked.header_params)}
        self._body: tuple[str, type[BaseModel]] | None = None
        self._named: dict[str, TypeAdapter[Any]] = {}
        self._needed: set[str] = set()
        self._resolved: dict[str, Callable[..., Any]] = {}
        self._request: str | None = None
        for name, parameter in inspect.signature(self._endpoint).parameters.items():
            hint = _hints(self._endpoint)[name]
            if (dependency := _dependency(hint)) is not None:
                self._resolved[name] = dependency
            elif _is_request(hint):
                self._request = name
            elif name in bodies:
                self._body = name, hint
            elif name in named:
                self._named[name] = TypeAdapter(hint)
                if parameter.default is inspect.Parameter.empty:
                    self._needed.add(name)

    def read(self, payload: Mapping[str, Any], device_at: str) -> dict[str, Any]:
        """Read what an action says into what the doorway takes. Raises Invalid.

        Names of the path stand beside those of the body, and the time of the action is taken where
        the body asks for one.
        """
        rest = dict(payload)
        read: dict[str, Any] = {}
        try:
            for name, kind in self._named.items():
                if name in rest:
                    read[name] = kind.validate_python(rest.pop(name))
                elif name in self._needed:
                    raise Invalid(errors=[{"field": name, "message": "missing"}])
            if self._body is not None:
                name, model = self._body
                if "device_at" in model.model_fields:
                    rest.setdefault("device_at", device_at)
                read[name] = model.model_validate(rest)
        except ValidationError as error:
            raise invalid_from(error.errors()) from error
        return read

    async def go_through(self, read: Mapping[str, Any], way: "Way") -> None:
        """Go through it. Raises what it raises."""
        given = dict(read)
        for name, dependency in self._resolved.items():
            given[name] = await way.resolved(dependency)
        if self._request is not None:
            given[self._request] = way.request
        await self._endpoint(**given)


class Way:
    """How one action goes through a doorway: in a part of the push's transaction."""

    def __init__(self, request: Request, part: Part, **known: Any) -> None:
        self._tx = part.tx
        self._known: dict[Any, Any] = {}
        real = request.app.state
        state = SimpleNamespace(**{**real._state, **known, "database": _Within(real, part)})
        scope = {**request.scope, "app": SimpleNamespace(state=state)}
        self.request = Request(scope)

    async def resolved(self, dependency: Callable[..., Any]) -> Any:
        """Give what a doorway depends on, each thing once."""
        if dependency in _SESSIONS:
            return self._tx
        if dependency not in self._known:
            given = {}
            for name, hint in _hints(dependency).items():
                if (inner := _dependency(hint)) is not None:
                    given[name] = await self.resolved(inner)
                elif _is_request(hint):
                    given[name] = self.request
            self._known[dependency] = await dependency(**given)
        return self._known[dependency]


class _Within:
    """What a doorway takes for the process's database: each transaction that it opens for itself,
    or settles, is kept, whatever becomes of the action, as it would be online. Nothing is committed
    before the push has its verdicts."""

    def __init__(self, state: Any, part: Part) -> None:
        self._real = state.database
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @asynccontextmanager
    async def begin(self, request: Any = None) -> AsyncIterator[AsyncSession]:
        yield self._part.tx
        await self._part.keep()

    async def settle(self, tx: AsyncSession, request: Any) -> None:
        await self._part.keep()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        yield self._part.tx


def doorways_of(routes: Iterable[BaseRoute]) -> dict[str, Doorway]:
    """Find the doorways of all steps among what is served, by their operations' names."""
    return {
        route.operation_id: Doorway(route)
        for route in served(routes)
        if route.operation_id in STEPS and route.operation_id is not None
    }


def _hints(called: Callable[..., Any]) -> dict[str, Any]:
    plain = called if inspect.isfunction(called) else type(called).__call__
    hints = get_type_hints(plain, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "return"}


def _is_request(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, HTTPConnection)


def _dependency(hint: Any) -> Callable[..., Any] | None:
    if get_origin(hint) is not Annotated:
        return None
    for one in get_args(hint)[1:]:
        if isinstance(one, Depends):
            return one.dependency
    return None
