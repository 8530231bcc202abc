"""Doorways: how we stand with the ordering system, and changes of orders."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.ordering import queries, service
from app.ordering.courier import breaker
from app.ordering.models import OrderChange
from app.ordering.order import Amendment
from app.ordering.schemas import (
    EndpointOut,
    ListenerOut,
    OrderChangeIn,
    OrderChangeOut,
    OrderChanges,
    OrderingSystemOut,
)
from app.sales import queries as sales

router = Router(prefix="/v1", tags=["ordering"])
Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:read"))]
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
