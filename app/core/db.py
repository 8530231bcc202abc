"""The database: engine, sessions, the two kinds of access a request can ask for, and table basics.

`Tx` is one transaction per request that commits before the answer leaves; `Read` is autocommit,
without a transaction. Services take an `AsyncSession` and never commit: the edge does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, time
from enum import Enum
from functools import cache
from typing import Annotated, Any, NamedTuple, Protocol, Self
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
import uuid_utils.compat
from fastapi import Depends
from psycopg.errors import IdleInTransactionSessionTimeout
from psycopg.sql import SQL, Composed, Identifier, Placeholder
from sqlalchemy import TIMESTAMP, BigInteger, Date, MetaData, Text, Time, Uuid, func, select
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    AsyncSessionTransaction,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, SessionTransaction, mapped_column
from sqlalchemy.util import greenlet_spawn
from starlette.requests import HTTPConnection

from app.core.errors import Problem, Unavailable
from app.core.settings import Settings

BeforeCommit = Callable[[AsyncSession, HTTPConnection | None], Awaitable[None]]

# A server whose host falls silent resets nothing: who has sent it something, or only waits for it,
# would be held until TCP gives up, a quarter of an hour later. So it is given up after 7 seconds.
NOT_HELD_BY_SILENCE: Mapping[str, Any] = {
    "tcp_user_timeout": 7000,  # milliseconds
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}


def new_id() -> UUID:
    """Make a UUIDv7 (RFC 9562): sortable by the moment it was made, so indexes stay compact."""
    return uuid_utils.compat.uuid7()


def first_id_at(moment: datetime) -> UUID:
    """Make the least UUIDv7 of a moment: what was made from then on has this id or a greater one.

    Ids are made by the real clock, whatever time is handed in elsewhere.
    """
    return UUID(int=int(moment.timestamp() * 1000) << 80)


class Base(DeclarativeBase):
    """The base of every table; constraint names follow one convention."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a class attribute
        UUID: Uuid(),
        str: Text(),
        int: BigInteger(),
        datetime: TIMESTAMP(timezone=True),
        date: Date(),
        time: Time(),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
    }


