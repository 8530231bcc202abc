"""What a test of deliveries works with: sales to deliver, a worker's steps, and short waits."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import FixedClock
from app.core.db import Database, new_id
from app.core.jobs import Worker
from app.core.parameter_values import ParameterValue
from app.core.settings import Settings
from app.ordering import jobs, queries, service
from app.ordering.delivery import SyncState
from app.ordering.models import OrderCallback, OrderSync
from app.ordering.order import RemoteOrder
from app.ordering.rules import OrderingFailed, RemoteState
from app.ordering.service import Attempt
from app.sales.models import Sale
from app.sales.rules import Line
from app.worker import queue
from tests.make.catalog import make_offering
from tests.make.sales import Door, make_confirmed, make_door

TIME_LIMIT = 0.5

# Every wait short, so that a test sees in a second what takes an hour in life. `settle` still is
# longer than the simulator works on a request, which is what exactly-once rests on.
SHORT = {
    "ordering.first_delay_seconds": 0.05,
    "ordering.longest_delay_seconds": 0.2,
    "ordering.settle_seconds": 0.4,
    "ordering.longest_retry_after_seconds": 0.2,
    "ordering.tries_unknown": 60,
    "ordering.poll_soonest_seconds": 0.2,
    "ordering.poll_latest_seconds": 0.5,
    "ordering.breaker_pause_seconds": 0.2,
    "ordering.breaker_longest_pause_seconds": 0.4,
}


async def set_numbers(tx: AsyncSession, numbers: dict[str, float]) -> None:
    """Put the operator's numbers in force, as of long ago."""
    since = datetime(2020, 1, 1, tzinfo=UTC)
    tx.add_all(
        ParameterValue(name=name, valid_from=since, value=value) for name, value in numbers.items()
    )
    await tx.flush()


_OPEN = (SyncState.WAITING, SyncState.SENDING, SyncState.DELIVERED)


@dataclass
class Desk:
    """A worker's desk: the sales of one door, and every step of their delivery by hand."""

    database: Database
    clock: FixedClock
    door: Door
    settings: Settings
    worker: Worker

    async def sell(self, lines: Sequence[Line] = (Line("SPEED-1000", 1),)) -> UUID:
        """Confirm a sale."""
        async with self.database.begin() as tx:
            sale = await make_confirmed(tx, self.door, now=self.clock.now(), lines=lines)
        return sale.id

    async def claim(self, sale_id: UUID) -> Attempt | None:
        """Claim an attempt, and commit the claim."""
        async with self.database.begin() as tx:
            return await service.claim(
                tx, sale_id, time_limit=TIME_LIMIT, business_now=self.clock.now()
            )

    async def claimed(self, sale_id: UUID) -> Attempt:
        """Claim an attempt that must be due."""
        attempt = await self.claim(sale_id)
        assert attempt is not None
        return attempt

    async def settle(self, attempt: Attempt, outcome: Sequence[Any] | OrderingFailed) -> None:
        """Record what came of an attempt."""
        async with self.database.begin() as tx:
            await service.settle(tx, attempt, outcome, self.clock.now())

    async def send(self, sale_id: UUID) -> None:
        """Do what the job of a confirmed sale does."""
        await jobs.send_sale(self.worker, sale_id=str(sale_id))
        await (await jobs.courier_of(self.worker)).rest()

    async def sweep(self) -> None:
        """Do what the worker does every second."""
        for due in (jobs.send_due, jobs.ask_due, jobs.change_due):
            await due(self.worker)
        await (await jobs.courier_of(self.worker)).rest()

    async def make_due(self, sale_id: UUID) -> None:
        """Let the time pass after which a delivery is due again, or a lease has run out."""
        async with self.database.begin() as tx:
            await tx.execute(
                text(
                    "UPDATE order_sync SET next_try_at = now() - interval '1 s' WHERE sale_id=:id"
                ),
                {"id": sale_id},
            )

    async def sync(self, sale_id: UUID) -> OrderSync:
        """Read a delivery as it stands."""
        async with self.database.read() as read:
            statement = select(OrderSync).where(OrderSync.sale_id == sale_id)
            return (await read.scalars(statement.execution_options(populate_existing=True))).one()

    async def sale(self, sale_id: UUID) -> Sale:
        """Read a sale as it stands."""
        async with self.database.read() as read:
            return await read.get_one(Sale, sale_id, populate_existing=True)

    async def unfinished(self, sale_ids: Sequence[UUID]) -> int:
        """Count those of some sales whose delivery has neither ended nor waits for a person."""
        ended = (SyncState.FINISHED, SyncState.PARKED)
        statement = select(func.count()).where(
            OrderSync.sale_id.in_(sale_ids), OrderSync.state.in_(ended)
        )
        async with self.database.read() as read:
            return len(sale_ids) - (await read.execute(statement)).scalar_one()

    async def states(self, sale_ids: Iterable[UUID]) -> list[str]:
        """Read the states of some sales, in their order."""
        return [(await self.sale(sale_id)).state.value for sale_id in sale_ids]

    async def callbacks(self) -> list[OrderCallback]:
        """Read every callback, in the order in which they came."""
        async with self.database.read() as read:
            return list(
                await read.scalars(
                    select(OrderCallback)
                    .order_by(OrderCallback.received_at)
                    .execution_options(populate_existing=True)
                )
            )

    async def due(self) -> Sequence[UUID]:
        """List what is due now."""
        async with self.database.read() as read:
            return [id_ for state in _OPEN for id_ in await queries.due(read, state, 200)]


