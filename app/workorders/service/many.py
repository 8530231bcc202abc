"""Steps of many orders at once, past the ORM: one statement for the orders, one for the events."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import Rows, new_id, put
from app.core.errors import plain
from app.workorders import rules
from app.workorders.rules import State, Step, UnplacedReason


class Moved(NamedTuple):
    """A step with one of many orders: where it stands, and where the step leads it.

    `holder_id` and `planned_day` (a local day) are for ASSIGN, `unplaced_reason` is for UNPLACE;
    `reason` is why, where not all of them have the same.
    """

    order_id: UUID
    came_from: State
    step: Step
    holder_id: UUID | None = None
    planned_day: date | None = None
    unplaced_reason: UnplacedReason | None = None
    facts: dict[str, Any] | None = None
    reason: str | None = None


_MOVE = text(
    """
    UPDATE work_order o SET state = given.state, unplaced_reason = given.unplaced_reason,
        holder_id = given.holder_id, planned_day = given.planned_day, tried_at = :now,
        version = o.version + 1
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
        CAST(:holders AS uuid[]), CAST(:days AS date[])
    ) AS given (id, state, unplaced_reason, holder_id, planned_day)
    WHERE o.id = given.id
    RETURNING o.id, o.version
    """
)


async def take_steps(
    tx: AsyncSession,
    moved: Sequence[Moved],
    *,
    now: datetime,
    account_id: UUID | None,
    reason: str | None = None,
) -> dict[UUID, int]:
    """Give many locked orders to people, or take them back; return their versions after it.

    What people's days hold is the caller's to change, in one call for all of them. Steps other than
    ASSIGN and UNPLACE are not for many. Raises StepRefused; then nothing is written.
    """
    if not moved:
        return {}
    states = [rules.move(one.came_from, one.step) for one in moved]
    rows = await tx.execute(
        _MOVE,
        {
            "ids": [one.order_id for one in moved],
            "states": [state.value for state in states],
            "reasons": [one.unplaced_reason and one.unplaced_reason.value for one in moved],
            "holders": [one.holder_id for one in moved],
            "days": [one.planned_day for one in moved],
            "now": now,
        },
    )
    versions = {row.id: row.version for row in rows}
    columns = ("state", "unplaced_reason", "tried_at", "holder_id", "planned_day")
    audit.note(tx, table="work_order", operation="update", ids=list(versions), columns=columns)
    await write_events(
        tx,
        [
            Happened(one.order_id, one.step, one.came_from, state, one.reason or reason, one.facts)
            for one, state in zip(moved, states, strict=True)
        ],
        now=now,
        account_id=account_id,
    )
    return versions


class Happened(NamedTuple):
    """What an event says of one of many orders."""

    order_id: UUID
    step: Step
    came_from: State
    went_to: State
    reason: str | None = None
    facts: dict[str, Any] | None = None


EVENT = "id work_order_id at account_id step from_state to_state reason facts"
"""The columns of an event that are written; the database fills in the rest."""


async def write_events(
    tx: AsyncSession, events: Iterable[Happened], *, now: datetime, account_id: UUID | None
) -> None:
    """Write events of many orders down; their states are whatever the caller has made them."""
    rows = [
        (
            new_id(),
            one.order_id,
            now,
            account_id,
            one.step.value,
            one.came_from.value,
            one.went_to.value,
            one.reason,
            orjson.dumps(plain(one.facts)).decode() if one.facts else None,
        )
        for one in events
    ]
    await put(tx, Rows("work_order_event", EVENT, rows))
