"""How much of each technician's day is promised: the only code that changes `technician_day`.

A row of `technician_day` is also the lock under which a day is filled. Whoever changes several
rows names them in one call: they are taken in one fixed order, so that two transactions never
wait for each other.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.technicians.models import TechnicianDay
from app.technicians.rules import DayRead


class Promised(NamedTuple):
    """Estimated minutes at the doors, and the number of orders; as a change, both may be < 0."""

    minutes: int
    orders: int


DayOf = tuple[UUID, date]  # a technician's id and a local day of the org unit

NOTHING = Promised(0, 0)

# --- what a day holds -----------------------------------------------------------------------------

_GIVEN = """
    SELECT * FROM unnest(
        CAST(:technician_ids AS uuid[]), CAST(:days AS date[]),
        CAST(:minutes AS bigint[]), CAST(:orders AS bigint[])
    ) AS given (technician_id, day, minutes, orders)
"""

_ADD = text(
    f"""
    INSERT INTO technician_day AS held (technician_id, day, committed_minutes, orders, version)
    SELECT technician_id, day, minutes, orders, 1 FROM ({_GIVEN}) AS given
    ON CONFLICT (technician_id, day) DO UPDATE SET
        committed_minutes = held.committed_minutes + excluded.committed_minutes,
        orders = held.orders + excluded.orders,
        version = held.version + 1
    RETURNING technician_id, day, committed_minutes, orders
    """  # noqa: S608 - text of our own
)

# A row with less than nothing would be refused before its conflict is seen, so the change itself
# is looked up again for each row; with the few rows of a reassignment that costs nothing.
_CHANGE = text(
    f"""
    WITH given AS ({_GIVEN})
    INSERT INTO technician_day AS held (technician_id, day, committed_minutes, orders, version)
    SELECT technician_id, day, greatest(minutes, 0), greatest(orders, 0), 1 FROM given
    ON CONFLICT (technician_id, day) DO UPDATE SET
        (committed_minutes, orders, version) = (
            SELECT held.committed_minutes + given.minutes, held.orders + given.orders,
                held.version + 1
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
    rows = await tx.execute(_ADD if grows else _CHANGE, _given(wanted))
    return _held(rows)


def _given(wanted: Sequence[tuple[DayOf, Promised]]) -> dict[str, Any]:
    return {
        "technician_ids": [technician_id for (technician_id, _), _ in wanted],
        "days": [day for (_, day), _ in wanted],
        "minutes": [by.minutes for _, by in wanted],
        "orders": [by.orders for _, by in wanted],
    }


def _held(rows: Iterable[Row[Any]]) -> dict[DayOf, Promised]:
    return {
        (row.technician_id, row.day): Promised(row.committed_minutes, row.orders) for row in rows
    }


# A change of nothing, which no reader needs to hear of.
_LOCK = text(
    f"""
    INSERT INTO technician_day AS held (technician_id, day, committed_minutes, orders)
    {_GIVEN}
    ON CONFLICT (technician_id, day) DO UPDATE SET orders = held.orders
    RETURNING technician_id, day, committed_minutes, orders
    """
)


async def lock(tx: AsyncSession, days: Collection[DayOf]) -> dict[DayOf, Promised]:
    """Lock days until the transaction ends, in the order of `change`; return what they hold."""
    wanted = [(key, NOTHING) for key in sorted(set(days))]
    return _held(await tx.execute(_LOCK, _given(wanted)))


# --- what it holds and in which order -------------------------------------------------------------


# Stands for a day that changes whatever its version is, and whose order of visits stays.
_ANY = 1 << 40


def _filling(minutes: str, orders: str) -> str:
    """Write the statement of `fill`, given what a row's minutes and orders change by."""
    return f"""
        WITH given AS (
            SELECT * FROM unnest(
                CAST(%(technician_ids)s AS uuid[]), CAST(%(days)s AS date[]),
                CAST(%(minutes)s AS bigint[]), CAST(%(orders)s AS bigint[]),
                CAST(%(versions)s AS bigint[]), CAST(%(routes)s AS text[])
            ) AS given (technician_id, day, minutes, orders, version, route)
        )
        INSERT INTO technician_day AS held
            (technician_id, day, committed_minutes, orders, version, route)
        SELECT technician_id, day, greatest(minutes, 0), greatest(orders, 0), version, route::uuid[]
        FROM given
        ON CONFLICT (technician_id, day) DO UPDATE SET
            committed_minutes = held.committed_minutes + {minutes},
            orders = held.orders + {orders},
            version = held.version + 1,
            route = CASE WHEN excluded.version = {_ANY} THEN held.route ELSE excluded.route END
        WHERE excluded.version = {_ANY} OR held.version = excluded.version - 1
        RETURNING technician_id, day, committed_minutes, orders
        """  # noqa: S608 - text of our own


_LOOKED_UP = """(
    SELECT given.{} FROM given
    WHERE given.technician_id = excluded.technician_id AND given.day = excluded.day
)"""
# What was read is told by the version that comes after it: only that one may follow.
_FILL = _filling("excluded.committed_minutes", "excluded.orders")
_REFILL = _filling(_LOOKED_UP.format("minutes"), _LOOKED_UP.format("orders"))


async def fill(
    tx: AsyncSession,
    changes: Mapping[DayOf, Promised],
    routes: Mapping[DayOf, tuple[DayRead, Sequence[UUID]]],
) -> dict[DayOf, Promised]:
    """Add to days like `change`, and write down in which order the orders of some are to be done.

    A day with a route changes only if it still is as it was read, and is left out of what is
    returned if somebody else has changed it meanwhile; then the caller has to roll back. All
    rows, also those of days whose minutes do not change, are locked in the order of `change`.
    """
    wanted = sorted(
        (key, changes.get(key, NOTHING))
        for key in {*routes, *(key for key, by in changes.items() if by != NOTHING)}
    )
    if not wanted:
        return {}
    seen = [routes.get(key) for key, _ in wanted]
    given = {
        **_given(wanted),
        "versions": [_ANY if one is None else one[0].version + 1 for one in seen],
        "routes": ["{}" if one is None else _array(one[1]) for one in seen],
    }
    grows = all(by.minutes >= 0 and by.orders >= 0 for _, by in wanted)
    rows = await fetched(tx, _FILL if grows else _REFILL, given)
    return {(who, day): Promised(minutes, orders) for who, day, minutes, orders in rows}


def _array(ids: Iterable[UUID]) -> str:
    """Write ids as PostgreSQL reads an array of them."""
    return "{" + ",".join(map(str, ids)) + "}"


_ROUTES = text(
    """
    INSERT INTO technician_day AS held (technician_id, day, route, version)
    SELECT technician_id, day, route::uuid[], 1
    FROM unnest(
        CAST(:technician_ids AS uuid[]), CAST(:days AS date[]), CAST(:routes AS text[])
    ) AS given (technician_id, day, route)
    ON CONFLICT (technician_id, day) DO UPDATE SET
        route = excluded.route, version = held.version + 1
    """
)


async def write_routes(tx: AsyncSession, routes: Mapping[DayOf, Sequence[UUID]]) -> None:
    """Write down in which order the orders of days are to be done, by their ids.

    The rows are locked in the order of `change`; whoever changes what days hold as well does so
    first, so that all rows are locked in one go.
    """
    if not routes:
        return
    wanted = sorted(routes)
    await tx.execute(
        _ROUTES,
        {
            "technician_ids": [technician_id for technician_id, _ in wanted],
            "days": [day for _, day in wanted],
            "routes": [_array(routes[key]) for key in wanted],
        },
    )


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
