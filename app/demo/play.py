"""Plays the day: everybody at once, on one compressed clock, and the account at the end."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.demo import account, earnings, handsets, proofs
from app.demo.account import Account
from app.demo.day import Day, Tally
from app.demo.hand import Hand
from app.demo.line import Line
from app.demo.network import Counts, Network, Trouble
from app.demo.offices import Arrival, Sent, send_orders, supervise
from app.demo.processes import House
from app.demo.technician import Customers, Technician
from app.demo.telephones import Telephones
from app.phone.line import Line as PhoneLine
from app.phone.phone import Phone
from app.phone.store import Store

# A network in the field: every hundredth request or answer is lost, every fiftieth tap comes twice.
FIELD = Trouble(request_lost=0.01, answer_lost=0.01, sent_twice=0.02)
SETTLE_SECONDS = 90.0
# What the account waits for, in the order in which one leads to the next.
ON_THEIR_WAY = (
    ("/v1/work-orders", "orders", ("received", "located")),
    ("/v1/messages", "messages", ("waiting",)),
    ("/v1/sales", "sales", ("confirmed",)),
    ("/v1/order-syncs", "order_syncs", ("waiting", "sending", "delivered")),
)


@dataclass(frozen=True)
class Cast:
    """Who plays: user names, their one password, the folder of the technicians' phones, the orders
    to come, the people at the doors."""

    technicians: Sequence[str]
    supervisors: Sequence[str]
    integration: str
    admin: str
    password: str
    phones: Path
    arrivals: Sequence[Arrival]
    customers: Customers


async def play(
    house: House,
    cast: Cast,
    day: Day,
    console: Console,
    *,
    seed: int,
    begin: Callable[[], None],
) -> Account:
    """Play what is left of the day and take the account; it can be called again at any time.

    The day begins (`begin`) once all are signed in: however long that takes on this machine, nobody
    is late for it.
    """
    counts, tally, sent = Counts(), Tally(), Sent()
    # Each phone listens to a stream of its own, beside what it asks.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with (
        httpx.AsyncHTTPTransport(limits=limits) as wire,
        httpx.AsyncClient(
            base_url=house.ordering_url,
            timeout=15.0,
            headers={"authorization": f"Bearer {house.ordering_token}"},
        ) as ordering,
        httpx.AsyncClient(base_url=house.messaging_url, timeout=5.0) as inboxes,
        httpx.AsyncClient(base_url=house.activation_url, timeout=15.0) as platform,
    ):

        def network(username: str, trouble: Trouble | None = None) -> Network:
            return Network(wire, counts, trouble, random.Random(f"{seed} {username}"))

        def client(of: Network) -> httpx.AsyncClient:
            return httpx.AsyncClient(transport=of, base_url=house.api_url, timeout=15.0)

        def line(username: str, trouble: Trouble | None = None, *, system: bool = False) -> Line:
            http = client(network(username, trouble))
            return Line(http, username, cast.password, counts, system=system)

        def hand(store: Store, username: str) -> Hand:
            field = network(username, FIELD)
            phone = Phone(store, PhoneLine(client(field), store), day.clock, zone=day.starts.tzinfo)
            return Hand(phone, field, (username, cast.password), counts, tally)

        telephones = Telephones(inboxes, client(network("customers")))
        with _stores(cast) as stores:
            hands = {username: hand(store, username) for username, store in stores.items()}
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(_watch(house, day, sent, tally, console))
                await asyncio.gather(*(each.switch_on() for each in hands.values()))
                begin()
                people = [
                    Technician(
                        each,
                        day,
                        cast.customers,
                        telephones,
                        tally,
                        random.Random(f"{seed} {day.starts.date()} {username}"),
                    ).work(lambda: sent.finished)
                    for username, each in hands.items()
                ]
                offices = [
                    supervise(line(username), day, random.Random(f"{seed} {username}"))
                    for username in cast.supervisors
                ]
                sender = line(cast.integration, FIELD, system=True)
                upstream = send_orders(sender, cast.arrivals, day, sent)
                answers = telephones.answer_surveys(day, random.Random(f"{seed} answers"))
                asked = [answers] if cast.technicians else []
                await asyncio.gather(upstream, *asked, *people, *offices)
                watching.cancel()
            admin = line(cast.admin)
            waiting = "waiting until the systems around have finished what they were given"
            with console.status(waiting):
                await _settled(admin)
            with console.status("comparing each phone with a fresh one"):
                on_phones = await handsets.take(list(hands.values()), client(network("fresh")))
        found = await account.take(admin, ordering, sent.orders, day.starts.date())
        at_doors = await proofs.take(admin, platform, inboxes)
        earned = await earnings.take(admin)
        found.faults += at_doors.faults + earned.faults + on_phones.faults
        if sent.wrong:
            found.faults.append(f"{len(sent.wrong)} orders met a wrong answer: {sent.wrong[:3]}")
        account.show(console, found, at_doors, earned, on_phones, counts, tally)
        return found


@contextlib.contextmanager
def _stores(cast: Cast) -> Iterator[dict[str, Store]]:
    """Open the technicians' phones, which are where they were left."""
    stores: dict[str, Store] = {}
    try:
        for username in cast.technicians:
            # A write to the disk for each step of eighty phones would be what the day waits for.
            stores[username] = Store(cast.phones / username, outlives_power=False)
        yield stores
    finally:
        for store in stores.values():
            store.close()


async def _settled(admin: Line) -> None:
    """Wait until nothing is on its way any more, or for as long as that may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            for path, rows, states in ON_THEIR_WAY:
                for state in states:
                    await _until_none(admin, path, rows, state)


async def _until_none(admin: Line, path: str, rows: str, state: str) -> None:
    while await admin.pages(path, rows, {"state": state}):  # noqa: ASYNC110 - only asking tells
        await asyncio.sleep(0.5)


async def _watch(house: House, day: Day, sent: Sent, tally: Tally, console: Console) -> None:
    """Show how the day goes, and start a process again that has died."""
    whole = (day.ends - day.starts).total_seconds()
    columns = (
        TextColumn("{task.fields[clock]}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("day", total=whole, clock="", words="")
        while True:
            now = day.clock.now()
            progress.update(
                task,
                completed=min((now - day.starts).total_seconds(), whole),
                clock=now.astimezone(day.starts.tzinfo).strftime("%H:%M"),
                words=(
                    f"{len(sent.orders)} orders in, {tally.done['visits_complete']} done,"
                    f" {tally.agreed.total()} sold"
                ),
            )
            for process in house.processes:
                if not process.alive():
                    progress.console.print(f"[yellow]{process.name} died; starting it again[/]")
                    await asyncio.to_thread(house.start, process)
            await asyncio.sleep(0.3)
