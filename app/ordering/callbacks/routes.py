"""The doorway at which the ordering system calls back."""

import secrets
from datetime import datetime
from typing import Annotated

import orjson
from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.core import signing
from app.core.clock import wall
from app.core.doorways import Router
from app.core.errors import Malformed, Unauthorized
from app.core.http import Now, body_up_to
from app.core.outside import Unreadable
from app.core.settings import Settings
from app.ordering.callbacks.ear import Ear
from app.ordering.callbacks.strangers import Strangers
from app.ordering.client import reading
from app.ordering.service import Heard

# Apart, since a busy ordering system calls back more often than anybody asks for anything.
router = Router(prefix="/v1", tags=["ordering"])

LARGEST_EVENT = 256 * 1024

_bearer = HTTPBearer(auto_error=False, description="The token agreed with the ordering system.")


async def _ordering_system(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    now: Now,
) -> None:
    """Let in whoever carries the token, or a signature: that is proved once the body is read."""
    settings: Settings = request.app.state.settings
    agreed = settings.ordering_callback_token.get_secret_value()
    # Without anything agreed nobody can call: an open door would let anyone end our orders.
    with_token = (
        bool(agreed)
        and given is not None
        and secrets.compare_digest(given.credentials.encode(), agreed.encode())
    )
    request.state.with_token = with_token
    signable = bool(settings.ordering_callback_secret.get_secret_value())
    if not with_token and not (signable and "webhook-signature" in request.headers):
        raise _turned_away(request, now)


def _turned_away(request: Request, now: datetime) -> Unauthorized:
    strangers: Strangers = request.app.state.strangers
    strangers.turned_away(now)
    return Unauthorized()


def _proved(request: Request, body: bytes, now: datetime) -> None:
    if request.state.with_token:
        return
    settings: Settings = request.app.state.settings
    secret = signing.secret_of(settings.ordering_callback_secret.get_secret_value())
    if not signing.is_signed(secret, request.headers, body, wall()):
        raise _turned_away(request, now)


@router.post(
    "/ordering/callbacks",
    status_code=204,
    operation_id="ordering_callback",
    dependencies=[Depends(_ordering_system)],
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
    heard = await _heard(request, now)
    # The body is read before a transaction begins: a slow sender must not hold one open.
    ear: Ear = request.app.state.ear
    await ear.hear(heard, now)
    return Response(status_code=204)


async def _heard(request: Request, now: datetime) -> Heard:
    body = await body_up_to(request, LARGEST_EVENT)
    _proved(request, body, now)
    # PostgreSQL's JSON has no NUL, and no honest event does.
    if b"\\u0000" in body:
        raise Malformed(reason="the character NUL is not text")
    try:
        return Heard(reading.read_event(orjson.loads(body)), body)
    except (orjson.JSONDecodeError, Unreadable) as error:
        raise Malformed(reason=str(error)) from error
