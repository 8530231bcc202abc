"""The offices of the demo: the upstream systems that send orders, and a supervisor at the board."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.demo.day import Day
from app.demo.line import Line


@dataclass(frozen=True)
class Arrival:
    """An order as an upstream system sends it, at a business moment.

    `contradicts` says that its number was used for something else before: it must be refused.
    """

    at: datetime
    body: dict[str, Any]
    contradicts: bool = False


@dataclass
class Sent:
    """What the upstream systems have sent so far, by source and external id."""

    orders: set[tuple[str, str]] = field(default_factory=set)
    contradictions: int = 0
    # What should not have happened: an order refused, or a contradiction taken in.
    wrong: list[Any] = field(default_factory=list)
    finished: bool = False


async def send_orders(line: Line, arrivals: Sequence[Arrival], day: Day, sent: Sent) -> None:
    """Send what came in overnight in one request, then each order as its customer calls.

    What is late, as after a restart, goes in one request too; most of it is known already then.
    """
    first = max(day.starts, day.clock.now())
    overnight = [each for each in arrivals if each.at <= first and not each.contradicts]
    if overnight:
        lines = b"\n".join(orjson.dumps(arrival.body) for arrival in overnight)
        reply = await line.post_lines("/v1/work-orders/bulk", lines)
        verdicts = [orjson.loads(text) for text in str(reply.body).splitlines()]
        sent.wrong += [verdict for verdict in verdicts if verdict["verdict"] == "refused"]
        sent.orders |= {_key(arrival.body) for arrival in overnight}
    for arrival in (each for each in arrivals if each not in overnight):
        await day.wait(arrival.at - day.clock.now())
        reply = await line.post("/v1/work-orders", arrival.body)
        if arrival.contradicts and reply.problem == "same-order-other-content":
            sent.contradictions += 1
        elif arrival.contradicts or not reply.ok:
            sent.wrong.append(reply.body)
        else:
            sent.orders.add(_key(arrival.body))
    sent.finished = True


def _key(body: dict[str, Any]) -> tuple[str, str]:
    return body["source"], body["external_id"]


async def supervise(line: Line, day: Day, luck: random.Random) -> None:
    """Look at the unplaced orders three times a day, and give by hand what can be given."""
    for hours in (2.0, 5.0, 8.5):
        await day.wait(day.starts + timedelta(hours=hours) - day.clock.now())
        people = await line.pages("/v1/technicians", "technicians")
        waiting = await line.pages("/v1/work-orders", "orders", {"state": "unplaced"})
        for order in waiting:
            # Where nobody can tell the place, somebody has to telephone first; the rest is given
            # to whoever still has time, and the reason is written down.
            if order["unplaced_reason"] not in ("no_point", "nobody_assigned", "no_minutes_left"):
                continue
            for person in luck.sample(people, min(4, len(people))):
                reply = await line.post(
                    f"/v1/work-orders/{order['id']}/assign",
                    {
                        "technician_id": person["id"],
                        "day": day.starts.date().isoformat(),
                        "reason": "电话核实地址后人工指派",
                        "version": order["version"],
                    },
                )
                if reply.ok or reply.problem == "order-changed":
                    break
