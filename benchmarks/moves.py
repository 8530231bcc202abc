"""A bulk move of 500 orders: previewed, carried out and undone, beside the blind statements.

The yardstick is what one would write first: an update of the orders, their events, and the sums of
the days; it asks nobody's skills, shift, minutes or appointments, and nothing of it can be undone.
"""

import random
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from uuid import UUID

import orjson
import psycopg

from app.auth.rules import Role
from app.core.db import new_id
from benchmarks import history, load
from benchmarks.history import NOW, Province
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.slots import SCENE
from benchmarks.stand import Stand, settle

MOVES = "/v1/work-orders/moves"


@dataclass(frozen=True)
class Plan:
    """How much to measure: commands of so many orders."""

    province: Province
    orders: int = 500
    rounds: int = 7


FULL = Plan(Province(50_000))
QUICK = Plan(Province(2_000, technicians=400, customers=1_000), orders=50, rounds=2)

# Every order somewhere within its grid, so that ways are as long as they are.
_POINTS = """
UPDATE work_order o SET point = ST_SetSRID(ST_MakePoint(
    ST_X(ST_Centroid(b.boundary)) + 0.004 * sin(hashtext(o.external_id)),
    ST_Y(ST_Centroid(b.boundary)) + 0.004 * cos(hashtext(o.external_id))), 4326)
FROM grid_boundary b WHERE b.grid_id = o.grid_id AND o.planned_day > '2026-03-02'
    AND o.state = 'assigned'
"""
_ACCOUNT = """
INSERT INTO account (id, username, password_hash, role, org_unit_id, active)
VALUES (%s, 'supervisor-of-moves', '', 'supervisor', %s, true)
"""
_ORDERS = """
SELECT o.id, o.version, o.holder_id, o.planned_day, o.org_unit_id FROM work_order o
WHERE o.state = 'assigned' AND o.planned_day > '2026-03-02'
ORDER BY o.org_unit_id, o.planned_day, o.holder_id, o.id
"""
_BLIND = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(to)s::uuid[]) AS given (id, holder_id)
), before AS (
    SELECT o.id, o.holder_id, o.planned_day, o.estimated_minutes AS minutes
    FROM work_order o JOIN given USING (id)
), moved AS (
    UPDATE work_order o SET holder_id = given.holder_id, version = version + 1
    FROM given WHERE o.id = given.id
    RETURNING o.id, o.holder_id, o.planned_day, o.estimated_minutes AS minutes
), told AS (
    INSERT INTO work_order_event (id, work_order_id, at, step, from_state, to_state, reason)
    SELECT gen_random_uuid(), id, now(), 'assign', 'assigned', 'assigned', 'by hand' FROM moved
), changes AS (
    SELECT holder_id, planned_day, sum(minutes) AS minutes, sum(orders) AS orders FROM (
        SELECT holder_id, planned_day, minutes, 1 AS orders FROM moved
        UNION ALL SELECT holder_id, planned_day, -minutes, -1 FROM before
    ) AS both_ways GROUP BY 1, 2
)
UPDATE technician_day d SET committed_minutes = d.committed_minutes + c.minutes,
    orders = d.orders + c.orders
FROM changes c WHERE d.technician_id = c.holder_id AND d.day = c.planned_day
"""


@dataclass(frozen=True)
class _Order:
    id: UUID
    version: int
    holder_id: UUID
    day: str


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url = stand.database("moves")
    with stand.progress() as progress:
        task = progress.add_task("writing a province", total=plan.province.orders())
        history.write(url, plan.province, lambda by: progress.advance(task, by))
    account = new_id()
    with psycopg.connect(url, options="-c session_replication_role=replica") as connection:
        connection.execute(SCENE)
        connection.execute(_POINTS)
        row = connection.execute(
            "SELECT id, path FROM org_unit WHERE level = 'province'"
        ).fetchone()
        assert row is not None
        connection.execute(_ACCOUNT, (account, row[0]))
        units: dict[UUID, list[_Order]] = {}
        for id_, version, holder, day, unit in connection.execute(_ORDERS):
            units.setdefault(unit, []).append(_Order(id_, version, holder, str(day)))
    settle(url)
    dice = random.Random(59)
    samples: dict[str, list[tuple[float, float]]] = {}
    with stand.server("moves", url, NOW) as server:
        token = stand.token(Role.SUPERVISOR, row[0], row[1], account_id=account)

        async def send(name: str, path: str, body: object, status: int) -> bytes:
            cpu = server.cpu() + server.backends_cpu()
            ask = load.request("POST", MOVES + path, token=token, body=orjson.dumps(body))
            timing = await load.run(
                server.port, [ask], connections=1, expect=(status,), keep_replies=True
            )
            took = (server.cpu() + server.backends_cpu() - cpu, timing.percentile(0.5))
            samples.setdefault(name, []).append(took)
            return timing.replies[0].body

        with stand.progress() as progress:
            task = progress.add_task("moving", total=plan.rounds)
            for orders in list(units.values())[: plan.rounds]:
                body = _command(dice, orders[: plan.orders])
                await send("preview", "/preview", body, 200)
                move = orjson.loads(await send("carried out", "", body, 201))
                undo = {"id": str(new_id()), "reason": "measured", "override": True}
                await send("undone", f"/{move['id']}/undo", undo, 201)
                blind = _blindly(stand, url, dice, orders[: plan.orders])
                samples.setdefault("the blind statements", []).append(blind)
                progress.advance(task)
    stand.drop("moves")
    return _report(stand, plan, samples)


def _command(dice: random.Random, orders: list[_Order]) -> dict[str, object]:
    """Give each order to somebody of the same branch who has orders among these."""
    return {
        "id": str(new_id()),
        "kind": "give",
        "reason": "measured",
        "override": True,
        "rows": [
            {"order_id": str(order.id), "version": order.version, "technician_id": str(to)}
            for order, to in zip(orders, _others(dice, orders), strict=True)
        ],
    }


def _others(dice: random.Random, orders: list[_Order]) -> list[UUID]:
    holders = [order.holder_id for order in orders]
    dice.shuffle(holders)
    return holders


def _blindly(
    stand: Stand, url: str, dice: random.Random, orders: list[_Order]
) -> tuple[float, float]:
    """Move as many orders by statements that ask nothing, and take it back; return the processor
    and the wall time of it, in seconds."""
    ids, to = [order.id for order in orders], _others(dice, orders)
    with psycopg.connect(url) as connection:
        cpu, own, began = stand.postgres_cpu(), process_time(), perf_counter()
        connection.execute(_BLIND, {"ids": ids, "to": to})
        took = stand.postgres_cpu() - cpu + process_time() - own, perf_counter() - began
        connection.rollback()
    return took


def _report(
    stand: Stand, plan: Plan, samples: dict[str, list[tuple[float, float]]]
) -> list[Figure]:
    def middle(name: str, which: int) -> float:
        return median(one[which] for one in samples[name])

    blind = middle("the blind statements", 0)
    table(
        stand.console,
        f"{plan.orders} orders moved by one command, medians of {plan.rounds} branches",
        ["", "CPU, ms", "x blind", "wall, ms"],
        [
            [
                name,
                milliseconds(middle(name, 0)),
                shown(middle(name, 0) / blind) if blind else "",
                milliseconds(middle(name, 1)),
            ]
            for name in samples
        ],
    )
    name = f"{plan.orders} orders moved by one command"
    return [
        Figure(f"{name}, API and PostgreSQL CPU", middle("carried out", 0), "s", at_most=2.0),
        Figure(f"{name}, wall", middle("carried out", 1), "s", at_most=2.0),
    ]