async def make_desk(
    database: Database,
    clock: FixedClock,
    settings: Settings,
    numbers: dict[str, float] | None = None,
) -> Desk:
    """Add a door, a catalogue and the operator's numbers, and set a worker before them."""
    async with database.begin() as tx:
        await make_offering(tx, monthly_price_fen=12900, one_off_price_fen=5000, speed_mbps=1000)
        await make_offering(tx, code="TV-4K", category="tv", monthly_price_fen=2000)
        door = await make_door(tx, now=clock.now())
        await set_numbers(tx, numbers or {})
    return Desk(database, clock, door, settings, Worker(settings, clock, database))


def seconds_between(earlier: datetime | None, later: datetime | None) -> float:
    """Measure from one moment to another; both must have been."""
    assert earlier is not None and later is not None
    return (later - earlier) / timedelta(seconds=1)


def remote(
    id_: str = "00000001",
    state: RemoteState | None = RemoteState.ACKNOWLEDGED,
    external_id: str | None = None,
) -> RemoteOrder:
    """Make an order as the other side might show it."""
    return RemoteOrder(
        id=id_,
        href=f"http://ordering.test/productOrder/{id_}",
        external_id=external_id,
        state=state,
        state_text=state.value if state else None,
        ordered_at=None,
        reason=None,
        item_states=(),
    )


async def finish(desk: Desk, sale_ids: Sequence[UUID], *, seconds: float = 60) -> None:
    """Sweep as the worker does until every delivery has ended, one way or another."""
    give_up = asyncio.get_running_loop().time() + seconds
    while await desk.unfinished(sale_ids):
        assert asyncio.get_running_loop().time() < give_up, "a delivery never ended"
        await desk.sweep()
        await asyncio.sleep(0.05)


async def work_off(desk: Desk) -> None:
    """Let a worker of the real queue do every job that waits, and stop."""
    app = queue(desk.worker)
    async with app.open_async():
        await app.run_worker_async(
            wait=False, concurrency=4, delete_jobs="successful", install_signal_handlers=False
        )
    await (await jobs.courier_of(desk.worker)).rest()


def once_each(sale_ids: Iterable[UUID]) -> Counter[str]:
    """Say how many orders of each sale there should be."""
    return Counter(map(str, sale_ids))


NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


def event(
    sale_id: object,
    state: str = "inProgress",
    *,
    remote_id: str = "00000001",
    minutes: int = 0,
    **changes: object,
) -> dict[str, Any]:
    """Write an event of TMF622 v4 about an order, sent so many minutes after noon."""
    order = {"id": remote_id, "externalId": str(sale_id), "state": state}
    return {
        "eventId": new_id().hex,
        "eventTime": (NOON + timedelta(minutes=minutes)).isoformat(),
        "eventType": "ProductOrderStateChangeEvent",
        "event": {"productOrder": order},
        **changes,
    }
