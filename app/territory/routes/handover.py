"""Doorways of handovers: what whoever takes grids over finds there."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.errors import NotFound
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.territory.queries import handover as queries
from app.territory.queries import keeping
from app.territory.rules.handover import Part
from app.territory.schemas.handover import (
    MOST_ORDERS,
    GridHandoverOut,
    HandoverOut,
    HandoverPage,
    HandoverTotals,
)
from app.territory.service import handover as service

router = Router()

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]
On = Annotated[Day | None, Query(description="The local day of the handover; today when left out.")]


@router.get("/grids/{grid_id}/handover", operation_id="grid_handover")
async def one(
    grid_id: UUID, reader: Reader, read: Read, now: Now, on: On = None
) -> GridHandoverOut:
    """Say what is handed over with a grid on a day: customers, open orders, terminals due back."""
    day = on or keeping.today(now, await keeping.zone_of(read, grid_id, reader))
    found = await service.handovers(read, [grid_id], reader, day=day, now=now)
    if not found.grids:
        raise NotFound(grid_id=grid_id)
    orders = await queries.orders_of(read, grid_id, reader, size=MOST_ORDERS)
    [handed] = found.grids
    return GridHandoverOut.with_orders(handed, found.people, orders, day=day)


@router.get("/handovers", operation_id="handovers_list")
async def listed(
    reader: Reader,
    read: Read,
    now: Now,
    technician_id: Annotated[
        UUID | None, Query(description="Whose grids; or name grids themselves.")
    ] = None,
    part: Annotated[
        Part,
        Query(
            description="`successor`: grids of which they become primary that day; `predecessor`: "
            "grids of which they are primary until that day, or could be handed over then."
        ),
    ] = Part.SUCCESSOR,
    grid_id: Annotated[list[UUID] | None, Query(max_length=200)] = None,
    on: On = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> HandoverPage:
    """List what somebody takes over, or hands over, on a day, or what some grids hold.

    Orders of the predecessor stay with them, since a promise was made, unless somebody moves them.
    """
    unit = await org_unit_within(read, reader.org_unit_id, reader)
    day = on or keeping.today(now, unit.time_zone)
    grids = await service.which(
        read, reader, technician_id=technician_id, part=part, grid_ids=grid_id or [], day=day
    )
    found = await service.handovers(read, grids, reader, day=day, now=now)
    after = key_of(token, str)[0] if token else ""
    rows, last = cut([one for one in found.grids if one.code > after][: size + 1], size)
    return HandoverPage(
        day=day,
        totals=HandoverTotals.of(found.grids),
        handovers=[HandoverOut.of(one, found.people) for one in rows],
        next_page_token=token_of(last.code) if last else None,
    )
