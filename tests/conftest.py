"""Fixtures: a real PostGIS, a transaction rolled back after each test, and a mode of real commits.

The migrations build one template database; each test process clones it once, and each race or
fault test clones it for itself. The clones lie in memory where the machine has a place for files
there.
"""

import contextlib
import functools
import gc
import hashlib
import os
import shutil
import signal
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker
from sqlalchemy.pool import QueuePool

from app.auth import passwords
from app.core.clock import Clock, FixedClock
from app.core.cluster import Cluster
from app.core.db import Database, libpq_url, open_database
from app.core.settings import Settings
from app.main import create_app
from app.migrating import upgrade

# A shell that starts the tests in the background lets them ignore Ctrl-C, and every process they
# start would ignore it too; those that are asked to stop that way must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says something of the machine, and nothing of what is tested.
hypothesis_settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parent.parent

# Hashing is dear on purpose, and hundreds of tests sign in: here it is as cheap as Argon2 can be.
# tests/auth/test_passwords.py looks at the product's own.
REAL_ARGON2 = passwords._ARGON2
passwords._ARGON2 = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))

# The planning kernel's machine code is kept between runs of the tests, and made for no test twice.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".local" / "numba"))

# Files in memory, as Linux has them; a test process and its databases need a tenth of this.
MEMORY, MEMORY_NEEDED = Path("/dev/shm"), 4 << 30
OF_A_PROCESS = "memory_"

SHANGHAI = ZoneInfo("Asia/Shanghai")

# A Monday, nine in the morning: shifts have begun and the day is ahead.
MONDAY_NINE = datetime(2026, 3, 2, 9, 0, tzinfo=SHANGHAI).astimezone(UTC)


# The longest tests, which would otherwise run on alone when all else is done.
LONGEST = (
    "tests/demo/test_demo.py",
    "tests/week/test_week.py",
    "tests/dispatch/test_boston.py",
    "tests/visits/test_any_step_at_any_time.py",
    "tests/evidence/test_kill.py",
    "tests/roof/test_worker.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest tests begin first, and all others as they come."""
    turns = {ROOT / file: turn for turn, file in enumerate(LONGEST)}
    items.sort(key=lambda item: turns.get(item.path, len(turns)))


def pytest_collection_finish() -> None:
    """Let Python look for garbage as the product's own processes do (see `app.cli.serving`).

    What is loaded by now stays for good, and it is most of what there is to look through.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of public data beside the project; skips where it is missing."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder `shared` with public data beside the project")
    return folder


# --- databases ----------------------------------------------------------------------------------


class Databases:
    """Makes databases from the migrated template, on a private cluster or on DATABASE_URL's.

    Copies go into `tablespace` where one is given, the template stays where the server keeps all.
    """

    def __init__(
        self, admin_url: str, cluster: Cluster | None = None, tablespace: str | None = None
    ) -> None:
        self.admin_url = admin_url
        # Where the server is private to these tests, one of them may start it anew.
        self.cluster = cluster
        self._place: sql.Composable = sql.SQL("")
        if tablespace is not None:
            self._place = sql.SQL(" TABLESPACE {}").format(_name(tablespace))
        self.template = f"yingwei_template_{_fingerprint()}"
        with self._admin() as connection:
            # Two test processes may come at once; the advisory lock lets one of them migrate.
            connection.execute("SELECT pg_advisory_lock(823001)")
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [self.template]
            ).fetchone()
            if known is None:
                making = f"{self.template}_making"
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(_name(making)))
                connection.execute(sql.SQL("CREATE DATABASE {}").format(_name(making)))
                upgrade(self.url(making))
                connection.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                        _name(making), _name(self.template)
                    )
                )
            connection.execute("SELECT pg_advisory_unlock(823001)")

    def url(self, name: str) -> str:
        """Give the address of a database by name."""
        return make_url(self.admin_url).set(database=name).render_as_string(hide_password=False)

    @contextlib.contextmanager
    def clone(self) -> Iterator[str]:
        """Give the address of a new copy of the template; it is dropped afterwards."""
        name = f"yingwei_test_{uuid4().hex[:12]}"
        with self._admin() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(_name(name), _name(self.template))
                + self._place
            )
        try:
            yield self.url(name)
        finally:
            with self._admin() as connection:
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(_name(name))
                )

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(libpq_url(self.admin_url), autocommit=True)


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(name)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "migrations").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def in_memory(cluster: Cluster) -> Iterator[str | None]:
    """Give a tablespace in memory for this process's databases; None where there is no room for it.

    A copy of the template is 1,400 files, and a disk's file system that has just removed as many
    takes a second of processor time to make them, where memory takes a twentieth.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_NEEDED:
        yield None
        return
    owner = cluster.home.stat()
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        _sweep(connection)
        folder = Path(tempfile.mkdtemp(prefix="yingwei-", dir=MEMORY))
        os.chown(folder, owner.st_uid, owner.st_gid)
        tablespace = f"{OF_A_PROCESS}{os.getpid()}"
        connection.execute(
            sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(_name(tablespace), str(folder))
        )
    try:
        yield tablespace
    finally:
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
            _give_up(connection, tablespace, str(folder))


def _sweep(connection: psycopg.Connection) -> None:
    """Give the memory back of test processes that were killed."""
    # One does it at a time; the lock goes with the connection.
    connection.execute("SELECT pg_advisory_lock(823002)")
    known = connection.execute(
        "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname ^@ %s",
        [OF_A_PROCESS],
    ).fetchall()
    for tablespace, folder in known:
        if not _lives(int(tablespace.removeprefix(OF_A_PROCESS))):
            _give_up(connection, tablespace, folder)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but there
    return True


def _give_up(connection: psycopg.Connection, tablespace: str, folder: str) -> None:
    """Drop a tablespace with all that is in it."""
    inside = connection.execute(
        "SELECT datname FROM pg_database JOIN pg_tablespace AS t ON t.oid = dattablespace"
        " WHERE spcname = %s",
        [tablespace],
    ).fetchall()
    for (name,) in inside:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(_name(name)))
    connection.execute(sql.SQL("DROP TABLESPACE IF EXISTS {}").format(_name(tablespace)))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The maker of test databases, on DATABASE_URL's server where that is set."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield Databases(given)
        return
    with (
        Cluster(ROOT / ".local" / "test", durable=False) as cluster,
        in_memory(cluster) as tablespace,
    ):
        yield Databases(cluster.url("postgres"), cluster, tablespace)


