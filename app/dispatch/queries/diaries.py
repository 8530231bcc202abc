"""What people's days hold, all in one statement: visits in their order, holds, loans, places."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
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
_CONTENTS = f"""
    SELECT 'visit' AS what, o.holder_id AS technician_id, o.planned_day AS day, o.id,
        o.state AS word, o.priority AS number, o.estimated_minutes AS minutes,
        ST_X(o.point) AS lon, ST_Y(o.point) AS lat, o.grid_id,
        o.appointment_from AS begins, o.appointment_until AS until,
        extract(epoch FROM o.due_at)::bigint AS due,
        {UNDER_WAY_SINCE} AS since,
        EXISTS (SELECT FROM dispatch_pin p WHERE p.work_order_id = o.id) AS pinned,
        NULL::uuid[] AS route, g.kind
    FROM work_order o LEFT JOIN grid g ON g.id = o.grid_id
    WHERE o.holder_id = ANY(CAST(%(technician_ids)s AS uuid[])) AND o.planned_day <= %(last_day)s
        AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
    UNION ALL
    SELECT CASE WHEN h.expires_at > %(now)s THEN 'hold' ELSE 'over' END, h.technician_id, h.day,
        h.id, NULL, NULL, h.minutes, NULL, NULL, h.grid_id, h.begins_at, h.ends_at, NULL, NULL,
        NULL, NULL, NULL
    FROM appointment_hold h
    WHERE h.state = 'held' AND h.day <= %(last_day)s
        AND h.technician_id = ANY(CAST(%(technician_ids)s AS uuid[]))
    UNION ALL
    SELECT 'day', d.technician_id, d.day, NULL, NULL, d.version, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, d.route, NULL
    FROM technician_day d
    WHERE d.technician_id = ANY(CAST(%(technician_ids)s AS uuid[]))
        AND d.day BETWEEN %(first_day)s AND %(last_day)s
    UNION ALL
    SELECT 'loan', l.technician_id, l.valid_from, NULL, u.path, l.valid_to - l.valid_from,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM technician_loan l JOIN org_unit u ON u.id = l.org_unit_id
    WHERE l.technician_id = ANY(CAST(%(technician_ids)s AS uuid[]))
        AND l.agreed_at IS NOT NULL AND l.ended_at IS NULL
        AND l.valid_to > %(first_day)s AND l.valid_from <= %(last_day)s
    UNION ALL
    (
        SELECT DISTINCT ON (o.holder_id)
            'last', o.holder_id, o.planned_day, NULL, NULL, NULL, NULL,
            ST_X(o.point), ST_Y(o.point), o.grid_id, NULL, NULL, NULL, NULL, NULL, NULL, g.kind
        FROM work_order o LEFT JOIN grid g ON g.id = o.grid_id
        WHERE o.holder_id = ANY(CAST(%(technician_ids)s AS uuid[]))
            AND o.planned_day BETWEEN %(first_day)s AND %(first_day)s + 2
            AND o.completed_at > %(this_shift)s AND o.point IS NOT NULL
        ORDER BY o.holder_id, o.completed_at DESC
    )
    UNION ALL
    SELECT 'grid', g.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, g.kind
    FROM grid g WHERE g.id = ANY(CAST(%(grid_ids)s AS uuid[]))
    """  # noqa: S608 - text of our own

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
    rows = await fetched(
        session,
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
    kinds = {}
    for row in map(_Row._make, rows):
        if row.what == "grid" and row.kind is not None:
            kinds[row.whose] = GridKind(row.kind)
        elif row.id not in without or row.what == "over":
            _TAKE[row.what](found[row.whose], row)
    return found, kinds


class _Row(NamedTuple):
    """A row of any kind: `whose` is a technician's id, or a grid's."""

    what: str
    whose: UUID
    day: date
    id: UUID | None
    word: str
    number: int
    minutes: int
    lon: float | None
    lat: float | None
    grid_id: UUID | None
    begins: datetime | None
    until: datetime | None
    due: int | None
    since: int | None
    pinned: bool
    route: list[UUID]
    kind: str | None

    def window(self) -> tuple[int, int]:
        """Say between when work may begin, in seconds since 1970."""
        if self.begins is None or self.until is None:
            return 0, NEVER
        return int(self.begins.timestamp()), int(self.until.timestamp())

    def book(self, content: Content) -> None:
        """Note an appointment, if this is one."""
        if self.begins is not None and self.until is not None:
            booked = Booked(self.begins, self.until, self.minutes)
            content.windows.setdefault(self.day, []).append(booked)


_STATES = {state.value: state for state in State}
_NOT_BEGUN = (State.ASSIGNED, State.ACKNOWLEDGED)


def _visit(content: Content, row: _Row) -> None:
    assert row.id is not None
    opens, closes = row.window()
    place = Place.of(row.lon, row.lat, row.grid_id, row.kind)
    due = NEVER if row.due is None else row.due
    state, seconds = _STATES[row.word], row.minutes * 60
    stop = Stop(
        row.id, place, seconds, opens, closes, due, row.number, state, row.since, row.pinned
    )
    content.visits.setdefault(row.day, []).append(stop)
    # What was begun keeps its minutes and no window: it is being done.
    if state in _NOT_BEGUN:
        row.book(content)


def _hold(content: Content, row: _Row) -> None:
    assert row.id is not None
    stop = Stop(row.id, None, row.minutes * 60, *row.window())
    content.visits.setdefault(row.day, []).append(stop)
    content.holds.add(row.id)
    row.book(content)


def _over(content: Content, _row: _Row) -> None:
    content.over = True


def _day(content: Content, row: _Row) -> None:
    content.written[row.day] = DayRead(row.number, tuple(row.route))


def _loan(content: Content, row: _Row) -> None:
    until = row.day + timedelta(days=row.number)
    content.loans.append(Lent(row.day, until, row.word))


def _last(content: Content, row: _Row) -> None:
    content.last = Place.of(row.lon, row.lat, row.grid_id, row.kind)


_TAKE = {
    "visit": _visit,
    "hold": _hold,
    "over": _over,
    "day": _day,
    "loan": _loan,
    "last": _last,
}


# --- an org unit's people -------------------------------------------------------------------------

_STAFF = """
    (
        SELECT u.path AS unit_path, t.id, ST_X(t.home_point) AS lon, ST_Y(t.home_point) AS lat,
            NULL::date AS valid_from, NULL::date AS valid_to
        FROM unnest(CAST(%(paths)s AS text[])) AS u (path)
        JOIN org_unit o ON starts_with(o.path, u.path)
        JOIN technician t ON t.org_unit_id = o.id
        WHERE t.active
        ORDER BY
            power((ST_X(t.home_point) - CAST(%(lon)s AS float8)) * cosd(CAST(%(lat)s AS float8)), 2)
                + power(ST_Y(t.home_point) - CAST(%(lat)s AS float8), 2) NULLS LAST,
            t.id
        LIMIT CAST(%(most)s AS bigint)
    )
    UNION ALL
    SELECT u.path, t.id, ST_X(t.home_point), ST_Y(t.home_point), l.valid_from, l.valid_to
    FROM unnest(CAST(%(paths)s AS text[])) AS u (path)
    JOIN org_unit o ON starts_with(u.path, o.path)
    JOIN technician_loan l ON l.org_unit_id = o.id
    JOIN technician t ON t.id = l.technician_id
    WHERE t.active AND l.agreed_at IS NOT NULL AND l.ended_at IS NULL
        AND l.valid_to > %(first_day)s AND l.valid_from <= %(last_day)s
    """


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
    for path, *person in await fetched(session, _STAFF, given):
        found[path].append(Person(*person))
    return found
