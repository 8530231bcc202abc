"""The months of the log: made ahead of time. They end where every period of keeping does."""

from datetime import UTC, date, datetime

from prometheus_client import Gauge
from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import driver_connection, fetched, first_id_at

# A decision and its candidates; where an id belongs to no month there is, it lies in `…_other`.
LOG = ("suggestion_decision", "suggestion")
AHEAD = 3

# Names the months among PostgreSQL's advisory locks.
_MONTHS_LOCK = 823_117


def after(month: date, months: int = 1) -> date:
    """Give the first day of the month that lies so many months after another's."""
    place = month.year * 12 + month.month - 1 + months
    return date(place // 12, place % 12 + 1, 1)


async def months_kept(session: AsyncSession) -> list[date]:
    """List the months there is a place for, the oldest first, each by its first day."""
    return [
        date.fromisoformat(f"{year}-{month}-01")
        for year, month in await fetched(session, _KEPT, {})
    ]


_KEPT = """
    SELECT left(right(relname, 7), 4), right(relname, 2)
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'suggestion_decision'::regclass AND relname ~ '_[0-9]{4}_[0-9]{2}$'
    ORDER BY relname
"""


_WITHOUT_MONTH = " UNION ALL ".join(f"SELECT FROM {table}_other" for table in LOG)
_MONTHS_AHEAD = Gauge(
    "yingwei_suggestion_log_months_ahead",
    f"Months to come that the log of suggestions has a place for; {AHEAD} when all is well.",
)
_STRAY = Gauge(
    "yingwei_suggestion_log_stray",
    "1: decisions are written that belong to no month there is; nothing is lost, but slow.",
)


async def refresh_figures(session: AsyncSession) -> None:
    """Set the metrics to how far ahead the log's months are made, by the real clock."""
    this = wall().astimezone(UTC).date().replace(day=1)
    _MONTHS_AHEAD.set(sum(month > this for month in await months_kept(session)))
    ((stray,),) = await fetched(session, f"SELECT EXISTS ({_WITHOUT_MONTH})", {})
    _STRAY.set(stray)


async def prepare_months(tx: AsyncSession, today: date) -> int:
    """Make room for the month of a day and the next ones; tell how many there were to make.

    Ids are made by the real clock, so the day is the real one in UTC, whatever the simulated one.
    """
    wanted = [after(today.replace(day=1), number) for number in range(AHEAD + 1)]
    if not set(wanted) - set(await months_kept(tx)):
        return 0
    driver = await driver_connection(tx)
    # Whoever suggests at this moment waits for it, so it must not wait for long itself.
    await driver.execute("SET LOCAL lock_timeout = '3s'")
    await driver.execute("SELECT pg_advisory_xact_lock(%s)", [_MONTHS_LOCK])
    missing = sorted(set(wanted) - set(await months_kept(tx)))
    for month in missing:
        for table in LOG:
            await _make(tx, table, month)
    return len(missing)


async def _make(tx: AsyncSession, table: str, month: date) -> None:
    driver = await driver_connection(tx)
    begins, ends = (
        first_id_at(datetime(day.year, day.month, 1, tzinfo=UTC)) for day in (month, after(month))
    )
    other = Identifier(f"{table}_other")
    names = {"log": Identifier(table), "other": other, "month": Identifier(_name(table, month))}
    bounds = {"begins": Literal(begins), "ends": Literal(ends)}
    # Where no worker ran for months, rows of the month may lie in the rest; a month that takes
    # them over cannot be attached beside them, so the rest steps aside.
    await driver.execute(SQL("ALTER TABLE {log} DETACH PARTITION {other}").format(**names))
    await driver.execute(
        SQL(
            "CREATE TABLE {month} PARTITION OF {log} FOR VALUES FROM ({begins}) TO ({ends})"
        ).format(**names, **bounds)
    )
    await driver.execute(
        SQL(
            "WITH moved AS (DELETE FROM {other} WHERE id >= {begins} AND id < {ends} RETURNING *)"
            " INSERT INTO {month} SELECT * FROM moved"
        ).format(**names, **bounds)
    )
    await driver.execute(SQL("ALTER TABLE {log} ATTACH PARTITION {other} DEFAULT").format(**names))


def _name(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"
