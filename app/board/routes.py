"""Doorways of the board: the day at one look, and the stream of what has changed."""

import asyncio
import gzip
import hashlib
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Query, Request, Response, status

from app.auth.callers import Caller, GoodUntil, caller
from app.auth.rules import Role
from app.board.schemas import BoardOut, ChangedOut, board_bytes
from app.board.service import day as service
from app.board.service import stream
from app.board.service.day import Board
from app.core.db import Database, Read
from app.core.doorways import Router
from app.core.events import EventStream
from app.core.http import Day, Now, RawJson
from app.core.unchanged import known
from app.presence.service import positions_seen

router = Router(prefix="/v1/board", tags=["board"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]
OrgUnitId = Annotated[
    UUID | None, Query(description="With all units under it; left out, the caller's own.")
]


class Part(StrEnum):
    """A part of the board."""

    TECHNICIANS = "technicians"
    UNPLACED = "unplaced"


_BOARD_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": BoardOut,
        "headers": {
            "ETag": {
                "description": "Of a whole board: of all that it says, and of the minute.",
                "schema": {"type": "string", "maxLength": 100},
            }
        },
    },
    304: {"description": "Nothing has changed since the answer with this ETag."},
}


@router.get("", response_class=RawJson, responses=_BOARD_ANSWERS, operation_id="board")
async def board(
    request: Request,
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: OrgUnitId = None,
    day: Annotated[Day | None, Query(description="A local day; left out, today.")] = None,
    technician_id: Annotated[
        list[UUID] | None,
        Query(max_length=200, description="Only these people's days; left out, everybody's."),
    ] = None,
    part: Annotated[
        list[Part] | None, Query(max_length=2, description="Only these parts; left out, both.")
    ] = None,
    positions: Annotated[
        bool,
        Query(
            description="Also about where those of the unit were last who agree to it on their"
            " shift. Each look is in the audit trail: ask when a map is opened."
        ),
    ] = False,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    """Show a unit's day: who works, what they do, their routes with the times to be expected, what
    is endangered, and what nobody has.

    Everybody of the unit who is not lent to another, whoever is lent to it, and whoever else holds
    orders of it. Today it begins with what has been done and goes on from the current minute; a day
    to come is shown as its routes are written down. Keep it up to date with the stream of changes.
    """
    parts = part or list(Part)
    scope = await service.scope_of(
        read,
        reader,
        org_unit_id=org_unit_id,
        day=day,
        technician_ids=technician_id or (),
        people=Part.TECHNICIANS in parts,
        queue=Part.UNPLACED in parts,
        positions=positions and Part.TECHNICIANS in parts,
        now=now,
    )
    packs = "gzip" in request.headers.get("accept-encoding", "")
    database: Database = request.app.state.database
    headers = {"cache-control": "private, no-cache", "vary": "Accept-Encoding, Authorization"}
    follows = service.is_follow_up(scope)
    async with database.hot(fresh=follows) as driver:
        if not follows:
            mark = await service.mark_of(driver, scope)
            tag = hashlib.blake2b(mark.encode(), digest_size=12).hexdigest()
            headers["etag"] = f'"{tag}"'
            if known(if_none_match, headers["etag"]):
                return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
        found = await service.board_of(driver, scope)
    if scope.asked.positions:
        async with database.begin(request) as tx:
            positions_seen(tx, reader, scope.unit.id)
    body = await asyncio.to_thread(_written, found, packs=packs)
    if packs:
        headers["content-encoding"] = "gzip"
    return RawJson(body, headers=headers)


def _written(found: Board, *, packs: bool) -> bytes:
    scope = found.scope
    body = board_bytes(
        org_unit_id=scope.unit.id,
        day=scope.asked.day,
        at=scope.at,
        days=found.days if scope.people else None,
        unplaced=found.unplaced,
        unplaced_count=found.unplaced_count,
        outages=found.outages,
        whole=scope.asked.technicians is None and scope.queue,
    )
    # Names and codes repeat so much that more effort than the least gains little.
    return gzip.compress(body, 1, mtime=0) if packs else body


_STREAM_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `reset` (ask for the board anew), `changed` (whose data has this "
        "shape: ask for these people's days) and `expired` (the token is not good any more: come "
        "back with a new one). Where nothing happens, a comment says that the connection is alive.",
        "model": ChangedOut,
    }
}


@router.get(
    "/stream",
    response_class=EventStream,
    responses=_STREAM_ANSWERS,
    operation_id="board_stream",
)
async def changes(
    request: Request,
    reader: Reader,
    good_until: GoodUntil,
    read: Read,
    org_unit_id: OrgUnitId = None,
    last_event_id: Annotated[
        str | None,
        Header(max_length=64, description="Of the last event: the stream goes on after it."),
    ] = None,
) -> EventStream:
    """Tell what changes on a unit's board, by ids alone, as it happens.

    Listen first, then ask for the board. What changes within half a second is told together. With
    `Last-Event-ID` it goes on where it was interrupted; where that is not known any more, and for
    whoever begins, the first event is `reset`.
    """
    unit = await service.unit_of(read, reader, org_unit_id)
    watched = await stream.watch(request.app.state.changes, unit.path, last_event_id)
    return EventStream(stream.events(watched, good_until))
