"""The ways of a night as they are found in the orders' events, and what is written of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.workorders.happened import HAPPENED

# Of a technician's settings out and arrivals on a local day, in the order in which they were told:
# an arrival is learned from when the step before it is its own setting out, and the one before that
# is an arrival, whose door is where the way began, or nothing, which is home. Whoever gave an order
# back on the way began the next way nobody knows where, and so did who arrived far from the door.
_DRIVEN = text(
    f"""
    WITH happened AS ({HAPPENED}), steps AS (
        SELECT h.*, coalesce(h.facts ->> 'far', 'false') = 'true' AS far,
            row_number() OVER day AS place,
            lag(h.step) OVER day AS out_step, lag(h.work_order_id) OVER day AS out_order,
            lag(h.moment) OVER day AS out_moment, lag(h.at) OVER day AS out_at,
            lag(h.device_at) OVER day AS out_device_at,
            lag(h.step, 2) OVER day AS last_step, lag(h.work_order_id, 2) OVER day AS last_order,
            lag(coalesce(h.facts ->> 'far', 'false') = 'true', 2) OVER day AS last_far
        FROM happened h
        WINDOW day AS (PARTITION BY h.technician_id, h.day ORDER BY h.at, h.id)
    )
    SELECT s.id, s.work_order_id, s.technician_id, s.org_unit_id, s.out_moment AS set_out_at,
        (s.out_moment AT TIME ZONE s.time_zone)::date AS day,
        extract(hour FROM s.out_moment AT TIME ZONE s.time_zone)::int AS hour,
        extract(epoch FROM s.at - s.out_at)::bigint AS by_server,
        extract(epoch FROM s.device_at - s.out_device_at)::bigint AS by_device,
        ST_X(began.point) AS from_lon, ST_Y(began.point) AS from_lat,
        began.grid_id AS from_grid_id, began_grid.kind AS from_kind,
        ST_X(o.point) AS to_lon, ST_Y(o.point) AS to_lat, o.grid_id AS to_grid_id,
        grid.kind AS to_kind
    FROM steps s
    JOIN work_order o ON o.id = s.work_order_id
    JOIN technician t ON t.id = s.technician_id
    LEFT JOIN work_order last ON last.id = s.last_order
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.place = 2 THEN t.home_point ELSE last.point END AS point,
            CASE WHEN s.place = 2 THEN NULL ELSE last.grid_id END AS grid_id
    ) AS began
    LEFT JOIN grid ON grid.id = o.grid_id
    LEFT JOIN grid AS began_grid ON began_grid.id = began.grid_id
    WHERE s.fresh AND s.step = 'check_in' AND NOT s.far
        AND s.out_step = 'travel' AND s.out_order = s.work_order_id
        AND (s.place = 2 OR s.last_step = 'check_in' AND NOT s.last_far)
        AND o.point IS NOT NULL AND began.point IS NOT NULL
    ORDER BY s.id
    """  # noqa: S608 - text of our own
)
_FIRST = text(
    "SELECT min(at) FROM work_order_event WHERE at >= :since AND at < :until AND step = 'check_in'"
)


async def first_arrival(session: AsyncSession, since: datetime, until: datetime) -> datetime | None:
    """Find when anybody first checked in within a time."""
    found: datetime | None = await session.scalar(_FIRST, {"since": since, "until": until})
    return found


async def driven(session: AsyncSession, since: datetime, until: datetime) -> Sequence[Row[Any]]:
    """Read the ways that ended with a check-in which came within a time, by the server's clock."""
    given = {"since": since, "until": until, "steps": ["travel", "check_in"]}
    return (await session.execute(_DRIVEN, given)).all()


class NewTrip(NamedTuple):
    """A row of `trip` to be written."""

    id: UUID
    work_order_id: UUID
    technician_id: UUID
    org_unit_id: UUID
    set_out_at: datetime
    day: date
    hour: int
    from_grid_id: UUID | None
    to_grid_id: UUID | None
    seconds: int
    expected: int
    by_distance: int
    least: int
    metres: int
    cut: str | None


