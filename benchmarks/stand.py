"""The stand: a private PostgreSQL, servers as processes of their own, tokens, progress."""

import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.auth import tokens
from app.auth.keys import KeyRing
from app.auth.rules import SCOPES, Caller, Role
from app.core.clock import CompressedClock, wall
from app.core.cluster import Cluster
from app.core.db import new_id
from app.core.settings import Settings
from app.demo.processes import Process, free_port
from app.migrating import upgrade
from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0

# How servers appear in pg_stat_activity, so that the time of their backends can be told apart.
APP_NAME = "PGAPPNAME"


@dataclass(frozen=True)
class Server:
    """One server process, and the database its backends work in."""

    name: str
    pid: int
    port: int
    database_url: str

    def cpu(self) -> float:
        """Processor time of the process so far, in seconds."""
        return machine.cpu_seconds(self.pid)

    def backends_cpu(self) -> float:
        """Processor time of this server's PostgreSQL backends so far, in seconds."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [self.name]
            ).fetchall()
        return sum(machine.cpu_seconds(pid) for (pid,) in rows)


class Stand:
    """A private cluster that is thrown away at the end, and what is started on it.

    `folder` holds logs, keys and the cluster; the cluster is durable, as in production: a commit
    is on disk when it is answered.
    """

    def __init__(self, folder: Path, cluster: Cluster, console: Console) -> None:
        self.folder = folder
        self.cluster = cluster
        self.console = console
        self.settings = Settings(signing_keys=folder / "keys")
        self._keys = KeyRing.load(self.settings.signing_keys)
        with psycopg.connect(cluster.url("postgres")) as connection:
            self.postgres_version = connection.info.parameter_status("server_version") or "?"
            self._postmaster = machine.parent(connection.info.backend_pid)

    def postgres_cpu(self) -> float:
        """Processor time of all of PostgreSQL so far, in seconds."""
        return machine.family_cpu_seconds(self._postmaster)

    def database(self, name: str, *, template: str | None = None) -> str:
        """Make a migrated database, or a copy of one that has no connections; its address."""
        url = self.cluster.create_database(name, template=template)
        if template is None:
            upgrade(url)
        return url

    def drop(self, name: str) -> None:
        """Drop a database."""
        self.cluster.drop_database(name)

    def token(
        self,
        role: Role,
        org_unit_id: UUID,
        org_path: str,
        technician_id: UUID | None = None,
        account_id: UUID | None = None,
    ) -> str:
        """Issue an access token with all scopes of a role; good for a quarter of an hour."""
        caller = Caller(
            account_id=account_id or new_id(),
            role=role,
            org_unit_id=org_unit_id,
            org_path=org_path,
            technician_id=technician_id,
            scopes=SCOPES[role],
        )
        return tokens.issue(self._keys, self.settings, caller, wall())

    @contextmanager
    def server(
        self, name: str, database_url: str, now: datetime, *command: str
    ) -> Iterator[Server]:
        """Run a server until the block ends, `yingwei serve` unless another command is given.

        Its business time runs from `now` on at the pace of real time. Raises RuntimeError when it
        does not answer.
        """
        port = free_port()
        clock = CompressedClock(now, wall(), 1.0, timedelta(days=7))
        process = Process(
            name,
            [sys.executable, *(command or ("-m", "app.cli", "serve")), "--port", str(port)],
            {
                "DATABASE_URL": database_url,
                "YINGWEI_CLOCK": clock.text(),
                "YINGWEI_SIGNING_KEYS": str(self.settings.signing_keys),
                APP_NAME: name,
            },
            self.folder / "logs" / f"{name}.log",
        )
        process.start()
        try:
            deadline = time.monotonic() + READY_SECONDS
            while True:
                with suppress(httpx.HTTPError):
                    httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2.0)
                    break
                if not process.alive() or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not answer:\n{process.tail()}")
                time.sleep(0.05)
            assert process.running is not None
            yield Server(name, process.running.pid, port, database_url)
        finally:
            process.stop()

    def progress(self) -> Progress:
        """Make a progress bar that is gone when its work is done."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            # Drawing costs processor time on the machine that is being measured.
            refresh_per_second=2,
        )


def settle(database_url: str) -> None:
    """Bring a filled database to rest: statistics, visibility, and everything on disk."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


@contextmanager
def stand(console: Console) -> Iterator[Stand]:
    """Build the stand and take it down again, whatever happens in between."""
    machine.check()
    parent = ROOT / ".local"
    parent.mkdir(exist_ok=True)
    folder = parent / f"bench-{secrets.token_hex(4)}"
    folder.mkdir()
    cluster = Cluster(folder / "database", say=console.print)
    home: Path | None = None
    try:
        with cluster:
            home = cluster.home
            yield Stand(folder, cluster, console)
    finally:
        for place in (home, folder):
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)
