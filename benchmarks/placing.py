"""One arriving order among a province of people at work: one request, placed and committed.

The yardstick is the least one would write by hand: in one transaction the grid under the point is
found, the first of its people who has minutes, and these are promised and the order written; no
way, no lateness, no appointment, nobody else, no decision, no audit trail.
"""

import random
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import orjson
import psycopg

from app.auth.rules import Role
from app.core.db import new_id
from benchmarks import history, load
from benchmarks.history import NOW, Province
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Stand, settle


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    province: Province
    orders: int = 1_000
    rounds: int = 5


FULL = Plan(Province(0))
QUICK = Plan(Province(0, technicians=400, customers=1_000), orders=40, rounds=1)

# Every grid is a square of about a kilometre with a primary and three backups of its branch, who
# live in it and work from eight to eight with an hour's rest; it is one o'clock, and what they have
# left of the day lies in their own grid.
_SCENE = """
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
INSERT INTO grid_neighbour (grid_id, neighbour_id, distance_m)
SELECT a.id, b.id, 0 FROM grid a JOIN grid b
    ON abs(substr(a.code, 2)::int - substr(b.code, 2)::int) IN (1, 40);
INSERT INTO shift (id, technician_id, weekday, starts_at, ends_at)
SELECT gen_random_uuid(), id, weekday, part.begins, part.ends
FROM technician, generate_series(0, 6) AS weekday,
    (VALUES (time '08:00', time '12:00'), (time '13:00', time '20:00')) AS part (begins, ends);
UPDATE technician t SET home_point = ST_Centroid(b.boundary)
FROM (SELECT DISTINCT ON (technician_id) technician_id, grid_id FROM grid_membership
      ORDER BY technician_id, rank) AS m JOIN grid_boundary b ON b.grid_id = m.grid_id
WHERE m.technician_id = t.id;
UPDATE work_order o SET point = ST_SetSRID(ST_MakePoint(
    ST_X(t.home_point) - 0.005 + abs(hashtext(o.external_id)) % 100 / 1e4,
    ST_Y(t.home_point) - 0.005 + abs(hashtext(o.external_id)) % 89 / 1e4), 4326),
    appointment_from = NULL, appointment_until = NULL, due_at = '2026-03-02T12:00:00Z'
FROM technician t WHERE t.id = o.holder_id AND t.home_point IS NOT NULL;
DELETE FROM technician_day;
INSERT INTO technician_day (technician_id, day, committed_minutes, orders, route)
SELECT holder_id, planned_day, sum(estimated_minutes), count(*), array_agg(id ORDER BY id)
FROM work_order
WHERE state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended') GROUP BY 1, 2
"""

_BY_HAND = """
WITH here AS (
    SELECT grid_id FROM grid_boundary
    WHERE valid_to IS NULL AND ST_Covers(boundary, ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326))
    LIMIT 1
), free AS (
    SELECT m.technician_id, m.grid_id, t.org_unit_id
    FROM here JOIN grid_membership m USING (grid_id) JOIN technician t ON t.id = m.technician_id
    LEFT JOIN technician_day d ON d.technician_id = t.id AND d.day = '2026-03-02'
    WHERE coalesce(d.committed_minutes, 0) + 60 <= t.daily_minutes
    ORDER BY m.rank LIMIT 1
), promised AS (
    INSERT INTO technician_day AS held (technician_id, day, committed_minutes, orders)
    SELECT technician_id, '2026-03-02', 60, 1 FROM free
    ON CONFLICT (technician_id, day) DO UPDATE SET
        committed_minutes = held.committed_minutes + 60, orders = held.orders + 1
)
INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type, state,
    address, summary, point, grid_id, estimated_minutes, reported_at, received_at, holder_id,
    planned_day)
SELECT %(id)s, org_unit_id, 'hand', %(id)s::text, '', 'repair', 'assigned', '幸福路1号', '',
    ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326), grid_id, 60, now(), now(), technician_id,
    '2026-03-02'
FROM free
"""


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url = stand.database("placing")
    with stand.progress() as progress:
        task = progress.add_task("writing a province", total=plan.province.orders())
        history.write(url, plan.province, lambda by: progress.advance(task, by))
    with psycopg.connect(url, options="-c session_replication_role=replica") as connection:
        for statement in _SCENE.split(";"):
            connection.execute(statement)
        row = connection.execute(
            "SELECT id, path FROM org_unit WHERE level = 'province'"
        ).fetchone()
        assert row is not None
    settle(url)
    dice = random.Random(53)

    def point() -> tuple[float, float]:
        return 110 + dice.randrange(4_000) / 1e4, 24 + dice.randrange(3_000) / 1e4

    sent = 0
    cpu, hand, p50, p95, by_hand_p95 = [], [], [], [], []
    with stand.server("placing", url, NOW) as server:
        token = stand.token(Role.INTEGRATION, row[0], row[1])

        def order() -> bytes:
            nonlocal sent
            sent += 1
            lon, lat = point()
            body = {
                "source": "bench",
                "external_id": f"P-{sent}",
                "work_type": "repair",
                "address": f"幸福路{sent}号",
                "locality": f"幸福路{sent}号",
                "summary": "宽带断网",
                "reported_at": NOW.isoformat(),
                "estimated_minutes": 60,
                "priority": dice.choice([2, 3, 3, 4]),
                "point": {"lon": lon, "lat": lat, "coordsys": "wgs84"},
            }
            return load.request("POST", "/v1/work-orders", token=token, body=orjson.dumps(body))

        await load.run(server.port, [order() for _ in range(30)], connections=1, expect=(201,))
        for _ in range(plan.rounds):
            asks = [order() for _ in range(plan.orders // plan.rounds)]
            before = server.cpu() + server.backends_cpu()
            timing = await load.run(
                server.port, asks, connections=1, expect=(201,), keep_replies=True
            )
            cpu.append((server.cpu() + server.backends_cpu() - before) / len(asks))
            p50.append(timing.percentile(0.5))
            p95.append(timing.percentile(0.95))
            states = [reply.json()["state"] for reply in timing.replies]
            each, slow = _by_hand(stand, url, [point() for _ in asks])
            hand.append(each)
            by_hand_p95.append(slow)
    stand.drop("placing")
    ratio = median(ours / theirs for ours, theirs in zip(cpu, hand, strict=True))
    table(
        stand.console,
        f"One order among {plan.province.technicians:,} people at work, one after the other",
        ["", "CPU, ms", "p50, ms", "p95, ms"],
        [
            [
                "placed by cost, API and PostgreSQL",
                *map(milliseconds, map(median, (cpu, p50, p95))),
            ],
            [
                "the first with minutes, one statement, no API",
                milliseconds(median(hand)),
                "",
                milliseconds(median(by_hand_p95)),
            ],
            ["  ratio", shown(ratio), "", ""],
            [f"  of the last {len(states)} placed", f"{states.count('assigned')}", "", ""],
        ],
    )
    return [Figure("placing one order, p95", median(p95) * 1000, "ms", at_most=20)]


def _by_hand(stand: Stand, url: str, points: list[tuple[float, float]]) -> tuple[float, float]:
    """Place as many by hand; return processor time of one and the 95th percentile, in seconds."""
    before, own, took = stand.postgres_cpu(), process_time(), []
    with psycopg.connect(url) as connection:
        for lon, lat in points:
            began = perf_counter()
            connection.execute(_BY_HAND, {"id": new_id(), "lon": lon, "lat": lat})
            connection.commit()
            took.append(perf_counter() - began)
    cpu = stand.postgres_cpu() - before + process_time() - own
    return cpu / len(points), sorted(took)[int(len(took) * 0.95)]
