"""Doorways of work orders; intake and placing are dispatch's."""

from datetime import datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.geo import CoordSys
from app.core.http import Day, Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.workorders import queries, repeats, service
from app.workorders.repeats import By
from app.workorders.rules import State, UnplacedReason
from app.workorders.schemas import (
    CancelIn,
    EventOut,
    HistoryOut,
    NudgeIn,
    NudgeOut,
    OrderOut,
    OrderPage,
    RepeatFiguresOut,
)
from app.worktypes.rules import WorkType

router = Router(prefix="/v1/work-orders", tags=["work orders"])
repeats_router = Router(prefix="/v1/repeat-faults", tags=["work orders"])

Reader = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="orders:read")),
]
Canceller = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="orders:intake")),
]
InSystem = Annotated[
    CoordSys, Query(alias="coordsys", description="The coordinate system of points in the answer.")
]


@router.get("", operation_id="work_orders_list")
async def listed(
    reader: Reader,
    read: Read,
    state: State | None = None,
    grid_id: UUID | None = None,
    holder_id: UUID | None = None,
    work_type: WorkType | None = None,
    unplaced_reason: UnplacedReason | None = None,
    due_before: Annotated[Moment | None, Query()] = None,
    coordsys: InSystem = CoordSys.WGS84,
    size: PageSize = 50,
    token: PageToken = None,
) -> OrderPage:
    """List the orders of the caller's part of the organisation, those last taken in first.

    `state=unplaced` is the supervisor's queue of orders that nobody has.
    """
    rows, last = cut(
        await queries.page(
            read,
            reader,
            size=size,
            after=key_of(token, datetime, UUID) if token else None,
            state=state,
            grid_id=grid_id,
            holder_id=holder_id,
            work_type=work_type,
            unplaced_reason=unplaced_reason,
            due_before=due_before,
        ),
        size,
    )
    return OrderPage(
        orders=[OrderOut.of(row, coordsys) for row in rows],
        next_page_token=token_of(last.received_at, last.id) if last else None,
    )


@router.get("/{order_id}", operation_id="work_orders_one")
async def one(
    order_id: UUID, reader: Reader, read: Read, coordsys: InSystem = CoordSys.WGS84
) -> OrderOut:
    """Read one order; name, telephone and address are masked."""
    return OrderOut.of(await queries.one(read, order_id, reader), coordsys)


@router.get("/{order_id}/history", operation_id="work_orders_history")
async def history(order_id: UUID, reader: Reader, read: Read) -> HistoryOut:
    """Read all that happened to an order, oldest first."""
    await queries.one(read, order_id, reader)
    events = await queries.history(read, order_id)
    return HistoryOut(events=[EventOut.model_validate(event) for event in events])


@router.post("/{order_id}/cancel", operation_id="work_orders_cancel")
async def cancel(order_id: UUID, body: CancelIn, caller: Canceller, tx: Tx, now: Now) -> OrderOut:
    """Cancel an order that is not completed; doing it again is answered like the first time."""
    await service.cancel(tx, order_id, caller, reason=body.reason, now=now)
    return OrderOut.of(await queries.one(tx, order_id, caller), CoordSys.WGS84)


@router.post("/{order_id}/nudges", operation_id="work_orders_nudge")
async def nudge(order_id: UUID, body: NudgeIn, caller: Canceller, tx: Tx, now: Now) -> NudgeOut:
    """Take down that the customer asks for an order: whoever holds it sees it, and within bounds it
    becomes more urgent. One that nobody has is placed anew at once.
    """
    taken = await service.nudge(
        tx, order_id, caller, reference=body.reference, note=body.note, now=now
    )
    return NudgeOut.model_validate(taken)


# The days that figures are counted over at most, so that a request costs the same for ever.
MOST_DAYS = 92


@repeats_router.get("", operation_id="repeat_faults_figures")
async def repeat_faults(
    reader: Reader,
    read: Read,
    now: Now,
    by: By = By.ORG_UNIT,
    since: Annotated[
        Day | None, Query(alias="from", description="A local day; 29 before `until` without.")
    ] = None,
    until: Annotated[
        Day | None, Query(description="A local day, included; today when left out.")
    ] = None,
) -> RepeatFiguresOut:
    """Count repeat faults of at most 92 days.

    By unit: of the faults that came in, how many came back shortly after work on the same service.
    By technician: of the work on services that they closed, how much a fault came back after.
    """
    units = await queries.org_units(read, ids=[reader.org_unit_id])
    zone = units.by_id[reader.org_unit_id].zone
    last = until or now.astimezone(zone).date()
    first = since or last - timedelta(days=29)
    if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        message = f"at most {MOST_DAYS} days up to `until`, included"
        raise Invalid(errors=[{"field": "from", "message": message}])
    found = await repeats.figures(
        read,
        by,
        reader.org_path,
        datetime.combine(first, time.min, zone),
        datetime.combine(last + timedelta(days=1), time.min, zone),
    )
    return RepeatFiguresOut.of(by, first, last, found)
