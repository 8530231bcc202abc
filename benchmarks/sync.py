"""Phones that sync: the empty poll, a phone that begins anew, what has changed, and what it costs
those who write that it is known.

Everything is asked in turns with its yardstick, so that whatever else the machine does falls on
all alike.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import psycopg

from app.auth.rules import Role
from app.sync.rules import SCHEMA_VERSION, cursor_of
from benchmarks import history, load, machine
from benchmarks.history import NOW, Person, Province
from benchmarks.load import Connection
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Server, Stand, settle

# The phone that is told least of those that are served.
PATH = f"/v1/sync?schema_version={SCHEMA_VERSION}"


@dataclass(frozen=True)
class Plan:
    """How much to measure: so many `people` with twenty orders each, so many polls a round, pulls
    at a pace, and orders written for the cost of the feed."""

    province: Province
    people: int
    polls: int
    rounds: int
    pulls: int
    a_second: int
    written: int
    connections: int = 64


FULL = Plan(
    Province(200_000), people=400, polls=4_000, rounds=7, pulls=4_000, a_second=200, written=300
)
QUICK = Plan(
    Province(2_000, technicians=400, customers=4_000),
    people=40,
    polls=200,
    rounds=2,
    pulls=80,
    a_second=40,
    written=20,
)

# Twenty orders a person instead of six, their customers with what they hold and what stands at
# their homes, three things to offer for each, forty offerings, and three grids of eighty corners.
_SCENE = """
INSERT INTO account (id, username, password_hash, role, org_unit_id, technician_id)
SELECT id, code, '', 'technician', org_unit_id, id FROM technician;
INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type, priority,
    state, customer_id, service_number, contact_name, contact_phone, address, locality, summary,
    point, grid_id, near_border, estimated_minutes, due_at, reported_at, received_at, holder_id,
    planned_day, version)
SELECT gen_random_uuid(), o.org_unit_id, o.source, o.external_id || '-' || k, '', o.work_type,
    o.priority, 'assigned', c.id, o.service_number, o.contact_name, o.contact_phone, o.address,
    o.locality, o.summary, o.point, o.grid_id, false, 60, o.due_at, o.reported_at, o.received_at,
    o.holder_id, '2026-03-02', 3
FROM work_order AS o CROSS JOIN generate_series(1, 14) AS k
JOIN LATERAL (
    SELECT id FROM customer WHERE code = 'C' || abs(hashtext(o.external_id || k)) % {customers}
) AS c ON true
WHERE o.planned_day = '2026-03-02' AND o.state = 'on_site';
UPDATE work_order SET state = 'acknowledged', version = 4
WHERE planned_day = '2026-03-02' AND state = 'assigned' AND abs(hashtext(external_id)) % 2 = 0;
INSERT INTO service_address (id, customer_id, code, standard_address, locality)
SELECT gen_random_uuid(), id, code, '深圳市南山区幸福路' || code || '号3栋2单元1203室', '幸福路'
FROM customer;
INSERT INTO subscription (id, customer_id, service_number, offering_code, category,
    monthly_price_fen, speed_mbps, started_on, as_of)
SELECT gen_random_uuid(), id, '0755' || substr(code, 2) || k, 'FTTR-' || k, 'broadband',
    9900, 500, '2025-01-01', '2026-03-01Z' FROM customer, generate_series(1, 2) AS k;
INSERT INTO terminal (id, serial_number, kind, model, pool, customer_id, org_unit_id, placed_at)
SELECT gen_random_uuid(), 'SN' || code || k, 'ont', 'HG8245H5', 'customer', id,
    org_unit_id, '2025-01-01' FROM customer, generate_series(1, 2) AS k;
INSERT INTO terminal (id, serial_number, kind, model, pool, technician_id, org_unit_id, placed_at)
SELECT gen_random_uuid(), 'VAN' || code || k, 'ont', 'HG8245H5', 'van', id, org_unit_id,
    '2026-03-01' FROM technician, generate_series(1, 8) AS k;
INSERT INTO product_offering (id, code, valid_from, name_zh, name_en, category, business_type,
    monthly_price_fen, one_off_price_fen, contract_months, speed_mbps, commission_fen,
    talk_track_zh, talk_track_en)
SELECT gen_random_uuid(), 'OFFER-' || k, '2026-01-01', '全屋光纤宽带' || k,
    'Fibre to the room ' || k, 'broadband', 'fttr', 9900 + k, 0, 24, 1000, 1500,
    '家里几个房间信号不好？全屋光纤每个房间都有独立网口，第' || k || '个月起优惠。',
    'Is the signal weak in some rooms? Fibre in every room, with an offer from month ' || k
