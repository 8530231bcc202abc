"""The technicians' phones at the end of the day: what was done on them and what became of it, and
whether each has brought up everything and knows what a fresh phone would be told."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from app.demo.hand import Hand
from app.phone.line import Line
from app.phone.phone import Phone
from app.phone.rules import Stage, is_over
from app.phone.store import Store

# How many phones are compared at one time, and how often one is that does not equal a fresh one:
# others go on changing things meanwhile.
_AT_A_TIME, _TIMES = 6, 4
# What an order on a phone says of its customer, masked or not.
OF_A_CUSTOMER = (
    "masked",
    "contact_name",
    "contact_phone",
    "service_number",
    "address",
    "visible_until",
)


@dataclass
class Handsets:
    """What is on the phones, and what does not add up."""

    phones: int = 0
    equal: int = 0
    rows: int = 0
    # Actions and pictures that are still on the phones.
    unsent: int = 0
    actions: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    # Why the server has said no, by the refusal's name.
    noes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


async def take(hands: Sequence[Hand], http: httpx.AsyncClient) -> Handsets:
    """Bring all phones up to date, look at their queues, and compare each with a fresh one."""
    found = Handsets(phones=len(hands))
    places = asyncio.Semaphore(_AT_A_TIME)

    async def compare(hand: Hand) -> set[str]:
        async with places:
            return await _otherwise(hand, http)

    compared = await asyncio.gather(*map(compare, hands))
    found.equal = sum(not tables for tables in compared)
    for hand in hands:
        store = hand.phone.store
        done = store.done()
        found.actions += len(done)
        found.verdicts.update(one.stage.value for one in done)
        found.noes.update(one.code for one in done if one.code is not None)
        found.rows += sum(map(len, store.tables().values()))
        found.unsent += sum(one.stage is Stage.WAITING for one in done) + len(store.pictures())
    if found.equal < found.phones:
        tables = ", ".join(sorted(set().union(*compared)))
        number = found.phones - found.equal
        found.faults.append(f"{number} phones know other than a fresh one: {tables}")
    if found.unsent:
        found.faults.append(f"{found.unsent} actions and pictures never left their phones")
    return found


async def _otherwise(hand: Hand, http: httpx.AsyncClient) -> set[str]:
    """Name the tables in which a phone is not as a fresh one, after it was brought up to date."""
    differ: set[str] = set()
    for _ in range(_TIMES):
        await hand.sync()
        with tempfile.TemporaryDirectory(prefix="yingwei-fresh-") as folder:
            store = Store(Path(folder), outlives_power=False)
            # It is let in as the other one is, and is told everything.
            store["tokens"] = {**hand.phone.store["tokens"], "refresh_token": None}
            await Phone(store, Line(http, store), hand.phone.clock).sync()
            now = hand.phone.clock.now()
            fresh, known = _shown(store, now), _shown(hand.phone.store, now)
            store.close()
        differ = {
            name for name in fresh.keys() | known.keys() if fresh.get(name) != known.get(name)
        }
        if not differ:
            break
    return differ


def _shown(store: Store, now: datetime) -> dict[str, dict[str, Any]]:
    """Give the tables of a phone without what it may say of customers no more, which it knows by
    itself: the server tells it within a minute."""
    tables: dict[str, dict[str, Any]] = store.tables()
    people = tables.get("customers", {})
    tables["customers"] = {key: row for key, row in people.items() if not is_over(row, now)}
    for row in tables.get("work_orders", {}).values():
        if row["completed_at"] and (row["visible_until"] is None or is_over(row, now)):
            row.update(dict.fromkeys(OF_A_CUSTOMER))
    return tables