@pytest.fixture(scope="session")
def database_url(databases: Databases) -> Iterator[str]:
    """The address of this test process's own database; tests in it are rolled back."""
    with databases.clone() as url:
        yield url


@pytest.fixture
def unused_database_url(databases: Databases) -> Iterator[str]:
    """The address of a database that no other test has used or will use."""
    with databases.clone() as url:
        yield url


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings for a test application."""
    unused = request.node.get_closest_marker("unused_database") is not None
    url = request.getfixturevalue("unused_database_url" if unused else "database_url")
    return Settings(
        database_url=url,
        signing_keys=tmp_path / "keys",
        log_level="WARNING",
        webhook_secret_keys=SecretStr(f"k1:{b64encode(b'1' * 32).decode()}"),
    )


@pytest.fixture
def clock() -> FixedClock:
    """The business time: Monday 2 March 2026, nine in the morning in Shanghai."""
    return FixedClock(MONDAY_NINE)


class RolledBack(Database):
    """A Database on one connection whose outer transaction is never committed.

    Each `begin` is a savepoint, so code under test commits and rolls back as it always does.
    """

    def __init__(self, opened: Database, connection: AsyncConnection) -> None:
        super().__init__(opened.engine)
        maker = async_sessionmaker(
            connection,
            expire_on_commit=False,
            join_transaction_mode="create_savepoint",
            info={"database": self},
        )
        self._writer = maker
        self._reader = maker
        self._connection = connection

    async def _hold_still(self, session: AsyncSession) -> None:
        """Leave the outer transaction as it is: nobody else writes into it."""

    @contextlib.asynccontextmanager
    async def hot(self, *, fresh: bool = False) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lend the one connection there is, inside its transaction."""
        raw = await self._connection.get_raw_connection()
        assert raw.driver_connection is not None
        yield raw.driver_connection


