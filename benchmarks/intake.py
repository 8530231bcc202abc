"""Intake and placement of 36,266 orders through the HTTP API, in bulk and one by one.

The yardstick is a bare COPY of the same orders and their first events, with nothing placed.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import orjson
import psycopg

from app.auth.rules import Role
from app.core.db import new_id
from benchmarks import city, load
from benchmarks.city import City
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Server, Stand, settle

GROUND = "intake_ground"
BULK = 10_000


@dataclass(frozen=True)
class Plan:
    """How much to measure; `orders` 0 is all of them."""

    orders: int = 0
    one_by_one: int = 6_000
    connections: int = 8
    runs: int = 3


FULL = Plan()
QUICK = Plan(orders=2_000, one_by_one=200, runs=1)


@dataclass
class Run:
    """One run: orders, wall time and processor time in seconds, latencies where there are any."""

    orders: int
    seconds: float
    api: float
    postgres: float
    processes: int = 1
    latencies: load.Timing | None = None

    @property
    def rate(self) -> float:
        """Orders a second."""
        return self.orders / self.seconds

    @property
    def cpu(self) -> float:
        """Processor seconds an order."""
        return (self.api + self.postgres) / self.orders

    @property
    def allowed(self) -> float:
        """Orders a second that this processor time would allow on an otherwise idle machine."""
        cores = os.cpu_count() or 1
        return self.orders / max(
            self.api / min(self.processes, cores), (self.api + self.postgres) / cores
        )


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    town = city.city()
    orders = town.orders[: plan.orders or None]
    unit = await _ground(stand, town)
    lines = [orjson.dumps(order) + b"\n" for order in orders]
    bodies = [b"".join(lines[at : at + BULK]) for at in range(0, len(lines), BULK)]
    sample = lines[:: max(1, len(lines) // plan.one_by_one)][: plan.one_by_one]
    bulk: dict[int, list[Run]] = {1: [], 2: []}
    copies: list[Run] = []
    with stand.progress() as progress:
        task = progress.add_task("intake", total=plan.runs * 3 * len(orders) + len(sample))
        for _ in range(plan.runs):
            with _copy_of_ground(stand) as url:
                copies.append(_copied(stand, url, orders, unit[0]))
            progress.advance(task, len(orders))
            for streams, runs in bulk.items():
                with _copy_of_ground(stand) as url, ExitStack() as stack:
                    servers = [
                        stack.enter_context(stand.server(f"bulk-{number}", url, city.NOW))
                        for number in range(streams)
                    ]
                    run, verdicts = await _in_bulk(stand, servers, bodies, _sender(stand, unit))
                    runs.append(run)
                progress.advance(task, len(orders))
        with _copy_of_ground(stand) as url, stand.server("one", url, city.NOW) as server:
            single = await _one_by_one(
                stand,
                server,
                sample,
                plan.connections,
                _sender(stand, unit),
                lambda count: progress.advance(task, count),
            )
    stand.drop(GROUND)
    return _report(stand, town, plan, bulk, copies, single, verdicts)


def _sender(stand: Stand, unit: tuple[UUID, str]) -> str:
    return stand.token(Role.ADMIN, *unit)


async def _ground(stand: Stand, town: City) -> tuple[UUID, str]:
    """Make the database every run starts from: the city's grids, imported by the API, and staff."""
    url = stand.database(GROUND)
    unit = city.found(url)
    path = f"/v1/grids/import?coordsys=wgs84&name_field={town.code_field}"
    with stand.server("import", url, city.NOW) as server:
        body = load.request(
            "POST", path, token=_sender(stand, unit), body=town.layer, kind="application/geo+json"
        )
        timing = await load.run(server.port, [body], connections=1, keep_replies=True)
    made = len(timing.replies[0].json()["created"])
    if made != city.GRIDS:
        raise AssertionError(f"{made} grids were imported, and not {city.GRIDS}")
    city.staff(url)
    settle(url)
    return unit


@contextmanager
def _copy_of_ground(stand: Stand) -> Iterator[str]:
    """Give a fresh copy of the ground, at rest."""
    name = f"intake_{new_id().hex[-6:]}"
    url = stand.database(name, template=GROUND)
    try:
        yield url
    finally:
        stand.drop(name)


async def _in_bulk(
    stand: Stand, servers: Sequence[Server], bodies: Sequence[bytes], token: str
) -> tuple[Run, Counter[str]]:
    """Send all orders, 10,000 lines a request, to each API process one request after the other."""
    asks = [
        load.request(
            "POST", "/v1/work-orders/bulk", token=token, body=body, kind="application/x-ndjson"
        )
        for body in bodies
    ]
    before = sum(server.cpu() for server in servers), stand.postgres_cpu()
    began = perf_counter()
    timings = await asyncio.gather(
        *(
            load.run(server.port, asks[place :: len(servers)], connections=1, keep_replies=True)
            for place, server in enumerate(servers)
        )
    )
    seconds = perf_counter() - began
    after = sum(server.cpu() for server in servers), stand.postgres_cpu()
    verdicts: Counter[str] = Counter()
    for timing in timings:
        for reply in timing.replies:
            for line in reply.body.splitlines():
                verdict = orjson.loads(line)
                if verdict["problem"]:
                    raise load.Unexpected(str(verdict))
                verdicts[verdict["reason"] or verdict["verdict"]] += 1
    sent = sum(body.count(b"\n") for body in bodies)
    if verdicts.total() != sent:
        raise AssertionError(f"{verdicts.total()} verdicts for {sent} orders")
    return Run(sent, seconds, after[0] - before[0], after[1] - before[1], len(servers)), verdicts


