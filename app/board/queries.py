"""Reads of the board: who works there, their visits, and what nobody has.

They go straight to the driver, as one statement each, since a board of 300 people has some 1,800
rows. The states stand in them as words, so that the partial indexes will do; what is closed is
found by the day it was closed, so that no read grows with history.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from app.board.rules.day import Person, Presence, Seen, Visit
from app.board.rules.words import Works
from app.outages.rules import OutageState, PlaceKind
from app.presence.queries import HEARD, LAST_POSITION
from app.technicians.rules import Piece
from app.travel.rules import Place
from app.workorders.rules import State, UnplacedReason
from app.worktypes.rules import WorkType

Driver = psycopg.AsyncConnection[Any]
_zone = cache(ZoneInfo)


class Asked(NamedTuple):
    """What a board is asked for: the units of a subtree, a local day from its first moment to its
    last, and whether open visits of earlier days count on it (today) or only its own (a day to
    come); a day gone by has none. `technicians` None means everybody; `positions` says whether it
    is asked about where they are."""

    units: Sequence[UUID]
    day: date
    begins: datetime
    ends: datetime
    today: bool
    gone: bool
    technicians: Sequence[UUID] | None
    positions: bool

    def given(self) -> dict[str, Any]:
        """Write it as the parameters of the statements."""
        return {
            "units": list(self.units),
            "day": self.day,
            "first": "-infinity" if self.today else "infinity" if self.gone else str(self.day),
            "begins": self.begins,
            "ends": self.ends,
            "today": self.today,
            "positions": self.positions,
            "all": self.technicians is None,
            "technicians": list(self.technicians or ()),
        }


_HELD = "o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')"
# What is under way counts today, on whichever day it was to be done.
_OF_THE_DAY = f"""
    {_HELD} AND o.planned_day BETWEEN CAST(%(first)s AS date) AND CAST(%(day)s AS date)
    AND (%(today)s OR o.state NOT IN ('en_route', 'on_site'))
"""
_UNDER_WAY_AHEAD = """
    %(today)s AND o.state IN ('en_route', 'on_site') AND o.planned_day > CAST(%(day)s AS date)
"""
_ASKED = "(%(all)s OR o.holder_id = ANY(%(technicians)s))"
_UNITS = "o.org_unit_id = ANY(%(units)s)"
_DONE = "o.completed_at >= %(begins)s AND o.completed_at < %(ends)s"

# In force on the day; the words are those of the exclusion constraint, whose index finds them.
_LENT = """
    l.agreed_at IS NOT NULL AND l.ended_at IS NULL
    AND daterange(l.valid_from, l.valid_to) @> CAST(%(day)s AS date)
"""
# Everybody of the units who is not lent to others, and whoever is lent to them.
_PEOPLE = f"""
    SELECT t.id, 'own' AS works FROM technician t
    WHERE t.org_unit_id = ANY(%(units)s) AND t.active
        AND NOT EXISTS (
            SELECT FROM technician_loan l
            WHERE l.technician_id = t.id AND {_LENT} AND l.org_unit_id <> ALL(%(units)s)
        )
    UNION ALL
    SELECT t.id, 'borrowed' FROM technician_loan l JOIN technician t ON t.id = l.technician_id
    WHERE {_LENT} AND l.org_unit_id = ANY(%(units)s) AND t.org_unit_id <> ALL(%(units)s)
        AND t.active
"""  # noqa: S608 - text of our own

_VISITS = """
    SELECT o.id, o.holder_id, o.external_id, o.work_type, o.priority, o.state, o.address,
        o.locality, g.code, g.kind, o.grid_id, ST_X(o.point), ST_Y(o.point), o.estimated_minutes,
        extract(epoch FROM o.appointment_from)::bigint,
        extract(epoch FROM o.appointment_until)::bigint,
        extract(epoch FROM o.due_at)::bigint, o.planned_day, o.version,
        extract(epoch FROM o.completed_at)::bigint,
        extract(epoch FROM e.set_out)::bigint, extract(epoch FROM e.arrived)::bigint,
        extract(epoch FROM e.since)::bigint, p.work_order_id IS NOT NULL, o.repeats, o.nudges,
        extract(epoch FROM v.resume_at)::bigint
    FROM found o
    LEFT JOIN grid g ON g.id = o.grid_id
    LEFT JOIN dispatch_pin p ON p.work_order_id = o.id
    LEFT JOIN visit v ON v.work_order_id = o.id AND v.ended_at IS NULL AND o.state = 'suspended'
    LEFT JOIN LATERAL (
        SELECT max(at) FILTER (WHERE step = 'travel') AS set_out,
            max(at) FILTER (WHERE step = 'check_in') AS arrived,
            max(at) FILTER (
                WHERE to_state = o.state AND (from_state IS DISTINCT FROM to_state
                    OR step = 'assign')
            ) AS since
        FROM work_order_event WHERE work_order_id = o.id
    ) AS e ON o.state <> 'acknowledged'
