"""Doorways of the lifecycle: where a customer stands, what changed, counts, and churn cards."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import NotFound
from app.core.http import Day, Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.lifecycle import queries
from app.lifecycle.queries import cards as card_queries
from app.lifecycle.rules import CardSource, ChangeKind
from app.lifecycle.schemas import (
    CardOut,
    CardsOut,
    ChangePage,
    CountOut,
    CustomerChangeOut,
    LifecycleOut,
    NewCardIn,
    SummaryOut,
)
from app.lifecycle.service import cards

router = Router(prefix="/v1", tags=["customers"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:read"))]
Administrator = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]

MOST_COUNTS = 100_000
MOST_CARDS = 200


@router.get("/customers/{customer_id}/lifecycle", operation_id="lifecycle_of_customer")
async def of_customer(
    customer_id: UUID, reader: Reader, read: Read, language: Language
) -> LifecycleOut:
    """Tell where a customer stands and how that came to be: nothing of it names the customer.

    A customer who was never looked at, because they are new today, is answered with 404.
    """
    await queries.customer(read, reader, customer_id)
    known = await queries.of(read, customer_id)
    if known is None:
        raise NotFound()
    history = await queries.history(read, customer_id)
    return LifecycleOut.of(known, await queries.versions(read), history, language)


@router.get("/lifecycle/changes", operation_id="lifecycle_changes")
async def changes(
    reader: Reader,
    read: Read,
    kind: ChangeKind | None = None,
    warns: Annotated[bool | None, Query(description="Those alone that call for care.")] = None,
    grid_id: Annotated[UUID | None, Query(description="Customers served in this grid.")] = None,
    day: Annotated[Day | None, Query(description="A local day of the caller's unit.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> ChangePage:
    """List what changed about the customers of the caller's part of the organisation."""
    since = until = None
    if day is not None:
        zone = ZoneInfo(await queries.zone_of(read, reader.org_unit_id))
        since, until = (
            datetime.combine(day + timedelta(days=nth), time(), zone).astimezone(UTC)
            for nth in (0, 1)
        )
    found = await queries.changes(
        read,
        reader,
        size=size,
        since=since,
        until=until,
        kind=kind,
        grid_id=grid_id,
        warns=warns,
        after=key_of(token, datetime, UUID) if token else None,
    )
    rows, last = cut(found, size)
    return ChangePage(
        changes=[CustomerChangeOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )


@router.get("/lifecycle/summary", operation_id="lifecycle_summary")
async def summary(reader: Reader, read: Read) -> SummaryOut:
    """Count the customers of each org unit by stage, tier and class of risk."""
    found = await queries.summary(read, reader.org_path, most=MOST_COUNTS)
    return SummaryOut(counts=[CountOut.model_validate(each) for each in found])


@router.get("/churn-cards", operation_id="churn_cards_list")
async def listed(administrator: Administrator, read: Read, now: Now) -> CardsOut:
    """List the versions of the churn card."""
    zone = ZoneInfo(await queries.zone_of(read, administrator.org_unit_id))
    current = await queries.in_force(read, now.astimezone(zone).date())
    found = await card_queries.listed(read, most=MOST_CARDS)
    return CardsOut(
        in_force=current and current.version, cards=[CardOut.of(card) for card in found]
    )


@router.post("/churn-cards", operation_id="churn_cards_add", status_code=status.HTTP_201_CREATED)
async def add(body: NewCardIn, administrator: Administrator, tx: Tx) -> CardOut:
    """Add a version of the churn card; the next night goes by it. The same again is the same."""
    made = await cards.add(
        tx,
        body.version,
        body.card(),
        valid_from=body.valid_from,
        source=CardSource.HAND,
        set_by=administrator.account_id,
    )
    return CardOut.of(made)
