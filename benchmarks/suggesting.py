"""Suggestions at the door: what a phone waits for them among a million customers, beside a
hand-written statement.

Technicians of a province ask for what they may offer, so many a second and not sooner or later
because an answer was quick or slow: an answer's time counts from when it was due. In between, and
in the same run, the statement one would write first reads the same customers and writes as many
rows, without gates, draws, parts or reasons.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import orjson
import psycopg

from app.catalog.loading import load_catalogue
from app.core.db import open_database
from app.core.settings import Settings
from app.suggestions.rules.model import Model
from benchmarks import history, load
from benchmarks.history import Person, Province
from benchmarks.load import Connection, Unexpected
from benchmarks.report import Figure, milliseconds, table
from benchmarks.stand import ROOT, Server, Stand, settle

DATABASE = "suggestions"
CATALOGUE = ROOT / "seed" / "catalog.yaml"


@dataclass(frozen=True)
class Plan:
    """How much to measure: so many visits, each asked once as it opens and once again."""

    province: Province
    visits: int
    a_second: float
    connections: int = 16


FULL = Plan(Province(200_000, customers=1_000_000), visits=800, a_second=20)
QUICK = Plan(Province(2_000, technicians=200, customers=2_000), visits=60, a_second=20)

# What is known of each customer: an address with a line, a service, contacts, a stage.
_KNOWN = """
INSERT INTO service_address (id, customer_id, code, standard_address, locality, building, room,
    port_free, max_speed_mbps, checked_at)
SELECT gen_random_uuid(), id, code, 'Street ' || code, 'Street', '1', '101', true, 1000, as_of
FROM customer;
INSERT INTO subscription (id, customer_id, service_number, offering_code, category,
    monthly_price_fen, speed_mbps, started_on, contract_ends_on, as_of)
SELECT gen_random_uuid(), id, code, 'BB-300', 'broadband', 9900, 300, '2023-05-01',
    date '2026-03-02' + (hashtext(code) % 600), as_of
FROM customer;
INSERT INTO interaction (id, customer_id, at, channel, kind, subject)
SELECT gen_random_uuid(), id, timestamptz '2026-01-05Z' - n * interval '61 days', 'phone',
    (ARRAY['sales', 'service', 'fault'])[1 + n], 'made'
FROM customer, generate_series(0, 2) AS n;
UPDATE customer SET activated_on = '2023-05-01', monthly_usage_gb = 40 + abs(hashtext(code) % 500);
INSERT INTO customer_lifecycle (customer_id, org_unit_id, stage, stage_since, stage_rule, tier,
    hidden_high_value, churn_score, churn_class, churn_reasons, signals, rules_version, computed_at)
SELECT id, org_unit_id, 'climax', '2024-05-01', 'C', (ARRAY['A', 'B', 'C', 'D'])[1 + n % 4], false,
    n % 100 / 100.0, (ARRAY['low', 'mid', 'high'])[1 + n % 3], '[]', '{}', 'made', as_of
