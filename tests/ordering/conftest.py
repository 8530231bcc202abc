"""A simulator as a process of its own, a listener for its callbacks, and the published schema."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from app.core.clock import FixedClock
from app.core.colliding import repeated
from app.core.db import Database, open_database
from app.core.jobs import Worker
from app.core.settings import Settings
from app.ordering.simulator import BASE_PATH
from tests.conftest import MONDAY_NINE, Databases, assembled, nobody_has_a_connection_of
from tests.ordering.delivering import SHORT, TIME_LIMIT, Desk, make_desk, set_numbers
from tests.ordering.waiting import until

_SERVE = """
import json, sys
from pathlib import Path
from app.ordering.simulator import Dials, serve
serve("127.0.0.1", int(sys.argv[1]), Path(sys.argv[2]), Dials(**json.loads(sys.argv[3])),
      **json.loads(sys.argv[4]))
"""


def begin_anew() -> None:
    """Leave behind what a forked process has of the test's: its files, sockets and signals.

    A socket that is listened on here must not stay bound when the test has closed it. The numbers
    of the files stay taken, by nothing: whoever still holds one, as pytest's standard error does,
    would otherwise write into, or close, the connection that came to have the same number.
    """
    logging.getLogger().handlers.clear()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number != nowhere:
            os.dup2(nowhere, number)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)


class Simulator:
    """One simulator process on one store; it can be killed and started again."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.base_url = self.origin + BASE_PATH
        # Whether what it says goes into a file: where a bar is shown, it would break it.
        self.quiet = False
        self.log = store.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, options: dict[str, str] | None = None, **dials: Any) -> None:
        """Start the process and wait until it answers."""
        argv = [str(self.port), str(self.store), json.dumps(dials), json.dumps(options or {})]
        command = [sys.executable, "-c", _SERVE, *argv]
        with self.log.open("ab") as log:
            out = log if self.quiet else None
            self._process = subprocess.Popen(command, stdout=out, stderr=out)
        give_up = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, "the simulator stopped by itself"
            try:
                httpx.get(self.origin, timeout=1)
                return
            except httpx.TransportError:
                assert time.monotonic() < give_up, "the simulator does not answer"
                time.sleep(0.05)

    def end(self, with_signal: signal.Signals) -> int:
        """Send the process a signal and wait for its end; returns its exit code."""
        assert self._process is not None
        self._process.send_signal(with_signal)
        code = self._process.wait(timeout=15)
        self._process = None
        return code

    def is_running(self) -> bool:
        """Say whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End the process as the out-of-memory killer would: SIGKILL, no farewell."""
        self.end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process if it still runs."""
        if self._process is not None:
            self.end(signal.SIGTERM)

    def dial(self, **dials: Any) -> None:
        """Set all dials: those named, and the others to their defaults."""
        httpx.put(f"{self.origin}/_simulator/dials", json=dials).raise_for_status()

    def orders(self, external_id: str | None = None) -> list[dict[str, Any]]:
        """List the orders it holds, of one externalId or all."""
        found = httpx.get(f"{self.origin}/_simulator/orders").raise_for_status().json()["orders"]
        return [each for each in found if external_id in (None, each["externalId"])]

    def posts(self, external_id: str) -> int:
        """Count the POSTs that came for an externalId, with or without effect."""
        answer = httpx.get(f"{self.origin}/_simulator/orders").raise_for_status().json()
        rows = answer["orders"] + answer["without_order"]
        return next((row["posts"] for row in rows if row["externalId"] == external_id), 0)

    def counts(self) -> dict[str, Any]:
        """Read its figures."""
        found: dict[str, Any] = httpx.get(f"{self.origin}/_simulator/counts").json()
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def make_simulator(tmp_path: Path) -> Iterator[Callable[[], Simulator]]:
    """Make simulators that are not started yet; each is stopped at the end."""
    made: list[Simulator] = []

    def make() -> Simulator:
        made.append(Simulator(tmp_path / f"simulator-{len(made)}.db"))
        return made[-1]

    yield make
    for simulator in made:
        simulator.stop()


@pytest.fixture(scope="module")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("simulator") / "orders.db")
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Simulator:
    """A running simulator, one process for all tests of a file, its dials at their defaults."""
    shared_simulator.dial()
    return shared_simulator


def bare_answer(status: int) -> bytes:
    """Write an HTTP answer without a body, after which the connection is closed."""
    return f"HTTP/1.1 {status} Bare\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


class RawServer:
    """A listener on a socket: answers each request with given bytes and keeps what came."""

    def __init__(self, answer: bytes = bare_answer(204)) -> None:
        self.answer = answer
        self.hold_open = 0.0  # seconds between answer and close
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, answer it and close."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.strip().split("\r\n")
            headers = {k.lower(): v for k, v in (each.split(": ", 1) for each in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.received.append((line, headers, body))
            writer.write(self.answer)
            await writer.drain()
            await asyncio.sleep(self.hold_open)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def events(self, of: str | None = None) -> list[dict[str, Any]]:
        """Read what came as JSON bodies, in the order in which it came.

        `of` is the id of a product order: those of earlier tests go on, and are told of too.
        """
        came = [json.loads(body) for _, _, body in self.received]
        return [one for one in came if of is None or one["event"]["productOrder"]["id"] == of]


@pytest.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """A server that answers what the test tells it to."""
    raw = RawServer()
    server = await asyncio.start_server(raw.handle, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield raw
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def tmf622_v4(shared_dir: Path) -> dict[str, Any]:
    """The published description of TMF622 v4.0.0."""
    folder = shared_dir / "tmf" / "TMF622"
    if not folder.is_dir():
        pytest.skip("the TMF622 specification is not in the folder of public data")
    (file,) = folder.glob("*v4.0.0_swagger.json")
    swagger: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return swagger


# --- deliveries: the simulator as the other side, the API served for its callbacks -------------

CALLBACK_TOKEN, TOKEN = "they-carry-this", "we-carry-this"
QUICK = {"seconds_to_start": 0.1, "seconds_to_complete": 0.3}


class Stand:
    """One simulator process for all tests, and the port where it calls us back."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.simulator = Simulator(folder / "orders.db")
        self.simulator.start(self.options(), **QUICK)

    def options(self, token: str = TOKEN) -> dict[str, str]:
        """Say how the simulator is started."""
        url = f"http://127.0.0.1:{self.port}/v1/ordering/callbacks"
        return {"callback_url": url, "callback_token": CALLBACK_TOKEN, "token": token}

    def wake(self) -> None:
        """Start the simulator again where a test has left it stopped, and set its dials back."""
        if self.simulator.is_running():
            self.simulator.dial(**QUICK)
        else:
            self.simulator.start(self.options(), **QUICK)

    def at_rest(self) -> bool:
        """Say whether every order has ended and every callback is delivered or given up."""
        counts = self.simulator.counts()
        return not counts["callbacks_waiting"] and not {"acknowledged", "inProgress", "held"} & set(
            counts["by_state"]
        )


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The stand, one for all tests of a process: it takes a second to start."""
    stand = Stand(tmp_path_factory.mktemp("stand"))
    yield stand
    stand.simulator.stop()


@pytest.fixture(scope="session")
async def room(
    databases: Databases, stand: Stand, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
    """A database with one door, and the API served for the callbacks, for all tests of a process;
    each works at a desk of its own and leaves the room empty."""
    with databases.clone() as url:
        settings = Settings(
            database_url=url,
            signing_keys=tmp_path_factory.mktemp("keys"),
            log_level="ERROR",
            pool_size=20,
            ordering_url=stand.simulator.base_url,
            ordering_token=SecretStr(TOKEN),
            ordering_callback_token=SecretStr(CALLBACK_TOKEN),
            ordering_timeout_seconds=TIME_LIMIT,
        )
        database, clock = open_database(settings), FixedClock(MONDAY_NINE)
        room = await make_desk(database, clock, settings)
        app = assembled(settings, clock=clock, database=database)
        async with served(app, stand.port):
            yield room
        nobody_has_a_connection_of(database)
        await database.close()


@pytest.fixture
async def desk(room: Desk, stand: Stand) -> AsyncIterator[Desk]:
    """A worker's desk before real commits and a simulator that calls back."""
    stand.wake()
    async with room.database.begin() as tx:
        await set_numbers(tx, SHORT)
    room.database.cache.clear()
    desk = replace(room, worker=Worker(room.settings, room.clock, room.database))
    as_it_was = room.database.before_commit
    yield desk
    room.database.before_commit = as_it_was
    try:
        stand.wake()
        # While callbacks still come, the sales that they are about must be there.
        await until(stand.at_rest, "rest")
    finally:
        await desk.worker.close()
        # The last callback of all may be about to be written down.
        await repeated(partial(_emptied, room.database))


