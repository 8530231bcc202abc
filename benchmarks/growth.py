"""The growth report of a province: 5,000 grids and 1,000,000 addresses, one in twenty in no grid.

Beside it stands the least that any such report costs: counting the addresses of each grid along the
index, by a bare driver.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass
from uuid import UUID

import httpx
import psycopg

from app.auth.rules import Role
from benchmarks import history, machine
from benchmarks.report import Figure, milliseconds, table
from benchmarks.stand import Server, Stand, settle

DATABASE = "growth"
PATH = "/v1/territory/growth"


@dataclass(frozen=True)
class Plan:
    """How much to measure: grids lie in a square, each with so many addresses."""

    grids: int = 5_000
    addresses: int = 200
    requests: int = 40


FULL = Plan()
QUICK = Plan(grids=200, addresses=10, requests=3)

# Ids as UUIDv7 has them, so that rows written together lie together, as loaders write them.
_FILL = """
CREATE FUNCTION pg_temp.id_of(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT ('01956f3a7c00' || '7' || lpad(to_hex(kind), 3, '0') || '8'
        || lpad(to_hex(n), 15, '0'))::uuid
$$;
INSERT INTO org_unit (id, code, name_zh, name_en, level, parent_id, path)
SELECT pg_temp.id_of(1, 0), 'p', '省', 'Province', 'province', NULL, 'p.'
UNION ALL
SELECT pg_temp.id_of(1, 1 + n), 'c' || n, '市', 'City', 'city', pg_temp.id_of(1, 0),
    'p.c' || n || '.' FROM generate_series(0, 9) AS n
UNION ALL
SELECT pg_temp.id_of(1, 11 + n), 'b' || n, '支局', 'Branch', 'branch', pg_temp.id_of(1, 1 + n / 20),
    'p.c' || n / 20 || '.b' || n || '.' FROM generate_series(0, 199) AS n;
INSERT INTO grid (id, org_unit_id, code, name, kind)
SELECT pg_temp.id_of(2, n), pg_temp.id_of(1, 11 + n * 200 / {grids}), 'G' || lpad(n::text, 5, '0'),
    '幸福小区' || n, 'compound'
FROM generate_series(0, {grids} - 1) AS n;
INSERT INTO grid_contract (id, grid_id, stage, valid_from)
SELECT pg_temp.id_of(3, n), pg_temp.id_of(2, n),
    (ARRAY['pilot', 'covered', 'contracted'])[1 + n % 3], '2025-01-01'
FROM generate_series(0, {grids} - 1) AS n WHERE hashint8(n) % 2 = 0;
INSERT INTO technician (id, org_unit_id, code, name)
SELECT pg_temp.id_of(4, n), pg_temp.id_of(1, 11 + n * 200 / {grids}), 'T' || n, '李工'
FROM generate_series(0, {grids} - 1) AS n;
INSERT INTO grid_membership (id, grid_id, technician_id, kind, valid_from)
SELECT pg_temp.id_of(5, n), pg_temp.id_of(2, n), pg_temp.id_of(4, n), 'primary', '2025-01-01'
FROM generate_series(0, {grids} - 1) AS n WHERE n % 5 > 0;
INSERT INTO grid_neighbour (grid_id, neighbour_id, distance_m)
SELECT pg_temp.id_of(2, n), pg_temp.id_of(2, n + dx + dy * {side}), 12
FROM generate_series(0, {grids} - 1) AS n, generate_series(-1, 1) AS dx,
    generate_series(-1, 1) AS dy
WHERE (dx, dy) <> (0, 0) AND n % {side} + dx BETWEEN 0 AND {side} - 1
    AND n + dx + dy * {side} BETWEEN 0 AND {grids} - 1;
INSERT INTO customer (id, org_unit_id, code, name, phone, segment, as_of)
SELECT pg_temp.id_of(6, n), pg_temp.id_of(1, 11 + n / {addresses} * 200 / {grids}), 'C' || n,
    '王小明', '13800000000', 'household', '2026-03-01Z'
FROM generate_series(0, {grids} * {addresses} - 1) AS n;
INSERT INTO service_address (id, customer_id, code, standard_address, locality)
SELECT pg_temp.id_of(7, n), pg_temp.id_of(6, n), 'A' || n, '澄湖市南浦区碧波路18号3栋2单元1203室',
    '碧波园'
FROM generate_series(0, {grids} * {addresses} - 1) AS n;
INSERT INTO address_grid (service_address_id, grid_id, listed, near_border)
SELECT pg_temp.id_of(7, n), CASE WHEN n % 20 > 0 THEN pg_temp.id_of(2, n / {addresses}) END,
    false, false
FROM generate_series(0, {grids} * {addresses} - 1) AS n
"""
_BARE = "SELECT grid_id, count(*) FROM address_grid WHERE grid_id IS NOT NULL GROUP BY grid_id"


@dataclass(frozen=True)
class Cost:
    """What one request costs: seconds from first byte to last, and of processors."""

    seconds: list[float]
    api: float
    postgres: float

    @property
    def p50(self) -> float:
        """The median time, in seconds."""
        return statistics.median(self.seconds)


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure and print. API and PostgreSQL work one after the other, so the processor time of both
    is what a request takes on an idle machine; that has the mark, whatever else runs here."""
    url = stand.database(DATABASE)
    side = int(plan.grids**0.5) + 1
    with stand.console.status(f"writing {plan.grids * plan.addresses:,} addresses"):
        await asyncio.to_thread(_fill, url, plan, side)
    bare = await asyncio.to_thread(_bare, stand, url, plan)
    token = stand.token(Role.ADMIN, _unit(url), "p.")
    costs: dict[str, Cost] = {}
    with stand.server("growth", url, history.NOW) as server:
        headers = {"authorization": f"Bearer {token}"}
        address = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
            costs["province, the first time"] = await _ask(client, server, "p", 1)
            for name, code in (("province", "p"), ("city", "c3"), ("branch", "b77")):
                costs[name] = await _ask(client, server, code, plan.requests)
    stand.drop(DATABASE)
    table(
        stand.console,
        f"Growth report: {plan.grids:,} grids, {plan.grids * plan.addresses:,} addresses",
        ["", "p50 ms", "CPU ms API", "PG", "times a bare count (CPU)"],
        [
            [
                name,
                milliseconds(cost.p50),
                milliseconds(cost.api),
                milliseconds(cost.postgres),
                f"{(cost.api + cost.postgres) / bare:.2f} x" if name.startswith("province") else "",
            ]
            for name, cost in costs.items()
        ]
        + [["bare count", "", "", milliseconds(bare), "1.00 x"]],
    )
    cpu = costs["province"].api + costs["province"].postgres
    return [Figure("growth report of a province, API + PG CPU", cpu * 1000, "ms", at_most=300)]


def _fill(url: str, plan: Plan, side: int) -> None:
    with psycopg.connect(url) as connection:
        filled = _FILL.format(grids=plan.grids, addresses=plan.addresses, side=side)
        for statement in filled.split(";\nINSERT"):
            first = statement.startswith(("\nCREATE", "INSERT"))
            connection.execute(statement if first else f"INSERT{statement}")
    settle(url)


def _unit(url: str) -> UUID:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT id FROM org_unit WHERE path = 'p.'").fetchone()
    assert row is not None
    found: UUID = row[0]
    return found


def _bare(stand: Stand, url: str, plan: Plan) -> float:
    """Count by hand; the processor time of the backend for one time, in seconds."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET jit = off")
        connection.execute(_BARE).fetchall()
        before = machine.cpu_seconds(connection.info.backend_pid)
        for _ in range(plan.requests):
            connection.execute(_BARE).fetchall()
        return (machine.cpu_seconds(connection.info.backend_pid) - before) / plan.requests or 0.001


async def _ask(client: httpx.AsyncClient, server: Server, code: str, requests: int) -> Cost:
    if requests > 1:  # what is prepared and kept, is prepared and kept now
        await client.get(PATH, params={"org_unit_code": code})
    api, postgres = server.cpu(), server.backends_cpu()
    seconds = []
    for _ in range(requests):
        began = time.perf_counter()
        answer = await client.get(PATH, params={"org_unit_code": code})
        seconds.append(time.perf_counter() - began)
        answer.raise_for_status()
    return Cost(
        seconds, (server.cpu() - api) / requests, (server.backends_cpu() - postgres) / requests
    )