class Row:
    """What every table has: an id made by whoever makes the thing, and when it came to be (UTC)."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def text_enum(kind: type[Enum]) -> SqlEnum:
    """Store an enum by its value as text with a check, so that a new value needs no type change."""
    return SqlEnum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=40,
        values_callable=lambda members: [str(member.value) for member in members],
    )


async def _nothing(session: AsyncSession, request: HTTPConnection | None) -> None:
    """The default for `before_commit`: nothing to add to the transaction."""


class Database:
    """One process's way to the database: a pool for writing and one for reading.

    `before_commit` is awaited with the session and the request just before a request's
    transaction commits; the roof hangs the audit trail there.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        read_engine: AsyncEngine | None = None,
        before_commit: BeforeCommit = _nothing,
    ) -> None:
        self.engine = engine
        self.read_engine = read_engine or engine
        self.before_commit = before_commit
        self.cache: dict[str, Any] = {}
        info = {"database": self}
        self._writer = async_sessionmaker(engine, expire_on_commit=False, info=info)
        # Autocommit: a read holds neither a transaction nor a snapshot between statements.
        self._reader = async_sessionmaker(
            self.read_engine.execution_options(isolation_level="AUTOCOMMIT"),
            expire_on_commit=False,
            autoflush=False,
            info=info,
        )

    @asynccontextmanager
    async def begin(self, request: HTTPConnection | None = None) -> AsyncIterator[AsyncSession]:
        """Open one transaction; it commits when the block ends well and rolls back otherwise.

        Raises Unavailable when no connection is free in time or the database is not there, and when
        it has ended a transaction that did nothing for too long.
        """
        try:
            async with self._writer() as session:
                # Not as a context of its own, which would end with what `settle` commits.
                await session.begin()
                try:
                    yield session
                    await self.before_commit(session, request)
                    await session.commit()
                except BaseException:
                    await session.rollback()
                    raise
        except (PoolTimeout, OperationalError, psycopg.OperationalError) as error:
            raise unavailable(error) from error
        except (DBAPIError, psycopg.Error) as error:
            # The driver does not count this among what happens to a connection.
            if not isinstance(getattr(error, "orig", error), IdleInTransactionSessionTimeout):
                raise
            raise unavailable(error) from error

    @asynccontextmanager
    async def snapshot(self, request: HTTPConnection | None = None) -> AsyncIterator[AsyncSession]:
        """Open one transaction like `begin` in which all statements see the database as it was at
        the first of them (REPEATABLE READ)."""
        async with self.begin(request) as session:
            await self._hold_still(session)
            yield session

    async def _hold_still(self, session: AsyncSession) -> None:
        # Said with the BEGIN, which goes out with the first statement.
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    async def settle(self, tx: AsyncSession, request: HTTPConnection) -> None:
        """Commit what a request's transaction has done so far, and begin another: see `settle`."""
        # A commit ends all savepoints, and with them the transaction that somebody else has opened.
        if tx.in_nested_transaction():
            raise RuntimeError("a part of a transaction cannot be settled alone")
        await self.before_commit(tx, request)
        await tx.commit()
        # Others may change what was read.
        tx.expunge_all()
        once: Repeatable | None = request.scope.get(ONCE)
        if once is not None:
            await once.begin(tx)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading in autocommit. Raises Unavailable like `begin`."""
        try:
            async with self._reader() as session:
                yield session
        except (PoolTimeout, OperationalError, psycopg.OperationalError) as error:
            raise unavailable(error) from error

    @asynccontextmanager
    async def hot(self, *, fresh: bool = False) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lend a driver's connection for reading in autocommit, without a session around it.

        For what every phone asks all day long: borrowing it through a session costs such a read
        more processor time than the statement does. What is read `fresh` does not come from a
        replica, which may be some moments behind. Raises Unavailable like `begin`.
        """
        try:
            lent = await (self.engine if fresh else self.read_engine).raw_connection()
            driver: psycopg.AsyncConnection[Any] = lent.driver_connection  # type: ignore[assignment]
            try:
                await driver.set_autocommit(True)
                yield driver
                await driver.set_autocommit(False)
            except BaseException:
                # Whatever state it is in, nobody else shall have it.
                await greenlet_spawn(lent.invalidate)
                raise
            finally:
                await greenlet_spawn(lent.close)
        except (PoolTimeout, OperationalError, psycopg.OperationalError) as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        """Give all connections back to PostgreSQL."""
        await self.engine.dispose()
        if self.read_engine is not self.engine:
            await self.read_engine.dispose()


def unavailable(error: BaseException) -> Problem:
    """Name why the database could not serve: what a phone can do is the same, try again soon."""
    original = getattr(error, "orig", None)
    state = getattr(original or error, "sqlstate", None)
    return Unavailable(retry_after=2, reason=state or type(error).__name__)


def psycopg_url(database_url: str) -> str:
    """Write a postgresql:// address in SQLAlchemy's form for psycopg 3."""
    return (
        make_url(database_url)
        .set(drivername="postgresql+psycopg")
        .render_as_string(hide_password=False)
    )


