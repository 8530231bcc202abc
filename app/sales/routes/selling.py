"""Doorways of selling: a sale is put together or cancelled, and read."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, status

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.sales import queries, service
from app.sales.routes.callers import Reader, Seller
from app.sales.routes.showing import shown
from app.sales.rules import Line, SaleState
from app.sales.schemas.selling import SaleIn, SaleOut, SalePage

router = Router(prefix="/v1/sales", tags=["sales"])


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="sales_put_together")
async def put_together(body: SaleIn, seller: Seller, tx: Tx, now: Now) -> SaleOut:
    """Put a sale together in a visit; sending it again is answered like the first time."""
    sale = await service.put_together(
        tx,
        sale_id=body.id,
        visit_id=body.visit_id,
        lines=[Line(**item.model_dump()) for item in body.items],
        caller=seller,
        now=now,
        device_at=body.device_at,
        note=body.note,
        reservation_id=body.reservation_id,
        appointment_hold_id=body.appointment_hold_id,
    )
    return (await shown(tx, [sale]))[0]


@router.post("/{sale_id}/cancel", operation_id="sales_cancel")
async def cancel(sale_id: UUID, seller: Seller, tx: Tx, now: Now) -> SaleOut:
    """Cancel a sale that was not confirmed, or waits for its second confirmation."""
    sale = await service.cancel(tx, sale_id=sale_id, caller=seller, now=now)
    return (await shown(tx, [sale]))[0]


@router.get("", operation_id="sales_list")
async def listed(
    reader: Reader,
    read: Read,
    state: SaleState | None = None,
    technician_id: UUID | None = None,
    made_from: Annotated[Moment | None, Query()] = None,
    made_until: Annotated[Moment | None, Query()] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> SalePage:
    """List sales, newest first: a technician's own, or the caller's part of the organisation."""
    rows, last = cut(
        await queries.page(
            read,
            reader,
            size=size,
            after=key_of(token, datetime, UUID) if token else None,
            state=state,
            technician_id=technician_id,
            made_from=made_from,
            made_until=made_until,
        ),
        size,
    )
    return SalePage(
        sales=await shown(read, rows),
        next_page_token=token_of(last.created_at, last.id) if last else None,
    )


@router.get("/{sale_id}", operation_id="sales_one")
async def one(sale_id: UUID, reader: Reader, read: Read) -> SaleOut:
    """Read one sale; a technician's own, or one of the caller's part of the organisation."""
    return (await shown(read, [await queries.one(read, sale_id, reader)]))[0]
