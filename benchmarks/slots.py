"""Searching for slots, and holding them: a week of five slots in a province of 4,000 technicians.

The yardstick is the quota one would write first: one statement that adds up the shifts of a branch
slot by slot and takes the appointments off; it knows nobody's skills, leave or grids, and no two
appointments that overlap.
"""

import random
from dataclasses import dataclass
from statistics import median
from time import process_time

import orjson
import psycopg

from app.auth.rules import Role
from app.core.db import new_id
from benchmarks import history, load
from benchmarks.history import NOW, Province
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Stand, settle

SEARCH, HOLDS = "/v1/appointments/search-time-slots", "/v1/appointments/holds"


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    province: Province
    searches: int = 600
    holds: int = 200
    rounds: int = 5


FULL = Plan(Province(50_000))
QUICK = Plan(Province(2_000, technicians=400, customers=1_000), searches=20, holds=10, rounds=1)

# Every grid is a square with a primary and three backups of its branch; everybody works from eight
# to six with an hour's rest and has five orders on each of the next six days, half of them with an
# appointment in one of the slots.
SCENE = """
INSERT INTO grid_boundary (id, grid_id, boundary, area_m2, valid_from, source)
SELECT gen_random_uuid(), id, ST_Multi(ST_MakeEnvelope(110 + n % 40 * 0.01, 24 + n / 40 * 0.01,
    110.01 + n % 40 * 0.01, 24.01 + n / 40 * 0.01, 4326)), 1e6, '2025-01-01', 'made'
FROM (SELECT id, substr(code, 2)::int AS n FROM grid) AS numbered;
INSERT INTO grid_membership (id, grid_id, technician_id, kind, rank, valid_from)
SELECT gen_random_uuid(), g.id, t.id, CASE k WHEN 0 THEN 'primary' ELSE 'backup' END, k + 1,
    '2025-01-01'
FROM (SELECT id, org_unit_id, row_number() OVER (PARTITION BY org_unit_id ORDER BY id) - 1 AS n
      FROM grid) AS g
CROSS JOIN generate_series(0, 3) AS k
JOIN (SELECT id, org_unit_id, row_number() OVER (PARTITION BY org_unit_id ORDER BY id) - 1 AS n,
          count(*) OVER (PARTITION BY org_unit_id) AS of FROM technician) AS t
    ON t.org_unit_id = g.org_unit_id AND t.n = (g.n * 3 + k) % t.of;
INSERT INTO shift (id, technician_id, weekday, starts_at, ends_at)
SELECT gen_random_uuid(), id, weekday, part.begins, part.ends
FROM technician, generate_series(0, 6) AS weekday,
    (VALUES (time '08:00', time '12:00'), (time '13:00', time '18:00')) AS part (begins, ends);
INSERT INTO technician_skill (technician_id, skill) SELECT id, 'fibre' FROM technician;
INSERT INTO slot_template (id, code, category, work_types, starts_at, ends_at, valid_from)
SELECT gen_random_uuid(), 's' || hour, 'install', '{install,relocate}', make_time(hour, 0, 0),
    make_time(hour + 2, 0, 0), '2025-01-01'
FROM unnest(ARRAY[8, 10, 14, 16, 18]) AS hour;
INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type, state,
    address, summary, point, grid_id, estimated_minutes, appointment_from, appointment_until,
    reported_at, received_at, holder_id, planned_day)
SELECT gen_random_uuid(), t.org_unit_id, 'made', 'N-' || t.code || '-' || day || '-' || k, '',
    CASE WHEN k % 2 = 0 THEN 'install' ELSE 'repair' END, 'assigned', '幸福路1号', '', NULL,
    g.grid_id, 45, CASE WHEN k < 2 THEN begins END,
    CASE WHEN k < 2 THEN begins + interval '2 hours' END,
    now(), now(), t.id, date '2026-03-02' + day
FROM technician t
JOIN LATERAL (SELECT grid_id FROM grid_membership m WHERE m.technician_id = t.id LIMIT 1) AS g
    ON true,
    generate_series(1, 6) AS day, generate_series(0, 4) AS k,
    LATERAL (SELECT (date '2026-03-02' + day + make_time(
        (ARRAY[8, 10, 14, 16])[1 + (hashtext(t.code) & 1023 + k) % 4], 0, 0))
        AT TIME ZONE 'Asia/Shanghai' AS begins) AS slot;
INSERT INTO technician_day (technician_id, day, committed_minutes, orders)
SELECT holder_id, planned_day, sum(estimated_minutes), count(*) FROM work_order
WHERE state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended') GROUP BY 1, 2
"""