FROM generate_series(1, 40) AS k;
INSERT INTO grid_boundary (id, grid_id, boundary, area_m2, valid_from, source)
SELECT gen_random_uuid(), id, ST_Multi(ST_Buffer(ST_Point(114 + n % 40 * 0.01,
    22.5 + n / 40 * 0.01, 4326), 0.004, 20)), 1e6, '2025-01-01', 'made'
FROM (SELECT id, substr(code, 2)::int AS n FROM grid) AS numbered;
INSERT INTO grid_membership (id, grid_id, technician_id, kind, rank, valid_from)
SELECT gen_random_uuid(), g.id, t.id,
    CASE WHEN k = 0 AND substr(t.code, 2)::int < 400 THEN 'primary' ELSE 'backup' END, k + 1,
    '2025-01-01'
FROM technician AS t CROSS JOIN generate_series(0, 2) AS k
JOIN grid AS g ON g.code = 'G' || (substr(t.code, 2)::int * 3 + k) % 1200;
INSERT INTO technician_day (technician_id, day, committed_minutes, orders, route)
SELECT holder_id, planned_day, sum(estimated_minutes), count(*), array_agg(id ORDER BY id)
FROM work_order
WHERE state IN ('assigned', 'acknowledged', 'on_site', 'suspended') GROUP BY 1, 2
"""

# Somebody takes one of their orders on: the order changes, and its customer is shown.
_ACKNOWLEDGED = """
UPDATE work_order SET state = 'acknowledged', version = version + 1 WHERE id IN (
    SELECT DISTINCT ON (holder_id) id FROM work_order
    WHERE holder_id = ANY(%(people)s) AND state = 'assigned' AND planned_day = '2026-03-02'
    ORDER BY holder_id, id
)
"""
_WRITTEN = """
INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type, state,
    address, summary, point, estimated_minutes, reported_at, received_at, holder_id, planned_day)
SELECT gen_random_uuid(), org_unit_id, 'hand', gen_random_uuid(), '', 'repair', 'assigned',
    '幸福路1号', '', ST_SetSRID(ST_MakePoint(114.1, 22.6), 4326), 60, now(), now(), id, '2026-03-02'
