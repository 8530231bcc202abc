"""Doorways of counts of vans, and of what was lost."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, status

from app.auth.queries import org_unit_within
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.terminals import queries
from app.terminals.routes.callers import Counter, Depot, Reader
from app.terminals.rules import CountState
from app.terminals.rules.counting import Scanned
from app.terminals.schemas.counting import CountIn, CountOut, CountsOut, LossesOut, SettleIn
from app.terminals.service import counting

router = Router(prefix="/v1", tags=["terminals"])

# A report over more days than these would be read for minutes.
_MOST_DAYS = 92


@router.post(
    "/stock-counts", status_code=status.HTTP_201_CREATED, operation_id="terminals_counts_count"
)
async def count(body: CountIn, counter: Counter, tx: Tx, now: Now) -> CountOut:
    """Say what was found in a van; the answer says how it differs from what is booked there.

    Nothing is moved until a supervisor has settled it. A later count of the van replaces it.
    """
    made = await counting.count(
        tx,
        body.id,
        counter,
        [Scanned(one.serial_number, one.kind) for one in body.counted],
        technician_id=body.technician_id,
        device_at=body.device_at,
        now=now,
    )
    return CountOut.of(made)


@router.get("/stock-counts", operation_id="terminals_counts_list")
async def listed(
    reader: Reader,
    read: Read,
    technician_id: Annotated[UUID | None, Query(description="Of this van.")] = None,
    state: CountState | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> CountsOut:
    """List the counts of the caller's part of the organisation, the newest first."""
    found = await queries.counts(
        read,
        reader,
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        technician_id=technician_id,
        state=state,
    )
    rows, last = cut(found, size)
    return CountsOut(
        counts=[CountOut.of(row) for row in rows],
        next_page_token=token_of(last.counted_at, last.id) if last else None,
    )


@router.get("/stock-counts/{count_id}", operation_id="terminals_counts_read")
async def read_one(count_id: UUID, counter: Counter, read: Read) -> CountOut:
    """Read one count: a technician their own, a supervisor those of their part."""
    return CountOut.of(await counting.count_for(read, count_id, counter))


@router.post("/stock-counts/{count_id}/settle", operation_id="terminals_counts_settle")
async def settle(count_id: UUID, body: SettleIn, clerk: Depot, tx: Tx, now: Now) -> CountOut:
    """Give every difference its cause; terminals are moved accordingly, and the count is closed."""
    causes = {one.serial_number: one.cause for one in body.causes}
    kinds = {one.serial_number: one.kind for one in body.causes if one.kind is not None}
    return CountOut.of(await counting.settle(tx, count_id, clerk, causes, kinds, now))


@router.get("/terminal-losses", operation_id="terminals_losses")
async def losses(
    reader: Reader,
    read: Read,
    now: Now,
    since: Annotated[
        Day | None,
        Query(alias="from", description="The first local day; left out, thirty days with `until`."),
    ] = None,
    until: Annotated[Day | None, Query(description="The last local day; left out, today.")] = None,
) -> LossesOut:
    """Count what was lost, per branch and technician, against what passed through their hands."""
    unit = await org_unit_within(read, reader.org_unit_id, reader)
    until = until or now.astimezone(ZoneInfo(unit.time_zone)).date()
    since = since or until - timedelta(days=29)
    if not 0 <= (until - since).days < _MOST_DAYS:
        message = f"from `from` to `until` are 1 to {_MOST_DAYS} days"
        raise Invalid(errors=[{"field": "until", "message": message}])
    rows = await queries.losses(read, reader.org_path, since=since, until=until)
    return LossesOut.of(rows, since, until)
