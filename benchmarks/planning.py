"""A province's day planned whole: what reading, writing and publishing take beside the search.

The search gets what the settings give it for each order; everything else is measured in processor
time of this process and of PostgreSQL, at two sizes, so that what grows faster than the day is
seen. The yardstick of reading is the orders of the day read by one statement and nothing else.
"""

import resource
import time
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import psycopg

import app.tables  # noqa: F401 - foreign keys reach into other rooms
from app.core.clock import FixedClock
from app.core.db import Database, new_id, open_database
from app.core.settings import Settings
from app.planning.models import DayPlan
from app.planning.rules.districts import pack, unpack
from app.planning.rules.drafts import draft_of
from app.planning.rules.wishes import Wish
from app.planning.service import asking
from app.planning.service.making import make
from app.planning.service.publishing import publish
from app.planning.service.reading import read_districts
from app.workorders import queries as workorders
from benchmarks import history
from benchmarks.history import NOW, Province
from benchmarks.report import Figure, shown, table
from benchmarks.stand import Stand, settle

TOMORROW = date(2026, 3, 3)
ZONE = ZoneInfo("Asia/Shanghai")
A_DAY = 5  # orders of a technician, one of which waits for somebody
FULL_ORDERS, WALL_SECONDS, PROCESSES = 20_000, 120, 2


@dataclass(frozen=True)
class Plan:
    """How large the two days are, in technicians, and how long an order is searched for."""

    small: int
    large: int
    seconds_an_order: float | None = None


FULL = Plan(400, 4_000)
QUICK = Plan(80, 400, seconds_an_order=0.0005)