"""
_COLUMNS = """
    o.id, o.holder_id, o.external_id, o.work_type, o.priority, o.state, o.address, o.locality,
    o.grid_id, o.point, o.estimated_minutes, o.appointment_from, o.appointment_until, o.due_at,
    o.planned_day, o.version, o.completed_at, o.repeats, o.nudges
"""

# A unit's own visits: those of the day that are open, and those completed on it, by whomever.
_OURS = f"""
    WITH found AS MATERIALIZED (
        SELECT {_COLUMNS} FROM work_order o WHERE {_UNITS} AND {_OF_THE_DAY} AND {_ASKED}
        UNION ALL
        SELECT {_COLUMNS} FROM work_order o WHERE {_UNITS} AND {_DONE} AND {_ASKED}
            AND o.holder_id IS NOT NULL
    )
    {_VISITS}
"""  # noqa: S608 - text of our own
# What else its people have to do: of other units, and what they have begun before its day.
_OTHERS = f"""
    WITH found AS MATERIALIZED (
        SELECT {_COLUMNS} FROM work_order o
        WHERE o.holder_id = ANY(%(people)s) AND {_OF_THE_DAY} AND NOT {_UNITS}
        UNION ALL
        SELECT {_COLUMNS} FROM work_order o
        WHERE o.holder_id = ANY(%(people)s) AND {_UNDER_WAY_AHEAD}
    )
    SELECT found.*, o.org_unit_id = ANY(%(units)s) FROM ({_VISITS}) AS found
    JOIN work_order o ON o.id = found.id
"""  # noqa: S608 - text of our own

_STAFF = f"""
    WITH people AS (
        SELECT id, works FROM ({_PEOPLE}) AS here WHERE %(all)s OR id = ANY(%(technicians)s)
        UNION
        SELECT id, 'helping' FROM unnest(%(holders)s::uuid[]) AS id
        WHERE id NOT IN (SELECT id FROM ({_PEOPLE}) AS here)
    )
    SELECT t.id, t.code, t.name, t.org_unit_id, people.works, t.active, u.time_zone,
        ARRAY(SELECT s.starts_at FROM shift s
              WHERE s.technician_id = t.id AND s.weekday = extract(isodow FROM %(day)s::date) - 1
              ORDER BY s.starts_at),
        ARRAY(SELECT s.ends_at FROM shift s
              WHERE s.technician_id = t.id AND s.weekday = extract(isodow FROM %(day)s::date) - 1
              ORDER BY s.starts_at),
        ARRAY(SELECT l.starts_at FROM leave l
              WHERE l.technician_id = t.id AND l.ends_at > %(begins)s AND l.starts_at < %(ends)s
              ORDER BY l.starts_at),
        ARRAY(SELECT l.ends_at FROM leave l
              WHERE l.technician_id = t.id AND l.ends_at > %(begins)s AND l.starts_at < %(ends)s
              ORDER BY l.starts_at),
        ST_X(t.home_point), ST_Y(t.home_point), r.route,
        last.lon, last.lat, last.grid_id, last.kind,
        d.began_at, heard.at, coalesce(heard.streaming, false), d.consent_from IS NOT NULL,
        p.at, ST_X(p.point), ST_Y(p.point), p.accuracy_m
    FROM people JOIN technician t ON t.id = people.id
    JOIN org_unit u ON u.id = t.org_unit_id
    LEFT JOIN technician_day r ON r.technician_id = t.id AND r.day = %(day)s
    LEFT JOIN duty d ON %(today)s AND d.technician_id = t.id AND d.ended_at IS NULL
    {HEARD} AND %(today)s
    LEFT JOIN {LAST_POSITION} AND %(positions)s AND t.org_unit_id = ANY(%(units)s)
    LEFT JOIN LATERAL (
        SELECT ST_X(o.point) AS lon, ST_Y(o.point) AS lat, o.grid_id, g.kind
        FROM visit v JOIN work_order o ON o.id = v.work_order_id
        LEFT JOIN grid g ON g.id = o.grid_id
        WHERE %(today)s AND v.technician_id = t.id AND v.travel_started_at >= %(begins)s
            AND v.ended_at IS NOT NULL AND v.checked_in_at IS NOT NULL AND o.point IS NOT NULL
        ORDER BY v.travel_started_at DESC LIMIT 1
    ) AS last ON true
    ORDER BY t.code
