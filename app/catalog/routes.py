"""Doorways of the catalogue."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Response, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.catalog import queries
from app.catalog.schemas import CatalogueOut, OfferingOut
from app.core.db import Read
from app.core.doorways import Router
from app.core.errors import NotFound
from app.core.http import Code, Day, Now, RawJson
from app.core.unchanged import known

router = Router(prefix="/v1/offerings", tags=["catalogue"])

Reader = Annotated[
    Caller, Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="catalog:read"))
]
OnDay = Annotated[
    Day | None, Query(description="A local day of the caller's org unit; left out it is today.")
]


@router.get(
    "",
    operation_id="offerings_list",
    response_model=CatalogueOut,
    responses={304: {"description": "The catalogue is the one of If-None-Match."}},
)
async def listed(
    reader: Reader,
    read: Read,
    now: Now,
    day: OnDay = None,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    """Read what can be sold on a day; 304 when the phone's ETag is still the right one."""
    asked = day or await queries.today_of(read, reader.org_unit_id, now)
    mark, offerings = await queries.marked_in_force(read, asked)
    headers = {"etag": f'"{mark[:16]}-{asked:%Y%m%d}"', "cache-control": "private, no-cache"}
    if known(if_none_match, headers["etag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    shown = CatalogueOut(day=asked, offerings=[OfferingOut.of(each) for each in offerings.values()])
    return RawJson(shown.model_dump_json(), headers=headers)


@router.get("/{code}", operation_id="offerings_one")
async def one(
    code: Annotated[Code, Path()], reader: Reader, read: Read, now: Now, day: OnDay = None
) -> OfferingOut:
    """Read one offering as it can be sold on a day."""
    asked = day or await queries.today_of(read, reader.org_unit_id, now)
    offering = (await queries.in_force(read, asked)).get(code)
    if offering is None:
        raise NotFound()
    return OfferingOut.of(offering)
