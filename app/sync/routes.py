"""Doorways of sync: pull what has changed, push what was done offline."""

import gzip
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Query, Request, Response, status
from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.callers import Caller, GoodUntil, caller, technician_of
from app.auth.rules import Role
from app.core.db import Database
from app.core.doorways import Router
from app.core.errors import Invalid, TooLarge
from app.core.events import EventStream
from app.core.geo import CoordSys
from app.core.http import Now, RawJson, invalid_from
from app.core.parameter_values import parameters_in_force
from app.core.surroundings import QUIET
from app.devices.phones import DeviceName
from app.devices.rules import UNNAMED
from app.releases.gate import turned_away
from app.sync.rules import NO_CURSOR, SCHEMA_VERSION, cursor_of
from app.sync.rules.clocks import Skew, skew
from app.sync.rules.parameters import SKEW_MINUTES
from app.sync.schemas import (
    ActionVerdictOut,
    MigrationIn,
    PhoneClockOut,
    PullOut,
    PushIn,
    PushOut,
    StreamedOut,
    WipeToObeyOut,
)
from app.sync.service import pulling, pushing
from app.sync.service.live import Live
from app.sync.service.polling import Poll, Polls
from app.sync.service.reading import Asked

router = Router(prefix="/v1/sync", tags=["sync"])
stream_router = Router(prefix="/v1/stream", tags=["sync"])

Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do", emptying=True))]

# Answers shorter than this gain nothing by being packed.
PACKED_FROM = 1_000
# What a push may weigh: a day's work of a technician is a tenth of it.
MOST_BYTES = 512 * 1024

_PROBLEM = {"$ref": "#/components/responses/Problem400"}
_PULL_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PullOut,
        "headers": {
            "ETag": {
                "description": "What the phone knows with this answer; send it with the next pull.",
                "schema": {"type": "string", "maxLength": 100},
            }
        },
    },
    304: {"description": "Nothing has changed since `last_pulled_at`."},
    410: _PROBLEM,
    426: {"$ref": "#/components/responses/Problem426"},
}
_MIGRATION = TypeAdapter(MigrationIn | None)


@router.get("", response_class=RawJson, responses=_PULL_ANSWERS, operation_id="sync_pull")
async def pull(
    request: Request,
    technician: Technician,
    device: DeviceName,
    now: Now,
    last_pulled_at: Annotated[
        int | None,
        Query(
            ge=0,
            lt=2**53,
            description="`timestamp` of the last pull. Left out, null or 0: everything.",
        ),
    ] = None,
    schema_version: Annotated[
        int, Query(ge=1, le=100_000, description="The version of the phone's tables.")
    ] = SCHEMA_VERSION,
    migration: Annotated[
        str | None,
        Query(
            max_length=4_000,
            description="As WatermelonDB gives it, in JSON: `from`, and the `tables` and `columns`"
            " that the app has added since. What it names comes in full.",
        ),
    ] = None,
    coordsys: Annotated[
        CoordSys, Query(description="The system points are wanted in; phones' maps use gcj02.")
    ] = CoordSys.GCJ02,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    """Read what has changed for the caller since `last_pulled_at`, in one snapshot of all tables.

    Shaped as WatermelonDB's sync protocol asks: whatever is there comes in `updated`, also what is
    new (`sendCreatedAsUpdated`). Ask at once again while `has_more`. Customers are told of in full
    as they are on the card for the door, and leave the phone when the order's grace is over.
    """
    asked = Asked(
        cursor=last_pulled_at or NO_CURSOR,
        schema_version=schema_version,
        migration=_migration_of(migration),
        coordsys=coordsys,
        device=device,
        turned_away=turned_away(request.scope),
    )
    request.app.state.seen.note(technician, device, now)
    headers = {"cache-control": "private, no-cache"}
    polls: Polls = request.app.state.polls
    mark = polls.mark(technician_of(technician))
    changes = await pulling.pull(request, technician, asked, known=if_none_match, now=now)
    if changes is None:
        assert if_none_match is not None
        poll = Poll.of(request.scope["query_string"], request.scope["headers"])
        polls.remember(poll, technician_of(technician), mark)
        headers["etag"] = if_none_match
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    headers["etag"] = changes.tag
    body = pulling.written(changes)
    if len(body) >= PACKED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body, 5, mtime=0)
    return RawJson(body, headers=headers)


