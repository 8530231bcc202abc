"""The customers' addresses follow a map on which every border has moved, while orders come in.

1,200 grids with wavy borders; a new edition of the layer lies a third of a grid further east. A
worker process does what it always does; a server takes orders in meanwhile, one after the other.
"""

import asyncio
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import psycopg
import shapely
from shapely import affinity
from sqlalchemy import text

from app.auth.rules import Role
from app.core.clock import CompressedClock, wall
from app.core.db import new_id, open_database
from app.core.jobs import tell
from app.core.settings import Settings
from app.demo.processes import Process
from app.grids import boundaries
from app.grids.boundaries import Shape
from app.grids.layers.shapes import area_m2, multipolygon, shapes_of
from app.grids.models import GridChange
from app.grids.rules import ChangeKind
from benchmarks import history, load, machine
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import APP_NAME, Server, Stand, settle

DATABASE = "relocation"
WEST, SOUTH, SIDE, ACROSS = 113.0, 22.0, 0.01, 40
PIECES = 15  # of each side of a grid: 60 vertices, as published layers have them
PACE = 0.05
PATIENCE_SECONDS = 900.0


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    addresses: int = 1_000_000
    grids: int = 1_200
    quiet_orders: int = 200


FULL = Plan()
QUICK = Plan(addresses=5_000, grids=80, quiet_orders=10)