async def _emptied(database: Database) -> None:
    """Take away what sales left."""
    async with database.begin() as tx:
        await tx.execute(text(_EMPTY))


# What a sale leaves behind goes with it.
_EMPTY = """
TRUNCATE sale, order_callback, procrastinate_jobs, ordering_endpoint, ordering_pace,
         ordering_listener, parameter_value, audit_entry CASCADE
"""


@contextlib.asynccontextmanager
async def served(app: FastAPI, port: int) -> AsyncIterator[None]:
    """Serve an application on a port of this machine, in this process."""
    config = uvicorn.Config(app, port=port, http="h11", log_config=None)
    api = uvicorn.Server(config)
    with pytest.MonkeyPatch.context() as patch:
        # The server would take the test's signals for its own.
        patch.setattr(api, "capture_signals", contextlib.nullcontext)
        serving = asyncio.create_task(api.serve())
        await until(lambda: api.started, "serving")
        try:
            yield
        finally:
            api.should_exit = True
            await serving


@pytest.fixture
def stored(stand: Stand) -> Callable[[], Counter[str]]:
    """Count the orders that the stand holds of each externalId, since the test began."""
    before = {order["id"] for order in stand.simulator.orders()}

    def count() -> Counter[str]:
        orders = stand.simulator.orders()
        return Counter(order["externalId"] for order in orders if order["id"] not in before)

    return count
