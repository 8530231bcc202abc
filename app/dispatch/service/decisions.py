"""Decisions of placing: the steps they ask for, and how they are written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Rows, new_id, put
from app.dispatch.rules import Choice
from app.workorders.models import WorkOrder
from app.workorders.rules import Step, UnplacedReason
from app.workorders.service import take_step

# A decision names so many of those passed over; a crowd would only hide the reason.
NAMED = 12


def written(choice: Choice, displaced_by: UUID | None = None) -> list[dict[str, Any]]:
    """Write who was considered in the short form in which decisions are kept."""
    entries: list[dict[str, Any]] = []
    more = choice.more
    for candidate, why, cost in choice.tried:
        if why is not None and len(entries) >= NAMED:
            more += 1
            continue
        entry: dict[str, Any] = {"t": candidate.technician_id, "k": candidate.kind}
        if candidate.distance_m:
            entry["m"] = round(candidate.distance_m)
        else:
            entry["r"] = candidate.rank
        if why is not None:
            entry["w"] = why
        if cost is not None:
            entry["c"] = [*cost[:4], cost.repeat] if cost.repeat else cost[:4]
        entries.append(entry)
    if more:
        entries.append({"n": more})
    if choice.displaced is not None:
        entries.append({"d": choice.displaced.order_id})
    if displaced_by is not None:
        entries.append({"b": displaced_by})
    return entries


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision to be written down."""

    order_id: UUID
    grid_id: UUID | None
    choice: Choice | None
    reason: str
    note: str | None = None
    displaced_by: UUID | None = None


async def carry_out(
    tx: AsyncSession,
    order: WorkOrder,
    choice: Choice | None,
    reason: UnplacedReason | None,
    *,
    now: datetime,
    facts: Mapping[str, Any],
    account_id: UUID | None = None,
    displaced_by: UUID | None = None,
) -> Decided:
    """Let a locked order take the step of a choice, or of the `reason` why there is none.

    The minutes of whoever gets it are promised already, and given free of whom it is taken from
    where it is `displaced_by` another.
    """
    who, day = (choice.candidate, choice.day) if choice else (None, None)
    if who is not None:
        why = who.kind.value
        facts = {"technician_id": str(who.technician_id), "planned_day": str(day), **facts}
    else:
        assert reason is not None
        why = reason.value
    await take_step(
        tx,
        order,
        Step.ASSIGN if who else Step.UNPLACE,
        now=now,
        account_id=account_id,
        reason=why,
        facts=dict(facts) or None,
        holder_id=who.technician_id if who else None,
        planned_day=day,
        unplaced_reason=None if who else reason,
        minutes_promised=True,
        minutes_released=displaced_by is not None,
    )
    return Decided(order.id, order.grid_id, choice, why, displaced_by=displaced_by)


_DECISION = (
    "id work_order_id at grid_id technician_id planned_day reason note account_id candidates"
)


async def write_decisions(
    tx: AsyncSession,
    decided: Sequence[Decided],
    *,
    at: datetime,
    account_id: UUID | None = None,
) -> None:
    """Write decisions down; the newest of an order is the one in force."""
    if not decided:
        return
    rows = []
    for one in decided:
        choice = one.choice
        candidate = choice.candidate if choice else None
        rows.append(
            (
                new_id(),
                one.order_id,
                at,
                one.grid_id,
                candidate.technician_id if candidate else None,
                choice.day if choice else None,
                one.reason,
                one.note,
                account_id,
                orjson.dumps(written(choice, one.displaced_by) if choice else []).decode(),
            )
        )
    await put(tx, Rows("dispatch_decision", _DECISION, rows))
