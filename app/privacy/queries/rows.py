"""What is kept of one customer in every table of the register: read whole, or made nobody's."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_connection, fetched
from app.core.loading import ERASED
from app.privacy.rules import MOST_ROWS, Against
from app.privacy.rules.register import REGISTER, Table, Then


async def exported_rows(session: AsyncSession, customer_id: UUID) -> dict[str, list[Any]]:
    """Read every row about a customer, by table; points as GeoJSON, moments in UTC."""
    rows = {}
    for name, table in REGISTER.items():
        if table.whose is not None:
            rows[name] = await _rows(session, name, table, customer_id)
    return rows


async def _rows(session: AsyncSession, name: str, table: Table, customer_id: UUID) -> list[Any]:
    hidden = "".join(f" - '{column}'" for column in table.hidden)
    found = await fetched(
        session,
        f"SELECT to_jsonb(t){hidden} FROM {name} AS t WHERE {table.whose} LIMIT {MOST_ROWS}",  # noqa: S608 - names of our own
        {"customer": customer_id},
    )
    return [row[0] for row in found]


_AGAINST = """
    SELECT
        (SELECT count(*) FROM work_order WHERE customer_id = %(customer)s
            AND state NOT IN ('completed', 'archived', 'cancelled')),
        (SELECT count(*) FROM subscription WHERE customer_id = %(customer)s
            AND (ended_on IS NULL OR ended_on > %(today)s)),
        (SELECT count(*) FROM sale WHERE customer_id = %(customer)s
            AND state IN ('second_confirmation', 'confirmed', 'sent', 'acknowledged',
                'cancelling')),
        (SELECT count(*) FROM due_back WHERE customer_id = %(customer)s AND state = 'open')
"""


async def against(tx: AsyncSession, customer_id: UUID, today: date) -> dict[str, int]:
    """Count what of a customer is still going on, by what it is; empty when nothing is."""
    (counts,) = await fetched(tx, _AGAINST, {"customer": customer_id, "today": today})
    return {what.value: count for what, count in zip(Against, counts, strict=True) if count}


# The id belongs to the row for good, so what stands in for a code is one of a kind.
_SET = {
    Then.NULL: "{column} = NULL",
    Then.BLANK: "{column} = ''",
    Then.EMPTY: "{column} = '{{}}'",
    Then.STAND_IN: f"{{column}} = {ERASED}",
    Then.LOCALITY: "{column} = coalesce(locality, '')",
}


async def erased_rows(tx: AsyncSession, customer_id: UUID) -> dict[str, int]:
    """Make every row about a customer nobody's, as the register says; counts rows by table.

    Columns that say the same afterwards, such as those that were null, count too.
    """
    driver = await driver_connection(tx)
    counts = {}
    for name, table in _in_order():
        if table.whose is None:
            continue
        sets = [
            _SET[personal.then].format(column=column)
            for column, personal in table.columns.items()
            if personal.then is not Then.KEPT
        ]
        if table.removed:
            statement = f"DELETE FROM {name} WHERE {table.whose}"  # noqa: S608 - names of our own
        elif sets:
            statement = f"UPDATE {name} SET {', '.join(sets)} WHERE {table.whose}"  # noqa: S608
        else:
            continue
        cursor = await driver.execute(statement, {"customer": customer_id})
        if cursor.rowcount:
            counts[name] = cursor.rowcount
    return counts


def _in_order() -> list[tuple[str, Table]]:
    """The customer's own row comes last: an erasure that is half done can be found again."""
    return sorted(REGISTER.items(), key=lambda each: each[0] == "customer")


_PICTURES = """
    UPDATE evidence SET
        forgotten_at = CASE state WHEN 'stored' THEN %(now)s::timestamptz END,
        state = CASE state WHEN 'announced' THEN 'withdrawn' ELSE state END
    WHERE (state = 'announced' OR state = 'stored' AND forgotten_at IS NULL)
    AND work_order_id IN (SELECT id FROM work_order WHERE customer_id = %(customer)s)
    RETURNING id
"""


async def pictures_left(tx: AsyncSession, customer_id: UUID, now: datetime) -> list[UUID]:
    """Mark the pictures of a customer's orders as forgotten, and those that are still on their way
    as withdrawn; their files go by a job."""
    return [row[0] for row in await fetched(tx, _PICTURES, {"customer": customer_id, "now": now})]
