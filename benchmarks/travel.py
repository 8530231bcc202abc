"""Learning how long ways take: a night among thirty, and what is asked of it all day.

The history is made: grids of a kilometre, technicians who go from door to door in their branch's
grids, and a true pace that differs by pair of grids and by hour; one way in thirty went wrong.
Beside the night stands the least that learning costs, the medians of the same ways by one
statement; beside a matrix of travel times, plain distances by numpy.
"""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import process_time
from uuid import UUID

import numpy as np
import psycopg

from app.core.clock import FixedClock
from app.core.db import Database, open_database
from app.core.geo import distance_m
from app.core.jobs import Worker
from app.core.settings import Settings
from app.grids.rules import GridKind
from app.planning import jobs as planning
from app.planning.queries import accuracy, fairness
from app.travel import jobs
from app.travel.queries import known, travel_in_force
from app.travel.rules import DETOUR, SPEED, Learned, Place, Travel
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Stand, settle

DATABASE = "travel"
LAST = datetime(2026, 3, 1, 18, tzinfo=UTC)
"""Two in the morning of Monday 2 March in Shanghai: the end of the last night."""


@dataclass(frozen=True)
class Plan:
    """How much to measure: a tenth of a province unless it says otherwise."""

    technicians: int = 400
    branches: int = 14
    visits: int = 5
    days: int = 30
    places: int = 400
    pairs: int = 100_000
    rounds: int = 20


FULL = Plan()
QUICK = Plan(technicians=28, days=4, places=60, pairs=2_000, rounds=2)

