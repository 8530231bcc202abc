"""What has come of age: rows and columns a batch at a time, months as wholes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched, first_id_at
from app.core.nights import Night
from app.privacy.rules.periods import Period, What

# Rows a round looks at; each is a transaction of its own, so that nobody waits long.
ROUND = 2000


class Mark(NamedTuple):
    """Up to which row a sweep has looked; `at` is left as it is where ids alone say how old."""

    at: datetime
    id: UUID


BEGINNING = Mark(datetime.min.replace(tzinfo=UTC), UUID(int=0))

_BY_ID = """
    WITH aged AS MATERIALIZED (
        SELECT {key} AS id FROM {table} WHERE {key} > %(id)s AND {key} < %(until_id)s
        ORDER BY {key} LIMIT {round}
    ), changed AS ({change} RETURNING t.{key})
    SELECT %(at)s, (SELECT max(id::text) FROM aged)::uuid, (SELECT count(*) FROM changed)
"""
# What may not go yet keeps its place in the index, so a round begins behind the last one it saw.
_BY_CREATED_AT = """
    WITH aged AS MATERIALIZED (
        SELECT created_at, {key} AS id FROM {table}
        WHERE ({holds}) AND created_at < %(until)s AND (created_at, {key}) > (%(at)s, %(id)s)
        ORDER BY created_at, {key} LIMIT {round}
    ), changed AS ({change} RETURNING t.{key})
    SELECT last.created_at, last.id, (SELECT count(*) FROM changed)
    FROM (VALUES (1)) AS one LEFT JOIN
        (SELECT * FROM aged ORDER BY created_at DESC, id DESC LIMIT 1) AS last ON true
"""
_DELETE = "DELETE FROM {table} AS t USING aged WHERE t.{key} = aged.id AND ({only})"
_UPDATE = "UPDATE {table} AS t SET {sets} FROM aged WHERE t.{key} = aged.id AND ({only})"
# Rows of a customer and a day are found by their customer, as everybody else finds them: an index
# by the day would have to be kept by every night that loads them.
_OF_CUSTOMERS = """
    WITH aged AS MATERIALIZED (
        SELECT id FROM customer WHERE id > %(id)s ORDER BY id LIMIT {round}
    ), changed AS (
        DELETE FROM {table} AS t USING aged
        WHERE t.customer_id = aged.id AND t.{key} < %(day)s AND ({only}) RETURNING 1
    )
    SELECT %(at)s, (SELECT max(id::text) FROM aged)::uuid, (SELECT count(*) FROM changed)
"""
_LOOKS = {What.ROWS: _BY_ID, What.COLUMNS: _BY_CREATED_AT, What.DAYS: _OF_CUSTOMERS}


async def swept(
    tx: AsyncSession, period: Period, after: Mark, until: datetime
) -> tuple[Mark | None, int]:
    """End a batch of what was made before a moment; tells up to which row, and how many changed.

    None when nothing is left to be looked at. Raises psycopg's errors as they are.
    """
    look = _BY_CREATED_AT if period.by_created_at else _LOOKS[period.what]
    names = {
        "table": period.table,
        "key": period.key,
        "only": period.only,
        "holds": period.holds or "true",
        "round": ROUND,
    }
    change = _DELETE if period.what is What.ROWS else _UPDATE
    statement = look.format(**names, change=change.format(**names, sets=period.change))
    given = {**after._asdict(), "until": until, "until_id": first_id_at(until), "day": until.date()}
    ((at, last, count),) = await fetched(tx, statement, given)
    return (Mark(at, last) if last else None), count


_MONTHS = """
    SELECT c.relname, c.reltuples::bigint FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = CAST(%(table)s AS regclass)
    AND c.relname ~ %(pattern)s
    AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= %(until)s
    ORDER BY c.relname
"""


async def months_over(tx: AsyncSession, table: str, until: datetime) -> Sequence[tuple[str, int]]:
    """List the months of a table that ended before a moment, and about how many rows each has."""
    found = await fetched(
        tx,
        _MONTHS,
        {"table": table, "pattern": rf"^{table}_\d{{4}}_\d{{2}}$", "until": until},
    )
    return [(name, max(rows, 0)) for name, rows in found]


async def drop_month(tx: AsyncSession, name: str) -> None:
    """Drop one month of a table; its name comes from `months_over`.

    Whoever reads the table must not be kept waiting, so it is given up when it has to wait long.
    """
    await tx.execute(text("SET LOCAL lock_timeout = '3s'"))
    await tx.execute(text(f'DROP TABLE "{name}"'))


async def nights(session: AsyncSession, works: Sequence[str]) -> dict[str, Night]:
    """Read the night of each of some works that was done last, by the names of the works."""
    found = await session.scalars(
        select(Night)
        .ext(distinct_on(Night.work))
        .where(Night.work.in_(works))
        .order_by(Night.work, Night.done_at.desc(), Night.until.desc())
    )
    return {night.work: night for night in found}
