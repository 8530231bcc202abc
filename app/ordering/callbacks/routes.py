"""The doorway at which the ordering system calls back."""

import secrets
from datetime import datetime
from types import SimpleNamespace

import orjson
from fastapi import Depends, Request, Response
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import signing
from app.core.clock import Clock, wall
from app.core.colliding import collided
from app.core.doorways import Router
from app.core.errors import Malformed, Problem, Unauthorized
from app.core.http import Now, body_up_to, render
from app.core.outside import Unreadable
from app.core.settings import Settings
from app.ordering.callbacks.ear import Ear
from app.ordering.callbacks.strangers import Strangers
from app.ordering.client import reading
from app.ordering.service import Heard

# Apart, since a busy ordering system calls back more often than anybody asks for anything.
router = Router(prefix="/v1", tags=["ordering"])

PATH = "/ordering/callbacks"
LARGEST_EVENT = 256 * 1024

_bearer = HTTPBearer(auto_error=False, description="The token agreed with the ordering system.")


@router.post(
    PATH,
    status_code=204,
    operation_id="ordering_callback",
    # Says what a caller carries; whether it is right is looked at by `_heard`.
    dependencies=[Depends(_bearer)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
async def called_back(request: Request, now: Now) -> Response:
    """Take in an event of TMF622 v4 or v5 (ProductOrderStateChangeEvent,
    CancelProductOrderStateChangeEvent and their like), once each.

    The caller carries the agreed bearer token, or signs the body as Standard Webhooks has it."""
    await _taken_in(request, await _heard(request, now), now)
    return Response(status_code=204)


class QuickCallbacks:
    """ASGI middleware: a callback is taken in before its doorway is looked for.

    Finding that, and opening what a doorway may work with, costs as much as hearing does, and a
    busy ordering system calls three times about each sale.
    """

    _PATH = router.prefix + PATH
    _ROUTE = SimpleNamespace(path=_PATH)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != self._PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        # Figures name the doorway.
        scope["route"] = self._ROUTE
        request, heard = Request(scope, receive), None
        clock: Clock = scope["app"].state.clock
        now = clock.now()
        try:
            heard = await _heard(request, now)
            await _taken_in(request, heard, now)
            answer = _TAKEN_IN
        except Exception as error:
            is_said = isinstance(error, Problem) and not collided(error)
            if not is_said and heard is not None:
                # At the doorway whoever collides is served once more, and what is odd gets a name.
                await self.app(scope, _once_more(heard.body), send)
                return
            if not isinstance(error, Problem):
                raise
            answer = render(request, error)
        await answer(scope, receive, send)


_TAKEN_IN = Response(status_code=204)


def _once_more(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _taken_in(request: Request, heard: Heard, now: datetime) -> None:
    ear: Ear = request.app.state.ear
    await ear.hear(heard, now)


async def _heard(request: Request, now: datetime) -> Heard:
    """Read who calls and what they say, before a transaction begins: a slow sender must not hold
    one open."""
    with_token = _carries_token(request)
    signable = bool(_settings(request).ordering_callback_secret.get_secret_value())
    if not with_token and not (signable and "webhook-signature" in request.headers):
        raise _turned_away(request, now)
    body = await body_up_to(request, LARGEST_EVENT)
    if not with_token and not _is_signed(request, body):
        raise _turned_away(request, now)
    # PostgreSQL's JSON has no NUL, and no honest event does.
    if b"\\u0000" in body:
        raise Malformed(reason="the character NUL is not text")
    try:
        return Heard(reading.read_event(orjson.loads(body)), body)
    except (orjson.JSONDecodeError, Unreadable) as error:
        raise Malformed(reason=str(error)) from error


def _carries_token(request: Request) -> bool:
    agreed = _settings(request).ordering_callback_token.get_secret_value()
    scheme, given = get_authorization_scheme_param(request.headers.get("authorization"))
    # Without anything agreed nobody can call: an open door would let anyone end our orders.
    is_right = secrets.compare_digest(given.encode(), agreed.encode())
    return bool(agreed) and scheme.lower() == "bearer" and is_right


def _is_signed(request: Request, body: bytes) -> bool:
    secret = signing.secret_of(_settings(request).ordering_callback_secret.get_secret_value())
    return signing.is_signed(secret, request.headers, body, wall())


def _turned_away(request: Request, now: datetime) -> Unauthorized:
    strangers: Strangers = request.app.state.strangers
    strangers.turned_away(now)
    return Unauthorized()


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings
