"""Where 1,000,000 customers stand, told for the first time, again on the same day, and a night on.

They are of 200 branches, with services, twelve months of income and usage, contacts and orders.
Beside it stands a bare UPDATE of as many rows of the same table: what writing alone would cost if
every customer were written every night.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from app.core.db import Database, open_database
from app.core.settings import Settings
from app.lifecycle.service import judging, running
from app.lifecycle.service.judging import Told
from benchmarks import machine
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Stand, settle
from seed.churn import load_churn_cards
from seed.city import HERE

DATABASE = "lifecycle"
NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """How many customers, and how many of them are looked at one by one."""

    customers: int = 1_000_000
    looks: int = 100


FULL = Plan()
QUICK = Plan(customers=2_000, looks=5)

_IDS = """
CREATE FUNCTION pg_temp.id_of(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT ('01956f3a7c00' || '7' || lpad(to_hex(kind), 3, '0') || '8'
        || lpad(to_hex(n), 15, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.dice(n bigint, salt int, sides int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT ((hashint8extended(n, salt) % sides + sides) % sides)::int
$$
"""
_FILL = """
INSERT INTO org_unit (id, code, name_zh, name_en, level, parent_id, path)
SELECT pg_temp.id_of(1, 0), 'p', '省', 'Province', 'province', NULL, 'p.'
UNION ALL
SELECT pg_temp.id_of(1, 1 + n), 'b' || n, '支局', 'Branch', 'branch', pg_temp.id_of(1, 0),
    'p.b' || n || '.' FROM generate_series(0, 199) AS n;
INSERT INTO customer (id, org_unit_id, code, name, phone, segment, activated_on, arrears_fen, as_of)
SELECT pg_temp.id_of(6, n), pg_temp.id_of(1, 1 + pg_temp.dice(n, 1, 200)), 'C' || n, '王小明',
    '13800000000', 'household', date '2026-03-02' - pg_temp.dice(n, 2, 3000),
    CASE WHEN pg_temp.dice(n, 3, 30) = 0 THEN 6000 ELSE 0 END, '2026-03-01Z'
FROM generate_series(1, {customers}) AS n;
INSERT INTO subscription (id, customer_id, service_number, offering_code, category,
    monthly_price_fen, speed_mbps, started_on, contract_ends_on, ended_on, as_of)
SELECT pg_temp.id_of(7, n * 2 + k), pg_temp.id_of(6, n), 'S' || n || '-' || k, 'PLAN-300',
    'broadband', 9900, 300, date '2026-03-02' - pg_temp.dice(n, 2, 3000),
    CASE WHEN pg_temp.dice(n, 4, 4) > 0 THEN date '2026-03-02' + pg_temp.dice(n, 5, 700) - 60 END,
    CASE WHEN pg_temp.dice(n, 6, 30) = 0 THEN date '2026-03-02' - pg_temp.dice(n, 7, 150) END,
    '2026-03-01Z'
FROM generate_series(1, {customers}) AS n, generate_series(0, 1) AS k
WHERE k = 0 OR pg_temp.dice(n, 8, 10) < 8;
INSERT INTO customer_month (customer_id, month, income_fen, usage_gb, as_of)
SELECT pg_temp.id_of(6, n), (date '2026-02-01' - make_interval(months => back))::date,
    (4000 + pg_temp.dice(n, 9, 20000)) * (CASE WHEN pg_temp.dice(n, 10, 12) = 0 AND back < 2
        THEN 0.5 ELSE 1 END)::numeric,
    (20 + pg_temp.dice(n, 11, 400)) * (CASE WHEN pg_temp.dice(n, 12, 12) = 0 AND back < 1
        THEN 0.5 ELSE 1 END)::numeric, '2026-03-01Z'
FROM generate_series(11, 0, -1) AS back, generate_series(1, {customers}) AS n;
INSERT INTO interaction (id, customer_id, at, channel, kind, subject)
SELECT pg_temp.id_of(8, n * 3 + k), pg_temp.id_of(6, n),
    timestamptz '2026-03-02 10:00Z' - make_interval(days => 1 + pg_temp.dice(n * 3 + k, 13, 360)),
    'phone', (ARRAY['sales', 'service', 'sales', 'service', 'sales', 'fault', 'fault', 'complaint',
        'service', 'sales'])[1 + pg_temp.dice(n * 3 + k, 14, 10)], '…'
FROM generate_series(1, {customers}) AS n, generate_series(0, 2) AS k
"""
_BARE = """
CREATE TABLE bare AS SELECT * FROM customer_lifecycle;
ALTER TABLE bare ADD PRIMARY KEY (customer_id);
CREATE INDEX ON bare (org_unit_id, stage, tier, churn_class, hidden_high_value)
"""


@dataclass(frozen=True)
class Ran:
    """What one run brought and took; seconds by the clock, and of PostgreSQL's processors."""

    told: Told
    seconds: float
    postgres: float


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url = stand.database(DATABASE)
    with stand.console.status(f"writing {plan.customers:,} customers with a year of months"):
        await asyncio.to_thread(_fill, url, plan)
    database = open_database(replace_url(stand.settings, url))
    try:
        async with database.begin() as tx:
            await load_churn_cards(tx, (HERE / "churn_card.yaml").read_text("utf-8"))
        runs = {"the first time": await _run(stand, database, NOW)}
        await asyncio.to_thread(settle, url)
        bare = await asyncio.to_thread(_bare, stand, url)
        runs["again that day"] = await _run(stand, database, NOW + timedelta(hours=1))
        runs["thirty days on"] = await _run(stand, database, NOW + timedelta(days=30))
        look = await _looks(url, database, plan)
    finally:
        await database.close()
    stand.drop(DATABASE)
    table(
        stand.console,
        f"Where {plan.customers:,} customers stand",
        ["", "s", "PG CPU s", "written", "changes", "times a bare UPDATE"],
        [
            [
                name,
                shown(ran.seconds),
                shown(ran.postgres),
                f"{ran.told.written:,}",
                f"{ran.told.changes:,}",
                f"{ran.seconds / bare.seconds:.2f} x",
            ]
            for name, ran in runs.items()
        ]
        + [["a bare UPDATE of all", shown(bare.seconds), shown(bare.postgres), "", "", "1.00 x"]],
    )
    stand.console.print(f"One customer on an event: {milliseconds(look)} ms (median).")
    return [
        Figure(f"where customers stand, {name}", ran.seconds, "s", at_most=60)
        for name, ran in runs.items()
    ]


def replace_url(settings: Settings, url: str) -> Settings:
    """Give the stand's settings the address of a database."""
    return settings.model_copy(update={"database_url": url})


def _fill(url: str, plan: Plan) -> None:
    with psycopg.connect(url) as connection:
        # What is made here fits together; to check each of twenty million rows says nothing new.
        connection.execute("SET session_replication_role = replica")
        connection.execute(_IDS)
        for statement in _FILL.format(customers=plan.customers).split(";\n"):
            connection.execute(statement)
    settle(url)


async def _run(stand: Stand, database: Database, now: datetime) -> Ran:
    postgres, began = stand.postgres_cpu(), time.perf_counter()
    with stand.progress() as progress:
        task = progress.add_task("customers", total=None)

        def tell(done: int, of: int) -> None:
            progress.update(task, total=of)
            progress.advance(task, done)

        ran = await running.run(database, now, action="benchmark", progress=tell)
    assert ran is not None
    return Ran(ran.told, time.perf_counter() - began, stand.postgres_cpu() - postgres)


def _bare(stand: Stand, url: str) -> Ran:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _BARE.split(";"):
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE bare")
        postgres, began = machine.cpu_seconds(connection.info.backend_pid), time.perf_counter()
        connection.execute("UPDATE bare SET churn_score = 0.5, computed_at = now()")
        seconds = time.perf_counter() - began
        cpu = machine.cpu_seconds(connection.info.backend_pid) - postgres
        connection.execute("DROP TABLE bare")
    return Ran(Told(0, 0, 0, 0), seconds, cpu)


async def _looks(url: str, database: Database, plan: Plan) -> float:
    """Look at customers one by one, as events do; the median time in seconds."""
    with psycopg.connect(url) as connection:
        ids = connection.execute(
            "SELECT id FROM customer ORDER BY md5(code) LIMIT %s", [plan.looks]
        ).fetchall()
    seconds = []
    for (each,) in ids:
        began = time.perf_counter()
        async with database.begin() as tx:
            await judging.judge_some(tx, [each], NOW + timedelta(days=30, hours=1))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