_QUOTA = """
SELECT day, s.code,
    (SELECT sum(extract(epoch FROM
         least(h.ends_at, s.ends_at) - greatest(h.starts_at, s.starts_at)))
     FROM technician t JOIN shift h ON h.technician_id = t.id
     WHERE t.org_unit_id = %(unit)s AND h.weekday = extract(isodow FROM day) - 1
         AND h.starts_at < s.ends_at AND s.starts_at < h.ends_at) / 60
    - (SELECT coalesce(sum(o.estimated_minutes), 0)
       FROM technician t JOIN work_order o ON o.holder_id = t.id AND o.planned_day = day::date
       WHERE t.org_unit_id = %(unit)s
           AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
           AND o.appointment_from = (day + s.starts_at) AT TIME ZONE 'Asia/Shanghai')
FROM generate_series(date '2026-03-02', date '2026-03-08', interval '1 day') AS day, slot_template s
"""


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url = stand.database("slots")
    with stand.progress() as progress:
        task = progress.add_task("writing a province", total=plan.province.orders())
        history.write(url, plan.province, lambda by: progress.advance(task, by))
    with psycopg.connect(url, options="-c session_replication_role=replica") as connection:
        connection.execute(SCENE)
        row = connection.execute(
            "SELECT id, path FROM org_unit WHERE level = 'province'"
        ).fetchone()
        assert row is not None
    settle(url)
    dice = random.Random(51)
    with stand.server("slots", url, NOW) as server:
        token = stand.token(Role.INTEGRATION, row[0], row[1])

        def post(path: str, **fields: object) -> bytes:
            return load.request("POST", path, token=token, body=orjson.dumps(fields))

        def place() -> dict[str, object]:
            point = {
                "lon": 110.005 + dice.randrange(40) * 0.01,
                "lat": 24.005 + dice.randrange(30) * 0.01,
                "coordsys": "wgs84",
            }
            return {
                "point": point,
                "work_type": "install",
                "estimated_minutes": 60,
                "skills": ["fibre"],
                "later_agreed": True,
            }

        week = {"first_day": "2026-03-02", "last_day": "2026-03-08"}
        await load.run(server.port, [post(SEARCH, **place(), **week)] * 20, connections=1)
        api, quota, p50, p95 = [], [], [], []
        for _ in range(plan.rounds):
            asks = [post(SEARCH, **place(), **week) for _ in range(plan.searches // plan.rounds)]
            before = server.cpu() + server.backends_cpu()
            timing = await load.run(server.port, asks, connections=1)
            api.append((server.cpu() + server.backends_cpu() - before) / len(asks))
            p50.append(timing.percentile(0.5))
            p95.append(timing.percentile(0.95))
            quota.append(_by_quota(stand, url, len(asks)))
        holds = [
            post(
                HOLDS,
                id=str(new_id()),
                day=f"2026-03-{dice.randrange(3, 9):02d}",
                slot=dice.choice(["s8", "s10", "s14", "s16"]),
                **place(),
            )
            for _ in range(plan.holds)
        ]
        held = await load.run(
            server.port, holds, connections=8, expect=(201, 409), keep_replies=True
        )
    won = sum(reply.status == 201 for reply in held.replies)
    stand.drop("slots")
    ratio = median(ours / theirs for ours, theirs in zip(api, quota, strict=True))
    table(
        stand.console,
        f"Slots of a week at one place, {plan.province.technicians:,} technicians",
        ["", "CPU, ms", "p50, ms", "p95, ms"],
        [
            ["search, API and PostgreSQL", *map(milliseconds, map(median, (api, p50, p95)))],
            ["a quota by one statement, PostgreSQL", milliseconds(median(quota)), "", ""],
            ["  ratio", shown(ratio), "", ""],
            [
                f"hold over 8 connections, {won} of {plan.holds} had",
                "",
                milliseconds(held.percentile(0.5)),
                milliseconds(held.percentile(0.95)),
            ],
        ],
    )
    return [Figure("search of 7 days x 5 slots, p95", median(p95) * 1000, "ms", at_most=50)]


def _by_quota(stand: Stand, url: str, times: int) -> float:
    """Ask for a branch's quota as often; return the processor time of it, in seconds."""
    before, own = stand.postgres_cpu(), process_time()
    with psycopg.connect(url, autocommit=True) as connection:
        units = connection.execute("SELECT id FROM org_unit WHERE level = 'branch'").fetchall()
        for number in range(times):
            connection.execute(_QUOTA, {"unit": units[number % len(units)][0]}).fetchall()
    return (stand.postgres_cpu() - before + process_time() - own) / times