def libpq_url(database_url: str) -> str:
    """Write the same address in the form libpq and psycopg take directly."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def open_database(settings: Settings) -> Database:
    """Make the pools from the settings; nothing connects before the first use."""

    def engine(url: str) -> AsyncEngine:
        milliseconds = int(settings.statement_timeout_seconds * 1000)
        return create_async_engine(
            psycopg_url(url),
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_wait_seconds,
            # LIFO keeps the few connections that are warm in use and lets the rest idle.
            pool_use_lifo=True,
            pool_pre_ping=False,
            connect_args={
                "options": (
                    f"-c statement_timeout={milliseconds}"
                    " -c idle_in_transaction_session_timeout=10s -c timezone=UTC -c jit=off"
                ),
                "connect_timeout": 3,
                **NOT_HELD_BY_SILENCE,
                # Every hot statement is built once, so preparing at the second use pays at once.
                "prepare_threshold": 1,
            },
        )

    replica = settings.read_database_url
    return Database(engine(settings.database_url), engine(replica) if replica else None)


def database_of(session: AsyncSession) -> Database:
    """Return the Database a session came from."""
    database: Database = session.info["database"]
    return database


async def driver_connection(session: AsyncSession) -> psycopg.AsyncConnection[Any]:
    """Return the psycopg connection under a session, for COPY and for jobs.

    What is run on it belongs to the session's own transaction.
    """
    # It is looked up once a transaction: whoever holds one holds its connection. A savepoint counts
    # as one of its own, since it is set when the session is first asked for a connection within.
    known: WeakKeyDictionary[SessionTransaction, psycopg.AsyncConnection[Any]]
    known = session.info.setdefault("drivers", WeakKeyDictionary())
    transaction = _innermost(session)
    if transaction is not None and transaction in known:
        return known[transaction]
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver: psycopg.AsyncConnection[Any] | None = raw.driver_connection
    if driver is None:
        raise Unavailable(retry_after=2, reason="no driver connection")
    transaction = _innermost(session)
    assert transaction is not None
    known[transaction] = driver
    return driver


def _innermost(session: AsyncSession) -> SessionTransaction | None:
    sync = session.sync_session
    return sync.get_nested_transaction() or sync.get_transaction()


async def fetched(
    session: AsyncSession, statement: str, given: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Read rows by a statement with psycopg's marks (`%(name)s`), in the session's transaction.

    For what is read many times a second: through a session it costs twice the processor time.
    Raises psycopg's errors as they are.
    """
    driver = await driver_connection(session)
    cursor = driver.cursor(binary=True)
    await cursor.execute(statement, given)
    return await cursor.fetchall()


class Ask(NamedTuple):
    """What is to be read: a statement with psycopg's marks, and what stands in for them."""

    statement: str
    given: Mapping[str, Any]


async def fetched_together(session: AsyncSession, *asks: Ask) -> list[list[tuple[Any, ...]]]:
    """Read by several statements as `fetched` does by one; the rows of each, in their order.

    They go out in one message, and no answer is waited for before the next is asked: a read costs
    less than half of what it does alone, on both sides.
    """
    driver = await driver_connection(session)
    cursors = [driver.cursor(binary=True) for _ in asks]
    async with driver.pipeline():
        for cursor, (statement, given) in zip(cursors, asks, strict=True):
            await cursor.execute(statement, given)
    return [await cursor.fetchall() for cursor in cursors]


# Selected by a transaction's first statement: what follows in it is planned once for each
# connection, and not anew for the ids of every request, which takes longer than reading the rows.
# It is for statements that find few rows by indexes, whatever they are given. Without the values
# PostgreSQL takes a third of all rows to lie behind a moment, and would have workers look for them.
PLANNED_ONCE = (
    "set_config('plan_cache_mode', 'force_generic_plan', true),"
    " set_config('max_parallel_workers_per_gather', '0', true)"
)


class Rows(NamedTuple):
    """Rows to be written into a table, with its columns' names parted by spaces; what a row says is
    as COPY takes it: an array or a point is text."""

    table: str
    columns: str
    rows: Collection[Sequence[Any]]


# Up to so many rows one message is quicker than the three of a COPY.
_FEW = 16


async def put(tx: AsyncSession, *parts: Rows) -> None:
    """Write rows into tables, in this order; many are copied, few go in one message.

    Raises psycopg's errors as they are.
    """
    driver = await driver_connection(tx)
    if sum(len(part.rows) for part in parts) <= _FEW:
        async with driver.pipeline(), driver.cursor() as cursor:
            for table, columns, rows in parts:
                if rows:
                    await cursor.executemany(_insert(table, columns), rows)
        return
    async with driver.cursor() as cursor:
        for table, columns, rows in parts:
            names = SQL(", ").join(map(Identifier, columns.split()))
            copying = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), names)
            async with cursor.copy(copying) as copy:
                for row in rows:
                    await copy.write_row(row)