# Nine grids a branch, three by three; ids as UUIDv7 has them, in the order of time.
_PEOPLE = """
CREATE FUNCTION pg_temp.id_at(at timestamptz, kind int, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || lpad(to_hex(kind), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.share(name text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashtext(name)::bigint + 2147483648) / 4294967296.0
$$;
INSERT INTO org_unit (id, code, name_zh, name_en, level, parent_id, path)
VALUES (pg_temp.id_at('2025-01-01Z', 1, 0), 'p', '省', 'Province', 'province', NULL, 'p.');
INSERT INTO org_unit (id, code, name_zh, name_en, level, parent_id, path)
SELECT pg_temp.id_at('2025-01-01Z', 1, 1 + n), 'b' || n, '支局', 'Branch', 'branch',
    pg_temp.id_at('2025-01-01Z', 1, 0), 'p.b' || n || '.' FROM generate_series(0, {branches} - 1) n;
INSERT INTO grid (id, org_unit_id, code, name, kind)
SELECT pg_temp.id_at('2025-01-01Z', 2, n), pg_temp.id_at('2025-01-01Z', 1, 1 + n / 9), 'G' || n,
    '网格', (ARRAY['compound', 'street', 'village'])[1 + n % 3]
FROM generate_series(0, {branches} * 9 - 1) n;
INSERT INTO technician (id, org_unit_id, code, name, home_point, daily_minutes)
SELECT pg_temp.id_at('2025-01-01Z', 3, n), pg_temp.id_at('2025-01-01Z', 1, 1 + n % {branches}),
    'T' || lpad(n::text, 5, '0'), '李工',
    ST_SetSRID(ST_MakePoint(112 + n % {branches} * 0.1 + 0.015, 28.015), 4326), 600
FROM generate_series(0, {technicians} - 1) n;
INSERT INTO shift (id, technician_id, weekday, starts_at, ends_at)
SELECT gen_random_uuid(), id, weekday, '08:00', '18:00'
FROM technician, generate_series(0, 6) weekday
"""
_DAY = """
CREATE TEMP TABLE made AS
WITH door AS (
    SELECT n, k, n % {branches} AS b,
        floor(pg_temp.share('g' || n || '-' || k || '{day}') * 9)::int AS g,
        pg_temp.share('x' || n || '-' || k || '{day}') AS x,
        pg_temp.share('y' || n || '-' || k || '{day}') AS y,
        date '{day}' + time '08:20' + k * interval '105 minutes'
            + pg_temp.share('t' || n || '-' || k || '{day}') * interval '25 minutes' AS local
    FROM generate_series(0, {technicians} - 1) n, generate_series(0, {visits} - 1) k
), way AS (
    SELECT *, 112 + b * 0.1 + (g % 3 + x) * 0.01 AS lon, 28 + (g / 3 + y) * 0.01 AS lat,
        lag(g) OVER own AS before
    FROM door WINDOW own AS (PARTITION BY n ORDER BY k)
), long AS (
    SELECT *, coalesce(ST_DistanceSphere(
        ST_MakePoint(lon, lat), ST_MakePoint(lag(lon) OVER own, lag(lat) OVER own)), 1500) AS metres
    FROM way WINDOW own AS (PARTITION BY n ORDER BY k)
)
SELECT n, k, b, b * 9 + g AS grid, lon, lat,
    local AT TIME ZONE 'Asia/Shanghai' AS out_at,
    CASE WHEN pg_temp.share('w' || n || '-' || k || '{day}') < 0.033 THEN 5400
    ELSE 120 + metres * 0.28
        -- By pair of grids from 0.6 to 1.8, by hour from 1 to 1.6, and some noise.
        * (0.6 + 1.2 * pg_temp.share('p' || b || '-' || coalesce(before, -1) || '-' || g))
        * CASE WHEN extract(hour FROM local) IN (8, 9, 17) THEN 1.6 ELSE 1.0 END
        * exp(0.2 * sqrt(-2 * ln(pg_temp.share('u' || n || '-' || k || '{day}') + 1e-9))
              * cos(2 * pi() * pg_temp.share('v' || n || '-' || k || '{day}')))
    END * interval '1 second' AS took
FROM long;
INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type, state,
    address, summary, point, grid_id, estimated_minutes, reported_at, received_at, holder_id,
    planned_day, completed_at)
SELECT pg_temp.id_at(out_at, 4, n * 100 + k), pg_temp.id_at('2025-01-01Z', 1, 1 + b), 'made',
    '{day}-' || n || '-' || k, '', 'repair', 'completed', '幸福路1号', '',
    ST_SetSRID(ST_MakePoint(lon, lat), 4326), pg_temp.id_at('2025-01-01Z', 2, grid), 60, out_at,
    out_at, pg_temp.id_at('2025-01-01Z', 3, n), '{day}', out_at + took + interval '40 minutes'
FROM made;
INSERT INTO work_order_event (id, work_order_id, at, device_at, technician_id, step, from_state,
    to_state, facts)
SELECT pg_temp.id_at(at, 5, n * 1000 + k * 10 + e), pg_temp.id_at(out_at, 4, n * 100 + k), at, at,
    pg_temp.id_at('2025-01-01Z', 3, n), step, 'acknowledged', led_to,
    jsonb_build_object('far', false)
FROM made, LATERAL (VALUES
    (0, out_at, 'travel', 'en_route'), (1, out_at + took, 'check_in', 'on_site'),
    (2, out_at + took + interval '40 minutes', 'complete', 'completed')) AS s (e, at, step, led_to)
ORDER BY at;
DROP TABLE made
"""
# The least that learning costs: the medians of the window's ways, by one statement, sent nowhere.
_BARE = """
SELECT from_grid_id, to_grid_id, hour, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)
FROM trip WHERE cut IS NULL AND from_grid_id IS NOT NULL GROUP BY 1, 2, 3
"""
# What the last day's ways took against the medians of their pairs in seconds, as one would write
# first; and against the other two where there is one.
_AGAINST = """
SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(t.seconds - t.by_distance)),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(t.seconds - coalesce(h.seconds, a.seconds))),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(t.seconds - t.expected))
FROM trip t
JOIN before a ON (a.from_grid_id, a.to_grid_id, a.hour) = (t.from_grid_id, t.to_grid_id, -1)
LEFT JOIN before h
    ON (h.from_grid_id, h.to_grid_id, h.hour) = (t.from_grid_id, t.to_grid_id, t.hour)
WHERE t.day = '2026-03-01' AND t.cut IS NULL
"""


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure and print."""
    url = stand.database(DATABASE)
    with stand.progress() as progress:
        bar = progress.add_task("days driven", total=plan.days)
        await asyncio.to_thread(_fill, url, plan, lambda: progress.advance(bar))
    clock = FixedClock(LAST - timedelta(days=1))
    database = open_database(Settings(database_url=url, statement_timeout_seconds=600))
    try:
        worker = Worker(stand.settings, clock, database)
        with stand.console.status(f"learning from {plan.days - 1} nights"):
            first, _ = await _cpu(stand, lambda: jobs.learn(worker))
            adding, _ = await _cpu(stand, lambda: planning.add_up(worker))
        await asyncio.to_thread(_snapshot, url)
        clock.set(LAST)
        night, postgres = await _cpu(stand, lambda: jobs.learn(worker))
        sums, _ = await _cpu(stand, lambda: planning.add_up(worker))
        bare = await asyncio.to_thread(_bare, stand, url, plan.rounds)
        trips, pairs = await asyncio.to_thread(_counts, url)
        table(
            stand.console,
            f"Learning: {plan.days} days of {plan.technicians * plan.visits:,} visits, "
            f"{trips:,} ways, {pairs:,} medians",
            ["", "CPU ms", "of it PG", "times the bare medians"],
            [
                [
                    "the last night",
                    milliseconds(night),
                    milliseconds(postgres),
                    f"{night / bare:.2f} x",
                ],
                ["sums of that night", milliseconds(sums), "", f"{sums / bare:.2f} x"],
                ["one night of those before", milliseconds(first / max(1, plan.days - 1)), "", ""],
                ["sums of one of them", milliseconds(adding / max(1, plan.days - 1)), "", ""],
                ["the bare medians", milliseconds(bare), "", "1.00 x"],
            ],
        )
        figures = [
            Figure("a night of learning, CPU", night, "s", at_most=10),
            Figure("a night beside the bare medians", night / bare, "x", at_most=15),
        ]
        figures += await asyncio.to_thread(_better, stand, url)
        figures += await _asked(stand, database, plan)
    finally:
        await database.close()
    stand.drop(DATABASE)
    figures += _matrices(stand, plan)
    return figures


def _fill(url: str, plan: Plan, done: Callable[[], None]) -> None:
    # Foreign keys hold by construction; checking them for each row takes longer than the rows.
    options = "-c session_replication_role=replica -c timezone=UTC -c synchronous_commit=off"
    sizes = {
        "branches": plan.branches,
        "technicians": plan.technicians,
        "visits": plan.visits,
    }
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute(_PEOPLE.format(**sizes).encode())
        for back in range(plan.days - 1, -1, -1):
            day = LAST.date() - timedelta(days=back)
            connection.execute(_DAY.format(day=day, **sizes).encode())
            done()
    settle(url)


async def _cpu(stand: Stand, work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Processor time of some work in seconds: all of it, and PostgreSQL's part."""
    python, postgres = process_time(), stand.postgres_cpu()
    await work()
    postgres = stand.postgres_cpu() - postgres
    return process_time() - python + postgres, postgres


