"""Plays the day: everybody at once, on one compressed clock, and the account at the end."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.demo import account
from app.demo.account import Account
from app.demo.line import Counts, Line, Trouble
from app.demo.offices import Arrival, Sent, send_orders, supervise
from app.demo.phone import Customers, Day, Phone, Tally
from app.demo.processes import House

# A line in the field: every hundredth request or answer is lost, every fiftieth tap comes twice.
FIELD = Trouble(request_lost=0.01, answer_lost=0.01, sent_twice=0.02)
SETTLE_SECONDS = 90.0


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
    ):

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
            await asyncio.gather(upstream, *people, *offices)
            watching.cancel()
        admin = line(cast.admin)
        with console.status("waiting until the ordering system has finished every order"):
            await _settled(admin)
        found = await account.take(admin, ordering, sent.orders)
        if sent.wrong:
            found.faults.append(f"{len(sent.wrong)} orders met a wrong answer: {sent.wrong[:3]}")
        account.show(console, found, counts, tally)
        return found


async def _settled(admin: Line) -> None:
    """Wait until no delivery has anything left to do, or for as long as that may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                sales = await admin.pages("/v1/sales", "sales", {"state": "confirmed"})
                open_ones = [
                    sync
                    for state in ("waiting", "sending", "delivered")
                    for sync in await admin.pages(
                        "/v1/order-syncs", "order_syncs", {"state": state}
                    )
                ]
                if not sales and not open_ones:
                    return
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