@cache
def _insert(table: str, columns: str) -> Composed:
    names = [Identifier(name) for name in columns.split()]
    return SQL("INSERT INTO {} ({}) VALUES ({})").format(
        Identifier(table), SQL(", ").join(names), SQL(", ").join([Placeholder()] * len(names))
    )


class Repeatable(Protocol):
    """A request that can come again: it claims its key first, and keeps its answer last."""

    async def begin(self, tx: AsyncSession) -> None:
        """Claim the key in the request's transaction."""

    async def keep(self, tx: AsyncSession) -> None:
        """Keep the answer in it."""

    async def keep_refusal(self, database: "Database", problem: Problem) -> None:
        """Keep a refusal, when the transaction is undone."""


# Where the doorway of a request with a key leaves word of it (see `core/once.py`).
ONCE = "yingwei.once"


async def _tx(request: HTTPConnection) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    once: Repeatable | None = request.scope.get(ONCE)
    if once is None:
        async with database.begin(request) as session:
            yield session
        return
    try:
        async with database.begin(request) as session:
            await once.begin(session)
            yield session
            await once.keep(session)
    except Problem as problem:
        await once.keep_refusal(database, problem)
        raise


async def settle(tx: AsyncSession, request: HTTPConnection) -> None:
    """Let stay what a request's transaction has done so far, whatever comes of the rest, for which
    it begins another one.

    For a doorway that refuses and has to keep that it was asked, such as a wrong code that counts.
    Its connection is given back in between: where every request held one while it waited for a
    second, a burst would wait for itself. Locks end here, and a key is claimed anew; raises what
    that does, and RuntimeError within a savepoint. Of a push, which is one transaction, nothing is
    committed: what an action has done so far stays, whatever becomes of that action.
    """
    database: Database = request.app.state.database
    await database.settle(tx, request)


async def _read(request: HTTPConnection) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.read() as session:
        yield session


# scope="function" ends the dependency, and so commits, before the answer is sent: a failed commit
# can never have answered 200.
Tx = Annotated[AsyncSession, Depends(_tx, scope="function")]
Read = Annotated[AsyncSession, Depends(_read, scope="function")]


def is_broken(constraint: str, error: DBAPIError) -> bool:
    """Tell whether a database error is the breaking of one named constraint or unique index."""
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None) == constraint


class Part:
    """A part of a transaction that is undone alone when it ends badly, what was kept until then
    excepted: a savepoint."""

    def __init__(self, tx: AsyncSession) -> None:
        self.tx = tx
        self._savepoint: AsyncSessionTransaction | None = None

    async def __aenter__(self) -> Self:
        """Begin it."""
        self._savepoint = await self.tx.begin_nested()
        return self

    async def keep(self) -> None:
        """Let stay what was done in it so far, whatever comes of the rest."""
        assert self._savepoint is not None
        await self._savepoint.commit()
        self._savepoint = await self.tx.begin_nested()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End it: well, or by undoing it."""
        assert self._savepoint is not None
        if error is None:
            try:
                await self._savepoint.commit()
            except BaseException:
                await self._savepoint.rollback()
                raise
        else:
            await self._savepoint.rollback()


async def shared_now(tx: AsyncSession) -> datetime:
    """Return the real time by the database's clock, the one that all workers share.

    A lease told in one machine's time and read in another's would end early where clocks differ.
    """
    now: datetime = (await tx.execute(_SHARED_NOW)).scalar_one()
    return now


_SHARED_NOW = select(func.clock_timestamp())


async def reachable(database: Database, seconds: float = 1.0) -> bool:
    """Tell whether the database answers a trivial statement within `seconds`."""
    try:
        async with asyncio.timeout(seconds), database.engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
    except (TimeoutError, PoolTimeout, DBAPIError, psycopg.Error, OSError):
        return False
    return True
