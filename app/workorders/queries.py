"""Reads of work orders that have a name, and the row locks under which an order changes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Row,
    Uuid,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal_column,
    select,
    table,
    text,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.clock import wall
from app.core.db import database_of, fetched
from app.core.errors import NotFound
from app.grids.rules import district_of
from app.workorders.models import ClockStop, WorkOrder, WorkOrderEvent
from app.workorders.rules import CLOSED, State, UnplacedReason
from app.worktypes.rules import WorkType

# An order that is not closed, in the words of the partial index, or PostgreSQL would not use it.
OPEN: ColumnElement[bool] = literal_column(
    "work_order.state NOT IN ('completed', 'archived', 'cancelled')", Boolean
)

# Since when an order `o` is under way as it is now, in seconds since 1970; null where it is not. A
# step within a visit (the service is restored) is no new arrival.
UNDER_WAY_SINCE = """(
    SELECT extract(epoch FROM e.at)::bigint FROM work_order_event e
    WHERE o.state IN ('en_route', 'on_site') AND e.work_order_id = o.id
        AND e.to_state = o.state AND e.from_state <> e.to_state
    ORDER BY e.id DESC LIMIT 1
)"""

# --- one order, to change it --------------------------------------------------------------------
#
# Under locks that let others write down what refers to an order: whoever decides what to offer at
# many doors does, while it holds those customers for whom a step of an order may wait.


async def for_change(tx: AsyncSession, order_id: UUID, caller: Caller | None = None) -> WorkOrder:
    """Take an order under its row lock until the transaction ends.

    Raises NotFound when it does not exist or lies outside the caller's subtree.
    """
    order = await tx.get(
        WorkOrder, order_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if order is None or not (caller is None or await _within(tx, order.org_unit_id, caller)):
        raise NotFound()
    return order


async def held_for_change(tx: AsyncSession, order_id: UUID, technician_id: UUID) -> WorkOrder:
    """Take a technician's own order under its row lock.

    Raises NotFound for an order that somebody else holds, as for one that does not exist.
    """
    order = await tx.scalar(
        select(WorkOrder)
        .where(WorkOrder.id == order_id, WorkOrder.holder_id == technician_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if order is None:
        raise NotFound()
    return order


async def all_for_change(
    tx: AsyncSession, *conditions: Any, limit: int | None = None, skip_locked: bool = False
) -> Sequence[WorkOrder]:
    """Take orders under their row locks, by id, so that two who want the same do not dead-lock.

    `skip_locked` passes over those that somebody else has locked; otherwise they are waited for.
    """
    found = await tx.scalars(
        select(WorkOrder)
        .where(*conditions)
        .order_by(WorkOrder.id)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=skip_locked)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def clock_stops(session: AsyncSession, order_ids: Collection[UUID]) -> Sequence[ClockStop]:
    """Read all stops of some orders' clocks, those made first first, also what was withdrawn."""
    found = await session.scalars(
        select(ClockStop)
        .where(ClockStop.work_order_id.in_(order_ids))
        .order_by(ClockStop.id)
        .execution_options(populate_existing=True)
    )
    return found.all()


# Tables of rooms above, whose rows can show why a clock stands still: named by table, as foreign
# keys are.
_SHOWING = {
    name: table(name, column("id", Uuid()), column("work_order_id", Uuid()))
    for name in ("visit", "evidence")
}


async def belongs_to(session: AsyncSession, name: str, row_id: UUID, order_id: UUID) -> bool:
    """Tell whether a row of a table that is to show something, such as a visit, is an order's."""
    shows = _SHOWING[name].c
    found = select(exists().where(shows.id == row_id, shows.work_order_id == order_id))
    return bool(await session.scalar(found))


# --- what a process remembers for a few seconds -------------------------------------------------

# Org units change rarely; a change is in force everywhere after so many seconds.
STALE_AFTER_SECONDS = 5.0

_zone = cache(ZoneInfo)


class Unit(NamedTuple):
    """An org unit as intake needs it."""

    id: UUID
    code: str
    path: str
    zone: ZoneInfo