@router.post("", operation_id="sync_push")
async def push(
    body: PushIn,
    request: Request,
    technician: Technician,
    device: DeviceName,
    now: Now,
) -> PushOut:
    """Carry out what was done offline, in its order; each action is answered with a verdict.

    An action is what would have been sent to its doorway online, and is judged alike. A second
    arrival does nothing. A refusal is a verdict and keeps nothing back that comes behind it. With
    `wipe` the phone has to be emptied when everything is pushed. At most 200 rows and 512 KB come
    at once; on `503` nothing was recorded, push the same again.
    """
    # The body has been read by now, and no transaction was open meanwhile.
    if len(await request.body()) > MOST_BYTES:
        raise TooLarge(limit=f"{MOST_BYTES} bytes")
    request.app.state.seen.note(technician, device, now)
    pushed = body.pushed(None if device == UNNAMED else device)
    answered = await pushing.push(request, technician, pushed, request.app.state.doorways, now=now)
    wrong = await _wrong_clock(request, body.sent_at, now)
    return PushOut(
        verdicts=[ActionVerdictOut.model_validate(one) for one in answered.verdicts],
        clock=PhoneClockOut.of(wrong) if wrong else None,
        wipe=WipeToObeyOut.model_validate(answered.wipe) if answered.wipe else None,
    )


async def _wrong_clock(request: Request, sent_at: datetime | None, now: datetime) -> Skew | None:
    if sent_at is None:
        return None
    database: Database = request.app.state.database
    async with database.read() as read:
        minutes = (await parameters_in_force(read)).number(SKEW_MINUTES, now)
    return skew(sent_at, now, timedelta(minutes=minutes))


_STREAM_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `reset` (pull now), `changed` (pull now; its data have this shape),"
        " `wipe` (empty the phone; `wipe_id`) and `end` (the stream is over; `reason`), see the"
        " guide. Where nothing happens, a comment says that the connection is alive.",
        "model": StreamedOut,
    }
}


@stream_router.get(
    "",
    response_class=EventStream,
    responses=_STREAM_ANSWERS,
    operation_id="stream",
)
async def stream(
    request: Request,
    technician: Technician,
    good_until: GoodUntil,
    device: DeviceName,
    now: Now,
    last_event_id: Annotated[
        str | None,
        Header(
            max_length=20,
            pattern=r"^[0-9]*$",
            description="Of the last event, or `timestamp` of the last pull: the stream goes on"
            " after it.",
        ),
    ] = None,
) -> EventStream:
    """Tell the caller's phone that something has changed, by tables and ids alone, as it happens.

    What is true is told by the pull: losing an event only delays. It goes on after `Last-Event-ID`,
    however long ago that was; without it the first event is `reset`. A phone has one stream, the
    newest. It ends with the token, and with the sign-in.
    """
    live: Live = request.app.state.live
    number = int(last_event_id or "0")
    cursor = cursor_of(number) if NO_CURSOR < number < 2**53 else None
    opened = await live.open(technician, device, cursor=cursor, now=now)
    return EventStream(live.events(opened, good_until))


def _migration_of(text: str | None) -> Any:
    try:
        read = _MIGRATION.validate_python(orjson.loads(text) if text else None)
    except orjson.JSONDecodeError as error:
        raise Invalid(errors=[{"field": "migration", "message": "not JSON"}]) from error
    except ValidationError as error:
        raise invalid_from(error.errors()) from error
    return MigrationIn.read(read)


class QuickPolls:
    """ASGI middleware: a poll that was answered with 304 and brings no news is answered again
    before anything else is done with it.

    Finding the doorway, reading what it is asked and opening what it works with costs a poll
    several times of what the answer does.
    """

    _PATH = router.prefix
    _ROUTE = SimpleNamespace(path=_PATH)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == self._PATH and scope["method"] == "GET":
            headers = scope["headers"]
            tag = next((value for name, value in headers if name == b"if-none-match"), None)
            polls: Polls = scope["app"].state.polls
            known = tag is not None and turned_away(scope) is None
            if known and await polls.unchanged(Poll.of(scope["query_string"], headers)):
                # Figures name the doorway.
                scope["route"] = self._ROUTE
                scope[QUIET] = True
                said = [(b"cache-control", b"private, no-cache"), (b"etag", tag)]
                await send({"type": "http.response.start", "status": 304, "headers": said})
                await send({"type": "http.response.body", "body": b""})
                return
        await self.app(scope, receive, send)
