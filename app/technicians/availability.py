"""How much of each technician's day is promised: the only code that changes `technician_day`.

A row of `technician_day` is also the lock under which a day is filled. Whoever changes several
rows names them in one call: they are taken in one fixed order, so that two transactions never
wait for each other.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.technicians.models import TechnicianDay


class Promised(NamedTuple):
    """Estimated minutes at the doors, and the number of orders; as a change, both may be < 0."""

    minutes: int
    orders: int


DayOf = tuple[UUID, date]  # a technician's id and a local day of the org unit

NOTHING = Promised(0, 0)

_GIVEN = """
    SELECT * FROM unnest(
        CAST(:technician_ids AS uuid[]), CAST(:days AS date[]),
        CAST(:minutes AS bigint[]), CAST(:orders AS bigint[])
    ) AS given (technician_id, day, minutes, orders)
"""

_ADD = text(
    f"""
    INSERT INTO technician_day AS held (technician_id, day, committed_minutes, orders)
    {_GIVEN}
    ON CONFLICT (technician_id, day) DO UPDATE SET
        committed_minutes = held.committed_minutes + excluded.committed_minutes,
        orders = held.orders + excluded.orders
    RETURNING technician_id, day, committed_minutes, orders
    """
)

# A row with less than nothing would be refused before its conflict is seen, so the change itself
# is looked up again for each row; with the few rows of a reassignment that costs nothing.
_CHANGE = text(
    f"""
    WITH given AS ({_GIVEN})
    INSERT INTO technician_day AS held (technician_id, day, committed_minutes, orders)
    SELECT technician_id, day, greatest(minutes, 0), greatest(orders, 0) FROM given
    ON CONFLICT (technician_id, day) DO UPDATE SET
        (committed_minutes, orders) = (
            SELECT held.committed_minutes + given.minutes, held.orders + given.orders
            FROM given
            WHERE given.technician_id = excluded.technician_id AND given.day = excluded.day
        )
    RETURNING technician_id, day, committed_minutes, orders
    """  # noqa: S608 - text of our own
)


async def change(tx: AsyncSession, changes: Mapping[DayOf, Promised]) -> dict[DayOf, Promised]:
    """Add to days, or take from them; return what each of them holds now.

    The rows stay locked until the transaction ends. Raises IntegrityError when more would be taken
    than was promised, which only an error in this program can ask for.
    """
    wanted = sorted((key, by) for key, by in changes.items() if by != NOTHING)
    if not wanted:
        return {}
    grows = all(by.minutes >= 0 and by.orders >= 0 for _, by in wanted)
    rows = await tx.execute(
        _ADD if grows else _CHANGE,
        {
            "technician_ids": [technician_id for (technician_id, _), _ in wanted],
            "days": [day for (_, day), _ in wanted],
            "minutes": [by.minutes for _, by in wanted],
            "orders": [by.orders for _, by in wanted],
        },
    )
    return {
        (row.technician_id, row.day): Promised(row.committed_minutes, row.orders) for row in rows
    }


async def lock(tx: AsyncSession, days: Collection[DayOf]) -> dict[DayOf, Promised]:
    """Lock days until the transaction ends, in the order of `change`; return what they hold."""
    wanted = sorted(set(days))
    rows = await tx.execute(
        _ADD,
        {
            "technician_ids": [technician_id for technician_id, _ in wanted],
            "days": [day for _, day in wanted],
            "minutes": [0] * len(wanted),
            "orders": [0] * len(wanted),
        },
    )
    return {
        (row.technician_id, row.day): Promised(row.committed_minutes, row.orders) for row in rows
    }


_ROUTES = text(
    """
    INSERT INTO technician_day AS held (technician_id, day, route)
    SELECT technician_id, day, ARRAY(SELECT jsonb_array_elements_text(route)::uuid)
    FROM jsonb_to_recordset(CAST(:routes AS jsonb))
        AS given (technician_id uuid, day date, route jsonb)
    ORDER BY technician_id, day
    ON CONFLICT (technician_id, day) DO UPDATE SET route = excluded.route
    """
)


async def write_routes(tx: AsyncSession, routes: Mapping[DayOf, Sequence[UUID]]) -> None:
    """Write down in which order the orders of days are to be done, by their ids.

    The rows are locked in the order of `change`; whoever changes what days hold as well does so
    first, so that all rows are locked in one go.
    """
    if not routes:
        return
    given = [
        {"technician_id": str(technician_id), "day": str(day), "route": [str(one) for one in route]}
        for (technician_id, day), route in sorted(routes.items())
    ]
    await tx.execute(_ROUTES, {"routes": orjson.dumps(given).decode()})


async def promised(session: AsyncSession, technician_id: UUID, day: date) -> Promised:
    """Read what a technician's day holds."""
    found = (
        await session.execute(
            select(TechnicianDay.committed_minutes, TechnicianDay.orders).where(
                TechnicianDay.technician_id == technician_id, TechnicianDay.day == day
            )
        )
    ).one_or_none()
    return Promised(*found) if found else NOTHING


async def commit_minutes(
    tx: AsyncSession, technician_id: UUID, day: date, minutes: int
) -> Promised:
    """Promise one more order of so many minutes on a technician's day; return what it holds now."""
    held = await change(tx, {(technician_id, day): Promised(minutes, 1)})
    return held[technician_id, day]


async def release_minutes(
    tx: AsyncSession, technician_id: UUID, day: date, minutes: int
) -> Promised:
    """Take one order of so many minutes from a technician's day; return what it holds now."""
    held = await change(tx, {(technician_id, day): Promised(-minutes, -1)})
    return held[technician_id, day]
