"""Doorways of an order's promise: how it stands, and its clock stopped and started by hand."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.workorders.clock_schemas import (
    ClockEndIn,
    ClockStopIn,
    ClockStopOut,
    ClockWithdrawIn,
    PromiseOut,
)
from app.workorders.routes import Reader
from app.workorders.service import by_hand

router = Router(prefix="/v1/work-orders", tags=["promises"])

# Whoever answers for orders, or the system that sent them.
Keeper = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="orders:intake")),
]


@router.get("/{order_id}/promise", operation_id="work_orders_promise")
async def promise(
    order_id: UUID, reader: Reader, read: Read, now: Now, lang: Language
) -> PromiseOut:
    """Say what was promised for an order, what stopped its clock, and how much time is left."""
    return PromiseOut.of(await by_hand.standing(read, order_id, reader, now=now), lang)


@router.post("/{order_id}/clock-stops", operation_id="work_orders_stop_clock", status_code=201)
async def stop(
    order_id: UUID, body: ClockStopIn, keeper: Keeper, tx: Tx, now: Now, lang: Language
) -> ClockStopOut:
    """Stop an order's clock for a cause that is shown; until when it is due moves with it.

    Which causes stop a clock, and what has to show them, is the operator's dated rule. Of a time
    that is covered by other stops only the rest is added.
    """
    made = await by_hand.stop(tx, order_id, keeper, body.stop(), now=now)
    return ClockStopOut.of(made, lang)


@router.post("/{order_id}/clock-stops/{stop_id}/end", operation_id="work_orders_start_clock")
async def end(
    order_id: UUID,
    stop_id: UUID,
    body: ClockEndIn,
    keeper: Keeper,
    tx: Tx,
    now: Now,
    lang: Language,
) -> ClockStopOut:
    """Let the clock run again; a stop that has ended already stays as it is."""
    ended = await by_hand.end(tx, order_id, stop_id, keeper, at=body.at or now, now=now)
    return ClockStopOut.of(ended, lang)


@router.post(
    "/{order_id}/clock-stops/{stop_id}/withdraw", operation_id="work_orders_withdraw_clock_stop"
)
async def withdraw(
    order_id: UUID,
    stop_id: UUID,
    body: ClockWithdrawIn,
    keeper: Keeper,
    tx: Tx,
    now: Now,
    lang: Language,
) -> ClockStopOut:
    """Take a stop back that was wrong; it stays to be seen and counts no more."""
    taken = await by_hand.withdraw(tx, order_id, stop_id, keeper, why=body.reason, now=now)
    return ClockStopOut.of(taken, lang)