"""  # noqa: S608 - text of our own

_WAITS = "o.state IN ('received', 'located', 'unplaced')"
_UNPLACED = f"""
    SELECT o.id, o.external_id, o.work_type, o.priority, o.state, o.unplaced_reason, o.address,
        o.locality, g.code, o.skills, o.estimated_minutes, o.appointment_from,
        o.appointment_until, o.due_at, o.received_at, o.tried_at, o.version, o.repeats, o.nudges,
        o.outage_id,
        found.all
    FROM (
        SELECT id, count(*) OVER () AS all FROM work_order o
        WHERE {_UNITS} AND {_WAITS}
        ORDER BY least(appointment_until, due_at) NULLS LAST, priority, received_at, id
        LIMIT %(most)s
    ) AS found
    JOIN work_order o ON o.id = found.id
    LEFT JOIN grid g ON g.id = o.grid_id
    ORDER BY least(o.appointment_until, o.due_at) NULLS LAST, o.priority, o.received_at, o.id
"""  # noqa: S608 - text of our own

# Few are open at a time, and whoever looks at a board has to see all of them.
_OUTAGES = """
    SELECT u.id, u.place_kind, u.name, u.state, u.since, u.expected_end, u.parent_order_id,
        ST_X(u.point), ST_Y(u.point), theirs.orders, theirs.held, u.version
    FROM outage u
    CROSS JOIN LATERAL (
        SELECT count(*) AS orders, count(*) FILTER (WHERE o.unplaced_reason = 'outage') AS held
        FROM work_order o WHERE o.outage_id = u.id
    ) AS theirs
    WHERE u.org_unit_id = ANY(%(units)s) AND u.ended_at IS NULL
    ORDER BY u.state = 'confirmed', u.since, u.id
    LIMIT 200
"""


# A mark of all that the statements above would read: equal marks, equal answers. Whoever changes an
# order or a person raises the version; the rest has other ids when it is another.
_MARK = f"""
    WITH mine AS MATERIALIZED (
        SELECT o.id, o.version, o.holder_id FROM work_order o
        WHERE {_UNITS} AND {_OF_THE_DAY}
        UNION ALL
        SELECT o.id, o.version, o.holder_id FROM work_order o
        WHERE {_UNITS} AND {_DONE} AND o.holder_id IS NOT NULL
    ), people AS MATERIALIZED (
        SELECT id FROM ({_PEOPLE}) AS here
        UNION SELECT holder_id FROM mine
    ), others AS (
        SELECT o.id, o.version FROM people JOIN work_order o ON o.holder_id = people.id
        WHERE {_OF_THE_DAY} AND NOT {_UNITS}
        UNION ALL
        SELECT o.id, o.version FROM people JOIN work_order o ON o.holder_id = people.id
        WHERE {_UNDER_WAY_AHEAD}
    ), parts (part, hash) AS (
        SELECT 0, uuid_hash_extended(id, version) FROM mine
        UNION ALL SELECT 1, uuid_hash_extended(id, version) FROM others
        UNION ALL SELECT 2, uuid_hash_extended(p.work_order_id, 0) FROM mine
            JOIN dispatch_pin p ON p.work_order_id = mine.id
        UNION ALL SELECT 3, uuid_hash_extended(t.id, t.version) FROM people
            JOIN technician t ON t.id = people.id
        UNION ALL SELECT 4, uuid_hash_extended(d.technician_id, hash_array_extended(d.route, 0))
            FROM people JOIN technician_day d ON d.technician_id = people.id AND d.day = %(day)s
        UNION ALL SELECT 5, uuid_hash_extended(l.id, extract(epoch FROM l.ends_at)::bigint)
            FROM people JOIN leave l ON l.technician_id = people.id
                AND l.ends_at > %(begins)s AND l.starts_at < %(ends)s
        UNION ALL SELECT 9, uuid_hash_extended(d.id, (d.consent_from IS NOT NULL)::int)
            FROM people JOIN duty d ON d.technician_id = people.id AND d.ended_at IS NULL
        UNION ALL SELECT 6, uuid_hash_extended(s.id, 0)
            FROM people JOIN shift s ON s.technician_id = people.id
                AND s.weekday = extract(isodow FROM %(day)s::date) - 1
        UNION ALL SELECT 7, uuid_hash_extended(o.id, o.version) FROM work_order o
            WHERE {_UNITS} AND {_WAITS}
        UNION ALL SELECT 8, uuid_hash_extended(u.id, u.version) FROM outage u
            WHERE u.org_unit_id = ANY(%(units)s) AND u.ended_at IS NULL
    )
    SELECT string_agg(part || ':' || count || ':' || sum, ' ' ORDER BY part)
    FROM (SELECT part, count(*), sum(hash) FROM parts GROUP BY part) AS added
