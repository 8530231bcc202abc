"""A province in the middle of a working day, with a past of any length, written by SQL.

Technicians in 40 branches, each with six orders today and some with one left over from yesterday.
All that "my day" reads is there; orders' events are not, since nothing measured here reads them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from app.auth.rules import Role
from benchmarks.stand import Stand

# Monday, one in the afternoon: half of the day is done.
NOW = datetime(2026, 3, 2, 13, 0, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)

A_DAY = 6
BATCH = 40_000


@dataclass(frozen=True)
class Province:
    """How many technicians and customers there are, and how many orders of the past."""

    past: int
    technicians: int = 4_000
    customers: int = 100_000

    def orders(self) -> int:
        """Count the orders: past, today's, and those left over from yesterday."""
        return self.past + self.technicians * A_DAY + self.technicians // 10


@dataclass(frozen=True)
class Person:
    """A technician, as far as a token needs it."""

    id: UUID
    org_unit_id: UUID
    org_path: str


def token(stand: Stand, person: Person) -> str:
    """Issue a technician's access token."""
    return stand.token(Role.TECHNICIAN, person.org_unit_id, person.org_path, person.id)


# An id as UUIDv7 has it: the moment first, so that rows of one time lie together in indexes.
_FUNCTIONS = """
CREATE FUNCTION pg_temp.id_at(at timestamptz, kind int, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || lpad(to_hex(kind), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.id_of(kind int, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.id_at('2025-01-01Z', kind, n)
$$;
"""
_UNIT, _TECHNICIAN, _GRID, _CUSTOMER, _ORDER, _VISIT = range(1, 7)

_PEOPLE = f"""
INSERT INTO org_unit (id, code, name_zh, name_en, level, parent_id, path)
VALUES (pg_temp.id_of({_UNIT}, 0), 'gd', '省', 'Province', 'province', NULL, 'gd.'),
       (pg_temp.id_of({_UNIT}, 1), 'gd-c', '市', 'City', 'city',
        pg_temp.id_of({_UNIT}, 0), 'gd.gd-c.');
INSERT INTO org_unit (id, code, name_zh, name_en, level, parent_id, path)
SELECT pg_temp.id_of({_UNIT}, 2 + n), 'b' || n, n || '支局', 'Branch ' || n, 'branch',
    pg_temp.id_of({_UNIT}, 1), 'gd.gd-c.b' || n || '.'
FROM generate_series(0, 39) AS n;
INSERT INTO technician (id, org_unit_id, code, name, phone)
SELECT pg_temp.id_of({_TECHNICIAN}, n), pg_temp.id_of({_UNIT}, 2 + n % 40), 'T' || n, '李工' || n,
    '139' || lpad(n::text, 8, '0')
FROM generate_series(0, {{technicians}} - 1) AS n;
INSERT INTO grid (id, org_unit_id, code, name, kind)
SELECT pg_temp.id_of({_GRID}, n), pg_temp.id_of({_UNIT}, 2 + n % 40), 'G' || n, '幸福小区' || n,
    'compound'
FROM generate_series(0, 1199) AS n;
INSERT INTO customer (id, org_unit_id, code, name, phone, segment, as_of)
SELECT pg_temp.id_of({_CUSTOMER}, n), pg_temp.id_of({_UNIT}, 2 + n % 40), 'C' || n, '王小明',
    '138' || lpad(n::text, 8, '0'), 'household', '2026-03-01Z'
FROM generate_series(0, {{customers}} - 1) AS n
"""

# What a day's orders look like, from a relation `given` with: n (a number of its own), t (whose),
# day (local), state, came (when it came in), done (when it was completed).
_COLUMNS = """
    (id, org_unit_id, source, external_id, content_hash, work_type, priority, state, customer_id,
     service_number, contact_name, contact_phone, address, locality, summary, point, grid_id,
     near_border, estimated_minutes, appointment_from, appointment_until, due_at, reported_at,
     received_at, tried_at, holder_id, planned_day, restored_at, completed_at, outcome_code,
     version, created_at)
"""
_ORDER_OF = f"""
    SELECT pg_temp.id_at(came, {_ORDER}, n), pg_temp.id_of({_UNIT}, 2 + t % 40), 'crm', 'WO-' || n,
        md5(n::text), CASE n % 3 WHEN 0 THEN 'install' ELSE 'repair' END, 1 + n % 4, state,
        pg_temp.id_of({_CUSTOMER}, n * 7919 % {{customers}}),
        '0755' || lpad((n % 10000000)::text, 8, '0'),
        '王小明', '138' || lpad((n % 100000000)::text, 8, '0'),
        '幸福路' || n % 900 || '号' || n % 30 || '栋2单元' || 100 + n % 900 || '室',
        '幸福路' || n % 900 || '号', '宽带无法上网,光猫红灯闪烁',
        ST_SetSRID(ST_MakePoint(114 + n * 7919 % 10000 / 1e4, 22.5 + n * 104729 % 10000 / 1e4),
                   4326),
        pg_temp.id_of({_GRID}, t % 1200), n % 50 = 0, 60,
        CASE WHEN n % 2 = 0 THEN (day + time '15:00') AT TIME ZONE 'Asia/Shanghai' END,
        CASE WHEN n % 2 = 0 THEN (day + time '17:00') AT TIME ZONE 'Asia/Shanghai' END,
        (day + time '23:59') AT TIME ZONE 'Asia/Shanghai',
        came - interval '5 minutes', came, came, pg_temp.id_of({_TECHNICIAN}, t), day,
        CASE WHEN n % 3 > 0 THEN done END, done,
        CASE WHEN done IS NULL THEN NULL WHEN n % 3 = 0 THEN 'installed' ELSE 'fixed' END,
        6, came
    FROM given
"""
_VISIT_OF = f"""
    SELECT pg_temp.id_at(came, {_VISIT}, n), pg_temp.id_at(came, {_ORDER}, n),
        pg_temp.id_of({_TECHNICIAN}, t), coalesce(done, '{NOW}') - interval '80 minutes',
        coalesce(done, '{NOW}') - interval '60 minutes', 12.5,
        CASE WHEN state = 'suspended' THEN 'customer_absent' END,
        CASE WHEN state = 'suspended' THEN timestamptz '{NOW}' + interval '2 hours' END,
        done, CASE WHEN done IS NOT NULL THEN 'completed' END,
        CASE WHEN done IS NULL THEN NULL WHEN n % 3 = 0 THEN 'installed' ELSE 'fixed' END
    FROM given WHERE state IN ('completed', 'archived', 'on_site', 'suspended')
"""
_VISIT_COLUMNS = """
    (id, work_order_id, technician_id, travel_started_at, checked_in_at, check_in_distance_m,
     suspend_cause, resume_at, ended_at, outcome, outcome_code)
"""