def _snapshot(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE before AS SELECT * FROM travel_median")


def _bare(stand: Stand, url: str, rounds: int) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET jit = off")
        connection.execute("SET work_mem = '256MB'")
        connection.execute(_BARE).fetchall()
        before = process_time() + stand.postgres_cpu()
        for _ in range(rounds):
            connection.execute(_BARE).fetchall()
        return max((process_time() + stand.postgres_cpu() - before) / rounds, 0.001)


def _counts(url: str) -> tuple[int, int]:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM trip), (SELECT count(*) FROM travel_median)"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _better(stand: Stand, url: str) -> list[Figure]:
    with psycopg.connect(url) as connection:
        row = connection.execute(_AGAINST).fetchone()
    assert row is not None
    count, distance, seconds, expected = row
    if not count:
        return []
    table(
        stand.console,
        f"What the last day's {count:,} ways between known pairs took, against what was expected",
        ["expected by", "median error, s"],
        [
            ["distance and the speeds of areas", shown(distance)],
            ["the pair's median in seconds (what one would write first)", shown(seconds)],
            ["what is learned: a pace by pair and hour", shown(expected)],
        ],
    )
    return [
        Figure("error after learning, of that by distance", expected / distance, "x", at_most=0.6),
        Figure("error after learning, of a pair's seconds", expected / seconds, "x", at_most=1.0),
    ]


