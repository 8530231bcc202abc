"""Doorways of former customers."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Query

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.retention.queries import leavers as queries
from app.retention.routes.callers import Attendant, Overseer
from app.retention.rules import LeaveReason
from app.retention.schemas.leavers import (
    FormerCustomerOut,
    FormerCustomersPage,
    LeavingIn,
    LeavingOut,
)
from app.retention.service import leavers as service
from app.workorders.queries import org_units

router = Router(prefix="/v1", tags=["retention"])


@router.get("/former-customers", operation_id="former_customers_list")
async def listed(
    overseer: Overseer,
    read: Read,
    reason: LeaveReason | None = None,
    from_day: Annotated[
        Day | None, Query(alias="from", description="Who left on this local day or later.")
    ] = None,
    returned: Annotated[bool, Query(description="Also who has come back.")] = False,
    size: PageSize = 50,
    token: PageToken = None,
) -> FormerCustomersPage:
    """List customers who have left, when and why, those who left last first; masked."""
    after = key_of(token, date, UUID) if token else None
    units = (await org_units(read, ids=[overseer.org_unit_id])).within(overseer.org_path)
    found = await queries.page(
        read,
        units,
        size=size,
        after=(after[0], after[1]) if after else None,
        reason=reason,
        from_day=from_day,
        returned=returned,
    )
    rows, last = cut(found, size)
    return FormerCustomersPage(
        former_customers=[FormerCustomerOut.row(row) for row in rows],
        next_page_token=token_of(last.left_on, last.id) if last else None,
    )


@router.put("/customers/{customer_id}/leaving", operation_id="former_customers_record")
async def record(
    customer_id: UUID, body: LeavingIn, attendant: Attendant, tx: Tx, now: Now
) -> LeavingOut:
    """Write down why a customer has left, and whether they can be reached.

    What a person was told takes the place of what a file or a closing code says.
    """
    former = await service.record(tx, customer_id, body.leaving(), attendant, now=now)
    return LeavingOut.of(former)