class Units:
    """All org units, by id and by code."""

    def __init__(self, units: Collection[Unit]) -> None:
        self.by_id = {unit.id: unit for unit in units}
        self.by_code = {unit.code: unit for unit in units}

    def within(self, org_path: str) -> list[UUID]:
        """List the ids of a subtree, given by the path of its top."""
        return [unit.id for unit in self.by_id.values() if unit.path.startswith(org_path)]

    def in_reach(self, org_unit_id: UUID, org_path: str) -> Unit | None:
        """Return a unit, by id, if it lies in a subtree given by the path of its top."""
        unit = self.by_id.get(org_unit_id)
        return unit if unit is not None and unit.path.startswith(org_path) else None

    def may_move(self, order_unit_id: UUID, to_unit_id: UUID) -> bool:
        """Tell whether an order may go from one unit to another: within its district."""
        return self.by_id[to_unit_id].path.startswith(district_of(self.by_id[order_unit_id].path))


async def org_units(
    session: AsyncSession, *, ids: Collection[UUID] = (), codes: Collection[str] = ()
) -> Units:
    """Return the org units, read at most a few seconds ago by this process.

    They are read again at once when one of these ids or codes is not among them.
    """
    cache = database_of(session).cache
    held: tuple[datetime, Units] | None = cache.get("workorders.units")
    if held is not None and (wall() - held[0]).total_seconds() < STALE_AFTER_SECONDS:
        units = held[1]
        if units.by_id.keys() >= set(ids) and units.by_code.keys() >= set(codes):
            return units
    rows = await session.execute(select(OrgUnit.id, OrgUnit.code, OrgUnit.path, OrgUnit.time_zone))
    units = Units([Unit(row.id, row.code, row.path, _zone(row.time_zone)) for row in rows])
    cache["workorders.units"] = (wall(), units)
    return units


async def _within(session: AsyncSession, org_unit_id: UUID, caller: Caller) -> bool:
    units = await org_units(session, ids=[org_unit_id])
    return units.by_id[org_unit_id].path.startswith(caller.org_path)


# --- what intake asks ---------------------------------------------------------------------------


class Known(NamedTuple):
    """An order that is there already."""

    id: UUID
    source: str
    external_id: str
    content_hash: str
    org_unit_id: UUID


_KNOWN = """
    SELECT o.id, o.source, o.external_id, o.content_hash, o.org_unit_id
    FROM unnest(CAST(%(sources)s AS text[]), CAST(%(external_ids)s AS text[]))
        AS given (source, external_id)
    JOIN work_order o USING (source, external_id)
    UNION
    SELECT id, source, external_id, content_hash, org_unit_id FROM work_order
    WHERE id = ANY(CAST(%(ids)s AS uuid[]))
    """


async def known(
    tx: AsyncSession, names: Sequence[tuple[str, str]], ids: Sequence[UUID]
) -> list[Known]:
    """Find the orders of these sources and external ids, and those of these ids, in one look."""
    rows = await fetched(
        tx,
        _KNOWN,
        {
            "sources": [source for source, _ in names],
            "external_ids": [external_id for _, external_id in names],
            "ids": list(ids),
        },
    )
    return [Known(*row) for row in rows]


_CUSTOMERS = text(
    """
    SELECT c.id, c.code, NULL AS service_number, o.path, c.value_tier
    FROM customer c JOIN org_unit o ON o.id = c.org_unit_id
    WHERE c.code = ANY(CAST(:codes AS text[]))
    UNION ALL
    SELECT c.id, NULL, s.service_number, o.path, c.value_tier
    FROM subscription s
        JOIN customer c ON c.id = s.customer_id
        JOIN org_unit o ON o.id = c.org_unit_id
    WHERE s.service_number = ANY(CAST(:service_numbers AS text[]))
    """
)


class Named(NamedTuple):
    """A customer whom an order names, the path of the org unit they belong to, and their tier."""

    id: UUID
    org_path: str
    value_tier: str | None


async def customers_named(
    tx: AsyncSession, codes: Collection[str], service_numbers: Collection[str], org_path: str
) -> tuple[dict[str, Named], dict[str, Named]]:
    """Find customers of a subtree by their codes and by their services' numbers."""
    if not codes and not service_numbers:
        return {}, {}
    by_code: dict[str, Named] = {}
    by_number: dict[str, Named] = {}
    for row in await tx.execute(
        _CUSTOMERS, {"codes": list(codes), "service_numbers": list(service_numbers)}
    ):
        if not row.path.startswith(org_path):
            continue
        if row.code is not None:
            by_code[row.code] = Named(row.id, row.path, row.value_tier)
        else:
            by_number[row.service_number] = Named(row.id, row.path, row.value_tier)
    return by_code, by_number


