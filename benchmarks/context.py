"""The card for the door: what a phone waits for it among a million customers, beside the statement
one would write first.

Technicians ask whom they are about to meet, so many a second; an answer's time counts from when the
request was due. Each look writes its audit entry, as it does in the field. By hand the customer,
the services and the counts of contacts are read in one statement, and nothing is written.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import psycopg

from benchmarks import history, load
from benchmarks.report import Figure, milliseconds, table
from benchmarks.stand import Stand
from benchmarks.suggesting import FULL, QUICK, Door, Measured, Plan, ground, paced

__all__ = ["FULL", "QUICK", "measure"]

DATABASE = "context"

_BY_HAND = """
SELECT c.*, l.*, s.held, i.*
FROM customer c
LEFT JOIN customer_lifecycle l ON l.customer_id = c.id
CROSS JOIN LATERAL (
    SELECT jsonb_agg(to_jsonb(s)) AS held FROM subscription s WHERE s.customer_id = c.id
) AS s
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE kind = 'sales'), max(at), count(*)
    FROM interaction WHERE customer_id = c.id
) AS i
WHERE c.id = %(customer_id)s
"""


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figure that has a mark."""
    url = stand.database(DATABASE)
    doors = await ground(stand, plan, url)
    asks = [
        load.request(
            "GET",
            f"/v1/customers/{door.customer_id}/context?work_order_id={door.order_id}",
            token=history.token(stand, door.technician),
        )
        for door in doors
    ]
    with stand.server("context", url, history.NOW) as server:
        # Not measured: tokens are proved and statements prepared.
        warm, measured = asks[: plan.visits // 4], asks[plan.visits // 4 :]
        await paced(plan, server, warm)
        with stand.progress() as progress:
            task = progress.add_task("asking", total=len(measured))
            card = await paced(plan, server, measured, partial(progress.advance, task, 1))
        by_hand = await asyncio.to_thread(_by_hand, url, plan, doors[plan.visits // 4 :])
    stand.drop(DATABASE)
    table(
        stand.console,
        f"The card for the door, {plan.a_second:.0f} a second,"
        f" {plan.province.customers:,} customers",
        ["", "API CPU", "PostgreSQL CPU", "p50", "p95", "p99"],
        [
            [
                name,
                milliseconds(one.api) if one.api else "",
                milliseconds(one.postgres) if one.postgres else "",
                milliseconds(one.percentile(0.5)),
                milliseconds(one.percentile(0.95)),
                milliseconds(one.percentile(0.99)),
            ]
            for name, one in (("card", card), ("statement by hand", by_hand))
        ],
    )
    return [Figure("card for the door, p95", card.percentile(0.95) * 1000, "ms", at_most=50)]


def _by_hand(url: str, plan: Plan, doors: Sequence[Door]) -> Measured:
    """Read the same customers at the same pace by one statement."""
    latencies = []
    began = time.perf_counter()
    with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:
        for place, door in enumerate(doors):
            due = began + place / plan.a_second
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.execute(_BY_HAND, {"customer_id": door.customer_id}).fetchall()
            latencies.append(time.perf_counter() - due)
    return Measured(latencies)