FROM technician WHERE id = %(technician_id)s RETURNING id
"""
_ROUTED = """
UPDATE technician_day SET route = route || %(id)s::uuid, orders = orders + 1
WHERE technician_id = %(technician_id)s AND day = '2026-03-02'
"""


@dataclass(frozen=True)
class Phone:
    """A person, their token, and where their phone stands after its first pull."""

    person: Person
    token: str
    cursor: int = 0
    tag: str = ""

    def ask(self) -> bytes:
        """Write the pull that follows."""
        since = f"&last_pulled_at={self.cursor}" if self.cursor else ""
        return load.request(
            "GET",
            PATH + since,
            token=self.token,
            accept_encoding="gzip",
            if_none_match=self.tag or '"nothing"',
        )


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url = stand.database("sync")
    with stand.progress() as progress:
        task = progress.add_task("writing a province", total=plan.province.orders())
        history.write(url, plan.province, lambda by: progress.advance(task, by))
    with psycopg.connect(url, options="-c session_replication_role=replica") as connection:
        for statement in _SCENE.format(customers=plan.province.customers).split(";"):
            connection.execute(statement.encode())
    settle(url)
    people = history.people(url, plan.people)
    by_hand = ("-m", "benchmarks.handwritten_sync")
    with ExitStack() as servers:

        def server(name: str, *command: str) -> Server:
            return servers.enter_context(stand.server(name, url, NOW, *command))

        ours = server("ours", "-m", "app.cli", "serve", "--processes", "2")
        alone, bare = server("alone"), server("bare", *by_hand)
        product = server("product", *by_hand, "--product")
        phones = [_phone(stand, one) for one in people]
        figures = await _first(stand, plan, ours, phones)
        figures += await _empty_polls(stand, plan, alone, bare, product, phones)
        figures += await _what_has_changed(stand, plan, url, ours, alone, bare, phones)
    _feed(stand, plan, url, people)
    stand.drop("sync")
    return figures


def _phone(stand: Stand, person: Person, cursor: int = 0, tag: str = "") -> Phone:
    token = stand.token(
        Role.TECHNICIAN, person.org_unit_id, person.org_path, person.id, account_id=person.id
    )
    return Phone(person, token, cursor, tag)


async def _pulled(
    stand: Stand, server: Server, people: Sequence[Person]
) -> tuple[list[Phone], load.Timing]:
    """Let phones begin anew; return where they stand then."""
    phones = [_phone(stand, one) for one in people]
    timing = await load.run(
        server.port, [one.ask() for one in phones], connections=4, keep_replies=True
    )
    told = [
        _phone(
            stand,
            phone.person,
            reply.json()["timestamp"],
            reply.header("etag"),
        )
        for phone, reply in zip(phones, timing.replies, strict=True)
    ]
    return told, timing


async def _first(stand: Stand, plan: Plan, ours: Server, phones: Sequence[Phone]) -> list[Figure]:
    people = [one.person for one in phones]
    await _pulled(stand, ours, people[:20])
    before = machine.family_cpu_seconds(ours.pid) + ours.backends_cpu()
    _, timing = await _pulled(stand, ours, people)
    cpu = (machine.family_cpu_seconds(ours.pid) + ours.backends_cpu() - before) / len(people)
    bodies = [len(reply.body) for reply in timing.replies]
    first = timing.replies[0].json()["changes"]
    kib = max(bodies) / 1024
    p95 = timing.percentile(0.95)
    table(
        stand.console,
        "A phone that begins anew, four at a time on two processes",
        ["", ""],
        [
            ["rows", ", ".join(f"{len(one['updated'])} {name}" for name, one in first.items())],
            ["packed, the largest, KiB", shown(kib)],
            ["CPU, API and PostgreSQL, ms", milliseconds(cpu)],
            ["p50 / p95, ms", f"{milliseconds(timing.percentile(0.5))} / {milliseconds(p95)}"],
        ],
    )
    return [
        Figure("a phone that begins anew, packed", kib, "KiB", at_most=60),
        Figure("a phone that begins anew, p95", p95 * 1000, "ms", at_most=300),
    ]


async def _empty_polls(
    stand: Stand,
    plan: Plan,
    alone: Server,
    bare: Server,
    product: Server,
    phones: Sequence[Phone],
) -> list[Figure]:
    told, _ = await _pulled(stand, alone, [one.person for one in phones])
    polls = [one.ask() for one in told]
    ways = {
        "empty poll": (alone, polls, 304),
        "empty FastAPI route": (bare, [load.request("GET", "/empty")], 200),
        "empty route here, with sign-in": (
            product,
            [load.request("GET", "/v1/empty", token=one.token) for one in told],
            200,
        ),
    }
    api: dict[str, list[float]] = {name: [] for name in ways}
    both: dict[str, list[float]] = {name: [] for name in ways}
    slow: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(plan.rounds + 1):
        for name, (server, asks, status) in list(ways.items())[:: -1 if number % 2 else 1]:
            wanted = [asks[place % len(asks)] for place in range(plan.polls)]
            before, postgres = server.cpu(), server.backends_cpu()
            timing = await load.run(
                server.port, wanted, connections=plan.connections, expect=(status,)
            )
            # The first round is not counted: tokens are proved, phones are known by then.
            if number:
                used = server.cpu() - before
                api[name].append(used / plan.polls)
                both[name].append((used + server.backends_cpu() - postgres) / plan.polls)
                slow[name].append(timing.percentile(0.95))
    poll, empty, with_sign_in = ways

    def ratio(to: str) -> float:
        return median(a / b for a, b in zip(both[poll], both[to], strict=True))

    table(
        stand.console,
        f"Polls that bring nothing, over {plan.connections} connections",
        ["", "API CPU, us", "with PostgreSQL, us", "p95, ms"],
        [
            [
                name,
                shown(median(api[name]) * 1e6),
                shown(median(both[name]) * 1e6),
                milliseconds(median(slow[name])),
            ]
            for name in ways
        ]
        + [
            ["  poll to bare empty route", "", shown(ratio(empty)), ""],
            ["  poll to empty route here", "", shown(ratio(with_sign_in)), ""],
        ],
    )
    return [Figure("empty poll, CPU", ratio(empty), "x an empty FastAPI route", at_most=1.5)]


async def _what_has_changed(
    stand: Stand,
    plan: Plan,
    url: str,
    ours: Server,
    alone: Server,
    bare: Server,
    phones: Sequence[Phone],
) -> list[Figure]:
    told, _ = await _pulled(stand, ours, [one.person for one in phones])
    with psycopg.connect(url) as connection:
        connection.execute(_ACKNOWLEDGED, {"people": [one.person.id for one in told]})
    asks = [one.ask() for one in told]
    by_hand = [
        load.request(
            "GET",
            f"/sync?technician_id={one.person.id}&since={cursor_of(one.cursor).xid}",
        )
        for one in told
    ]
    cpu: dict[str, list[float]] = {"ours": [], "by hand": []}
    for number in range(plan.rounds):
        for name, server, prepared in (("ours", alone, asks), ("by hand", bare, by_hand))[
            :: -1 if number % 2 else 1
        ]:
            before = server.cpu() + server.backends_cpu()
            await load.run(server.port, prepared, connections=2)
            cpu[name].append((server.cpu() + server.backends_cpu() - before) / len(prepared))
    wanted = [asks[place % len(asks)] for place in range(plan.pulls)]
    await _paced(ours.port, wanted[: plan.pulls // 4], plan.a_second, plan.connections)
    took, seconds = await _paced(ours.port, wanted, plan.a_second, plan.connections)
    p95 = sorted(took)[int(len(took) * 0.95)]
    ratio = median(one / other for one, other in zip(cpu["ours"], cpu["by hand"], strict=True))
    table(
        stand.console,
        f"Pulls of an order and its customer, {plan.a_second} a second on two processes",
        ["", ""],
        [
            ["CPU, API and PostgreSQL, ms", milliseconds(median(cpu["ours"]))],
            ["one statement by hand, no sign-in, no audit", milliseconds(median(cpu["by hand"]))],
            ["  ratio", shown(ratio)],
            ["answered a second", shown(len(took) / seconds)],
            ["p50 / p95, ms", f"{milliseconds(median(took))} / {milliseconds(p95)}"],
        ],
    )
    return [Figure(f"{plan.a_second} pulls a second, p95", p95 * 1000, "ms", at_most=150)]


async def _paced(
    port: int, prepared: Sequence[bytes], a_second: int, connections: int
) -> tuple[list[float], float]:
    """Ask at a pace, whatever the answers take; return how long each took from when it was due, and
    all of them together, in seconds."""
    turn = iter(range(len(prepared)))
    took = [0.0] * len(prepared)
    open_ones = [await Connection.open(port) for _ in range(connections)]
    began = perf_counter()

    async def one(connection: Connection) -> None:
        for place in turn:
            due = began + place / a_second
            await asyncio.sleep(max(0.0, due - perf_counter()))
            reply = await connection.ask(prepared[place])
            if reply.status != 200:
                raise load.Unexpected(f"{reply.status}: {reply.body[:2000]!r}")
            took[place] = perf_counter() - due

    try:
        await asyncio.gather(*(one(connection) for connection in open_ones))
    finally:
        for connection in open_ones:
            connection.close()
    return took, perf_counter() - began


def _feed(stand: Stand, plan: Plan, url: str, people: Sequence[Person]) -> None:
    """Write orders with and without the feed in turns, and tell what its triggers cost each."""
    dice = random.Random(7)
    cpu: dict[bool, list[float]] = {True: [], False: []}
    with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:

        def kept(kept: bool) -> None:
            word = "ENABLE" if kept else "DISABLE"
            for name in ("work_order", "technician_day"):
                for event in ("insert", "update"):
                    connection.execute(f"ALTER TABLE {name} {word} TRIGGER synced_{event}".encode())

        for number in range(2 * plan.rounds):
            for with_feed in (True, False)[:: -1 if number % 2 else 1]:
                kept(with_feed)
                asked = [{"technician_id": dice.choice(people).id} for _ in range(plan.written)]
                _write(connection, asked[: plan.written // 4])
                before = machine.cpu_seconds(connection.info.backend_pid)
                _write(connection, asked)
                used = machine.cpu_seconds(connection.info.backend_pid) - before
                cpu[with_feed].append(used / plan.written)
    least = {name: min(found) for name, found in cpu.items()}
    table(
        stand.console,
        "An order written with its holder and put into their route, each in its transaction",
        ["PostgreSQL CPU, us", "median", "least"],
        [
            ["with the feed", shown(median(cpu[True]) * 1e6), shown(least[True] * 1e6)],
            ["without it", shown(median(cpu[False]) * 1e6), shown(least[False] * 1e6)],
        ],
    )


def _write(connection: psycopg.Connection[Any], asked: Sequence[dict[str, Any]]) -> None:
    for one in asked:
        with connection.transaction():
            row = connection.execute(_WRITTEN, one).fetchone()
            assert row is not None
            connection.execute(_ROUTED, {**one, "id": row[0]})
