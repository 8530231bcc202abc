"""What lies in grids follows the map: open orders at once, addresses in batches by a queue.

An address waits in the queue until the transaction that finds its grid commits; so whoever dies in
the middle leaves what is left to others, and any number may work at once.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import jobs
from app.core.clock import Clock, wall
from app.core.db import Database
from app.core.i18n import Words
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter
from app.grids import locating
from app.grids.index import Found, GridIndex, Located
from app.grids.models import GridChange
from app.grids.rules import NEAR_BORDER, Where
from app.territory.queries import orders as open_orders
from app.territory.queries import relocation as queries
from app.territory.queries.orders import still
from app.territory.queries.relocation import Addresses
from app.territory.rules.orders import WITHOUT_PLACE, Move, move_of
from app.workorders import queries as workorders
from app.workorders import whereabouts
from app.workorders.queries import Units
from app.workorders.service import lie_in

RELOCATION_BATCH = Parameter(
    name="grids.relocation_batch",
    default=20_000,
    unit="addresses",
    words=Words(
        zh="每批重新定位的地址数；不超过一批的变更当场完成",
        en="Addresses located anew at a time; a change with no more is done at once",
    ),
    least=1,
    most=200_000,
)
# Transactions at work side by side: while one computes, the database works for the other.
LANES = 2
# Orders that a transaction of the worker moves at most.
ORDERS = 500

FIRST = UUID(int=0)


# --- addresses ------------------------------------------------------------------------------------


async def located(index: GridIndex, addresses: Addresses, *, near_m: float) -> Found:
    """Find the grids of addresses; in a thread, so that others of the process get their turn."""
    return await asyncio.to_thread(
        index.locate, addresses.lons, addresses.lats, near_m=near_m, where=addresses.where
    )


async def near_metres(session: AsyncSession, now: datetime) -> float:
    """Read how close to a border is near."""
    return (await parameters_in_force(session)).number(NEAR_BORDER, now)


async def batch_size(session: AsyncSession, now: datetime) -> int:
    """Read how many addresses a batch has."""
    return (await parameters_in_force(session)).whole(RELOCATION_BATCH, now)


async def locate_batch(tx: AsyncSession, *, after: UUID, now: datetime) -> Addresses:
    """Find the grids of a batch of the queue, by id behind `after`; return what was located.

    Nobody changes the map until the transaction ends.
    """
    index = await locating.for_keeps(tx)
    size = await batch_size(tx, now)
    addresses = await queries.take(tx, after=after, size=size, told=bool(index.lists))
    if addresses.number:
        found = await located(index, addresses, near_m=await near_metres(tx, now))
        await queries.write(tx, addresses, found)
    return addresses


async def queue_addresses(tx: AsyncSession, change_id: UUID, *, now: datetime) -> int:
    """Queue the addresses that a change may concern, unless that is done; tell how many.

    It locks nothing that others wait for, so it may take its time.
    """
    if await queries.begun(tx, change_id):
        return 0
    await tx.execute(_NO_TIME_LIMIT)
    count = await queries.queue_for(tx, change_id, near_m=await near_metres(tx, now))
    await queries.begin(tx, change_id, count, at=wall())
    return count


_NO_TIME_LIMIT = text("SET LOCAL statement_timeout = 0")


@dataclass
class Relocation:
    """Lets what lies in grids follow the map, in transactions of its own.

    `done` hears of each batch of addresses.
    """

    database: Database
    clock: Clock
    action: str
    done: Callable[[int], None] = field(default=lambda count: None)

    async def follow(self, change_id: UUID) -> None:
        """Move the open orders that a change concerns, and queue the addresses."""
        after: UUID | None = FIRST
        while after is not None:
            async with self.database.begin() as tx:
                audit.acting(tx, self.action)
                after = await follow(tx, change_id, after=after, now=self.clock.now())
        async with self.database.begin() as tx:
            audit.acting(tx, self.action)
            await queue_addresses(tx, change_id, now=self.clock.now())

    async def run(self) -> int:
        """Locate until nothing is left that nobody else is at work on; tell how many it were."""
        async with self.database.read() as read:
            if not await queries.any_left(read):
                return 0
        count = sum(await asyncio.gather(*(self._lane() for _ in range(LANES))))
        async with self.database.begin() as tx:
            audit.acting(tx, self.action)
            await queries.finish(tx, at=wall())
        return count

    async def _lane(self) -> int:
        total, after = 0, FIRST
        while True:
            async with self.database.begin() as tx:
                audit.acting(tx, self.action)
                batch = await locate_batch(tx, after=after, now=self.clock.now())
            if batch.last is not None:
                total, after = total + batch.number, batch.last
                self.done(batch.number)
            elif after == FIRST:
                return total
            else:  # once more from the beginning: new ones may have come
                after = FIRST


# --- open orders ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Misplaced:
    """An open order beside where the map says it lies; `there` is None outside of its district."""

    row: Row[Any]
    there: UUID | None
    near_border: bool
    move: Move

    @property
    def changes(self) -> bool:
        """Whether anything of the order is to be written."""
        near = self.row.grid_id is not None and self.row.near_border != self.near_border
        return self.move is not Move.STAYS or near


async def misplaced(
    session: AsyncSession, index: GridIndex, rows: Sequence[Row[Any]], *, near_m: float
) -> list[Misplaced]:
    """Compare open orders with a map, and say of each what becomes of it."""
    units = await workorders.org_units(
        session,
        ids={row.org_unit_id for row in rows} | {one.org_unit_id for one in index.territories},
    )
    where: list[Where | None] | None = None
    if index.lists:
        told = await whereabouts.of_orders(session, [row.id for row in rows])
        where = await whereabouts.as_listed(session, index.lists, [told[row.id] for row in rows])
    points = [
        (None, None) if row.unplaced_reason in WITHOUT_PLACE else (row.lon, row.lat) for row in rows
    ]
    found = await asyncio.to_thread(
        index.locate,
        [lon for lon, _ in points],
        [lat for _, lat in points],
        near_m=near_m,
        where=where,
    )
    return [
        _compared(row, place, index, units) for row, place in zip(rows, found.places(), strict=True)
    ]


def _compared(row: Row[Any], place: Located, index: GridIndex, units: Units) -> Misplaced:
    there = place.grid_id
    if there is not None and not units.may_move(
        row.org_unit_id, index.territory(there).org_unit_id
    ):
        there = None
    near = place.near_border and there is not None
    return Misplaced(row, there, near, move_of(row.state, row.unplaced_reason, row.grid_id, there))


async def move_orders(
    tx: AsyncSession,
    index: GridIndex,
    found: Collection[Misplaced],
    *,
    reason: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Let open orders lie where the map says; those that wait are tried anew afterwards.

    Who holds an order keeps it: a promise was made. The caller shares the map or has it alone.
    """
    places = {one.row.id: one for one in found if one.changes}
    if not places:
        return
    rows = [one.row for one in places.values()]
    for order in await workorders.all_for_change(tx, still(rows)):
        one = places[order.id]
        match move_of(order.state, order.unplaced_reason, order.grid_id, one.there):
            case Move.MOVES:
                unit = index.territory(one.there).org_unit_id if one.there else order.org_unit_id
                await lie_in(
                    tx,
                    order,
                    one.there,
                    org_unit_id=unit,
                    near_border=one.near_border,
                    reason=reason,
                    facts=facts,
                    now=now,
                )
            case Move.TRY:
                await jobs.tell(tx, "workorder.freed", order_id=order.id)
            case Move.STAYS if order.grid_id is not None:
                order.near_border = one.near_border
    await tx.flush()


async def follow(
    tx: AsyncSession, change_id: UUID, *, after: UUID = FIRST, now: datetime
) -> UUID | None:
    """Let open orders follow a change of the map that was made, up to ORDERS of them by id.

    Returns behind which id to go on, or None at the end; doing it again changes nothing. The
    addresses are queued by `queue_addresses`, in a transaction that nobody waits for.
    """
    index = await locating.for_keeps(tx)
    change = await tx.get(GridChange, change_id)
    if change is None:
        return None
    rows = [row for row in await open_orders.open_orders(tx) if row.id > after]
    found = await misplaced(tx, index, rows, near_m=await near_metres(tx, now))
    moving = [one for one in found if one.changes]
    facts = {"change_id": str(change_id)}
    await move_orders(tx, index, moving[:ORDERS], reason=change.kind.value, facts=facts, now=now)
    return moving[ORDERS - 1].row.id if len(moving) > ORDERS else None
