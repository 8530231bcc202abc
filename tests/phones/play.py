"""One seed: rounds of work, sync, moves and a bad network; then the reckoning."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.core.clock import CompressedClock, wall
from app.core.db import Database, open_database
from app.core.settings import Settings
from app.sync.service import turning
from tests.conftest import MONDAY_NINE
from tests.make.processes import Api
from tests.phones.judging import Ledger, equal
from tests.phones.network import ANEW, BadNetwork
from tests.phones.offices import Offices
from tests.phones.phones import ROOT, Phone
from tests.phones.world import PASSWORD, World

# A round is five minutes of the day, and takes this long at least.
ROUND, ROUND_SECONDS = timedelta(minutes=5), 0.8
# How often a phone may have to reach for the API once the network is good.
TRIES = 6
# What a phone tells with whatever it answers.
TOLD_BESIDE = ("complaints", "counts", "signed_in")
# The phones, by whose they are; one of them is slow by more than half an hour.
PHONES = {"zhao-1": "zhao", "zhao-2": "zhao", "qian-1": "qian", "sun-1": "sun"}
SLOW = {"sun-1": 40 * 60.0}


@dataclass
class Outcome:
    """What became of a seed."""

    seed: int
    rounds: int
    fates: Counter[Any] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    moved: int = 0
    wiped: int = 0
    closed: int = 0
    actions: int = 0
    rows: int = 0
    sold_fen: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Closing:
    """An account that is closed from a round on until another one, or until the day is over.

    Its phones hear of it by the token that they have, or, where that has run out, by not being let
    in again; perhaps they are to be emptied, too.
    """

    since: int
    until: int
    whose: str
    token_runs_out: bool
    and_wipe: bool


def losses(seed: int, rounds: int) -> tuple[list[tuple[int, str]], list[Closing]]:
    """Draw which phones are lost in which round, and whose accounts are closed for how long."""
    luck = random.Random(f"{seed} losses")
    lost = [(luck.randrange(2, rounds), luck.choice(list(PHONES))) for _ in range(1 + rounds // 30)]
    closings = []
    for _ in range(1 + rounds // 40):
        since = luck.randrange(2, rounds)
        until = since + luck.randint(2, 10)
        whose = luck.choice(list(PHONES.values()))
        closings.append(Closing(since, until, whose, luck.random() < 0.4, luck.random() < 0.3))
    return lost, closings


@contextlib.asynccontextmanager
async def serving(url: str, clock: CompressedClock, folder: Path) -> AsyncIterator[str]:
    """Run the API as a process of its own until the block ends; give its address."""
    api = Api(url, clock, folder)
    try:
        await api.start()
        yield api.url
    finally:
        await asyncio.to_thread(api.process.stop)


async def play(
    url: str, world: World, seed: int, rounds: int, folder: Path, told: Callable[[int], None]
) -> Outcome:
    """Play a seed on a database of its own; `told` hears of each round that is over."""
    began = wall()
    outcome = Outcome(seed, rounds)
    clock = CompressedClock(
        MONDAY_NINE,
        began + timedelta(seconds=10),
        ROUND.total_seconds() / ROUND_SECONDS,
        ROUND * rounds,
    )
    database = open_database(Settings(database_url=url))
    try:
        async with (
            serving(url, clock, folder) as api_url,
            BadNetwork(api_url, random.Random(f"{seed} network")).served() as network,
            httpx.AsyncClient(base_url=api_url, timeout=60.0, limits=ANEW) as http,
        ):
            offices = Offices(http, world, clock, random.Random(f"{seed} offices"))
            await offices.open()
            game = _Game(seed, rounds, clock, world, network, offices, database, folder)
            try:
                await game.play(told)
                await game.reckon(outcome, url)
            finally:
                await game.stop()
            outcome.fates, outcome.statuses = network.fates, network.statuses
            outcome.moved = offices.moved
            outcome.wiped, outcome.closed = offices.wiped, offices.closings
            failures = [*network.failures, *offices.failures]
            outcome.faults += [f"the API failed: {one}" for one in failures]
    finally:
        await database.close()
    outcome.seconds = (wall() - began).total_seconds()
    return outcome


class _Game:
    def __init__(
        self,
        seed: int,
        rounds: int,
        clock: CompressedClock,
        world: World,
        network: BadNetwork,
        offices: Offices,
        database: Database,
        folder: Path,
    ) -> None:
        self._seed = seed
        self._rounds = rounds
        self._clock = clock
        self._network = network
        self._offices = offices
        self._database = database
        self._folder = folder
        self._colleagues = world.technicians
        self._lost, self._closings = losses(seed, rounds)
        self.phones = [self._phone(name, whose) for name, whose in PHONES.items()]
        self._fresh = {
            whose: self._phone(f"fresh-{whose}", whose) for whose in dict.fromkeys(PHONES.values())
        }

    def _phone(self, name: str, whose: str) -> Phone:
        settings = {
            "url": self._network.url,
            "password": PASSWORD,
            "openapi": str(ROOT / "api_docs" / "openapi.json"),
            "slow_seconds": SLOW.get(name, 0.0),
            "colleagues": [str(one) for who, one in self._colleagues.items() if who != whose],
        }
        return Phone(name, whose, settings, self._folder)

    async def play(self, told: Callable[[int], None]) -> None:
        """Play the rounds."""
        rounds = self._rounds
        for phone in self.phones:
            await phone.start()
        for number in range(rounds):
            await self._losses(number)
            least = asyncio.create_task(asyncio.sleep(ROUND_SECONDS))
            await asyncio.gather(
                self._network.next_round(number),
                self._offices.round(),
                *(self._round(phone, number) for phone in self.phones),
            )
            if number % 5 == 4:
                await self._turn()
            if rounds >= 20 and number == rounds // 2:
                await self._restored()
            await least
            told(number + 1)

    async def _round(self, phone: Phone, number: int) -> None:
        luck = random.Random(f"{self._seed} {phone.name} {number}")
        work = {"luck": luck.randrange(2**32), "steps": luck.randint(1, 6)}
        if luck.random() < 0.85:
            await self._or_killed(phone, luck, "work", now=self._clock.now().isoformat(), **work)
        if luck.random() < 0.1:
            await self._or_killed(phone, luck, "suggestions")
        # Whoever is not let in does not type the password again and again.
        let_in = phone.signed_in or phone.username not in self._offices.closed
        if luck.random() < (0.55 if let_in else 0.2):
            await self._or_killed(phone, luck, "synchronize")

    async def _losses(self, number: int) -> None:
        """Let phones be lost and accounts be closed and opened whose round this is."""
        for lost in [one for one in self._lost if one[0] <= number]:
            # One that never told what it calls itself cannot be found yet.
            if await self._offices.wipe(lost[1]):
                self._lost.remove(lost)
        for one in self._closings:
            if number == one.since and one.whose not in self._offices.closed:
                await self._offices.close(one.whose, and_wipe=one.and_wipe)
                if one.token_runs_out:
                    for phone in self._phones_of(one.whose):
                        await phone.ask("expire")
            elif number == one.until and one.whose in self._offices.closed:
                await self._offices.reopen(one.whose)

    def _phones_of(self, whose: str) -> list[Phone]:
        return [phone for phone in self.phones if phone.username == whose]

    async def _or_killed(self, phone: Phone, dice: random.Random, ask: str, **given: Any) -> None:
        if dice.random() < 0.05:
            await phone.killed_while(ask, dice.uniform(0, 0.2), **given)
        else:
            await phone.ask(ask, **given)

    async def _turn(self) -> datetime:
        """Let time take from phones what it takes, as the worker does every minute."""
        now = self._clock.now()
        async with self._database.begin() as tx:
            await turning.turn(tx, now)
        return now

    async def _restored(self) -> None:
        """Make the database look like one that a dump was read into: every cursor is void."""
        async with self._database.begin() as tx:
            await tx.execute(text("UPDATE sync_epoch SET cluster = cluster - 1"))

    # --- the reckoning ----------------------------------------------------------------------------

    async def reckon(self, outcome: Outcome, url: str) -> None:
        """Let all phones reach the API over a good network, and compare."""
        self._network.good = True
        await self._network.next_round(outcome.rounds + 100)
        rest = self._clock.real(self._clock.starts + self._clock.length) - wall()
        # The day has to stand still, or more leaves by time while phones are compared.
        await asyncio.sleep(max(rest.total_seconds(), 0.0) + 0.2)
        outcome.faults += await self._closed_are_empty()
        kept = {}
        for _ in range(2):
            # The second time each hears of what the others sent the first time.
            for phone in self.phones:
                if not await _reached(phone):
                    outcome.faults.append(f"{phone.name} is stuck: {phone.complaints[-3:]}")
        await self._turn()
        for phone in self.phones:
            await phone.ask("synchronize")
        fresh = {}
        for whose, phone in self._fresh.items():
            await phone.start()
            await phone.ask("synchronize")
            fresh[whose] = _plain(await phone.ask("rows"))
        for phone in self.phones:
            kept[phone.name] = _plain(await phone.ask("rows"))
            outcome.faults += equal(phone.name, kept[phone.name], fresh[phone.username])
            outcome.counts.update(phone.counts)
            outcome.restarts += phone.restarts
        outcome.faults += [
            f"{one['name']} was to be emptied and never said that it was"
            for one in await self._offices.devices()
            if one["wipe"] is not None and one["wipe"]["state"] == "asked"
        ]
        made = {
            one: f"{kind} of {phone.name}"
            for phone in self.phones
            for one, kind in phone.made.items()
        }
        # Who was killed while writing could not say what was written any more.
        told = [row for rows in kept.values() for row in rows["actions"] if row["own"]]
        made = {**{row["id"]: row["type"] for row in told}, **made}
        undone = set().union(*(phone.undone() for phone in self.phones))
        owners = Counter(PHONES.values())
        ledger = Ledger(url, (str(self._colleagues[one]) for one in owners if owners[one] > 1))
        outcome.faults += ledger.once(made, undone)
        outcome.faults += ledger.last_writes()
        outcome.faults += ledger.totals(fresh.values())
        outcome.verdicts = ledger.verdicts()
        outcome.types, outcome.codes = ledger.types(), ledger.codes()
        outcome.sold_fen = ledger.sold_fen()
        ledger.close()
        outcome.actions = outcome.verdicts.total()
        outcome.rows = sum(len(rows) for one in fresh.values() for rows in one.values())
        outcome.faults += [
            f"{phone.name} complains: {words}"
            for phone in self.phones
            for words in dict.fromkeys(phone.complaints)
        ]

    async def _closed_are_empty(self) -> list[str]:
        """Check that phones of closed accounts show nothing, and open the accounts again: then they
        begin anew, and nothing is lost that waited on them."""
        found = []
        for whose in sorted(self._offices.closed):
            for phone in self._phones_of(whose):
                let_in = phone.signed_in
                said = await phone.ask("synchronize")
                if said["reached"] or phone.signed_in:
                    found.append(f"{phone.name} of a closed account is let in")
                rows = _plain(await phone.ask("rows"))
                # One that was not let in again waits for its owner, and keeps what is unsent.
                if let_in and any(rows.values()):
                    found.append(f"{phone.name} of a closed account was not emptied")
            await self._offices.reopen(whose)
        return found

    async def stop(self) -> None:
        """Switch all phones off."""
        for phone in (*self.phones, *self._fresh.values()):
            await phone.stop()


async def _reached(phone: Phone) -> bool:
    for _ in range(TRIES):
        said = await phone.ask("synchronize")
        if said["reached"] and not (await phone.ask("unsent"))["unsent"]:
            return True
        if not said["reached"] and said["slug"] != "wipe-asked":
            phone.complaints.append(said["because"])
    return False


def _plain(said: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: rows for name, rows in said.items() if name not in TOLD_BESIDE}