# Numbers n count up through the past, the oldest first; each round of 4,000 gives everybody one
# order, in an order of people that is mixed, so that one person's rows lie far apart.
_PAST = f"""
    WITH given AS MATERIALIZED (
        SELECT n, n * 1237 % {{technicians}} AS t, day,
            CASE WHEN n % 20 = 0 THEN 'cancelled' WHEN day < date '2026-02-23' THEN 'archived'
                ELSE 'completed' END AS state,
            (day + time '00:10' + (n / {{technicians}} % {A_DAY}) * interval '20 minutes')
                AT TIME ZONE 'UTC' AS came,
            CASE WHEN n % 20 > 0 THEN
                (day + time '02:00' + (n / {{technicians}} % {A_DAY}) * interval '70 minutes')
                AT TIME ZONE 'UTC' END AS done
        FROM (
            SELECT n, date '2026-03-01'
                - (({{past}} - 1 - n) / ({{technicians}} * {A_DAY}))::int AS day
            FROM generate_series({{first}}::bigint, {{last}}) AS n
        ) AS numbered
    ), visited AS (INSERT INTO visit {_VISIT_COLUMNS} {_VISIT_OF})
    INSERT INTO work_order {_COLUMNS} {_ORDER_OF}
"""
# Today: two completed (one of them so long ago that its contact is masked again), one under way,
# two acknowledged, one not yet seen; and every tenth has one that was suspended yesterday.
_TODAY = f"""
    WITH given AS MATERIALIZED (
        SELECT {{past}} + k * {{technicians}} + t AS n, t,
            CASE WHEN k = 6 THEN date '2026-03-01' ELSE date '2026-03-02' END AS day,
            (ARRAY['completed', 'completed', 'on_site', 'acknowledged', 'acknowledged', 'assigned',
                   'suspended'])[k + 1] AS state,
            timestamptz '2026-03-01 23:50Z' + k * interval '1 minute' AS came,
            CASE k WHEN 0 THEN timestamptz '2026-03-02 02:10Z'
                   WHEN 1 THEN timestamptz '2026-03-02 03:40Z' END AS done
        FROM generate_series(0, {A_DAY}) AS k, generate_series(0::bigint, {{technicians}} - 1) AS t
        WHERE k < {A_DAY} OR t % 10 = 0
    ), visited AS (INSERT INTO visit {_VISIT_COLUMNS} {_VISIT_OF})
    INSERT INTO work_order {_COLUMNS} {_ORDER_OF}
"""


def write(database_url: str, province: Province, done: Callable[[int], None]) -> None:
    """Write a province into an empty migrated database; `done` hears of every batch of orders."""
    # Foreign keys hold by construction; checking them for each row takes longer than the rows.
    options = "-c session_replication_role=replica -c timezone=UTC -c synchronous_commit=off"
    past = province.past

    with psycopg.connect(database_url, autocommit=True, options=options) as connection:

        def execute(statement: LiteralString, **numbers: int) -> None:
            connection.execute(
                sql.SQL(statement).format(
                    past=past,
                    technicians=province.technicians,
                    customers=province.customers,
                    **numbers,
                )
            )

        connection.execute(_FUNCTIONS)
        execute(_PEOPLE)
        for first in range(0, past, BATCH):
            last = min(first + BATCH, past) - 1
            execute(_PAST, first=first, last=last)
            done(last + 1 - first)
        execute(_TODAY)
        done(province.orders() - past)


def people(database_url: str, count: int) -> list[Person]:
    """Read some technicians, from all branches."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            """
            SELECT t.id, t.org_unit_id, o.path
            FROM technician t JOIN org_unit o ON o.id = t.org_unit_id
            ORDER BY t.id LIMIT %s
            """,
            [count],
        ).fetchall()
    return [Person(*row) for row in rows]