"""  # noqa: S608 - text of our own


class Waiting(NamedTuple):
    """An order that nobody has."""

    id: UUID
    external_id: str
    work_type: WorkType
    priority: int
    state: State
    reason: UnplacedReason | None
    address: str
    locality: str | None
    grid_code: str | None
    skills: Sequence[str]
    minutes: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    received_at: datetime
    tried_at: datetime | None
    version: int
    repeats: int
    nudges: int
    outage_id: UUID | None


class OpenOutage(NamedTuple):
    """An outage that is proposed or confirmed, and how many orders it has and holds."""

    id: UUID
    kind: PlaceKind
    name: str
    state: OutageState
    since: datetime
    expected_end: datetime | None
    parent_order_id: UUID | None
    lon: float | None
    lat: float | None
    orders: int
    held: int
    version: int


async def mark(driver: Driver, asked: Asked) -> str:
    """Read a mark that changes with whatever a whole board shows; it costs a fraction of that."""
    cursor = await driver.execute(_MARK, asked.given())
    [(found,)] = await cursor.fetchall()
    return found or ""


async def visits_of_units(driver: Driver, asked: Asked) -> list[Visit]:
    """Read the visits of units on a day: open ones with a holder, and those completed on it."""
    cursor = await driver.execute(_OURS, asked.given())
    return [_visit(row, True) for row in await cursor.fetchall()]


async def other_visits(driver: Driver, asked: Asked, people: Collection[UUID]) -> list[Visit]:
    """Read what people have to do on a day beside the visits of those units."""
    cursor = await driver.execute(_OTHERS, asked.given() | {"people": list(people)})
    return [_visit(row, row[-1]) for row in await cursor.fetchall()]


async def staff(driver: Driver, asked: Asked, holders: Collection[UUID]) -> list[Person]:
    """Read who works for units on a day, and the `holders` of their orders; by their codes."""
    cursor = await driver.execute(_STAFF, asked.given() | {"holders": list(holders)})
    weekday = asked.day.weekday()
    return [_person(row, weekday) for row in await cursor.fetchall()]


async def unplaced(driver: Driver, asked: Asked, most: int) -> tuple[list[Waiting], int]:
    """Read the orders of units that nobody has, the most pressing first, and how many there are."""
    cursor = await driver.execute(_UNPLACED, {"units": list(asked.units), "most": most})
    rows = await cursor.fetchall()
    return [Waiting._make(row[:-1]) for row in rows], rows[0][-1] if rows else 0


async def outages(driver: Driver, asked: Asked) -> list[OpenOutage]:
    """Read the open outages of units, those first that nobody has decided on."""
    cursor = await driver.execute(_OUTAGES, {"units": list(asked.units)})
    return [OpenOutage._make(row) for row in await cursor.fetchall()]


_STATES = {state.value: state for state in State}


def _visit(row: tuple[Any, ...], ours: bool) -> Visit:
    return Visit(
        row[0],
        row[1],
        ours,
        row[2],
        row[3],
        row[4],
        _STATES[row[5]],
        row[6],
        row[7],
        row[8],
        Place.of(row[11], row[12], row[10], row[9]),
        *row[13:27],
    )


def _person(row: tuple[Any, ...], weekday: int) -> Person:
    id_, code, name, unit_id, works, active, zone, begins, ends, away, back, lon, lat, route = row[
        :14
    ]
    return Person(
        id_,
        code,
        name,
        unit_id,
        Works(works),
        active,
        _zone(zone),
        _shifts(weekday, begins, ends),
        _leave(away, back),
        None if lon is None else (lon, lat),
        Place.of(*row[14:18]),
        route or (),
        Presence(row[18], row[19], row[20], row[21], None if row[22] is None else Seen(*row[22:])),
    )


def _shifts(
    weekday: int, begins: Sequence[time], ends: Sequence[time]
) -> list[tuple[int, time, time]]:
    return [(weekday, one, other) for one, other in zip(begins, ends, strict=True)]


def _leave(away: Sequence[datetime], back: Sequence[datetime]) -> list[Piece]:
    return list(zip(away, back, strict=True))
