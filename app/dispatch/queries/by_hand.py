"""Reads and locks of what supervisors do by hand: pins, orders to be moved, and moves made."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.dispatch.models import BulkMove, DispatchPin
from app.dispatch.rules.moves import Found, Selection
from app.dispatch.rules.routes import NEVER, Stop
from app.travel.rules import Place
from app.workorders.rules import State, UnplacedReason


async def pin_of(session: AsyncSession, order_id: UUID) -> DispatchPin | None:
    """Read who pinned an order to its holder, if anybody has."""
    return await session.scalar(
        select(DispatchPin)
        .where(DispatchPin.work_order_id == order_id)
        .execution_options(populate_existing=True)
    )


async def pins_of(session: AsyncSession, order_ids: Collection[UUID]) -> dict[UUID, DispatchPin]:
    """Read the pins of those of these orders that have one."""
    found = await session.scalars(
        select(DispatchPin)
        .where(DispatchPin.work_order_id.in_(order_ids))
        .execution_options(populate_existing=True)
    )
    return {pin.work_order_id: pin for pin in found}


# --- orders to be moved ---------------------------------------------------------------------------


_COLUMNS = """
    SELECT o.id, o.external_id, o.grid_id, g.kind, o.version, o.state, o.unplaced_reason,
        o.holder_id, o.planned_day, o.estimated_minutes, o.skills, o.terminals,
        o.priority,
        ST_X(o.point) AS lon, ST_Y(o.point) AS lat, o.appointment_from, o.appointment_until,
        o.due_at
    FROM work_order o JOIN org_unit u ON u.id = o.org_unit_id LEFT JOIN grid g ON g.id = o.grid_id
"""
# In the order of their ids, so that two who want the same do not dead-lock. The states stand in it
# as words, so that the partial indexes will do.
_CHOICES = {
    "ids": "o.id = ANY(CAST(:ids AS uuid[]))",
    "person": "o.holder_id = :technician_id"
    " AND (o.planned_day = :day OR (:carried AND o.planned_day < :day))"
    " AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')",
    "grid": "o.grid_id = :grid_id"
    " AND (CAST(:day AS date) IS NULL OR o.planned_day = :day)"
    " AND o.state NOT IN ('completed', 'archived', 'cancelled')",
}
_STATEMENTS = {
    (choice, locking): text(
        f"{_COLUMNS} WHERE {where} AND starts_with(u.path, :org_path) ORDER BY o.id LIMIT :size"
        + (" FOR NO KEY UPDATE OF o" if locking else "")
    )
    for choice, where in _CHOICES.items()
    for locking in (False, True)
}


async def orders_to_move(
    session: AsyncSession,
    caller: Caller,
    chosen: Collection[UUID] | Selection,
    *,
    size: int,
    locking: bool,
) -> list[Found]:
    """Read orders of the caller's subtree by their ids or by where they are, at most so many.

    `locking` keeps their rows until the transaction ends.
    """
    if isinstance(chosen, Selection):
        which = "person" if chosen.technician_id is not None else "grid"
        given = chosen._asdict()
    else:
        which, given = "ids", {"ids": list(chosen)}
    rows = await session.execute(
        _STATEMENTS[which, locking], {**given, "org_path": caller.org_path, "size": size}
    )
    return [_found(row) for row in rows]


def _found(row: Row[Any]) -> Found:
    window = None
    if row.appointment_from is not None and row.appointment_until is not None:
        window = (row.appointment_from, row.appointment_until)
    return Found(
        id=row.id,
        external_id=row.external_id,
        grid_id=row.grid_id,
        version=row.version,
        state=State(row.state),
        unplaced_reason=UnplacedReason(row.unplaced_reason) if row.unplaced_reason else None,
        holder_id=row.holder_id,
        planned_day=row.planned_day,
        minutes=row.estimated_minutes,
        skills=frozenset(row.skills),
        terminals=tuple(row.terminals),
        window=window,
        stop=Stop(
            row.id,
            Place.of(row.lon, row.lat, row.grid_id, row.kind),
            row.estimated_minutes * 60,
            int(window[0].timestamp()) if window else 0,
            int(window[1].timestamp()) if window else NEVER,
            int(row.due_at.timestamp()) if row.due_at else NEVER,
            row.priority,
        ),
    )


# --- moves that were made -------------------------------------------------------------------------


async def move(session: AsyncSession, move_id: UUID, caller: Caller) -> BulkMove:
    """Read a command of the caller's subtree that moved orders. Raises NotFound."""
    found = await session.scalar(
        select(BulkMove).where(BulkMove.id == move_id, subtree(BulkMove.org_unit_id, caller))
    )
    if found is None:
        raise NotFound()
    return found


async def undone_by(session: AsyncSession, move_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Say which of these commands were undone, and by which."""
    rows = await session.execute(
        select(BulkMove.undoes, BulkMove.id).where(BulkMove.undoes.in_(move_ids))
    )
    return {row.undoes: row.id for row in rows}


async def moves_of(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[BulkMove]:
    """Read up to `size + 1` commands of the caller's own, the newest first.

    `after` is the key (at, id) of the last one of the page before.
    """
    statement = select(BulkMove).where(BulkMove.account_id == caller.account_id)
    if after is not None:
        statement = statement.where(tuple_(BulkMove.at, BulkMove.id) < tuple_(*after))
    newest = (BulkMove.at.desc(), BulkMove.id.desc())
    return (await session.scalars(statement.order_by(*newest).limit(size + 1))).all()