_INSERT = text(
    f"""
    INSERT INTO trip ({", ".join(NewTrip._fields)})
    SELECT {", ".join(NewTrip._fields)}
    FROM jsonb_populate_recordset(NULL::trip, CAST(:trips AS jsonb))
    ON CONFLICT (id) DO NOTHING
    """  # noqa: S608 - names of our own
)
_FORGET = text("DELETE FROM trip WHERE day < :before")


async def write(tx: AsyncSession, trips: Sequence[NewTrip]) -> None:
    """Write trips; those that are there already stay as they are."""
    rows = [trip._asdict() for trip in trips]
    await tx.execute(_INSERT, {"trips": orjson.dumps(rows).decode()})


async def forget(tx: AsyncSession, before: date) -> None:
    """Delete the ways of local days before another."""
    await tx.execute(_FORGET, {"before": before})


# One sort by pair and hour serves both kinds of groups.
_MEDIANS = text(
    """
    INSERT INTO travel_median (from_grid_id, to_grid_id, hour, pace, seconds, trips)
    SELECT from_grid_id, to_grid_id, coalesce(hour, -1),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(seconds - least, 0) / metres::float8),
        round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)),
        count(*)
    FROM trip
    WHERE day >= :since AND cut IS NULL AND from_grid_id IS NOT NULL AND to_grid_id IS NOT NULL
    GROUP BY GROUPING SETS ((from_grid_id, to_grid_id, hour), (from_grid_id, to_grid_id))
    HAVING count(*) >= :least
    """
)
# Who is in a unit is in those above it too; units are few, so they are joined before the trips.
_RATIOS = text(
    """
    INSERT INTO travel_ratio (org_unit_id, hour, ratio, trips)
    SELECT above.unit_id, coalesce(hour, -1),
        percentile_cont(0.5) WITHIN GROUP (
            ORDER BY greatest(seconds - least, 0) / greatest(by_distance - least, 1)::float8
        ),
        count(*)
    FROM (
        SELECT low.id, high.id AS unit_id
        FROM org_unit low JOIN org_unit high ON starts_with(low.path, high.path)
    ) AS above
    JOIN trip ON trip.org_unit_id = above.id
    WHERE day >= :since AND cut IS NULL
    GROUP BY GROUPING SETS ((above.unit_id, hour), (above.unit_id))
    HAVING count(*) >= :least
    """
)
_MEMORY = text("SET LOCAL work_mem = '256MB'")


class Counts(NamedTuple):
    """How many pairs of grids and org units something is known of."""

    pairs: int
    pairs_by_hour: int
    units: int


async def refresh(
    tx: AsyncSession, since: date, *, least_trips: int, least_unit_trips: int
) -> Counts:
    """Learn from the trips of local days from `since` on, in place of what was learned before."""
    await tx.execute(_MEMORY)
    await tx.execute(text("DELETE FROM travel_median"))
    await tx.execute(text("DELETE FROM travel_ratio"))
    await tx.execute(_MEDIANS, {"since": since, "least": least_trips})
    await tx.execute(_RATIOS, {"since": since, "least": least_unit_trips})
    return await counts(tx)


_COUNTS = text(
    """
    SELECT count(*) FILTER (WHERE hour < 0), count(*) FILTER (WHERE hour >= 0),
        (SELECT count(*) FROM travel_ratio WHERE hour < 0)
    FROM travel_median
    """
)


async def counts(session: AsyncSession) -> Counts:
    """Count what is known."""
    return Counts(*(await session.execute(_COUNTS)).one())


_ERRORS = text(
    """
    SELECT day, count(*) FILTER (WHERE cut IS NULL) AS trips, count(cut) AS cut,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(seconds - by_distance))
            FILTER (WHERE cut IS NULL) AS by_distance,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(seconds - expected))
            FILTER (WHERE cut IS NULL) AS expected
    FROM trip WHERE day >= :since GROUP BY day ORDER BY day
    """
)


async def errors(session: AsyncSession, since: date) -> Sequence[Row[Any]]:
    """Read by local day how far off ways were, in the median and in seconds: by the distance alone
    and as they were expected before they were learned from."""
    return (await session.execute(_ERRORS, {"since": since})).all()
