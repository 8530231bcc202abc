"""Plays the day: everybody at once, on one compressed clock, and the account at the end."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.demo import account, proofs
from app.demo.account import Account
from app.demo.day import Day, Tally
from app.demo.line import Counts, Line, Trouble
from app.demo.offices import Arrival, Sent, send_orders, supervise
from app.demo.phone import Customers, Phone
from app.demo.processes import House
from app.demo.telephones import Telephones

# A line in the field: every hundredth request or answer is lost, every fiftieth tap comes twice.
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
    """Who plays: user names, their one password, the orders to come, the people at the doors."""

    technicians: Sequence[str]
    supervisors: Sequence[str]
    integration: str
    admin: str
    password: str
    arrivals: Sequence[Arrival]
    customers: Customers


async def play(house: House, cast: Cast, day: Day, console: Console, *, seed: int) -> Account:
    """Play what is left of the day and take the account; it can be called again at any time."""
    counts, tally, sent = Counts(), Tally(), Sent()
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with (
        httpx.AsyncClient(base_url=house.api_url, timeout=15.0, limits=limits) as http,
        httpx.AsyncClient(
            base_url=house.ordering_url,
            timeout=15.0,
            headers={"authorization": f"Bearer {house.ordering_token}"},
        ) as ordering,
        httpx.AsyncClient(base_url=house.messaging_url, timeout=5.0) as inboxes,
        httpx.AsyncClient(base_url=house.activation_url, timeout=15.0) as platform,
    ):
        telephones = Telephones(inboxes, http)

        def line(username: str, trouble: Trouble | None = None, *, system: bool = False) -> Line:
            luck = random.Random(f"{seed} {username}")
            return Line(
                http, username, cast.password, counts, trouble=trouble, luck=luck, system=system
            )

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(house, day, sent, tally, console))
            people = [
                Phone(
                    line(username, FIELD),
                    day,
                    cast.customers,
                    telephones,
                    tally,
                    random.Random(f"{seed} {day.starts.date()} {username}"),
                ).work(lambda: sent.finished)
                for username in cast.technicians
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
        with console.status("waiting until the systems around have finished what they were given"):
            await _settled(admin)
        found = await account.take(admin, ordering, sent.orders)
        at_doors = await proofs.take(admin, platform, inboxes)
        found.faults += at_doors.faults
        if sent.wrong:
            found.faults.append(f"{len(sent.wrong)} orders met a wrong answer: {sent.wrong[:3]}")
        account.show(console, found, at_doors, counts, tally)
        return found


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
                    f"{len(sent.orders)} orders in, {tally.completed} done,"
                    f" {len(tally.confirmed)} sold"
                ),
            )
            for process in house.processes:
                if not process.alive():
                    progress.console.print(f"[yellow]{process.name} died; starting it again[/]")
                    await asyncio.to_thread(house.start, process)
            await asyncio.sleep(0.3)