class OneConnection:
    """The one connection over which the tests of a process that are rolled back go, each in turn.

    Opening one costs more than most tests do: a new backend of PostgreSQL reads the catalogue anew,
    loads PostGIS and plans every statement for the first time.
    """

    def __init__(self) -> None:
        self.opened: Database | None = None
        self.connection: AsyncConnection | None = None

    async def for_a_test(self, settings: Settings) -> tuple[Database, AsyncConnection]:
        """Give the connection; a test that broke it gets the next one a new one."""
        if self.connection is None or self.opened is None or self.connection.invalidated:
            await self.close()
            self.opened = open_database(settings)
            self.connection = await self.opened.engine.connect()
        return self.opened, self.connection

    async def close(self) -> None:
        """Give the connection back."""
        if self.connection is not None:
            await self.connection.close()
        if self.opened is not None:
            await self.opened.close()
        self.opened = self.connection = None


@pytest.fixture(scope="session")
async def one_connection(database_url: str) -> AsyncIterator[OneConnection]:
    """The connection of this test process, closed before its database is dropped."""
    way = OneConnection()
    yield way
    await way.close()


@pytest.fixture
async def database(
    request: pytest.FixtureRequest, settings: Settings, one_connection: OneConnection
) -> AsyncIterator[Database]:
    """A database as it was made by the migrations; whatever a test does to it is rolled back."""
    unused = request.node.get_closest_marker("unused_database") is not None
    way = OneConnection() if unused else one_connection
    opened, connection = await way.for_a_test(settings)
    outer = await connection.begin()
    yield RolledBack(opened, connection)
    await outer.rollback()
    if unused:
        await way.close()


@pytest.fixture
async def tx(database: Database) -> AsyncIterator[AsyncSession]:
    """A session for arranging and looking; what it flushes, requests see."""
    async with database._writer() as session:
        yield session


@functools.cache
def _shared() -> FastAPI:
    return create_app(Settings())


def assembled(
    settings: Settings, *, clock: Clock | None = None, database: Database | None = None
) -> FastAPI:
    """Make an application that shares its doorways with the others of this test process.

    FastAPI works out what a doorway takes at the first request that passes it, and does so for
    every application again: a fifth of a second, more than most tests take. Nor is it worked out
    again which of them an action taken offline goes through, and which edit what another reads.
    """
    shared = _shared()
    with mock.patch.multiple(
        "app.main",
        ROUTERS=(),
        editable=lambda _routes: shared.state.editable,
        # A copy, so that a test may put a doorway of its own there.
        doorways_of=lambda _routes: dict(shared.state.doorways),
    ):
        application = create_app(settings, clock=clock, database=database)
    # The pages of the documentation belong to one application; all else is the same object to all.
    application.router.routes += shared.router.routes[len(application.router.routes) :]
    application.openapi = shared.openapi  # type: ignore[method-assign]
    return application


@pytest.fixture
async def app(settings: Settings, clock: FixedClock, database: Database) -> AsyncIterator[FastAPI]:
    """The application on the rolled-back database."""
    application = assembled(settings, clock=clock, database=database)
    async with application.router.lifespan_context(application):
        yield application


def http_on(application: FastAPI) -> httpx.AsyncClient:
    """A client that speaks to an application in this process; failures inside are 500 answers."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(application, raise_app_exceptions=False),
        base_url="http://yingwei.test",
        headers={"accept-language": "en"},
    )


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application on the rolled-back database."""
    async with http_on(app) as client:
        yield client


# --- real commits, for races and faults -----------------------------------------------------------


@pytest.fixture
async def real_database(databases: Databases, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of this test's own, with real commits and as many connections as it wants."""
    with databases.clone() as url:
        opened = open_database(
            Settings(database_url=url, signing_keys=tmp_path / "keys", pool_size=20)
        )
        try:
            yield opened
            nobody_has_a_connection_of(opened)
        finally:
            await opened.close()


def nobody_has_a_connection_of(opened: Database) -> None:
    """Fail where something still works with a database that is to be closed: nobody would close its
    connection, and whatever test runs when Python collects it would fail."""
    pool = opened.engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() == 0, "a task that nobody waited for still has a connection"


@pytest.fixture
async def real_app(
    real_database: Database, settings: Settings, clock: FixedClock
) -> AsyncIterator[FastAPI]:
    """The application on `real_database`."""
    application = assembled(settings, clock=clock, database=real_database)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def real_http(real_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application on `real_database`."""
    async with http_on(real_app) as client:
        yield client