async def _one_by_one(
    stand: Stand,
    server: Server,
    lines: Sequence[bytes],
    connections: int,
    token: str,
    done: Any,
) -> Run:
    asks = [load.request("POST", "/v1/work-orders", token=token, body=line) for line in lines]
    api, postgres = server.cpu(), stand.postgres_cpu()
    timing = await load.run(server.port, asks, connections=connections, expect=(201,), done=done)
    return Run(
        len(lines), timing.seconds, server.cpu() - api, stand.postgres_cpu() - postgres, 1, timing
    )


# The hand-written one: what has to be written of an order, and of its coming in.
_ORDER = """
    COPY work_order (id, org_unit_id, source, external_id, content_hash, work_type, state, address,
        locality, summary, point, estimated_minutes, reported_at, received_at) FROM STDIN
"""
_EVENT = "COPY work_order_event (id, work_order_id, at, to_state) FROM STDIN"


def _copied(stand: Stand, url: str, orders: Sequence[dict[str, Any]], unit_id: UUID) -> Run:
    """Read the same NDJSON and COPY it, 10,000 orders in a transaction, placing nothing."""
    lines = [orjson.dumps(order) for order in orders]
    postgres, own, began = stand.postgres_cpu(), process_time(), perf_counter()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for at in range(0, len(lines), BULK):
            read = [(new_id(), orjson.loads(line)) for line in lines[at : at + BULK]]
            with cursor.copy(_ORDER) as copy:
                for order_id, order in read:
                    point = order.get("point")
                    copy.write_row(
                        (
                            order_id,
                            unit_id,
                            order["source"],
                            order["external_id"],
                            "",
                            order["work_type"],
                            "received",
                            order["address"],
                            order.get("locality"),
                            order["summary"],
                            point and f"SRID=4326;POINT({point['lon']} {point['lat']})",
                            60,
                            order["reported_at"],
                            city.NOW,
                        )
                    )
            with cursor.copy(_EVENT) as copy:
                for order_id, _ in read:
                    copy.write_row((new_id(), order_id, city.NOW, "received"))
            connection.commit()
    return Run(
        len(orders),
        perf_counter() - began,
        process_time() - own,
        stand.postgres_cpu() - postgres,
    )


def _report(
    stand: Stand,
    town: City,
    plan: Plan,
    bulk: Mapping[int, Sequence[Run]],
    copies: Sequence[Run],
    single: Run,
    verdicts: Counter[str],
) -> list[Figure]:
    def row(name: str, runs: Sequence[Run]) -> list[str]:
        return [
            name,
            f"{runs[0].orders:,}",
            shown(median(run.rate for run in runs)),
            shown(median(run.allowed for run in runs)),
            milliseconds(median(run.api / run.orders for run in runs)),
            milliseconds(median(run.postgres / run.orders for run in runs)),
            shown(median(run.api + run.postgres for run in runs)),
        ]

    stand.console.print(f"Intake: {town.origin}; {city.PEOPLE_A_GRID} people a grid.")
    table(
        stand.console,
        f"Intake, medians of {plan.runs} runs; one by one over {plan.connections} connections",
        ["", "orders", "orders/s", "CPU allows", "API CPU ms", "PG CPU ms", "CPU s in all"],
        [
            row("bulk, 1 API process", bulk[1]),
            row("bulk, 2 API processes", bulk[2]),
            row("one by one", [single]),
            row("bare COPY", copies),
        ],
    )
    cpu_ratio = median(one.cpu / other.cpu for one, other in zip(bulk[1], copies, strict=True))
    rate_ratio = median(other.rate / one.rate for one, other in zip(bulk[1], copies, strict=True))
    assert single.latencies is not None
    table(
        stand.console,
        "Intake, ratios",
        ["", ""],
        [
            ["bulk, CPU an order: x bare COPY", shown(cpu_ratio)],
            ["bulk, time an order: x bare COPY", shown(rate_ratio)],
            [
                "one by one, CPU an order: x bulk",
                shown(single.cpu / median(r.cpu for r in bulk[1])),
            ],
            ["one by one, p50 ms", milliseconds(single.latencies.percentile(0.5))],
            ["one by one, p95 ms", milliseconds(single.latencies.percentile(0.95))],
        ],
    )
    table(
        stand.console,
        "What became of the orders",
        ["verdict or reason", "orders"],
        [[name, f"{count:,}"] for name, count in verdicts.most_common()],
    )
    return [
        Figure(
            "bulk intake, 1 or 2 API processes",
            max(median(run.rate for run in runs) for runs in bulk.values()),
            "orders/s",
            at_least=3000,
        )
    ]