# Branches lie 20 km from each other; a grid is a square kilometre with a primary and two backups of
# its branch, its orders lie in it, and everybody lives in the branch. Half of the orders have an
# appointment. Of five orders one waits, and one in twenty is held by somebody else of the branch.
_SCENE = """
CREATE TEMPORARY TABLE seat AS
    SELECT t.id, t.org_unit_id, substr(o.code, 2)::int AS branch,
        row_number() OVER (PARTITION BY t.org_unit_id ORDER BY t.id) - 1 AS n,
        count(*) OVER (PARTITION BY t.org_unit_id) AS of
    FROM technician t JOIN org_unit o ON o.id = t.org_unit_id;
CREATE TEMPORARY TABLE square AS
    SELECT g.id, g.org_unit_id, substr(o.code, 2)::int AS branch,
        row_number() OVER (PARTITION BY g.org_unit_id ORDER BY g.id) - 1 AS n
    FROM grid g JOIN org_unit o ON o.id = g.org_unit_id;
UPDATE technician SET home_point = ST_SetSRID(ST_MakePoint(
    112 + seat.branch % 8 * 0.2 + hashtext(code) % 300 / 1e4,
    23 + seat.branch / 8 * 0.2 + hashtext(code || 'y') % 300 / 1e4), 4326)
FROM seat WHERE seat.id = technician.id;
INSERT INTO grid_membership (id, grid_id, technician_id, kind, rank, valid_from)
SELECT gen_random_uuid(), g.id, t.id, CASE k WHEN 0 THEN 'primary' ELSE 'backup' END,
    greatest(k, 1), '2025-01-01'
FROM square g CROSS JOIN generate_series(0, 2) AS k
JOIN seat t ON t.org_unit_id = g.org_unit_id AND t.n = (g.n + k) % t.of;
INSERT INTO shift (id, technician_id, weekday, starts_at, ends_at)
SELECT gen_random_uuid(), id, weekday, part.begins, part.ends
FROM technician, generate_series(0, 6) AS weekday,
    (VALUES (time '08:00', time '12:00'), (time '13:00', time '18:00')) AS part (begins, ends);
INSERT INTO technician_skill (technician_id, skill) SELECT id, 'fibre' FROM technician;
INSERT INTO leave (id, technician_id, starts_at, ends_at, cause)
SELECT gen_random_uuid(), id, '2026-03-03 02:00Z', '2026-03-03 05:00Z', 'training' FROM seat
WHERE n % 30 = 7;
INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type, state,
    unplaced_reason, priority, address, summary, point, grid_id, skills, estimated_minutes,
    appointment_from, appointment_until, due_at, reported_at, received_at, holder_id, planned_day)
SELECT gen_random_uuid(), t.org_unit_id, 'made', 'P-' || t.branch || '-' || t.n || '-' || k, '',
    CASE WHEN k % 2 = 0 THEN 'install' ELSE 'repair' END,
    CASE WHEN k = 4 THEN 'unplaced' ELSE 'assigned' END,
    CASE WHEN k = 4 THEN 'no_minutes_left' END, 1 + k % 4, '幸福路1号', '',
    ST_SetSRID(ST_MakePoint(
        112 + t.branch % 8 * 0.2 + g.n % 6 * 0.01 + dice.east,
        23 + t.branch / 8 * 0.2 + g.n / 6 * 0.01 + dice.north), 4326),
    g.id, '{fibre}', 30 + 15 * (dice.size % 5),
    CASE WHEN k < 2 THEN begins END, CASE WHEN k < 2 THEN begins + interval '2 hours' END,
    '2026-03-03 10:00Z', '2026-03-02 00:00Z', '2026-03-02 00:00Z',
    CASE WHEN k < 4 THEN holder.id END, CASE WHEN k < 4 THEN date '2026-03-03' END
FROM seat t CROSS JOIN generate_series(0, 4) AS k
JOIN square g ON g.org_unit_id = t.org_unit_id AND g.n = (t.n + 7 * (k % 2)) % 30
JOIN seat holder ON holder.org_unit_id = t.org_unit_id
    AND holder.n = (t.n + CASE WHEN k = 3 AND t.n % 4 = 0 THEN 5 ELSE 0 END) % t.of,
    LATERAL (SELECT (abs(hashtext(t.id::text || k)) % 100) / 1e4 AS east,
        (abs(hashtext(k || t.id::text)) % 100) / 1e4 AS north,
        abs(hashtext(t.id::text || 's' || k)) AS size) AS dice,
    LATERAL (SELECT timestamptz '2026-03-03 00:00Z' + (dice.size % 4) * interval '2 hours'
        AS begins) AS slot;
INSERT INTO technician_day (technician_id, day, committed_minutes, orders)
SELECT holder_id, planned_day, sum(estimated_minutes), count(*) FROM work_order
WHERE planned_day = '2026-03-03' GROUP BY 1, 2
"""
_PLAIN = """
SELECT o.id, o.org_unit_id, o.state, o.holder_id, o.planned_day, o.priority, o.estimated_minutes,
    o.skills, o.grid_id, ST_X(o.point), ST_Y(o.point), o.appointment_from, o.appointment_until,
    o.due_at
FROM work_order o WHERE o.planned_day = '2026-03-03' OR o.state = 'unplaced'
"""


class _Watch:
    """Processor time of this process and of PostgreSQL, and wall time, by step."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.steps: dict[str, list[float]] = {}
        self._last = self._now()

    def _now(self) -> tuple[float, float, float]:
        return time.process_time(), self.stand.postgres_cpu(), time.perf_counter()

    def step(self, name: str) -> None:
        """End a step."""
        now = self._now()
        self.steps[name] = [after - before for after, before in zip(now, self._last, strict=True)]
        self._last = self._now()

    def cpu(self, *names: str) -> float:
        """Add up some steps' processor time."""
        return sum(self.steps[name][0] + self.steps[name][1] for name in names)


