"""Doorways of uploads: the core of tus 1.0, with creation, termination, checksums and expiry.

Errors are problem+json as everywhere; each answer carries the headers that the protocol asks for.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.colliding import leave_to_the_next_try
from app.core.db import Database, Read
from app.core.doorways import Doorway, Handle, Router
from app.core.errors import Malformed, MethodNotAllowed, Problem
from app.core.http import Now, invalid_from, render, streamed
from app.core.parameter_values import parameters_in_force
from app.evidence.rules import UploadState
from app.evidence.rules.parameters import MOST_BYTES, PICTURE_BYTES
from app.evidence.rules.uploads import (
    ALGORITHMS,
    EXTENSIONS,
    VERSION,
    VersionNotSpoken,
    WrongContentType,
    checksum_of,
)
from app.evidence.schemas import announcement_of
from app.evidence.service.announcing import announce, withdraw
from app.evidence.service.receiving import Stands, receive, stands
from app.evidence.service.settling import settle

Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do", emptying=True))]

BYTES = "application/offset+octet-stream"
_SPEAKS = {"tus-resumable": VERSION}


class TusRoute(Doorway):
    """A doorway that speaks tus: it asks for the version, and says it in each answer."""

    def get_route_handler(self) -> Handle:
        """Wrap the doorway's handler."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                spoken = request.headers.get("tus-resumable", "")
                if request.method != "OPTIONS" and spoken != VERSION:
                    raise VersionNotSpoken(version=VERSION)
                answer = await inner(request)
            except RequestValidationError as error:
                answer = render(request, invalid_from(error.errors()))
            except Problem as problem:
                leave_to_the_next_try(request, problem)
                answer = render(request, problem)
                if isinstance(problem, VersionNotSpoken):
                    answer.headers["tus-version"] = VERSION
                if "offset" in problem.facts:
                    answer.headers["upload-offset"] = str(problem.facts["offset"])
            answer.headers["tus-resumable"] = VERSION
            return answer

        return handle


router = Router(prefix="/v1/evidence/uploads", tags=["evidence"], route_class=TusRoute)

# Each request but OPTIONS says which version it speaks; TusRoute looks at it.
Speaks = Annotated[str | None, Header(alias="Tus-Resumable", max_length=20, examples=[VERSION])]
Length = Annotated[
    int,
    Header(alias="Upload-Length", ge=1, le=2**40, description="The whole picture's bytes."),
]
Metadata = Annotated[
    str,
    Header(
        alias="Upload-Metadata",
        max_length=4_096,
        description=(
            "Names with values in base64: work_order_id, requirement (a code of the order's"
            " template, or other), kind (photo, signature), sha256 (of the whole, hexadecimal);"
            " and, where known, id (a UUIDv7 of the phone's), visit_id, filename, taken_at, and"
            " lon, lat, coordsys."
        ),
    ),
]
Offset = Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**40)]
Sum = Annotated[
    str | None,
    Header(
        alias="Upload-Checksum",
        max_length=200,
        description="sha1 or sha256 and the digest of this request's bytes in base64.",
    ),
]

_BODY = {
    "requestBody": {
        "required": True,
        "description": "Bytes of the picture, from Upload-Offset on.",
        "content": {BYTES: {"schema": PICTURE_BYTES}},
    }
}
_OFFSET = {"description": "Up to which byte the upload is there.", "schema": {"type": "integer"}}
_EXPIRES = {
    "description": "Until when the rest may come.",
    "schema": {"type": "string", "maxLength": 40},
}


def _answers(status: int, what: str, **headers: Any) -> dict[int | str, dict[str, Any]]:
    problem = {"$ref": "#/components/responses/Problem400"}
    told = {"Tus-Resumable": {"schema": {"type": "string", "maxLength": 20}}, **headers}
    return {
        status: {"description": what, "headers": told},
        **dict.fromkeys((410, 412, 415, 460, 507), problem),
    }


@router.options(
    "",
    operation_id="evidence_upload_options",
    status_code=204,
    responses=_answers(204, "What is spoken here."),
)
async def options(read: Read, now: Now) -> Response:
    """Say which version and extensions of tus are spoken, and how large a file may be."""
    most = (await parameters_in_force(read)).whole(MOST_BYTES, now)
    return Response(
        status_code=204,
        headers={
            "tus-version": VERSION,
            "tus-extension": ",".join(EXTENSIONS),
            "tus-max-size": str(most),
            "tus-checksum-algorithm": ",".join(ALGORITHMS),
        },
    )


