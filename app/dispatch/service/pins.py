"""Pins: an order that a person gave to somebody stays with them until a person says otherwise.

A pin ends with whatever moves or closes its order (a trigger of the database sees to that); what is
here makes pins, and releases those whose orders stay where they are.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.dispatch import queries, rules
from app.dispatch.models import DispatchPin
from app.workorders import queries as workorders
from app.workorders.rules import State, Step
from app.workorders.service import Happened, write_events


class Pinned(NamedTuple):
    """An order to be pinned to whoever holds it, on the local day on which it is planned: since
    when, by which account and why."""

    order_id: UUID
    technician_id: UUID
    day: date
    at: datetime
    account_id: UUID | None
    reason: str


_PIN = text(
    """
    INSERT INTO dispatch_pin AS known (work_order_id, technician_id, day, at, account_id, reason)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:technician_ids AS uuid[]), CAST(:days AS date[]),
        CAST(:ats AS timestamptz[]), CAST(:account_ids AS uuid[]), CAST(:reasons AS text[])
    ) AS given (id, technician_id, day, at, account_id, reason)
    ON CONFLICT (work_order_id) DO UPDATE SET (technician_id, day, at, account_id, reason) = (
        excluded.technician_id, excluded.day, excluded.at, excluded.account_id, excluded.reason
    )
    """
)


async def pin_all(tx: AsyncSession, pins: Sequence[Pinned]) -> None:
    """Pin orders that the transaction holds locked and has given to these people already."""
    if not pins:
        return
    await tx.execute(
        _PIN,
        {
            "ids": [one.order_id for one in pins],
            "technician_ids": [one.technician_id for one in pins],
            "days": [one.day for one in pins],
            "ats": [one.at for one in pins],
            "account_ids": [one.account_id for one in pins],
            "reasons": [one.reason for one in pins],
        },
    )
    ids = [one.order_id for one in pins]
    audit.note(tx, table="dispatch_pin", operation="pinned", ids=ids)


async def pin(
    tx: AsyncSession, order_id: UUID, caller: Caller, *, reason: str, now: datetime
) -> DispatchPin:
    """Pin an order to its holder on its day; once more, the reason is the new one.

    Raises NotFound, or NothingToPin when nobody holds it.
    """
    order = await workorders.for_change(tx, order_id, caller)
    rules.check_may_pin(order.state)
    assert order.holder_id is not None and order.planned_day is not None
    pinned = Pinned(order.id, order.holder_id, order.planned_day, now, caller.account_id, reason)
    await pin_all(tx, [pinned])
    facts = {"technician_id": order.holder_id, "planned_day": order.planned_day}
    event = Happened(order.id, Step.PIN, order.state, order.state, reason, facts)
    await write_events(tx, [event], now=now, account_id=caller.account_id)
    found = await queries.pin_of(tx, order_id)
    assert found is not None
    return found


async def unpin(
    tx: AsyncSession, order_id: UUID, caller: Caller, *, reason: str | None, now: datetime
) -> None:
    """Release an order's pin; it stays with its holder. Without a pin nothing changes.

    Raises NotFound.
    """
    await workorders.for_change(tx, order_id, caller)
    await release(tx, [order_id], reason=reason, now=now, account_id=caller.account_id)


_RELEASE = text(
    """
    DELETE FROM dispatch_pin p USING work_order o
    WHERE o.id = p.work_order_id AND p.work_order_id = ANY(CAST(:ids AS uuid[]))
    RETURNING o.id, o.state, p.technician_id, p.day
    """
)


async def release(
    tx: AsyncSession,
    order_ids: Collection[UUID],
    *,
    reason: str | None,
    now: datetime,
    account_id: UUID | None = None,
) -> set[UUID]:
    """Release the pins of orders that the transaction holds locked, and let their histories say so.

    For whoever has to move pinned orders for a cause that outweighs the pin, as when its person has
    fallen ill: release first, then move. Returns which had one.
    """
    if not order_ids:
        return set()
    rows = (await tx.execute(_RELEASE, {"ids": list(order_ids)})).all()
    events = [
        Happened(
            row.id,
            Step.UNPIN,
            State(row.state),
            State(row.state),
            reason,
            {"technician_id": row.technician_id, "planned_day": row.day},
        )
        for row in rows
    ]
    if events:
        ids = [row.id for row in rows]
        audit.note(tx, table="dispatch_pin", operation="released", ids=ids)
        await write_events(tx, events, now=now, account_id=account_id)
    return {row.id for row in rows}
