"""What has come of age: rows and columns a batch at a time, months as wholes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched, first_id_at
from app.core.nights import Night
from app.privacy.rules.periods import Period, What

# Rows a round looks at; each is a transaction of its own, so that nobody waits long.
ROUND = 2000

_LOOK = """
    WITH aged AS MATERIALIZED (
        SELECT {key} AS id FROM {table} WHERE {key} > %(after)s AND {key} < %(until)s
        ORDER BY {key} LIMIT {round}
    ), changed AS ({change} RETURNING t.{key})
    SELECT (SELECT max(id::text) FROM aged), (SELECT count(*) FROM changed)
"""
_DELETE = "DELETE FROM {table} AS t USING aged WHERE t.{key} = aged.id AND ({only})"
_UPDATE = "UPDATE {table} AS t SET {sets} FROM aged WHERE t.{key} = aged.id AND ({only})"
# Rows of a customer and a day are found by their customer, as everybody else finds them: an index
# by the day would have to be kept by every night that loads them.
_OF_CUSTOMERS = """
    WITH aged AS MATERIALIZED (
        SELECT id FROM customer WHERE id > %(after)s ORDER BY id LIMIT {round}
    ), changed AS (
        DELETE FROM {table} AS t USING aged
        WHERE t.customer_id = aged.id AND t.{key} < %(until)s::date AND ({only}) RETURNING 1
    )
    SELECT (SELECT max(id::text) FROM aged), (SELECT count(*) FROM changed)
"""


async def swept(
    tx: AsyncSession, period: Period, after: UUID, until: datetime
) -> tuple[UUID | None, int]:
    """End a batch of what was made before a moment; tells up to which id, and how many changed.

    None when nothing is left to be looked at. Raises psycopg's errors as they are.
    """
    if period.what is What.DAYS:
        statement = _OF_CUSTOMERS.format(
            table=period.table, key=period.key, only=period.only, round=ROUND
        )
        ((last, count),) = await fetched(tx, statement, {"after": after, "until": until.date()})
        return (UUID(last) if last else None), count
    change = _DELETE if period.what is What.ROWS else _UPDATE
    statement = _LOOK.format(
        table=period.table,
        key=period.key,
        round=ROUND,
        change=change.format(
            table=period.table, key=period.key, sets=period.change, only=period.only
        ),
    )
    ((last, count),) = await fetched(tx, statement, {"after": after, "until": first_id_at(until)})
    return (UUID(last) if last else None), count


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
    """Read the latest night of each of some works."""
    found = await session.scalars(
        select(Night)
        .ext(distinct_on(Night.work))
        .where(Night.work.in_(works))
        .order_by(Night.work, Night.until.desc())
    )
    return {night.work: night for night in found}
