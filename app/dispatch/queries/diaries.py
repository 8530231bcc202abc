"""What people's days hold, all in one statement: visits in their order, holds, loans, places."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.dispatch.rules import Booked
from app.dispatch.rules.diaries import Lent
from app.dispatch.rules.routes import NEVER, Stop
from app.grids.rules import GridKind
from app.technicians.rules import DayRead
from app.travel.rules import Place
from app.workorders.queries import UNDER_WAY_SINCE
from app.workorders.rules import State

# --- what days hold -------------------------------------------------------------------------------

# Placing one order asks some twenty people; each further statement would cost as much as all their
# rows together. The states stand in it as words, so that the partial index of what is held will do.
_CONTENTS = text(
    f"""
    SELECT 'visit' AS what, o.holder_id AS technician_id, o.planned_day AS day, o.id,
        o.state AS word, o.priority AS number, o.estimated_minutes AS minutes,
        ST_X(o.point) AS lon, ST_Y(o.point) AS lat, o.grid_id,
        o.appointment_from AS begins, o.appointment_until AS until,
        extract(epoch FROM o.due_at)::bigint AS due,
        {UNDER_WAY_SINCE} AS since,
        EXISTS (SELECT FROM dispatch_pin p WHERE p.work_order_id = o.id) AS pinned,
        NULL::uuid[] AS route, g.kind
    FROM work_order o LEFT JOIN grid g ON g.id = o.grid_id
    WHERE o.holder_id = ANY(CAST(:technician_ids AS uuid[])) AND o.planned_day <= :last_day
        AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
    UNION ALL
    SELECT CASE WHEN h.expires_at > :now THEN 'hold' ELSE 'over' END, h.technician_id, h.day, h.id,
        NULL, NULL, h.minutes, NULL, NULL, h.grid_id, h.begins_at, h.ends_at, NULL, NULL, NULL,
        NULL, NULL
    FROM appointment_hold h
    WHERE h.state = 'held' AND h.day <= :last_day
        AND h.technician_id = ANY(CAST(:technician_ids AS uuid[]))
    UNION ALL
    SELECT 'day', d.technician_id, d.day, NULL, NULL, d.version, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, d.route, NULL
    FROM technician_day d
    WHERE d.technician_id = ANY(CAST(:technician_ids AS uuid[]))
        AND d.day BETWEEN :first_day AND :last_day
    UNION ALL
    SELECT 'loan', l.technician_id, l.valid_from, NULL, u.path, l.valid_to - l.valid_from,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM technician_loan l JOIN org_unit u ON u.id = l.org_unit_id
    WHERE l.technician_id = ANY(CAST(:technician_ids AS uuid[]))
        AND l.agreed_at IS NOT NULL AND l.ended_at IS NULL
        AND l.valid_to > :first_day AND l.valid_from <= :last_day
    UNION ALL
    (
        SELECT DISTINCT ON (o.holder_id)
            'last', o.holder_id, o.planned_day, NULL, NULL, NULL, NULL,
            ST_X(o.point), ST_Y(o.point), o.grid_id, NULL, NULL, NULL, NULL, NULL, NULL, g.kind
        FROM work_order o LEFT JOIN grid g ON g.id = o.grid_id
        WHERE o.holder_id = ANY(CAST(:technician_ids AS uuid[]))
            AND o.planned_day BETWEEN :first_day AND :first_day + 2
            AND o.completed_at > :this_shift AND o.point IS NOT NULL
        ORDER BY o.holder_id, o.completed_at DESC
    )
    UNION ALL
    SELECT 'grid', g.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, g.kind
    FROM grid g WHERE g.id = ANY(CAST(:grid_ids AS uuid[]))
    """  # noqa: S608 - text of our own
)

# Where somebody was longer ago than a shift can be is not where they are.
_SHIFT = timedelta(hours=12)


@dataclass(slots=True)
class Content:
    """What is known of one person's days: visits, appointments and what is written, by day."""

    visits: dict[date, list[Stop]] = field(default_factory=dict)
    windows: dict[date, list[Booked]] = field(default_factory=dict)
    written: dict[date, DayRead] = field(default_factory=dict)
    holds: set[UUID] = field(default_factory=set)
    over: bool = False  # a hold's time is over, and its minutes are still promised
    loans: list[Lent] = field(default_factory=list)
    last: Place | None = None