@router.post(
    "",
    operation_id="evidence_upload_create",
    status_code=201,
    responses=_answers(
        201,
        "The upload is announced.",
        **{
            "Location": {"schema": {"type": "string", "maxLength": 100}},
            "Upload-Offset": _OFFSET,
            "Upload-Expires": _EXPIRES,
        },
    ),
)
async def create(
    request: Request,
    technician: Technician,
    now: Now,
    length: Length,
    metadata: Metadata,
    tus: Speaks = None,
    checksum: Sum = None,
) -> Response:
    """Announce a picture, with its first bytes or without.

    The same announcement under the same id is answered like the first. An Upload-Offset that equals
    the length says that the picture is there already, and nothing has to be sent.
    """
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        evidence = await announce(tx, technician, announcement_of(length, metadata), now=now)
    upload = Stands(
        evidence.id, evidence.bytes, evidence.received, evidence.state, evidence.expires_at
    )
    if request.headers.get("content-type") == BYTES:
        if upload.received == 0 and upload.state is UploadState.ANNOUNCED:
            upload = await _received(request, technician, upload.id, 0, checksum)
        else:
            # What comes is here already; a line that is cut would look like a failure.
            async for _ in _until_cut(request, most=upload.bytes):
                pass
    headers = {"location": f"/v1/evidence/uploads/{upload.id}", **_standing(upload)}
    return Response(status_code=201, headers=headers)


@router.head(
    "/{upload_id}",
    operation_id="evidence_upload_stands",
    responses=_answers(
        200,
        "How far the upload is.",
        **{"Upload-Offset": _OFFSET, "Upload-Length": _OFFSET, "Upload-Expires": _EXPIRES},
    ),
)
async def standing(
    upload_id: UUID, request: Request, technician: Technician, now: Now, tus: Speaks = None
) -> Response:
    """Say from which byte an upload goes on."""
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        upload = await stands(tx, upload_id, technician, now=now)
    if upload.state is UploadState.ANNOUNCED and upload.received == upload.bytes:
        # Whoever took its last byte has not come to check it.
        await settle(database, request.app.state.evidence, upload_id, now=now)
    headers = {
        "upload-length": str(upload.bytes),
        "upload-metadata": upload.upload_metadata,
        "cache-control": "no-store",
        **_standing(upload),
    }
    return Response(status_code=200, headers=headers)


@router.patch(
    "/{upload_id}",
    operation_id="evidence_upload_continue",
    status_code=204,
    responses=_answers(
        204, "The bytes are stored.", **{"Upload-Offset": _OFFSET, "Upload-Expires": _EXPIRES}
    ),
    openapi_extra=_BODY,
)
async def proceed(
    upload_id: UUID,
    request: Request,
    technician: Technician,
    offset: Offset,
    tus: Speaks = None,
    checksum: Sum = None,
) -> Response:
    """Go on with an upload. What has come when the line breaks counts, without a checksum."""
    if request.headers.get("content-type") != BYTES:
        raise WrongContentType(wanted=BYTES)
    upload = await _received(request, technician, upload_id, offset, checksum)
    return Response(status_code=204, headers=_standing(upload))


@router.delete(
    "/{upload_id}",
    operation_id="evidence_upload_withdraw",
    status_code=204,
    responses=_answers(204, "It is taken back."),
)
async def take_back(
    upload_id: UUID, request: Request, technician: Technician, now: Now, tus: Speaks = None
) -> Response:
    """Take an upload back, also one that is complete, as long as the order is not."""
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        await withdraw(tx, upload_id, technician, now=now)
    return Response(status_code=204)


@router.post("/{upload_id}", include_in_schema=False)
async def overridden(
    upload_id: UUID, request: Request, technician: Technician, now: Now
) -> Response:
    """Do what X-HTTP-Method-Override says, for networks that let no PATCH or DELETE through."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "HEAD":
        return await standing(upload_id, request, technician, now)
    if method == "DELETE":
        return await take_back(upload_id, request, technician, now)
    if method != "PATCH":
        raise MethodNotAllowed(allow=["DELETE", "HEAD", "PATCH"])
    offset = request.headers.get("upload-offset", "")
    if not offset.isdecimal() or len(offset) > 12:
        raise Malformed(reason="Upload-Offset: the byte to go on from")
    checksum = request.headers.get("upload-checksum")
    return await proceed(upload_id, request, technician, int(offset), checksum=checksum)


async def _received(
    request: Request, technician: Caller, upload_id: UUID, offset: int, checksum: str | None
) -> Stands:
    state = request.app.state
    return await receive(
        state.database,
        state.evidence,
        technician,
        upload_id,
        _until_cut(request),
        offset=offset,
        checksum=checksum_of(checksum) if checksum else None,
        clock=state.clock,
    )


async def _until_cut(request: Request, most: int | None = None) -> AsyncIterator[bytes]:
    """Give a body's bytes as they come; a line that breaks ends them, and so do `most` of them."""
    taken = 0
    try:
        async for part in streamed(request):
            yield part
            taken += len(part)
            if most is not None and taken >= most:
                return
    except ClientDisconnect:
        return


def _standing(upload: Stands) -> dict[str, str]:
    headers = {"upload-offset": str(upload.received)}
    if upload.received < upload.bytes:
        headers["upload-expires"] = _http_date(upload.expires_at)
    return headers


def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)
