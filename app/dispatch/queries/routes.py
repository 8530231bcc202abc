"""Routes of days: what technicians hold on a local day, in the order in which it is to be done."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.dispatch.rules import routes as rules
from app.dispatch.rules.routes import NEVER, Stop
from app.technicians.availability import DayOf
from app.travel.rules import Place
from app.workorders.queries import UNDER_WAY_SINCE
from app.workorders.rules import State


class Route(NamedTuple):
    """Somebody's visits of a local day in their order, and the order as it is written down."""

    stops: list[Stop]
    written: tuple[UUID, ...]


# The states stand in it as words, so that the partial index of what is held will do. What a day
# gone by still holds is read as well; the caller says on which day it counts.
_HELD = text(
    f"""
    SELECT o.holder_id, o.planned_day, o.id, o.state, o.priority, o.estimated_minutes,
        ST_X(o.point) AS lon, ST_Y(o.point) AS lat, o.grid_id, g.kind,
        extract(epoch FROM o.appointment_from)::bigint AS opens,
        extract(epoch FROM o.appointment_until)::bigint AS closes,
        extract(epoch FROM o.due_at)::bigint AS due,
        {UNDER_WAY_SINCE} AS since,
        EXISTS (SELECT FROM dispatch_pin p WHERE p.work_order_id = o.id) AS pinned
    FROM work_order o
    LEFT JOIN grid g ON g.id = o.grid_id
    WHERE o.holder_id = ANY(CAST(:technician_ids AS uuid[])) AND o.planned_day <= :last_day
        AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
    """  # noqa: S608 - text of our own
)
_WRITTEN = text(
    """
    SELECT technician_id, day, route FROM technician_day
    WHERE technician_id = ANY(CAST(:technician_ids AS uuid[])) AND day = ANY(CAST(:days AS date[]))
        AND route <> '{}'
    """
)


async def routes_of(
    session: AsyncSession, technician_ids: Collection[UUID], days: Collection[date], *, today: date
) -> dict[DayOf, Route]:
    """Read the routes of people's local days; what days before `today` still hold counts today."""
    found: dict[DayOf, list[Stop]] = {(who, day): [] for who in technician_ids for day in days}
    if not found:
        return {}
    ids = list(technician_ids)
    rows = await session.execute(_HELD, {"technician_ids": ids, "last_day": max(days)})
    for row in rows:
        stops = found.get((row.holder_id, max(row.planned_day, today)))
        if stops is not None:
            stops.append(
                Stop(
                    row.id,
                    Place.of(row.lon, row.lat, row.grid_id, row.kind),
                    row.estimated_minutes * 60,
                    row.opens or 0,
                    row.closes or NEVER,
                    row.due or NEVER,
                    row.priority,
                    State(row.state),
                    row.since,
                    row.pinned,
                )
            )
    written = await written_routes(session, ids, days)
    return {
        key: Route(rules.in_order(stops, written.get(key, ())), written.get(key, ()))
        for key, stops in found.items()
    }


async def written_routes(
    session: AsyncSession, technician_ids: Collection[UUID], days: Collection[date]
) -> dict[DayOf, tuple[UUID, ...]]:
    """Read in which order local days are to be done, where that is written down."""
    given = {"technician_ids": list(technician_ids), "days": list(days)}
    rows = await session.execute(_WRITTEN, given)
    return {(row.technician_id, row.day): tuple(row.route) for row in rows}


_LAST = text(
    """
    SELECT DISTINCT ON (o.holder_id) o.holder_id, ST_X(o.point) AS lon, ST_Y(o.point) AS lat,
        o.grid_id, g.kind
    FROM work_order o LEFT JOIN grid g ON g.id = o.grid_id
    WHERE o.holder_id = ANY(CAST(:technician_ids AS uuid[])) AND o.planned_day = :day
        AND o.state IN ('completed', 'archived') AND o.point IS NOT NULL
    ORDER BY o.holder_id, o.completed_at DESC
    """
)


async def last_places(
    session: AsyncSession, technician_ids: Collection[UUID], day: date
) -> dict[UUID, Place]:
    """Read where people did the last order of a local day that they have done."""
    rows = await session.execute(_LAST, {"technician_ids": list(technician_ids), "day": day})
    places = {row.holder_id: Place.of(row.lon, row.lat, row.grid_id, row.kind) for row in rows}
    return {technician_id: place for technician_id, place in places.items() if place is not None}
