"""Doorways of the lists of a grid."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Query

from app.core.db import Read
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.lifecycle.rules import ChurnClass, Tier
from app.retention.routes.callers import Overseer
from app.retention.rules import LeaveReason
from app.retention.schemas.lists import RenewalOut, RenewalPage, WinBackOut, WinBackPage
from app.retention.service import lists

router = Router(prefix="/v1", tags=["retention"])

GridId = Annotated[UUID, Query(description="Of this grid, by where customers' addresses lie.")]


@router.get("/win-back", operation_id="win_back_list")
async def win_back(
    overseer: Overseer,
    read: Read,
    now: Now,
    grid_id: GridId,
    tier: Tier | None = None,
    reason: LeaveReason | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> WinBackPage:
    """List a grid's former customers who may be asked to come back, the most valuable first.

    Who left some weeks to some months ago, can be reached, has not refused, and has not asked for
    peace; customers are masked, and taken by `POST /v1/retention-cases`.
    """
    after = key_of(token, int, UUID) if token else None
    listed = await lists.win_back(
        read,
        grid_id,
        overseer,
        size=size,
        now=now,
        tier=tier,
        reason=reason,
        after=(after[0], after[1]) if after else None,
    )
    rows, last = cut(listed.rows, size)
    return WinBackPage(
        grid_id=grid_id,
        entries=[WinBackOut.of(row, listed.toolkit(row)) for row in rows],
        next_page_token=token_of(last.worth, last.customer_id) if last else None,
    )


@router.get("/renewals", operation_id="renewals_list")
async def renewals(
    overseer: Overseer,
    read: Read,
    now: Now,
    grid_id: GridId,
    tier: Tier | None = None,
    churn_class: ChurnClass | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> RenewalPage:
    """List a grid's customers whose contract ends soon, or ended lately, the best tier first.

    Customers are masked, and taken by `POST /v1/retention-cases`.
    """
    after = key_of(token, str, date, UUID) if token else None
    listed = await lists.renewal(
        read,
        grid_id,
        overseer,
        size=size,
        now=now,
        tier=tier,
        churn_class=churn_class,
        after=(after[0], after[1], after[2]) if after else None,
    )
    rows, last = cut(listed.rows, size)
    return RenewalPage(
        grid_id=grid_id,
        entries=[RenewalOut.of(row, listed.toolkit(row)) for row in rows],
        next_page_token=token_of(last.place, last.ends_on, last.customer_id) if last else None,
    )