# --- what is shown ------------------------------------------------------------------------------

# A table of a room above: named by table, as foreign keys are.
_pin = table("dispatch_pin", column("work_order_id", Uuid()))

_SHOWN = (
    *(
        each
        for each in WorkOrder.__table__.columns
        if each.name not in ("point", "content_hash", "created_at", "tried_at")
    ),
    func.ST_X(WorkOrder.point).label("lon"),
    func.ST_Y(WorkOrder.point).label("lat"),
    exists().where(_pin.c.work_order_id == WorkOrder.id).label("pinned"),
)


_ONE = select(*_SHOWN).where(WorkOrder.id == bindparam("order_id"))


async def one(session: AsyncSession, order_id: UUID, caller: Caller | None) -> Row[Any]:
    """Read an order's columns, and its point as WGS-84 `lon` and `lat`.

    Raises NotFound, also outside the caller's part of the organisation; None where it was looked
    at already that they hold the order or help with it, of whichever branch it is.
    """
    row = (await session.execute(_ONE, {"order_id": order_id})).one_or_none()
    if row is None or not (caller is None or await _within(session, row.org_unit_id, caller)):
        raise NotFound()
    return row


async def history(session: AsyncSession, order_id: UUID) -> Sequence[Row[Any]]:
    """Read an order's events, oldest first."""
    columns = [each for each in WorkOrderEvent.__table__.columns if each.name != "created_at"]
    found = await session.execute(
        select(*columns).where(WorkOrderEvent.work_order_id == order_id).order_by(WorkOrderEvent.id)
    )
    return found.all()


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    state: State | None = None,
    grid_id: UUID | None = None,
    holder_id: UUID | None = None,
    work_type: WorkType | None = None,
    unplaced_reason: UnplacedReason | None = None,
    due_before: datetime | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` orders of the caller's subtree, those last taken in first.

    `after` is the key (received_at, id) of the last row of the page before.
    """
    conditions = []
    if unplaced_reason is not None:
        state = state or State.UNPLACED
        conditions.append(WorkOrder.unplaced_reason == unplaced_reason)
    if state is not None:
        conditions.append(WorkOrder.state == literal_column(f"'{state.value}'"))
        if state not in CLOSED:
            conditions.append(OPEN)
    if work_type is not None:
        conditions.append(WorkOrder.work_type == work_type)
    if due_before is not None:
        conditions.append(WorkOrder.due_at < due_before)
    if after is not None:
        conditions.append(tuple_(WorkOrder.received_at, WorkOrder.id) < tuple_(*after))
    newest_first = (WorkOrder.received_at.desc(), WorkOrder.id.desc())
    units = (await org_units(session)).within(caller.org_path)
    if grid_id is not None or holder_id is not None:
        # A grid's or a person's orders are few; they have indexes of their own.
        if grid_id is not None:
            conditions.append(WorkOrder.grid_id == grid_id)
        if holder_id is not None:
            conditions.append(WorkOrder.holder_id == holder_id)
        conditions.append(WorkOrder.org_unit_id.in_(units))
        found = select(*_SHOWN).where(*conditions).order_by(*newest_first).limit(size + 1)
        return (await session.execute(found)).all()
    # One look into the index for each org unit, so that a page costs the same however long the
    # history is: PostgreSQL does not merge several units' parts of an index by itself.
    # An array of ids even where it is empty, as for a unit that was made a moment ago.
    unit = func.unnest(cast(units, ARRAY(Uuid))).table_valued("id").render_derived()
    ids = (
        select(WorkOrder.id.label("order_id"))
        .where(WorkOrder.org_unit_id == unit.c.id, *conditions)
        .order_by(*newest_first)
        .limit(size + 1)
        .correlate(unit)
        .lateral()
    )
    found = (
        select(*_SHOWN)
        .select_from(unit.join(ids, true()).join(WorkOrder, WorkOrder.id == ids.c.order_id))
        .order_by(*newest_first)
        .limit(size + 1)
    )
    return (await session.execute(found)).all()
