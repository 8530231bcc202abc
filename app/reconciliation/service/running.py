"""One comparison of a day, from reading both sides to the sum."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.auth import audit
from app.auth.models import OrgUnit
from app.core.db import Database, fetched
from app.core.jobs import Worker
from app.core.parameter_values import parameters_in_force
from app.ordering.client import OrderingClient
from app.ordering.client.listing import Listed
from app.ordering.courier.reaching import courier_of
from app.ordering.rules import OrderingFailed
from app.reconciliation import queries
from app.reconciliation.models import ReconciliationRun
from app.reconciliation.rules import MARGIN_MINUTES, Bin, Finding, Ours, RunState, compare
from app.reconciliation.service import reading
from app.reconciliation.service.asking import day_of, root
from app.reconciliation.service.reading import Scope
from app.reconciliation.service.settling import finish, put_down

ACTION = "reconciliation.run"
# While it is alive it says so with every page, every second look and every batch.
_LEASE_SECONDS = 300
# What differs is looked at a second time, since a callback may have come between the two readings;
# where so much differs, something else is wrong, and the rest is listed as it is.
_SECOND_LOOKS = 500
_BATCH = 50


class Ran(NamedTuple):
    """What a comparison has counted, bin by bin."""

    run_id: UUID
    sales: dict[Bin, int]
    orders: dict[Bin, int]


# Told how many orders were read, and of how many.
Progress = Callable[[int, int | None], None]


def _silent(done: int, of: int | None) -> None:
    """Tell nobody."""


async def run(worker: Worker, run_id: UUID, *, progress: Progress = _silent) -> Ran | None:
    """Compare a day; None when somebody is at that day, or it is done already.

    Where the other side cannot be read, the comparison is marked as failed, with the reason.
    Raises OrderingFailed then.
    """
    database, clock = worker.database, worker.clock
    row = await _claimed(database, run_id, clock.now())
    if row is None:
        return None
    try:
        findings = await _findings(worker, row, progress)
    except OrderingFailed as failed:
        async with database.begin() as tx:
            audit.acting(tx, ACTION)
            broken = await tx.get_one(ReconciliationRun, run_id)
            broken.state, broken.finished_at = RunState.FAILED, clock.now()
            broken.last_error = failed.told()[:500]
        raise
    settled: list[Finding] = []
    for first in range(0, len(findings), _BATCH):
        async with database.begin() as tx:
            audit.acting(tx, ACTION)
            batch = findings[first : first + _BATCH]
            settled += await put_down(tx, row.id, row.day, batch, clock.now())
        await _alive(database, run_id)
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        await finish(tx, row.id, row.day, row.scope, settled, clock.now())
    counted = Ran(run_id, dict.fromkeys(Bin, 0), dict.fromkeys(Bin, 0))
    for finding in settled:
        if finding.sale is not None:
            counted.sales[finding.bin] += 1
        counted.orders[finding.bin] += len(finding.orders)
    return counted


class _Row(NamedTuple):
    id: UUID
    day: date
    scope: Scope


_CLAIM = """
UPDATE reconciliation_run r
   SET state = 'running', started_at = %(now)s, last_error = NULL, finished_at = NULL,
       alive_until = clock_timestamp() + make_interval(secs => %(lease)s)
 WHERE id = %(id)s
   AND (state IN ('waiting', 'failed') OR (state = 'running' AND alive_until < clock_timestamp()))
   AND NOT EXISTS (
       SELECT FROM reconciliation_run o WHERE o.day = r.day AND o.id <> r.id
          AND o.state = 'running' AND o.alive_until >= clock_timestamp())
RETURNING r.day, r.org_unit_id
"""
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('reconciliation', 0))")


async def _claimed(database: Database, run_id: UUID, now: datetime) -> _Row | None:
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        await tx.execute(_ONE_AT_A_TIME)
        given = {"id": run_id, "now": now, "lease": _LEASE_SECONDS}
        rows = await fetched(tx, _CLAIM, given)
        if not rows:
            return None
        ((day, org_unit_id),) = rows
        unit = await tx.get_one(OrgUnit, org_unit_id)
        top = await root(tx)
        whole = top is not None and top[0] == org_unit_id
        return _Row(run_id, day, Scope(org_unit_id, unit.path, whole))


async def _alive(database: Database, run_id: UUID, read: int = 0, of: int | None = None) -> None:
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        given = {"id": run_id, "read": read, "of": of, "lease": _LEASE_SECONDS}
        await fetched(tx, _ALIVE, given)


_ALIVE = """
UPDATE reconciliation_run
   SET alive_until = clock_timestamp() + make_interval(secs => %(lease)s),
       orders_read = greatest(orders_read, %(read)s),
       orders_expected = coalesce(%(of)s, orders_expected)
 WHERE id = %(id)s RETURNING id
"""


async def _findings(worker: Worker, row: _Row, progress: Progress) -> list[Finding]:
    database, clock = worker.database, worker.clock
    courier = await courier_of(worker)
    async with database.read() as read:
        begins, ends = await day_of(read, row.day)
        numbers = await parameters_in_force(read)
    margin = timedelta(minutes=numbers.number(MARGIN_MINUTES, clock.now()))
    real_begins, real_ends = clock.real(begins), clock.real(ends)

    async def told(done: int, of: int | None) -> None:
        progress(done, of)
        await _alive(database, row.id, done, of)

    listed = await reading.orders_between(courier, real_begins - margin, real_ends + margin, told)
    # Ours are read after theirs: what came in between is then known here and looked at again there.
    async with database.read() as read:
        ours = await queries.sales_of_day(read, begins, ends, row.scope.path, now=clock.now())
        healed = await queries.healed_before(read, row.day)
    theirs = await reading.placed(
        database, listed.values(), ours, row.scope, real_begins, real_ends
    )
    findings = compare(ours, theirs, healed)
    doubtful = [each.sale for each in findings if each.bin is Bin.OPEN and each.sale is not None][
        :_SECOND_LOOKS
    ]
    if not doubtful:
        return findings
    looked = await _looked_again(worker, row.id, doubtful)
    sales = {sale.sale_id: sale for sale in ours} | {sale.sale_id: sale for sale in looked[0]}
    anew = {each.order.id: each for each in looked[1]}
    theirs = await reading.placed(
        database, (listed | anew).values(), list(sales.values()), row.scope, real_begins, real_ends
    )
    return compare(sales.values(), theirs, healed)


async def _looked_again(
    worker: Worker, run_id: UUID, doubtful: Sequence[Ours]
) -> tuple[list[Ours], list[Listed]]:
    """Look at the orders of some sales one by one, and at the sales anew afterwards."""
    courier = await courier_of(worker)
    orders: list[Listed] = []
    for sale in doubtful:
        external_id = str(sale.sale_id)
        found = await reading.ask(courier, _finding(external_id))
        orders += found
        known = {each.order.id for each in found}
        if sale.remote_id is not None and sale.remote_id not in known:
            one = await reading.ask(courier, _reading(sale.remote_id))
            if one is not None:
                orders.append(one)
        await _alive(worker.database, run_id)
    async with worker.database.read() as read:
        ids, now = [sale.sale_id for sale in doubtful], worker.clock.now()
        return await queries.sales_anew(read, ids, now=now), orders


def _finding(external_id: str) -> Callable[[OrderingClient], Awaitable[tuple[Listed, ...]]]:
    return lambda client: client.found(external_id)


def _reading(order_id: str) -> Callable[[OrderingClient], Awaitable[Listed | None]]:
    return lambda client: client.listed_one(order_id)
