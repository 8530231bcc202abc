"""Doorways of evidence for people: what there is of an order, and the pictures themselves."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Database, Read
from app.core.doorways import Router
from app.core.errors import NotFound
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.evidence import queries
from app.evidence.rules.parameters import OUTSTANDING, PICTURE_BYTES
from app.evidence.schemas import EvidenceList, EvidenceOut, OutstandingOut, OutstandingPage
from app.evidence.service import showing

router = Router(prefix="/v1", tags=["evidence"])

Reader = Annotated[
    Caller,
    Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="customers:read")),
]
Supervisor = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]
Known = Annotated[str | None, Header(alias="If-None-Match", max_length=500)]

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture.",
        "content": {
            kind: {"schema": PICTURE_BYTES} for kind in ("image/jpeg", "image/png", "image/webp")
        },
    },
    304: {"description": "The picture is the one of If-None-Match."},
    410: {"$ref": "#/components/responses/Problem404"},
}


class Picture(StreamingResponse):
    """A picture, sent as it is read from the storage."""

    # Each answer says what its picture is; this one stands in the description beside the others.
    media_type = "image/jpeg"


@router.get("/work-orders/{work_order_id}/evidence", operation_id="evidence_of_order")
async def of_order(work_order_id: UUID, reader: Reader, read: Read, now: Now) -> EvidenceList:
    """List an order's photos and signatures, with what is to be pointed out of each.

    A technician sees those of orders they hold, while they work on them and for a grace afterwards.
    """
    order = await showing.may_see(read, work_order_id, reader, now)
    found = await queries.of_order(read, order.id)
    return EvidenceList(evidence=[EvidenceOut.of(row) for row in found])


@router.get("/evidence/outstanding", operation_id="evidence_outstanding")
async def outstanding(
    supervisor: Supervisor, read: Read, now: Now, size: PageSize = 50, token: PageToken = None
) -> OutstandingPage:
    """List what was announced for completed orders and has not come, longest awaited first."""
    days = (await parameters_in_force(read)).number(OUTSTANDING, now, supervisor.org_path)
    rows, last = cut(
        await queries.outstanding(
            read,
            supervisor,
            since=now - timedelta(days=days),
            size=size,
            after=key_of(token, datetime, UUID) if token else None,
        ),
        size,
    )
    return OutstandingPage(
        outstanding=[OutstandingOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.announced_at, last.id) if last else None,
    )


@router.get(
    "/evidence/{evidence_id}/content",
    operation_id="evidence_content",
    response_class=Picture,
    responses=_PICTURE,
)
async def content(
    evidence_id: UUID, request: Request, reader: Reader, now: Now, known: Known = None
) -> Response:
    """Read a picture, upright and without its metadata. Each reading leaves an audit entry."""
    return await _shown(request, evidence_id, reader, now, known, small=False)


@router.get(
    "/evidence/{evidence_id}/thumbnail",
    operation_id="evidence_thumbnail",
    response_class=Picture,
    responses=_PICTURE,
)
async def thumbnail(
    evidence_id: UUID, request: Request, reader: Reader, now: Now, known: Known = None
) -> Response:
    """Read a small picture (WebP). Each reading leaves an audit entry, too."""
    return await _shown(request, evidence_id, reader, now, known, small=True)


async def _shown(
    request: Request,
    evidence_id: UUID,
    reader: Caller,
    now: datetime,
    known: str | None,
    *,
    small: bool,
) -> Response:
    database: Database = request.app.state.database
    try:
        # The entry of the audit trail is committed before the first byte leaves.
        async with database.begin(request) as tx:
            shown = await showing.show(
                tx,
                request.app.state.evidence,
                evidence_id,
                reader,
                small=small,
                known=known,
                now=now,
            )
    except FileNotFoundError as error:
        raise NotFound() from error
    headers = {
        "etag": shown.mark,
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
    }
    if shown.parts is None:
        return Response(status_code=304, headers=headers)
    return Picture(shown.parts, media_type=shown.media_type, headers=headers)
