"""Doorways of a technician's day."""

from typing import Annotated, Any

from fastapi import Header, Query, Response, status

from app.core.db import Read
from app.core.doorways import Router
from app.core.geo import CoordSys
from app.core.http import ETAG, Day, Now, RawJson
from app.core.unchanged import known, tag_of
from app.visits.routes.callers import Technician
from app.visits.schemas.day import DayOut, day_bytes
from app.visits.service import day

router = Router(prefix="/v1", tags=["visits"])


_DAY_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": DayOut,
        "headers": {"ETag": ETAG},
    },
    304: {"description": "Nothing has changed since the answer with this ETag."},
}


@router.get("/my/day", response_class=RawJson, responses=_DAY_ANSWERS, operation_id="visits_my_day")
async def my_day(
    technician: Technician,
    read: Read,
    now: Now,
    on: Annotated[
        Day | None, Query(alias="day", description="A local day; left out, today.")
    ] = None,
    coordsys: Annotated[
        CoordSys, Query(description="The system points are wanted in; phones' maps use gcj02.")
    ] = CoordSys.GCJ02,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    """List a technician's orders in the order they are to be worked.

    First what is under way, then what is suspended; then the day's route, where it has one; then
    appointments by their window, and the rest by priority, promise and id; the day's completed ones
    stand at the end. What is still open from days before is there, too. Ask again with
    `If-None-Match`: 304 means no news.
    """
    orders = await day.my_day(read, technician, day=on, now=now)
    body = day_bytes(
        orders.day, orders.orders, now=orders.now, grace=orders.grace, coordsys=coordsys
    )
    etag = tag_of(body)
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if known(if_none_match, etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return RawJson(body, headers=headers)
