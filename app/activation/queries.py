"""Reads and locks of activations and of orders that go without one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.activation.models import STILL_OPEN, Activation, ActivationOverride
from app.activation.rules import ActivationState, OverrideCause, line_after
from app.auth.callers import Caller, subtree
from app.auth.rules import Role
from app.core.db import fetched
from app.core.errors import NotFound
from app.customers.models import Subscription
from app.technicians.models import Technician
from app.workorders.models import WorkOrder
from app.worktypes.rules import Line


async def line_of(tx: AsyncSession, work_order_id: UUID) -> Line:
    """Say how far the activation of an order's line has come, in all of its visits."""
    await tx.flush()
    rows = await fetched(tx, _LINE, {"work_order_id": work_order_id})
    return line_after(
        (ActivationState(row[0]) for row in rows if row[0] is not None),
        overridden=any(row[1] for row in rows),
    )


_LINE = """
    SELECT
        (
            SELECT state FROM activation WHERE work_order_id = %(work_order_id)s
            ORDER BY asked_at DESC, id DESC LIMIT 1
        ),
        EXISTS (SELECT FROM activation_override WHERE work_order_id = %(work_order_id)s)
"""


async def for_change(tx: AsyncSession, activation_id: UUID) -> Activation | None:
    """Lock an activation until the transaction ends."""
    return (await tx.scalars(_FOR_CHANGE, {"activation_id": activation_id})).one_or_none()


_FOR_CHANGE = (
    select(Activation)
    .where(Activation.id == bindparam("activation_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


async def open_of(tx: AsyncSession, work_order_id: UUID) -> Activation | None:
    """Lock the activation of an order that has not ended; at most one has not."""
    return (
        await tx.scalars(
            select(Activation)
            .where(Activation.work_order_id == work_order_id, STILL_OPEN)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one_or_none()


async def due(session: AsyncSession, limit: int) -> Sequence[UUID]:
    """List activations that have something to do now, longest due first."""
    return (await session.scalars(_DUE, {"limit": limit})).all()


_DUE = (
    select(Activation.id)
    # Of the statement and not of the moment, or no index could serve.
    .where(STILL_OPEN, Activation.next_try_at <= func.statement_timestamp())
    .order_by(Activation.next_try_at)
    .limit(bindparam("limit"))
)


class Held(NamedTuple):
    """What a customer pays for on a line, as far as it is known."""

    offering_code: str | None
    speed_mbps: int | None


async def held_on(session: AsyncSession, service_number: str | None) -> Held:
    """Find what is held under a service number."""
    if not service_number:
        return Held(None, None)
    found = (
        await session.execute(
            select(Subscription.offering_code, Subscription.speed_mbps).where(
                Subscription.service_number == service_number, Subscription.ended_on.is_(None)
            )
        )
    ).one_or_none()
    return Held(*found) if found else Held(None, None)


def _seen_by(caller: Caller) -> Any:
    """Make the condition that a caller may see an activation: who asked or holds the order now."""
    if caller.role is not Role.TECHNICIAN:
        return subtree(Activation.org_unit_id, caller)
    holds = exists().where(
        WorkOrder.id == Activation.work_order_id, WorkOrder.holder_id == caller.technician_id
    )
    return or_(Activation.technician_id == caller.technician_id, holds)


async def one(session: AsyncSession, activation_id: UUID, caller: Caller) -> Activation:
    """Find an activation that a caller may see. Raises NotFound."""
    found = (
        await session.scalars(
            select(Activation)
            .where(Activation.id == activation_id, _seen_by(caller))
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if found is None:
        raise NotFound()
    return found


async def of_order(
    session: AsyncSession, work_order_id: UUID, caller: Caller
) -> Sequence[Activation]:
    """List the last twenty activations of an order that a caller may see, newest first."""
    return (
        await session.scalars(
            select(Activation)
            .where(Activation.work_order_id == work_order_id, _seen_by(caller))
            .order_by(Activation.asked_at.desc(), Activation.id.desc())
            .limit(20)
        )
    ).all()


class Overridden(NamedTuple):
    """An order that goes without; `active_by_now` tells if the line was opened all the same."""

    made: ActivationOverride
    external_id: str
    technician_name: str
    active_by_now: bool


async def overrides(
    session: AsyncSession,
    caller: Caller,
    *,
    cause: OverrideCause | None,
    size: int,
    after: tuple[datetime, UUID] | None,
) -> Sequence[Overridden]:
    """List orders that go without activation, newest first; one more than `size` at most."""
    active = exists().where(
        Activation.work_order_id == ActivationOverride.work_order_id,
        Activation.state == ActivationState.PROVISIONED,
    )
    statement = (
        select(
            ActivationOverride,
            WorkOrder.external_id,
            Technician.name.label("technician_name"),
            active.label("active_by_now"),
        )
        .join(WorkOrder, WorkOrder.id == ActivationOverride.work_order_id)
        .join(Technician, Technician.id == ActivationOverride.technician_id)
        .where(subtree(ActivationOverride.org_unit_id, caller))
    )
    if cause is not None:
        statement = statement.where(ActivationOverride.cause == cause)
    if after is not None:
        statement = statement.where(
            tuple_(ActivationOverride.at, ActivationOverride.id) < tuple_(*after)
        )
    order = (ActivationOverride.at.desc(), ActivationOverride.id.desc())
    rows = await session.execute(statement.order_by(*order).limit(size + 1))
    return [Overridden._make(row) for row in rows]
