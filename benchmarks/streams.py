"""Streams of phones: what one process pays for each, and how soon all hear of a change."""

import asyncio
import resource
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psycopg

from app.auth.rules import Role
from benchmarks import history, load, machine
from benchmarks.history import NOW, Person, Province
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Server, Stand, settle

_ACCOUNTS = """
INSERT INTO account (id, username, password_hash, role, org_unit_id, technician_id)
SELECT id, code, '', 'technician', org_unit_id, id FROM technician
"""
# An offering concerns everybody, an order one.
_TO_ALL = """
INSERT INTO sync_row (technician_id, kind, row_id, xid)
VALUES ('00000000-0000-0000-0000-000000000000', 'offering', gen_random_uuid(),
    pg_current_xact_id()::text::bigint)
"""
_TO_ONE = """
INSERT INTO sync_row (technician_id, kind, row_id, xid)
VALUES (%(technician_id)s, 'holding', gen_random_uuid(), pg_current_xact_id()::text::bigint)
"""


@dataclass(frozen=True)
class Plan:
    """How much to measure: so many `streams`, and changes that concern all or one."""

    province: Province
    streams: int
    rounds: int


FULL = Plan(Province(4_000), streams=4_000, rounds=5)
QUICK = Plan(Province(2_000, technicians=400, customers=4_000), streams=200, rounds=2)


class Listener:
    """A phone that listens: what it reads is counted and let go."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.heard = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, port: int, request: bytes) -> None:
        """Begin to listen; returns when the stream has begun."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        self._writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise load.Unexpected(head.decode("latin-1"))
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while part := await reader.read(4096):
            if b"event: changed" in part:
                self.heard.set()

    async def close(self) -> None:
        """Hang up."""
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < 2 * plan.streams + 200:
        stand.console.print(f"{plan.streams} streams need more open files than {most}: left out.")
        return []
    url = stand.database("streams")
    history.write(url, plan.province, lambda by: None)
    with psycopg.connect(url) as connection:
        connection.execute(_ACCOUNTS)
    settle(url)
    people = history.people(url, plan.streams)
    with ExitStack() as servers:
        bare = servers.enter_context(
            stand.server("bare", url, NOW, "-m", "benchmarks.handwritten_streams")
        )
        plain, listening = await _opened(stand, bare, people)
        await _close(listening)
        ours = servers.enter_context(stand.server("ours", url, NOW))
        mine, listening = await _opened(stand, ours, people)
        # Everybody has caught up by then.
        await asyncio.sleep(2.0)
        to_all = [await _told(url, _TO_ALL, {}, listening) for _ in range(plan.rounds)]
        before = machine.family_cpu_seconds(ours.pid) + ours.backends_cpu()
        began = perf_counter()
        to_one = []
        for nth in range(plan.rounds * 4):
            one = listening[nth % len(listening)]
            to_one.append(await _told(url, _TO_ONE, {"technician_id": one.person.id}, [one]))
            await asyncio.sleep(0.25)
        seconds = perf_counter() - began
        cpu = machine.family_cpu_seconds(ours.pid) + ours.backends_cpu() - before
        await _close(listening)
    stand.drop("streams")
    table(
        stand.console,
        f"{len(people):,} phones that listen to one process",
        ["", "a bare stream", "a phone's"],
        [
            ["memory a stream, KiB", shown(plain.each), shown(mine.each)],
            ["memory of the process, MiB", shown(plain.whole), shown(mine.whole)],
            ["CPU to open one, ms", milliseconds(plain.cpu), milliseconds(mine.cpu)],
            ["until all hear what concerns all, ms", "", milliseconds(max(to_all))],
            ["until one hears what concerns them, ms", "", milliseconds(max(to_one))],
            ["CPU a second while little happens, ms", "", milliseconds(cpu / seconds)],
        ],
    )
    return [
        Figure("memory of a process with all its streams", mine.whole, "MiB", at_most=1536),
        Figure("until all hear what concerns all", max(to_all) * 1000, "ms", at_most=1000),
    ]


@dataclass(frozen=True)
class _Cost:
    """What streams cost a process: KiB each, MiB in all, seconds of processor time to open one."""

    each: float
    whole: float
    cpu: float


async def _opened(
    stand: Stand, server: Server, people: Sequence[Person]
) -> tuple[_Cost, list[Listener]]:
    listening = [Listener(one) for one in people]
    asked = [
        load.request(
            "GET",
            "/v1/stream",
            token=stand.token(
                Role.TECHNICIAN, one.org_unit_id, one.org_path, one.id, account_id=one.id
            ),
        )
        for one in people
    ]
    memory = _memory(server.pid)
    cpu = machine.family_cpu_seconds(server.pid) + server.backends_cpu()
    turn = asyncio.Semaphore(32)

    async def begin(listener: Listener, request: bytes) -> None:
        async with turn:
            await listener.open(server.port, request)

    await asyncio.gather(*map(begin, listening, asked))
    cpu = machine.family_cpu_seconds(server.pid) + server.backends_cpu() - cpu
    after = _memory(server.pid)
    return _Cost((after - memory) / len(people), after / 1024, cpu / len(people)), listening


async def _told(
    url: str, statement: str, given: dict[str, object], listening: Sequence[Listener]
) -> float:
    """Commit a change; return the seconds until all of them have heard of it."""
    for one in listening:
        one.heard.clear()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        began = perf_counter()
        await connection.execute(statement.encode(), given)
    async with asyncio.timeout(30):
        for one in listening:
            await one.heard.wait()
    return perf_counter() - began


async def _close(listening: Sequence[Listener]) -> None:
    for one in listening:
        await one.close()
    await asyncio.sleep(1.0)


def _memory(pid: int) -> float:
    """Resident memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    raise machine.NotMeasurable("no memory is told of a process")
