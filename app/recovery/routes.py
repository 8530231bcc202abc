"""Doorways of recovery: what is due back, pick-ups and stops on the way, rates."""

from datetime import datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.customers import queries as customers
from app.recovery.queries import pickups
from app.recovery.queries.rates import rates
from app.recovery.rules import GroupedBy
from app.recovery.schemas import (
    KeepIn,
    OwedList,
    OwedOut,
    RateOut,
    RatesOut,
    RecoveryIn,
    RecoveryOut,
    RecoveryPage,
    RequestOut,
    StopsOut,
    TakenOut,
    WriteOffIn,
)
from app.recovery.service import owing, settling, stops
from app.terminals import queries as terminals
from app.workorders.queries import org_units

router = Router(prefix="/v1", tags=["recovery"])

Sender = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="orders:intake")),
]
Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]
Decider = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))]
CustomerReader = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:read"))
]
Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]

OrgUnitId = Annotated[
    UUID | None, Query(description="With all units under it; left out, the caller's own.")
]

# Figures of more days than these are for a report, not for a screen.
LONGEST_DAYS = 366
MOST_GROUPS = 500


@router.post("/recoveries", status_code=status.HTTP_201_CREATED, operation_id="recoveries_ask")
async def ask(body: RecoveryIn, sender: Sender, tx: Tx, now: Now) -> RequestOut:
    """Say that a customer has to give terminals back; an order fetches them within the pick-up's
    days, together with what else is due there.
    """
    request_id, customer_id = await owing.request(
        tx,
        sender,
        source=body.source,
        external_id=body.external_id,
        customer_code=body.customer_code,
        service_number=body.service_number,
        cause=body.cause,
        named=body.named(),
        now=now,
    )
    due = await terminals.owed_for_request(tx, request_id)
    return RequestOut(
        id=request_id,
        customer_id=customer_id,
        terminals=[OwedOut.model_validate(one) for one in due],
    )


@router.get("/recoveries", operation_id="recoveries_list")
async def listed(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: OrgUnitId = None,
    overdue: Annotated[bool, Query(description="Only those whose deadline has passed.")] = False,
    closed_too: Annotated[bool, Query(description="Also what is settled.")] = False,
    size: PageSize = 50,
    token: PageToken = None,
) -> RecoveryPage:
    """List pick-ups, the first deadline before the others; customers are masked."""
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(
        await pickups.page(
            read,
            units=await _units(read, org_unit_id, reader),
            closed_too=closed_too,
            before=now if overdue else None,
            after=(after[0], after[1]) if after else None,
            size=size + 1,
        ),
        size,
    )
    return RecoveryPage(
        items=[RecoveryOut.of(row, now) for row in rows],
        next_page_token=token_of(last.due_at, last.id) if last else None,
    )


@router.get("/recoveries/{recovery_id}", operation_id="recoveries_one")
async def one(recovery_id: UUID, reader: Reader, read: Read, now: Now) -> RecoveryOut:
    """Read one pick-up with all its terminals; its customer is masked."""
    return RecoveryOut.of(await pickups.one(read, recovery_id, reader), now)


@router.post("/due-backs/{due_back_id}/write-off", operation_id="recoveries_write_off")
async def write_off(
    due_back_id: UUID, body: WriteOffIn, decider: Decider, tx: Tx, now: Now
) -> RecoveryOut:
    """Write off a terminal that will not come back; it is booked as lost."""
    found = await settling.write_off_due(tx, due_back_id, decider, cause=body.cause, now=now)
    return RecoveryOut.of(await pickups.one(tx, found, decider), now)


@router.post("/due-backs/{due_back_id}/keep", operation_id="recoveries_keep")
async def keep(due_back_id: UUID, body: KeepIn, decider: Decider, tx: Tx, now: Now) -> RecoveryOut:
    """Say that a terminal need not come back after all; it is left out of the rates."""
    found = await settling.keep(tx, due_back_id, decider, cause=body.cause, now=now)
    return RecoveryOut.of(await pickups.one(tx, found, decider), now)


@router.get("/customers/{customer_id}/due-back", operation_id="recoveries_of_customer")
async def of_customer(customer_id: UUID, reader: CustomerReader, read: Read) -> OwedList:
    """List what a customer has to give back and had to, the newest first."""
    customer = await customers.one(read, reader, customer_id)
    return OwedList.of(await terminals.owed_by(read, customer.id))


@router.get("/my/recoveries", operation_id="recoveries_near_me")
async def near_me(technician: Technician, read: Read, now: Now) -> StopsOut:
    """List pick-ups near today's stops that nobody has begun and that can be taken on the way."""
    return StopsOut.of(await stops.near(read, technician, now=now))


@router.post("/recoveries/{recovery_id}/take", operation_id="recoveries_take")
async def take(recovery_id: UUID, technician: Technician, tx: Tx, now: Now) -> TakenOut:
    """Take a pick-up into today; of two who want it one has it, and the other is told."""
    recovery, today = await stops.take(tx, recovery_id, technician, now=now)
    assert recovery.work_order_id is not None
    return TakenOut(
        id=recovery.id,
        work_order_id=recovery.work_order_id,
        planned_day=today,
        due_at=recovery.due_at,
    )


@router.get("/recovery-rates", operation_id="recovery_rates")
async def recovery_rates(
    reader: Reader,
    read: Read,
    now: Now,
    since: Annotated[Day, Query(description="The first local day of what fell due.")],
    until: Annotated[Day, Query(description="The last one, included.")],
    by: Annotated[GroupedBy, Query(description="What the figures are told for.")] = GroupedBy.KIND,
    org_unit_id: OrgUnitId = None,
) -> RatesOut:
    """Say how much of what fell due has come back, and how much of it in time."""
    if not timedelta(0) <= until - since <= timedelta(days=LONGEST_DAYS):
        message = f"must be from since on, and at most {LONGEST_DAYS} days later"
        raise Invalid(errors=[{"field": "until", "message": message}])
    units = await org_units(read, ids=[reader.org_unit_id])
    zone = units.by_id[reader.org_unit_id].zone
    found = await rates(
        read,
        by,
        units=await _units(read, org_unit_id, reader),
        since=datetime.combine(since, time(), zone),
        until=datetime.combine(until + timedelta(days=1), time(), zone),
        now=now,
        size=MOST_GROUPS,
    )
    return RatesOut(since=since, until=until, items=[RateOut.of(one) for one in found])


async def _units(read: Read, org_unit_id: UUID | None, reader: Caller) -> list[UUID]:
    return await pickups.units_within(read, org_unit_id or reader.org_unit_id, reader)