FROM (SELECT customer.*, abs(hashtext(code)) AS n FROM customer) AS c;
UPDATE visit SET restored_at = checked_in_at WHERE ended_at IS NULL;
UPDATE work_order SET restored_at = reported_at WHERE state = 'on_site';
INSERT INTO policy_model (id, version, kind, state, document, rows, figures)
VALUES (gen_random_uuid(), 'cold', 'acceptance', 'live', %s, 0, '{}');
"""
_VISITS = """
SELECT v.id, v.technician_id, o.id, o.customer_id, t.org_unit_id, u.path
FROM visit v JOIN work_order o ON o.id = v.work_order_id AND o.state = 'on_site'
JOIN technician t ON t.id = v.technician_id JOIN org_unit u ON u.id = t.org_unit_id
WHERE v.ended_at IS NULL ORDER BY v.id LIMIT %s
"""


@dataclass(frozen=True)
class Door:
    """A visit under way, and who stands there."""

    visit_id: UUID
    technician: Person
    order_id: UUID
    customer_id: UUID


@dataclass
class Measured:
    """Latencies in seconds, counted from when each request was due, and CPU a request."""

    latencies: list[float]
    api: float = 0.0
    postgres: float = 0.0

    def percentile(self, share: float) -> float:
        """The latency that this share did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url = stand.database(DATABASE)
    doors = await ground(stand, plan, url)
    with stand.server("suggestions", url, history.NOW) as server:
        # Not measured: tokens are proved, statements prepared, the catalogue is read.
        warm, asked = doors[: plan.visits // 4], doors[plan.visits // 4 :]
        await _ask(stand, plan, server, warm)
        with stand.progress() as progress:
            task = progress.add_task("asking", total=2 * len(asked))
            advance = partial(progress.advance, task, 1)
            first = await _ask(stand, plan, server, asked, advance)
            again = await _ask(stand, plan, server, asked, advance)
        by_hand = await asyncio.to_thread(_by_hand, url, plan, asked)
        decided = _decided(url)
    stand.drop(DATABASE)
    rows = [
        [
            name,
            milliseconds(one.api) if one.api else "",
            milliseconds(one.postgres) if one.postgres else "",
            milliseconds(one.percentile(0.5)),
            milliseconds(one.percentile(0.95)),
            milliseconds(one.percentile(0.99)),
        ]
        for name, one in (
            ("decided", first),
            ("asked again", again),
            ("statements by hand", by_hand),
        )
    ]
    table(
        stand.console,
        f"Suggestions, {plan.a_second:.0f} a second, {plan.province.customers:,} customers,"
        f" {decided} offers a decision",
        ["", "API CPU", "PostgreSQL CPU", "p50", "p95", "p99"],
        rows,
    )
    return [
        Figure("suggestions decided, p95", first.percentile(0.95) * 1000, "ms", at_most=50),
        Figure("suggestions asked again, p95", again.percentile(0.95) * 1000, "ms", at_most=50),
    ]


async def ground(stand: Stand, plan: Plan, url: str) -> list[Door]:
    """Write a province in whose midst visits are under way, with what is known of its customers."""
    with stand.progress() as progress:
        task = progress.add_task("writing a province", total=plan.province.orders())
        history.write(url, plan.province, partial(progress.advance, task))
    database = open_database(Settings(database_url=url))
    try:
        async with database.begin() as tx:
            await load_catalogue(tx, await asyncio.to_thread(Path.read_text, CATALOGUE, "utf-8"))
    finally:
        await database.close()
    options = "-c session_replication_role=replica -c timezone=UTC -c synchronous_commit=off"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        for statement in _KNOWN.split(";\n"):
            if "%s" in statement:
                document = orjson.dumps(Model.cold("cold").document()).decode()
                connection.execute(statement.encode(), [document])
            elif statement.strip():
                connection.execute(statement.encode())
    settle(url)
    with psycopg.connect(url) as connection:
        rows = connection.execute(_VISITS, [plan.visits]).fetchall()
    return [
        Door(visit, Person(technician, unit, path), order, customer)
        for visit, technician, order, customer, unit, path in rows
    ]


async def _ask(
    stand: Stand,
    plan: Plan,
    server: Server,
    doors: Sequence[Door],
    done: Callable[[], None] = lambda: None,
) -> Measured:
    """Ask at each door when it is due, whatever became of the ones before."""
    asks = [
        load.request(
            "POST",
            f"/v1/visits/{door.visit_id}/suggestions",
            token=history.token(stand, door.technician),
            body=b"",
        )
        for door in doors
    ]
    return await paced(plan, server, asks, done)


async def paced(
    plan: Plan, server: Server, asks: Sequence[bytes], done: Callable[[], None] = lambda: None
) -> Measured:
    """Ask each when it is due, whatever became of the ones before."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    opened = [await Connection.open(server.port) for _ in range(plan.connections)]
    for connection in opened:
        free.put_nowait(connection)
    latencies = [0.0] * len(asks)
    api, postgres = server.cpu(), server.backends_cpu()
    began = time.perf_counter()

    async def one(place: int) -> None:
        due = began + place / plan.a_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = await free.get()
        reply = await connection.ask(asks[place])
        latencies[place] = time.perf_counter() - due
        free.put_nowait(connection)
        if reply.status != 200:
            raise Unexpected(f"{reply.status}: {reply.body[:500].decode(errors='replace')}")
        done()

    try:
        async with asyncio.TaskGroup() as group:
            for place in range(len(asks)):
                group.create_task(one(place))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        for connection in opened:
            connection.close()
    return Measured(
        latencies,
        (server.cpu() - api) / len(asks),
        (server.backends_cpu() - postgres) / len(asks),
    )


_READ = """
SELECT c.do_not_disturb, c.arrears_fen, s.speed_mbps, s.contract_ends_on, a.max_speed_mbps,
    l.tier, l.churn_score,
    (SELECT count(*) FROM interaction i WHERE i.customer_id = c.id AND i.kind = 'sales'
        AND i.at > %(now)s - interval '30 days')
FROM customer c
LEFT JOIN subscription s ON s.customer_id = c.id AND s.ended_on IS NULL
LEFT JOIN service_address a ON a.customer_id = c.id
LEFT JOIN customer_lifecycle l ON l.customer_id = c.id
WHERE c.id = %(customer_id)s FOR NO KEY UPDATE OF c
"""
_WRITE = """
WITH decided AS (
    INSERT INTO suggestion_decision (id, visit_id, work_order_id, customer_id, technician_id, at,
        policy, "group", mode, as_of, facts, fingerprint)
    VALUES (%(id)s, %(visit_id)s, %(order_id)s, %(customer_id)s, %(technician_id)s, %(now)s,
        'hand', 'policy', 'personal', %(now)s, '{}', '')
)
INSERT INTO suggestion (id, decision_id, offering_id, offering_code, rank, score_fen, reasons,
    held_back)
SELECT gen_random_uuid(), %(id)s, id, code, 1, expert_rate * margin_12m_fen, '[]', NULL
FROM product_offering WHERE valid_from <= %(now)s AND (valid_to IS NULL OR valid_to > %(now)s)
"""


def _by_hand(url: str, plan: Plan, doors: Sequence[Door]) -> Measured:
    """Read the same customers and write as many rows, at the same pace, by two statements."""
    latencies = []
    began = time.perf_counter()
    with psycopg.connect(url, prepare_threshold=1) as connection:
        for place, door in enumerate(doors):
            due = began + place / plan.a_second
            time.sleep(max(0.0, due - time.perf_counter()))
            given = {
                "id": UUID(int=door.visit_id.int + 1),
                "visit_id": door.visit_id,
                "order_id": door.order_id,
                "customer_id": door.customer_id,
                "technician_id": door.technician.id,
                "now": history.NOW,
            }
            with connection.transaction():
                connection.execute(_READ, given).fetchall()
                connection.execute(_WRITE, given)
            latencies.append(time.perf_counter() - due)
    return Measured(latencies)


def _decided(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(rank)::float8 / nullif(count(DISTINCT decision_id), 0) FROM suggestion s"
            " JOIN suggestion_decision d ON d.id = s.decision_id WHERE d.policy <> 'hand'"
        ).fetchone()
    return f"{row[0] or 0:.1f}" if row else "0"