async def contents(
    session: AsyncSession,
    technician_ids: Collection[UUID],
    *,
    first_day: date,
    last_day: date,
    now: datetime,
    without: Collection[UUID] = (),
    grid_ids: Collection[UUID] = (),
) -> tuple[dict[UUID, Content], dict[UUID, GridKind]]:
    """Read what people's local days hold, and the kinds of some grids.

    What days before the first still hold is read as well. Orders and holds given by id are left
    out.
    """
    found = {technician_id: Content() for technician_id in technician_ids}
    rows = await session.execute(
        _CONTENTS,
        {
            "technician_ids": list(found),
            "grid_ids": list(grid_ids),
            "first_day": first_day,
            "last_day": last_day,
            "now": now,
            "this_shift": now - _SHIFT,
        },
    )
    by_kind: dict[str, list[Row[Any]]] = {}
    for row in rows:
        by_kind.setdefault(row.what, []).append(row)
    kinds = {row.technician_id: GridKind(row.kind) for row in by_kind.get("grid", ())}
    for row in by_kind.get("visit", ()):
        if row.id not in without:
            _visit(found[row.technician_id], row)
    for row in by_kind.get("hold", ()):
        if row.id not in without:
            stop = Stop(row.id, None, row.minutes * 60, *_window(row))
            content = found[row.technician_id]
            content.visits.setdefault(row.day, []).append(stop)
            content.holds.add(row.id)
            _book(content, row)
    for row in by_kind.get("over", ()):
        found[row.technician_id].over = True
    for row in by_kind.get("day", ()):
        found[row.technician_id].written[row.day] = DayRead(row.number, tuple(row.route))
    for row in by_kind.get("loan", ()):
        until = row.day + timedelta(days=row.number)
        found[row.technician_id].loans.append(Lent(row.day, until, row.word))
    for row in by_kind.get("last", ()):
        found[row.technician_id].last = Place.of(row.lon, row.lat, row.grid_id, row.kind)
    return found, kinds


def _visit(content: Content, row: Row[Any]) -> None:
    state = State(row.word)
    stop = Stop(
        row.id,
        Place.of(row.lon, row.lat, row.grid_id, row.kind),
        row.minutes * 60,
        *_window(row),
        NEVER if row.due is None else row.due,
        row.number,
        state,
        row.since,
        row.pinned,
    )
    content.visits.setdefault(row.day, []).append(stop)
    # What was begun keeps its minutes and no window: it is being done.
    if row.begins is not None and state in (State.ASSIGNED, State.ACKNOWLEDGED):
        _book(content, row)


def _window(row: Row[Any]) -> tuple[int, int]:
    if row.begins is None:
        return 0, NEVER
    return int(row.begins.timestamp()), int(row.until.timestamp())


def _book(content: Content, row: Row[Any]) -> None:
    content.windows.setdefault(row.day, []).append(Booked(row.begins, row.until, row.minutes))


# --- an org unit's people -------------------------------------------------------------------------

_STAFF = text(
    """
    (
        SELECT u.path AS unit_path, t.id, ST_X(t.home_point) AS lon, ST_Y(t.home_point) AS lat,
            NULL::date AS valid_from, NULL::date AS valid_to
        FROM unnest(CAST(:paths AS text[])) AS u (path)
        JOIN org_unit o ON starts_with(o.path, u.path)
        JOIN technician t ON t.org_unit_id = o.id
        WHERE t.active
        ORDER BY
            power((ST_X(t.home_point) - CAST(:lon AS float8)) * cosd(CAST(:lat AS float8)), 2)
                + power(ST_Y(t.home_point) - CAST(:lat AS float8), 2) NULLS LAST,
            t.id
        LIMIT CAST(:most AS bigint)
    )
    UNION ALL
    SELECT u.path, t.id, ST_X(t.home_point), ST_Y(t.home_point), l.valid_from, l.valid_to
    FROM unnest(CAST(:paths AS text[])) AS u (path)
    JOIN org_unit o ON starts_with(u.path, o.path)
    JOIN technician_loan l ON l.org_unit_id = o.id
    JOIN technician t ON t.id = l.technician_id
    WHERE t.active AND l.agreed_at IS NOT NULL AND l.ended_at IS NULL
        AND l.valid_to > :first_day AND l.valid_from <= :last_day
    """
)


class Person(NamedTuple):
    """Somebody of an org unit, or lent to it on some local days, with the point of their home."""

    id: UUID
    lon: float | None
    lat: float | None
    valid_from: date | None
    valid_to: date | None


async def staff(
    session: AsyncSession,
    unit_paths: Collection[str],
    *,
    first_day: date,
    last_day: date,
    near: tuple[float, float] | None = None,
    most: int | None = None,
) -> dict[str, list[Person]]:
    """Read who is active in some org units and beneath, and who is lent to them on any of some
    local days, by the units' paths.

    Of the former so many at most, who live nearest to a point in WGS-84 degrees, the nearest first.
    """
    found: dict[str, list[Person]] = {path: [] for path in unit_paths}
    lon, lat = near or (None, None)
    given = {
        "paths": list(found),
        "first_day": first_day,
        "last_day": last_day,
        "lon": lon,
        "lat": lat,
        "most": most,
    }
    for path, *person in await session.execute(_STAFF, given):
        found[path].append(Person(*person))
    return found
