"""What has come of age: rows and columns, a batch at a time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched, first_id_at
from app.core.nights import Night
from app.privacy.rules.periods import Period, What

# Rows a round looks at; each is a transaction of its own, so that nobody waits long.
ROUND = 2000

_LOOK = """
    WITH aged AS MATERIALIZED (
        SELECT id FROM {table} WHERE id > %(after)s AND id < %(until)s ORDER BY id LIMIT {round}
    ), changed AS ({change} RETURNING t.id)
    SELECT (SELECT max(id::text) FROM aged), (SELECT count(*) FROM changed)
"""
_DELETE = "DELETE FROM {table} AS t USING aged WHERE t.id = aged.id AND ({only})"
_UPDATE = "UPDATE {table} AS t SET {sets} FROM aged WHERE t.id = aged.id AND ({only})"


async def swept(
    tx: AsyncSession, period: Period, after: UUID, until: datetime
) -> tuple[UUID | None, int]:
    """End a batch of what was made before a moment; tells up to which id, and how many changed.

    None when nothing is left to be looked at. Raises psycopg's errors as they are.
    """
    change = _DELETE if period.what is What.ROWS else _UPDATE
    statement = _LOOK.format(
        table=period.table,
        round=ROUND,
        change=change.format(table=period.table, sets=period.change, only=period.only),
    )
    ((last, count),) = await fetched(tx, statement, {"after": after, "until": first_id_at(until)})
    return (UUID(last) if last else None), count


async def nights(session: AsyncSession, works: Sequence[str]) -> dict[str, Night]:
    """Read the latest night of each of some works."""
    found = await session.scalars(
        select(Night)
        .ext(distinct_on(Night.work))
        .where(Night.work.in_(works))
        .order_by(Night.work, Night.until.desc())
    )
    return {night.work: night for night in found}
