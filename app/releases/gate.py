"""The gate: phones whose app is too old are told so before they reach a doorway."""

from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.clock import Clock, wall
from app.core.db import Database
from app.core.errors import Problem, Unavailable
from app.core.http import render
from app.core.lately import STALE_AFTER_SECONDS
from app.core.parameter_values import parameters_in_force
from app.releases.queries import releases
from app.releases.rules import (
    HEADER,
    PUSH_GRACE,
    AppTooOld,
    Door,
    Ending,
    Release,
    door_of,
    judged,
    said_by,
)


class Served(NamedTuple):
    """What a process knows of releases, and since when (seconds of real time)."""

    read_at: float
    releases: list[Release]
    push_grace: timedelta


# Under this name a request carries why it is turned away, where its doorway is to say so.
_TURNED_AWAY = "app_too_old"


def turned_away(scope: Scope) -> AppTooOld | None:
    """Return what a pull of an app that is too old is to be refused with, after the phone was told
    whether it has to be emptied: it hears of that by no other doorway that it asks."""
    problem: AppTooOld | None = scope.get(_TURNED_AWAY)
    return problem


class Gate:
    """ASGI middleware that asks no more of a request than whether it has the header."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        said = _said(scope)
        app = said_by(said) if said else None
        if app is None:
            await self.app(scope, receive, send)
            return
        clock: Clock = scope["app"].state.clock
        now = clock.now()
        door = door_of(scope["method"], scope["path"])
        ending: Ending | None = None
        try:
            served = await _served(scope["app"].state.database, clock)
            ending = judged(app, door, served.releases, push_grace=served.push_grace, now=now)
        except AppTooOld as problem:
            if door is not Door.PULL:
                await render(Request(scope), problem)(scope, receive, send)
                return
            scope[_TURNED_AWAY] = problem
        except Problem as problem:
            await render(Request(scope), problem)(scope, receive, send)
            return
        told = _headers(ending) if ending else []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *told]
            await send(message)

        await self.app(scope, receive, sending if told else send)


def _said(scope: Scope) -> str:
    if scope["type"] != "http":
        return ""
    name = HEADER.encode()
    return next((value.decode("latin-1") for each, value in scope["headers"] if each == name), "")


async def _served(database: Database, clock: Clock) -> Served:
    """Give what was read a few seconds ago, or read it now.

    While the database is away, what was known goes on: it is no reason to turn a phone away.
    """
    held: Served | None = database.cache.get("app_releases")
    seconds = wall().timestamp()
    if held is not None and seconds - held.read_at < STALE_AFTER_SECONDS:
        return held
    try:
        async with database.read() as read:
            days = (await parameters_in_force(read)).number(PUSH_GRACE, clock.now())
            held = Served(seconds, await releases(read), timedelta(days=days))
    except Unavailable:
        return held or Served(seconds, [], timedelta())
    database.cache["app_releases"] = held
    return held


def _headers(ending: Ending) -> list[tuple[bytes, bytes]]:
    """Write RFC 9745's and RFC 8594's headers of a version that ends."""
    ends_at = format_datetime(ending.ends_at.astimezone(UTC), usegmt=True)
    return [
        (b"deprecation", f"@{int(ending.announced_at.timestamp())}".encode()),
        (b"sunset", ends_at.encode()),
        (b"link", f'<{ending.get_it_at}>; rel="sunset"'.encode()),
    ]
