"""Forgetting what has been kept long enough, night by night and in small batches."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy.dialects.postgresql import insert

from app.auth import audit
from app.core.db import Database
from app.core.log import log
from app.core.nights import Night, alone, done_until
from app.core.parameter_values import parameters_in_force
from app.privacy import queries
from app.privacy.queries.sweeping import drop_month
from app.privacy.rules.periods import PERIODS, Period, What

WORK = "privacy"


class NotAllForgotten(Exception):
    """Some periods could not be swept, each logged with what was in the way; the others were."""


def work_of(period: Period) -> str:
    """Give the name under which the nights of a period are kept."""
    return f"{WORK}.{period.name}"


async def sweep(
    database: Database, periods: Iterable[Period] = PERIODS, *, now: datetime
) -> dict[str, int]:
    """End what is over, period by period; tells how many rows or months of each.

    A number holds for the whole installation, since rows are looked at by when they were made and
    not by whose they are. It can be stopped and begun again at any point. The trouble of one period
    does not hold up the others: NotAllForgotten is raised once they are done.
    """
    ended, failed = {}, []
    for period in periods:
        try:
            ended[period.name] = await _end(database, period, now)
        except Exception:  # noqa: BLE001 - logged, and told of all of them at the end
            log.exception("what is over could not be ended", period=period.name)
            failed.append(period.name)
    if failed:
        raise NotAllForgotten(", ".join(failed))
    return ended


async def _end(database: Database, period: Period, now: datetime) -> int:
    async with database.begin() as tx:
        days = (await parameters_in_force(tx)).number(period.days, now, "")
    until = now - timedelta(days=days)
    if period.what is What.MONTHS:
        return await _months(database, period, until, now)
    if period.what is What.DAYS:
        until = until.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        async with database.begin() as tx:
            since = await done_until(tx, work_of(period))
        if since is not None and since >= until:
            return 0
    return await _rows(database, period, until, now)


async def _rows(database: Database, period: Period, until: datetime, now: datetime) -> int:
    total, after = 0, queries.BEGINNING
    while True:
        async with database.begin() as tx:
            audit.acting(tx, "privacy_sweep")
            if not await alone(tx, work_of(period)):
                return total
            last, count = await queries.swept(tx, period, after, until)
            total += count
            if count:
                audit.note(tx, table=period.table, operation="sweep", count=count)
            if last is None:
                await tx.execute(
                    insert(Night)
                    .values(work=work_of(period), until=until, done_at=now, facts={"ended": total})
                    .on_conflict_do_nothing()
                )
                return total
            after = last


async def _months(database: Database, period: Period, until: datetime, now: datetime) -> int:
    async with database.begin() as tx:
        audit.acting(tx, "privacy_sweep")
        if not await alone(tx, work_of(period)):
            return 0
        over = await queries.months_over(tx, period.table, until)
        for name, rows in over:
            await drop_month(tx, name)
            audit.note(tx, table=period.table, operation="sweep", count=rows)
        await tx.execute(
            insert(Night)
            .values(work=work_of(period), until=until, done_at=now, facts={"ended": len(over)})
            .on_conflict_do_nothing()
        )
        return len(over)