BESIDE = ("read", "keep the inputs", "draft", "write", "publish")


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    await _one(stand, plan.small // 4, 0.0005)  # what is imported and compiled once is known then
    small = await _one(stand, plan.small, plan.seconds_an_order)
    large = await _one(stand, plan.large, plan.seconds_an_order)
    growth = large[0].cpu(*BESIDE) / plan.large / (small[0].cpu(*BESIDE) / plan.small)
    watch, orders, search, peak = large
    beside = watch.cpu(*BESIDE)
    rows = [
        [name, *(shown(one * 1000) for one in times), shown((times[0] + times[1]) / orders * 1e6)]
        for name, times in watch.steps.items()
    ]
    table(
        stand.console,
        f"{plan.large:,} technicians, {orders:,} orders of tomorrow in 40 branches",
        ["", "CPU, ms", "PostgreSQL, ms", "wall, ms", "CPU, µs an order"],
        rows,
    )
    plain = watch.cpu("the orders alone, by one statement")
    table(
        stand.console,
        "Planning beside its search",
        ["", ""],
        [
            ["search as the settings have it, CPU, s", shown(search)],
            ["all else together, CPU, s", shown(beside)],
            ["  its share", f"{beside / (beside + search):.1%}"],
            ["reading and building / the orders alone", shown(watch.cpu("read") / plain)],
            [f"CPU an order, {plan.large:,} technicians / {plan.small:,}", shown(growth)],
            ["most memory of this process, MiB", shown(peak)],
        ],
    )
    whole = (beside / orders + search / orders / PROCESSES) * FULL_ORDERS
    return [
        Figure("a province-day read, planned and published", whole, "s", at_most=WALL_SECONDS),
        Figure("cost an order, large / small", growth, "times", at_most=1.5),
        Figure("memory of the process that plans", peak, "MiB", at_most=600),
    ]


async def _one(
    stand: Stand, technicians: int, an_order: float | None
) -> tuple[_Watch, int, float, float]:
    url = stand.database("planning")
    province = Province(0, technicians=technicians, customers=1_000)
    with stand.progress() as progress:
        task = progress.add_task("writing a province", total=province.orders())
        history.write(url, province, lambda by: progress.advance(task, by))
    with psycopg.connect(url, options="-c session_replication_role=replica") as connection:
        connection.execute(_SCENE)
    settle(url)
    database = open_database(Settings(database_url=url))
    try:
        return await _steps(stand, database, an_order)
    finally:
        await database.close()
        stand.drop("planning")


async def _steps(
    stand: Stand, database: Database, an_order: float | None
) -> tuple[_Watch, int, float, float]:
    clock = FixedClock(datetime.fromtimestamp(NOW.timestamp(), ZONE))
    async with database.read() as read:
        await workorders.org_units(read)
        connection = await read.connection()
        await connection.exec_driver_sql("SELECT 1")
    watch = _Watch(stand)
    async with database.read() as read:
        plain = await (await read.connection()).exec_driver_sql(_PLAIN)
        plain.all()
    watch.step("the orders alone, by one statement")
    async with database.read() as read:
        districts = await read_districts(read, "gd.", TOMORROW, zone=ZONE, now=clock.now())
    watch.step("read")
    packed = pack(districts)
    watch.step("keep the inputs")
    unpack(packed)
    watch.step("read the inputs again")
    orders = sum(district.orders for district in districts)
    for district in districts:
        draft_of(district, tuple(district.problem.frozen_of(n) for n in range(district.problem.v)))
    watch.step("draft")
    packed_mib = len(packed) / 2**20
    del districts, packed
    seconds = (an_order or 0.0055) * orders
    plan_id = new_id()
    async with database.begin() as tx:
        unit = (await workorders.org_units(tx, codes={"gd"})).by_code["gd"]
        wish = Wish(plan_id, TOMORROW, cpu_seconds=seconds)
        await asking.ask(tx, wish, unit, None, now=clock.now(), told=False)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    watch.step("ask")
    await make(database, clock, plan_id)
    watch.step("make all of it (processes besides)")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    search = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    made, steps = watch.steps["make all of it (processes besides)"], BESIDE[:3]
    watch.steps["write"] = [
        max(0.0, made[0] - sum(watch.steps[name][0] for name in steps)),
        max(0.0, made[1] - watch.steps["read"][1]),
        0.0,
    ]
    async with database.begin() as tx:
        await publish(tx, plan_id, None, now=clock.now())
    watch.step("publish")
    async with database.read() as read:
        plan = await read.get_one(DayPlan, plan_id)
    stand.console.print(
        f"{plan.state.value}: cost {plan.score['plan']['cost'] / plan.score['before']['cost']:.0%}"
        f" of what was in force, {plan.score['plan']['unplaced']:,} of {orders:,} unplaced before"
        f" {plan.score['before']['unplaced']:,}, {plan.score['published']}, inputs"
        f" {packed_mib:.1f} MiB"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return watch, orders, search, peak
