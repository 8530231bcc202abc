"""Doorways of deliveries for supervisors: what failed and why, and what is done about it."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from app.auth import audit
from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Database, Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.core.settings import Settings
from app.ordering import service, troubles
from app.ordering.courier.reaching import client_of
from app.ordering.delivery import GiveUpReason, SyncState
from app.ordering.order import RemoteOrder
from app.ordering.rules import Cause, RemoteState
from app.ordering.schemas import (
    CorrectionIn,
    GiveUpIn,
    JudgeIn,
    OrderBodyOut,
    OrderSyncOut,
    OrderSyncPage,
    OrderSyncStory,
    OrderSyncSummary,
    RetryManyIn,
    RetryManyOut,
)

router = Router(prefix="/v1", tags=["ordering"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:read"))]
Resolver = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:resolve"))]


@router.get("/order-syncs", operation_id="order_syncs_list")
async def listed(
    reader: Reader,
    read: Read,
    now: Now,
    lang: Language,
    state: SyncState | None = None,
    remote_state: RemoteState | None = None,
    failed: Annotated[
        bool,
        Query(
            description="Only those that failed and have not arrived, or whose end somebody has to"
            " judge."
        ),
    ] = False,
    for_a_person: Annotated[
        bool, Query(description="Only those of them that do not go on by themselves.")
    ] = False,
    cause: Cause | None = None,
    org_unit_id: UUID | None = None,
    stands_too_long: Annotated[
        bool,
        Query(
            description="Only those that the ordering system keeps held or pending for longer than"
            " `ordering.alert_still_hours`."
        ),
    ] = False,
    size: PageSize = 50,
    token: PageToken = None,
) -> OrderSyncPage:
    """List deliveries, newest first; `for_a_person=true` are those that wait for one."""
    too_long = None
    if stands_too_long:
        numbers = await parameters_in_force(read)
        limits = await troubles.still_limits(read, numbers, now, reader.org_path)
        too_long = {unit: most for unit, (_, most) in limits.items()}
    found = await troubles.page(
        read,
        reader,
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        state=state,
        remote_state=remote_state,
        failed=failed,
        for_a_person=for_a_person,
        cause=cause,
        org_unit_id=org_unit_id,
        too_long=too_long,
    )
    rows, last = cut(found, size)
    return OrderSyncPage(
        order_syncs=[OrderSyncOut.of(row, lang) for row in rows],
        next_page_token=token_of(last.created_at, last.id) if last else None,
    )


@router.get("/order-syncs/summary", operation_id="order_syncs_summary")
async def summary(reader: Reader, read: Read, lang: Language) -> OrderSyncSummary:
    """Count what failed, by state and cause, and the orders that stand still over there, by the
    ordering system's state; the most frequent first."""
    found = await troubles.summary(read, reader.org_path)
    stuck = await troubles.standstills(read, reader.org_path)
    return OrderSyncSummary.of(found, stuck, lang)


@router.post("/order-syncs/retry", operation_id="order_syncs_retry_many")
async def retry_many(body: RetryManyIn, resolver: Resolver, tx: Tx) -> RetryManyOut:
    """Take the parked deliveries of one cause up again; each is looked for before it is sent."""
    taken_up, left = await service.retry_many(
        tx, resolver, cause=body.cause, org_unit_id=body.org_unit_id, most=body.most
    )
    return RetryManyOut(taken_up=taken_up, left=left)


@router.get("/order-syncs/{sync_id}", operation_id="order_syncs_one")
async def one(sync_id: UUID, reader: Reader, read: Read, lang: Language) -> OrderSyncStory:
    """Read one delivery: what was sent, each attempt that failed, corrections and callbacks."""
    return OrderSyncStory.whole(await troubles.story(read, sync_id, reader), lang)


@router.get("/order-syncs/{sync_id}/body", operation_id="order_syncs_body")
async def body(sync_id: UUID, resolver: Resolver, tx: Tx) -> OrderBodyOut:
    """Read what was sent word for word, with the customer's name and address; it is audited."""
    sync, customer_id = await troubles.with_customer(tx, sync_id, resolver)
    audit.unmasked(
        tx,
        resolver,
        subject_kind="customer",
        subject_id=customer_id,
        purpose=f"order_sync:{sync.id}",
        fields=("name", "standard_address", "note"),
    )
    return OrderBodyOut(body=sync.body)


@router.post("/order-syncs/{sync_id}/retry", operation_id="order_syncs_retry")
async def retry(sync_id: UUID, resolver: Resolver, tx: Tx, lang: Language) -> OrderSyncOut:
    """Take a parked delivery up again; the order is looked for before anything is sent."""
    return OrderSyncOut.of(await service.retry(tx, sync_id, resolver), lang)


@router.post("/order-syncs/{sync_id}/correct", operation_id="order_syncs_correct")
async def correct(
    sync_id: UUID, body: CorrectionIn, resolver: Resolver, tx: Tx, now: Now, lang: Language
) -> OrderSyncOut:
    """Correct what is sent and take the delivery up again; the sale stays as it was agreed."""
    sync = await service.correct(
        tx,
        sync_id,
        resolver,
        correction_id=body.id,
        values=body.values(),
        reason=body.reason,
        now=now,
    )
    return OrderSyncOut.of(sync, lang)


@dataclass(frozen=True)
class _Decision:
    """That a delivery is given up and why, with the order that was entered by hand, if any."""

    reason: GiveUpReason
    note: str | None
    order: RemoteOrder | None


async def _decision(
    sync_id: UUID, body: GiveUpIn, resolver: Resolver, request: Request
) -> _Decision:
    """Look up the order that was entered by hand, before the request's transaction begins."""
    settings: Settings = request.app.state.settings
    asks = settings.ordering_url and body.remote_id is not None
    # It is asked for so seldom that nothing is kept between two questions.
    database: Database = request.app.state.database
    async with client_of(settings, database) if asks else nullcontext() as client:
        order = await service.look_up_entered(
            database,
            client,
            sync_id,
            resolver,
            reason=body.reason,
            remote_id=body.remote_id,
        )
    return _Decision(body.reason, body.note, order)


@router.post("/order-syncs/{sync_id}/give-up", operation_id="order_syncs_give_up")
async def give_up(
    sync_id: UUID,
    resolver: Resolver,
    decision: Annotated[_Decision, Depends(_decision)],
    tx: Tx,
    now: Now,
    lang: Language,
) -> OrderSyncOut:
    """Decide that a parked delivery is not delivered: its sale is cancelled for that reason, by the
    ordering system where that has the order. An order that was `entered_by_hand` is looked up there
    and becomes that of the sale, which goes on with it."""
    sync = await service.give_up(tx, sync_id, resolver, now=now, **vars(decision))
    return OrderSyncOut.of(sync, lang)


@router.post("/order-syncs/{sync_id}/judge", operation_id="order_syncs_judge")
async def judge(
    sync_id: UUID, body: JudgeIn, resolver: Resolver, tx: Tx, now: Now, lang: Language
) -> OrderSyncOut:
    """Say as what an order counts that ended in part, in two ways, or though it was given up; its
    sale follows."""
    sync = await service.judge_end(
        tx, sync_id, resolver, ended_as=body.ended_as, missing=body.missing, now=now
    )
    return OrderSyncOut.of(sync, lang)
