"""Doorways: how we stand with the ordering system, and changes of orders."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.ordering import queries, service, troubles
from app.ordering.courier import breaker
from app.ordering.delivery import ChangeState
from app.ordering.models import OrderChange
from app.ordering.order import Amendment
from app.ordering.schemas import (
    AskAgainIn,
    CloseChangeIn,
    EndpointOut,
    ListenerOut,
    OrderChangeIn,
    OrderChangeOut,
    OrderChangePage,
    OrderChanges,
    OrderingSystemOut,
)
from app.sales import queries as sales

router = Router(prefix="/v1", tags=["ordering"])
Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:read"))]
Resolver = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:resolve"))]
Asker = Annotated[
    Caller, Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="sales:change"))
]


@router.get("/ordering/system", operation_id="ordering_system")
async def system(reader: Reader, read: Read) -> OrderingSystemOut:
    """Say how we stand with the ordering system: what is left alone for now, who listens."""
    return OrderingSystemOut(
        endpoints=[
            EndpointOut.model_validate(each, from_attributes=True)
            for each in await breaker.standings(read)
        ],
        listeners=[ListenerOut.model_validate(each) for each in await queries.listeners(read)],
    )


@router.post(
    "/sales/{sale_id}/order-changes",
    response_model=OrderChangeOut,
    status_code=202,
    operation_id="sales_order_change_ask",
)
async def ask_for_change(
    sale_id: UUID, body: OrderChangeIn, asker: Asker, tx: Tx, now: Now
) -> OrderChange:
    """Ask for a confirmed sale's order to be cancelled or amended; the ordering system decides."""
    return await service.ask_for_change(
        tx,
        change_id=body.id,
        sale_id=sale_id,
        kind=body.kind,
        reason=body.reason,
        amendment=Amendment(body.requested_start, body.note),
        caller=asker,
        now=now,
    )


@router.get("/sales/{sale_id}/order-changes", operation_id="sales_order_changes")
async def changes(sale_id: UUID, asker: Asker, read: Read) -> OrderChanges:
    """List what was asked of a sale's order, and how far each wish has come."""
    sale = await sales.one(read, sale_id, asker)
    found = await queries.changes_of(read, sale.id)
    return OrderChanges(changes=[OrderChangeOut.model_validate(each) for each in found])


@router.get("/order-changes", operation_id="order_changes_list")
async def listed(
    reader: Reader,
    read: Read,
    now: Now,
    state: ChangeState | None = None,
    failed: Annotated[
        bool,
        Query(description="Only those refused or given up that nobody has dealt with."),
    ] = False,
    for_a_person: Annotated[
        bool,
        Query(
            description="Only those refused or given up that nobody has dealt with, and those that"
            " the ordering system has left undecided for longer than `ordering.alert_still_hours`."
        ),
    ] = False,
    org_unit_id: UUID | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> OrderChangePage:
    """List changes of orders, the latest first; `for_a_person=true` are those that wait for one."""
    undecided = None
    if for_a_person:
        numbers = await parameters_in_force(read)
        undecided = await troubles.undecided_limits(read, numbers, now, reader.org_path)
    found = await troubles.changes_page(
        read,
        reader,
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        state=state,
        failed=failed,
        undecided=undecided,
        org_unit_id=org_unit_id,
    )
    rows, last = cut(found, size)
    return OrderChangePage(
        order_changes=[OrderChangeOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.created_at, last.id) if last else None,
    )


@router.post(
    "/order-changes/{change_id}/retry",
    response_model=OrderChangeOut,
    status_code=202,
    operation_id="order_changes_retry",
)
async def ask_again(
    change_id: UUID, body: AskAgainIn, resolver: Resolver, tx: Tx, now: Now
) -> OrderChange:
    """Ask again for a change that was refused or given up, as a new one that closes it."""
    return await service.ask_again(tx, change_id, resolver, again_id=body.id, now=now)


@router.post(
    "/order-changes/{change_id}/give-up",
    response_model=OrderChangeOut,
    operation_id="order_changes_give_up",
)
async def close(
    change_id: UUID, body: CloseChangeIn, resolver: Resolver, tx: Tx, now: Now
) -> OrderChange:
    """Decide that nothing more is done about a change that was refused or given up, and say why."""
    return await service.close(tx, change_id, resolver, reason=body.reason, note=body.note, now=now)