def layer(grids: int) -> list[shapely.MultiPolygon]:
    """Draw grids side by side, their common borders wavy."""

    def wave(ends: tuple[float, float, float, float]) -> list[tuple[float, float]]:
        x, y, dx, dy = ends
        steps = np.linspace(0, 1, PIECES, endpoint=False)
        swing = SIDE / 20 * np.sin(2 * math.pi * steps)
        # Whichever way a border is walked, it swings to the same side.
        return [
            (x + t * dx + s * abs(dy) / SIDE, y + t * dy + s * abs(dx) / SIDE)
            for t, s in zip(steps, swing if dx + dy > 0 else -swing, strict=True)
        ]

    drawn = []
    for n in range(grids):
        x, y = WEST + SIDE * (n % ACROSS), SOUTH + SIDE * (n // ACROSS)
        ring = [
            *wave((x, y, SIDE, 0)),
            *wave((x + SIDE, y, 0, SIDE)),
            *wave((x + SIDE, y + SIDE, -SIDE, 0)),
            *wave((x, y + SIDE, 0, -SIDE)),
        ]
        drawn.append(multipolygon(shapely.Polygon(ring)))
    return drawn


_GROUND = """
    INSERT INTO org_unit (id, code, name_zh, name_en, level, path)
    VALUES (%(unit)s, 'gd', '省', 'Province', 'province', 'gd.');
"""
_GRIDS = """
    INSERT INTO grid (id, org_unit_id, code, name, kind)
    SELECT id, %(unit)s, 'G' || n, 'G' || n, 'compound'
    FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS given (id, n)
"""
_ADDRESSES = """
    WITH made AS (
        SELECT n, ('0193' || lpad(to_hex(n), 8, '0') || '7' || substr(md5(n::text), 1, 3)
                || '8' || substr(md5(n::text), 4, 15))::uuid AS id
        FROM generate_series(0, %(addresses)s - 1) AS n
    ), customers AS (
        INSERT INTO customer (id, org_unit_id, code, name, phone, segment, as_of)
        SELECT id, %(unit)s, 'C' || n, '王小明', '138' || lpad(n::text, 8, '0'), 'household', now()
        FROM made
    )
    INSERT INTO service_address (id, customer_id, code, standard_address, locality, building, point)
    SELECT id, id, 'A' || n, '幸福路' || n %% 900 || '号' || n %% 30 || '栋',
        '幸福小区' || n %% 900,
        n %% 30 || '栋', ST_SetSRID(ST_MakePoint(
            %(west)s + random() * %(width)s, %(south)s + random() * %(height)s), 4326)
    FROM made
"""


async def _fill(url: str, plan: Plan, unit: UUID) -> dict[UUID, shapely.MultiPolygon]:
    shapes = {new_id(): shape for shape in layer(plan.grids)}
    given: dict[str, Any] = {
        "unit": unit,
        "ids": list(shapes),
        "addresses": plan.addresses,
        "west": WEST,
        "south": SOUTH,
        "width": SIDE * ACROSS,
        "height": SIDE * (plan.grids // ACROSS),
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_GROUND, given)
        connection.execute(_GRIDS, given)
    await _draw(url, shapes, unit)
    # Foreign keys hold by construction.
    options = "-c session_replication_role=replica -c synchronous_commit=off"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute(
            "INSERT INTO grid_relocation SELECT id, 0, now(), now() FROM grid_change"
        )
        # The night in which it is told where a million customers stand is not measured here.
        connection.execute(
            "INSERT INTO night (work, until, done_at) VALUES ('lifecycle', %s, now())",
            [history.NOW],
        )
        connection.execute(_ADDRESSES, given)
        connection.execute("INSERT INTO address_to_locate SELECT id FROM service_address")
    settle(url)
    return shapes


async def _draw(url: str, shapes: dict[UUID, shapely.MultiPolygon], unit: UUID) -> UUID:
    """Bring a layer into force in one transaction, as an import does."""
    database = open_database(Settings(database_url=url))
    change = GridChange(
        id=new_id(),
        org_unit_id=unit,
        kind=ChangeKind.IMPORT,
        at=history.NOW,
        reason="a new edition of the layer",
        grid_ids=list(shapes),
        content_hash="",
        asked={},
        told={},
        addresses=0,
    )
    sizes = area_m2(shapes_of(list(shapes.values()))).tolist()
    drawn = {
        one: Shape(shape, size) for (one, shape), size in zip(shapes.items(), sizes, strict=True)
    }
    try:
        async with database.begin() as tx:
            # Every map tile's shapes are worked out while the transaction waits.
            await tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            await boundaries.alone(tx)
            tx.add(change)
            await tx.flush()
            await boundaries.reshape(
                tx, drawn, source="bench", now=history.NOW, change_id=change.id
            )
            await tell(tx, "map.changed", change_id=change.id)
        return change.id
    finally:
        await database.close()


# --- orders that come in --------------------------------------------------------------------------


@dataclass
class Doorway:
    """Somebody who sends one order after the other, twenty a second at most."""

    server: Server
    token: str
    plan: Plan
    sent: int = 0

    async def send(self, until: Callable[[], bool]) -> list[float]:
        """Send until told to stop; return how long each answer took."""
        seconds: list[float] = []
        connection = await load.Connection.open(self.server.port)
        while not until():
            self.sent += 1
            began = time.perf_counter()
            reply = await connection.ask(self._request())
            seconds.append(time.perf_counter() - began)
            if reply.status != 201:
                raise load.Unexpected(reply.body.decode())
            await asyncio.sleep(PACE)
        connection.close()
        return seconds

    def _request(self) -> bytes:
        n = self.sent
        body = {
            "source": "bench",
            "external_id": f"F-{n}",
            "work_type": "repair",
            "address": f"幸福路{n}号",
            "summary": "宽带断网",
            "reported_at": history.NOW.isoformat(),
            "point": {
                "lon": WEST + SIDE * (n * 7919 % (100 * ACROSS)) / 100,
                "lat": SOUTH + SIDE * (n * 104729 % (100 * (self.plan.grids // ACROSS))) / 100,
                "coordsys": "wgs84",
            },
        }
        return load.request("POST", "/v1/work-orders", token=self.token, body=orjson.dumps(body))


# --- measuring ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What letting the addresses follow took; times in seconds."""

    seconds: float
    worker: float
    postgres: float
    waits: list[float]


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url, unit = stand.database(DATABASE), new_id()
    stand.console.print("filling the database", style="dim")
    shapes = await _fill(url, plan, unit)
    moved = {
        one: multipolygon(affinity.translate(shape, xoff=SIDE * 0.3))
        for one, shape in shapes.items()
    }
    with stand.server("intake", url, history.NOW) as server:
        door = Doorway(server, stand.token(Role.ADMIN, unit, "gd."), plan)
        first = await _followed(stand, url, door)
        last = door.sent + plan.quiet_orders
        quiet = await door.send(lambda: door.sent >= last)
        settle(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE plain (LIKE address_grid INCLUDING ALL)")
            connection.execute("INSERT INTO plain SELECT * FROM address_grid")
            connection.execute("VACUUM ANALYZE plain")
        await _draw(url, moved, unit)
        again = await _followed(stand, url, door)
    changed, baseline = _by_hand(stand, url)
    stand.drop(DATABASE)
    return _report(stand, plan, first, again, quiet, changed, baseline)


async def _followed(stand: Stand, url: str, door: Doorway) -> Run:
    """Run a worker until nothing waits, with orders coming in meanwhile."""
    worker = Process(
        "worker",
        [sys.executable, "-m", "app.cli", "worker"],
        {
            "DATABASE_URL": url,
            "YINGWEI_CLOCK": CompressedClock(history.NOW, wall(), 1.0, timedelta(days=7)).text(),
            APP_NAME: "worker",
        },
        stand.folder / "logs" / "worker.log",
    )
    done = False
    sending = asyncio.create_task(door.send(lambda: done))
    postgres, began = stand.postgres_cpu(), time.perf_counter()
    await asyncio.to_thread(worker.start)
    assert worker.running is not None
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            while not _nothing_waits(connection):
                if time.perf_counter() - began > PATIENCE_SECONDS:
                    raise AssertionError(f"it takes too long:\n{worker.tail()}")
                await asyncio.sleep(0.2)
        seconds = time.perf_counter() - began
        cpu = machine.cpu_seconds(worker.running.pid)
        spent = stand.postgres_cpu() - postgres
        done = True
        waits = await sending
    finally:
        done = True
        await asyncio.to_thread(worker.stop)
    return Run(seconds, cpu, spent, waits)


def _nothing_waits(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT NOT EXISTS (SELECT FROM address_to_locate)"
        " AND NOT EXISTS (SELECT FROM grid_change c WHERE NOT EXISTS"
        "   (SELECT FROM grid_relocation r WHERE r.change_id = c.id AND r.done_at IS NOT NULL))"
    ).fetchone()
    return bool(row and row[0])


# The hand-written one: one statement of PostGIS, which knows of no lists, no rule for overlaps and
# no nearness of borders, cannot be stopped, and says nothing while it is at work.
_BY_HAND = """
    UPDATE plain SET grid_id = b.grid_id, drawn_grid_id = b.grid_id
    FROM service_address a
    LEFT JOIN grid_boundary b ON b.valid_to IS NULL AND ST_Covers(b.boundary, a.point)
    WHERE a.id = plain.service_address_id AND plain.grid_id IS DISTINCT FROM b.grid_id
"""


def _by_hand(stand: Stand, url: str) -> tuple[int, Run]:
    postgres, began = stand.postgres_cpu(), time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        changed = connection.execute(_BY_HAND).rowcount
        seconds, spent = time.perf_counter() - began, stand.postgres_cpu() - postgres
        row = connection.execute(
            "SELECT count(*) FROM plain JOIN address_grid g USING (service_address_id)"
            " WHERE plain.grid_id IS DISTINCT FROM g.grid_id"
        ).fetchone()
    if row != (0,):
        raise AssertionError(f"{row} addresses are in another grid by hand")
    return changed, Run(seconds, 0.0, spent, [])


def _report(
    stand: Stand,
    plan: Plan,
    first: Run,
    again: Run,
    quiet: list[float],
    changed: int,
    by_hand: Run,
) -> list[Figure]:
    def row(name: str, run: Run) -> list[str]:
        cpu = run.worker + run.postgres
        return [
            name,
            shown(run.seconds),
            shown(plan.addresses / run.seconds),
            shown(run.worker),
            shown(run.postgres),
            shown(cpu / (by_hand.worker + by_hand.postgres)),
        ]

    table(
        stand.console,
        f"{plan.addresses:,} addresses in {plan.grids:,} grids, {changed:,} change grid",
        ["", "s", "addresses/s", "worker CPU s", "PG CPU s", "CPU by hand"],
        [row("for the first time", first), row("map changed", again), row("by hand", by_hand)],
    )

    def waits(name: str, seconds: list[float]) -> list[str]:
        ordered = sorted(seconds)
        p50, p95 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
        return [name, str(len(ordered)), *map(milliseconds, (p50, p95, ordered[-1]))]

    table(
        stand.console,
        "Orders taken in one by one meanwhile: ms",
        ["", "orders", "p50", "p95", "longest"],
        [
            waits("quiet", quiet),
            waits("for the first time", first.waits),
            waits("map changed", again.waits),
        ],
    )
    return [
        Figure("addresses follow the map", again.seconds, "s", at_most=60),
        Figure("longest wait of an order meanwhile", max(again.waits), "s", at_most=2),
    ]