async def _asked(stand: Stand, database: Database, plan: Plan) -> list[Figure]:
    """What reading it costs: a process's own copy, and the two reports of a whole province."""
    now = LAST
    async with database.read() as read:
        known.forget(read)
        load, _ = await _cpu(stand, lambda: _forget_result(travel_in_force(read, now, "p.b1.")))
        before = process_time()
        for _ in range(plan.rounds * 100):
            await travel_in_force(read, now, "p.b1.")
        call = (process_time() - before) / (plan.rounds * 100)
        units = [row.id for row in await accuracy.units(read, "p.")]
        since, until = LAST.date() - timedelta(days=29), LAST.date()

        async def errors() -> None:
            for _ in range(plan.rounds):
                await accuracy.ways(read, units, since, until)
                await accuracy.plans(read, units, since, until)

        async def fair() -> None:
            for _ in range(plan.rounds):
                await fairness.report(
                    read, "p.", until, detour=1.35, least_present=3600, after=None, limit=51
                )

        await errors()
        await fair()
        told, _ = await _cpu(stand, errors)
        shared, _ = await _cpu(stand, fair)
    table(
        stand.console,
        "What is asked of it",
        ["", "CPU ms"],
        [
            ["reading all medians, once a night and process", milliseconds(load)],
            ["travel in force of a branch", milliseconds(call)],
            ["errors of the whole part, 30 days", milliseconds(told / plan.rounds)],
            ["a page of 50 of who had how much", milliseconds(shared / plan.rounds)],
        ],
    )
    return [
        Figure("errors of 30 days, CPU", told / plan.rounds * 1000, "ms", at_most=500),
        Figure("a page of fairness, CPU", shared / plan.rounds * 1000, "ms", at_most=100),
    ]


async def _forget_result(work: Awaitable[object]) -> None:
    await work


def _matrices(stand: Stand, plan: Plan) -> list[Figure]:
    """A district's matrix with as many pairs known as a province has, beside plain distances."""
    dice = random.Random(1)
    grids = [UUID(int=dice.getrandbits(128)) for _ in range(1_200)]
    paces: dict[tuple[UUID, UUID, int], float] = {}
    while len(paces) < plan.pairs * 2:
        start, end = dice.choice(grids), dice.choice(grids)
        paces[start, end, -1] = dice.uniform(0.1, 0.6)
        paces[start, end, dice.randrange(24)] = dice.uniform(0.1, 0.6)
    learned = Learned.of(paces)
    of_kind = {grid: dice.choice(list(GridKind)) for grid in grids}
    places: list[Place | None] = []
    for _ in range(plan.places):
        grid = dice.choice(grids[:40])
        lon_lat = dice.uniform(112, 112.3), dice.uniform(28, 28.3)
        places.append(Place(*lon_lat, grid, of_kind[grid]))
    lon = np.array([place.lon for place in places if place])
    lat = np.array([place.lat for place in places if place])
    pace = DETOUR.default / (SPEED[GridKind.STREET].default / 3.6)

    def plain() -> None:
        metres = distance_m(lon[:, None], lat[:, None], lon[None, :], lat[None, :])
        (120 + metres * pace).astype(np.int32)

    knowing = Travel(learned=learned)
    timed = {
        "plain distances by numpy": _time(plain, plan.rounds),
        "nothing learned": _time(lambda: Travel().matrix(places), plan.rounds),
        f"{len(learned):,} medians known ({learned.nbytes / 1e6:.1f} MB)": _time(
            lambda: knowing.matrix(places), plan.rounds
        ),
        "the same at an hour": _time(lambda: knowing.matrix(places, 9), plan.rounds),
    }
    base = timed["plain distances by numpy"]
    table(
        stand.console,
        f"Travel times between {plan.places} places",
        ["", "CPU ms", "times plain distances"],
        [[name, milliseconds(took), f"{took / base:.2f} x"] for name, took in timed.items()],
    )
    one = _time(lambda: knowing.seconds(places[0], places[1], 9), plan.rounds * 500)
    stand.console.print(f"A single way: {one * 1e6:.1f} us", highlight=False)
    worst = max(took for name, took in timed.items() if name != "plain distances by numpy")
    return [Figure("matrix beside plain distances", worst / base, "x", at_most=2.0)]


def _time(work: Callable[[], object], rounds: int) -> float:
    work()
    took = []
    for _ in range(5):
        before = process_time()
        for _ in range(max(1, rounds // 5)):
            work()
        took.append((process_time() - before) / max(1, rounds // 5))
    return statistics.median(took)
