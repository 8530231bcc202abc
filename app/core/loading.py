"""Bulk loading: what was read from a file goes into the tables in a few set-based statements.

The lines are copied into a staging table of the session's own transaction, judged there as a set,
and merged by a key. A file whose lines are not all good is refused as a whole, unless the caller
asks to load the good ones; nothing is ever half-loaded, since the transaction is one.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Generic, Protocol, TypeVar

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.core.db import driver_connection, fetched, new_id
from app.core.errors import Conflict
from app.core.files import BadLine, CsvFile, Faults, FileRefused, checked, entries_of, rows_of
from app.core.http import Code, Input
from app.core.i18n import Words

__all__ = [
    "BadLine",
    "DatedEntry",
    "FileRefused",
    "Report",
    "Staging",
    "Target",
    "Versions",
    "load_versions",
    "phones_told_later",
    "stage",
]


@dataclass(frozen=True)
class Report:
    """What loading a file did; `bad` names the refused lines, the first hundred faults of them."""

    what: str
    read: int
    inserted: int
    updated: int
    unchanged: int
    refused: int = 0
    bad: Sequence[BadLine] = ()

    @property
    def changed(self) -> bool:
        """Whether anything in the database is now otherwise than before."""
        return bool(self.inserted or self.updated)

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.read} read, {self.inserted} inserted, {self.updated} updated,"
            f" {self.unchanged} unchanged, {self.refused} refused"
        )


# What an erasure leaves of a code, in SQL: by it the files that go on naming the code are known.
ERASED = "'erased:' || encode(sha256(convert_to({column}, 'UTF8')), 'hex')"


@dataclass(frozen=True)
class Target:
    """Where staged lines go: a table, the columns that identify a row, and the others.

    `columns` maps a column of the table to the staged column it comes from. `references` does the
    same for ids that are looked up by code: column -> (staged column, table, its code column).
    `versioned` tables have a `version` that counts their changes.
    """

    table: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    references: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    versioned: bool = False


class Staging:
    """The lines of one file in a temporary table, with a column `line` and an `id` made for each.

    `became` says what became of a line: `i` inserted, `u` updated, null nothing.
    """

    def __init__(
        self, what: str, table: str, connection: psycopg.AsyncConnection[Any], faults: Faults
    ) -> None:
        self.what = what
        self.table = Identifier(table)
        self.faults = faults
        self.read = 0
        self.present: frozenset[str] = frozenset()
        self.defaults: frozenset[str] = frozenset()
        self._connection = connection

    async def run(self, statement: str | Composed, **values: Any) -> list[tuple[Any, ...]]:
        """Run one statement of psycopg's kind; `{staged}` in a text stands for the staging table.

        Gives the rows, if the statement has any.
        """
        composed = (
            SQL(statement).format(staged=self.table) if isinstance(statement, str) else statement
        )
        cursor = await self._connection.execute(composed, values)
        return await cursor.fetchall() if cursor.description else []

    async def refuse(self, name: str, words: Words, find: str | Composed) -> None:
        """Refuse the lines that a query finds as (line, value), and take them out."""
        found = await self.run(find)
        for line, value in found:
            self.faults.note(line, name, value, words)
        await self.run(
            "DELETE FROM {staged} WHERE line = ANY(%(lines)s)", lines=[line for line, _ in found]
        )

    async def refuse_repeated(self, *key: str) -> None:
        """Refuse each line whose key stands on an earlier line already."""
        columns = SQL(", ").join(map(Identifier, key))
        await self.refuse(
            key[0],
            Words(zh="与前面某行重复", en="it stands on an earlier line already"),
            SQL(
                "SELECT line, {shown} FROM (SELECT *, row_number() OVER"
                " (PARTITION BY {columns} ORDER BY line) AS nth FROM {staged}) AS s WHERE nth > 1"
            ).format(columns=columns, shown=Identifier(key[0]), staged=self.table),
        )

    async def refuse_unknown(self, name: str, table: str, code: str = "code") -> None:
        """Refuse each line whose column `name` is no code of a table; see `pass_over_erased`."""
        unknown = self._of(
            "SELECT line, {name} FROM {staged} AS s"
            " WHERE {name} IS NOT NULL AND NOT passed_over AND NOT EXISTS"
            " (SELECT FROM {table} AS t WHERE t.{code} = s.{name})",
            name,
            table,
            code,
        )
        # Most files name nobody who is unknown, and hashing a million lines takes its time.
        if await self.run(unknown):
            await self.pass_over_erased(name, table, code)
            await self.refuse(name, Words(zh="查无此编码", en="nothing has this code"), unknown)

    def settle(self, *, skip_refused: bool) -> None:
        """Go on only when every line is good, or the caller skips bad ones. Raises FileRefused."""
        if not skip_refused:
            self.faults.refuse(self.what)

    async def pass_over_erased(self, name: str, table: str, code: str = "code") -> None:
        """Leave alone the lines whose column `name` was the code of a row that was erased.

        Other systems go on naming whom they know, for years, and whoever was erased at their own
        wish does not come back with the next file. What an erasure leaves of a code is a hash.
        """
        find = "SELECT s.line FROM {staged} AS s JOIN {table} AS t ON t.{code} = "
        await self.pass_over(self._of(find + ERASED.format(column="s.{name}"), name, table, code))

    def _of(self, statement: str, name: str, table: str, code: str) -> Composed:
        return SQL(statement).format(
            staged=self.table,
            name=Identifier(name),
            table=Identifier(table),
            code=Identifier(code),
        )

    async def pass_over(self, find: str | Composed) -> None:
        """Leave alone the lines that a query finds by number; they count as unchanged."""
        found = await self.run(find)
        await self.run(
            "UPDATE {staged} SET passed_over = true WHERE line = ANY(%(lines)s)",
            lines=[line for (line,) in found],
        )

    async def merge(self, target: Target) -> None:
        """Insert the lines whose key is new and update those that differ; touch no others.

        Columns that the file leaves out keep what they hold; in new rows they hold what an empty
        cell stands for.
        """
        await self.run(self._merging(target))

    def _merging(self, target: Target) -> Composed:
        columns = {
            name: Identifier("s", source)
            for name, source in target.columns.items()
            if source in self.present | self.defaults
        }
        left_out = {name for name in columns if target.columns[name] not in self.present}
        joins: list[Composable] = []
        for nth, (name, (source, table, code)) in enumerate(target.references.items()):
            if source in self.present:
                alias = f"r{nth}"
                columns[name] = Identifier(alias, "id")
                joins.append(
                    SQL(" LEFT JOIN {table} AS {alias} ON {code} = {source}").format(
                        table=Identifier(table),
                        alias=Identifier(alias),
                        code=Identifier(alias, code),
                        source=Identifier("s", source),
                    )
                )
        others = [name for name in columns if name not in target.key and name not in left_out]

        def listed(prefix: str, names: Iterable[str]) -> Composed:
            return SQL(", ").join(Identifier(prefix, name) for name in names)

        same_key = SQL(" AND ").join(
            SQL("{} = {}").format(Identifier("held", name), Identifier("given", name))
            for name in target.key
        )
        changes: list[Composable] = [
            SQL("{} = {}").format(Identifier(name), Identifier("excluded", name)) for name in others
        ]
        if target.versioned:
            changes.append(SQL("version = held.version + 1"))
        return SQL(
            """
            WITH given AS (
                SELECT s.line, s.id, {values} FROM {staged} AS s{joins}
                WHERE NOT s.passed_over
            ), news AS (
                SELECT given.* FROM given LEFT JOIN {table} AS held ON {same_key}
                WHERE held.id IS NULL OR ROW({held}) IS DISTINCT FROM ROW({given})
            ), merged AS (
                INSERT INTO {table} AS held (id, {names})
                SELECT id, {names} FROM news ORDER BY {key}
                ON CONFLICT ({key}) DO UPDATE SET {changes}
                RETURNING {held_key}, xmax = 0 AS fresh
            )
            UPDATE {staged} AS s SET became = CASE WHEN held.fresh THEN 'i' ELSE 'u' END
            FROM merged AS held JOIN given ON {same_key} WHERE s.line = given.line
            """
        ).format(
            values=SQL(", ").join(
                SQL("{} AS {}").format(value, Identifier(name)) for name, value in columns.items()
            ),
            staged=self.table,
            joins=Composed(joins),
            table=Identifier(target.table),
            same_key=same_key,
            held=listed("held", others),
            given=listed("given", others),
            names=SQL(", ").join(map(Identifier, columns)),
            key=SQL(", ").join(map(Identifier, target.key)),
            changes=SQL(", ").join(changes),
            held_key=listed("held", target.key),
        )

    async def report(self) -> Report:
        """Say what became of the file."""
        counted = await self.run("SELECT became, count(*) FROM {staged} GROUP BY became")
        outcomes = dict(counted)
        return Report(
            what=self.what,
            read=self.read,
            inserted=outcomes.get("i", 0),
            updated=outcomes.get("u", 0),
            unchanged=outcomes.get(None, 0),
            refused=len(self.faults.lines),
            bad=sorted(self.faults.bad),
        )


async def stage(tx: AsyncSession, file: CsvFile, lines: Iterable[str]) -> Staging:
    """Copy the good lines of a CSV file into a staging table; the bad ones are in its faults.

    The table has the file's columns and what its `judge` makes. Raises FileRefused at once when
    the headings are wrong.
    """
    faults = Faults()
    present, rows = rows_of(file, lines, faults)
    await tx.flush()
    connection = await driver_connection(tx)
    staged = Staging(file.what, f"loading_{file.what}", connection, faults)
    staged.present = present
    staged.defaults = frozenset(column.name for column in file.columns if column.empty is not None)
    kinds = {column.name: column.kind for column in file.columns} | {
        made.name: made.kind for made in file.made
    }
    # A million lines take longer than a request may.
    await staged.run("SET LOCAL statement_timeout = 0")
    await staged.run("SET LOCAL idle_in_transaction_session_timeout = 0")
    await staged.run("DROP TABLE IF EXISTS pg_temp.{staged}")
    await staged.run(
        SQL(
            "CREATE TEMPORARY TABLE {staged} (line bigint PRIMARY KEY, id uuid NOT NULL,"
            " became text, passed_over boolean NOT NULL DEFAULT false, {columns}) ON COMMIT DROP"
        ).format(
            staged=staged.table,
            columns=SQL(", ").join(
                SQL("{} {}").format(Identifier(name), SQL(kind)) for name, kind in kinds.items()
            ),
        )
    )
    copying = SQL("COPY {staged} ({names}) FROM STDIN").format(
        staged=staged.table, names=SQL(", ").join(map(Identifier, ("line", "id", *kinds)))
    )
    async with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for line, row in rows:
            staged.read += 1
            await copy.write_row((line, new_id(), *map(row.get, kinds)))
    staged.read += len(faults.lines)
    await staged.run("ANALYZE {staged}")
    return staged


# What this load writes by, and before which transaction everything is seen by it already.
_STANDS = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
        pg_current_xact_id()::text::bigint
"""


@asynccontextmanager
async def phones_told_later(tx: AsyncSession) -> AsyncIterator[None]:
    """Have phones told of what is loaded within, of the customers they show, once it is committed.

    Of whom they are to be told is noted with the load: their lines of the feed would be locked
    until then, and the steps of the technicians who have these customers wait for them. A phone
    that begins to show one while the load goes on is told what stood before, and the load does not
    see it: it is looked for as soon as the load is there.
    """
    ((since, loaded_by),) = await fetched(tx, _STANDS, {})
    await _tell_phones_later(tx, "on")
    yield
    await _tell_phones_later(tx, "off")
    await jobs.tell(tx, "customers.loaded", since=since, loaded_by=loaded_by)


async def _tell_phones_later(tx: AsyncSession, switch: str) -> None:
    # Read by the triggers that tell phones of customers.
    await fetched(
        tx, "SELECT set_config('yingwei.phones_later', %(switch)s, true)", {"switch": switch}
    )


# --- versions of a code, each from a day on ------------------------------------------------------


class DatedEntry(Input):
    """What an entry of a file says beside its content: for an org unit's subtree (empty:
    everybody) from a local day on."""

    code: Code
    org_path: Annotated[str, Field(max_length=200, pattern=r"^([\w\-]+\.)*$")] = ""
    valid_from: date


class _Fault(Protocol):
    @property
    def field(self) -> str: ...
    @property
    def words(self) -> Words: ...


class _Version(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def org_path(self) -> str: ...
    @property
    def valid_from(self) -> date: ...


Entry = TypeVar("Entry", bound=DatedEntry)
Version = TypeVar("Version", bound=_Version)


@dataclass(frozen=True)
class Versions(Generic[Entry, Version]):
    """How a room keeps versions of a code that come by YAML under `key`.

    `new` makes an entry's version, with the number 0, and `said` gives what a version says. `held`
    reads all while nobody else may add any, and `add` writes the next one of a code after the
    others; it raises a Conflict where the code stands for something else.
    """

    what: str
    key: str
    entry: type[Entry]
    new: Callable[[Entry], Version]
    said: Callable[[Version], object]
    faults_in: Callable[[AsyncSession, Version], Awaitable[Sequence[_Fault]]]
    held: Callable[[AsyncSession], Awaitable[list[Version]]]
    add: Callable[[AsyncSession, list[Version], Version, Entry], Awaitable[Version]]


async def load_versions(
    tx: AsyncSession, document: str, kind: Versions[Entry, Version], *, skip_refused: bool = False
) -> Report:
    """Load entries of a YAML document as versions, by code and day.

    An entry that says what is in force of its code on its day changes nothing; another becomes the
    next version from that day on. A top-level `valid_from` or `org_path` stands for entries without
    one. Raises FileRefused when an entry is wrong, unless `skip_refused`.
    """
    faults = Faults()
    common, entries = entries_of(kind.what, document, kind.key)
    for name in common.keys() - {"valid_from", "org_path"}:
        faults.note(1, name, None, Words(zh="未知的字段", en="there is no such field"))
    given = [(line, {**common, **entry}) for line, entry in entries]
    good = checked(kind.entry, given, faults)
    held = await kind.held(tx)
    inserted = 0
    async with tx.begin_nested():
        for line, entry in sorted(good, key=lambda pair: (pair[1].valid_from, pair[0])):
            new = kind.new(entry)
            found = await kind.faults_in(tx, new)
            for fault in found:
                faults.note(line, fault.field, None, fault.words)
            versions = [one for one in held if one.code == new.code]
            begun = [one for one in versions if one.valid_from <= new.valid_from]
            now = max(begun, key=lambda one: (one.valid_from, one.version), default=None)
            same = now is not None and (now.org_path, kind.said(now)) == (
                new.org_path,
                kind.said(new),
            )
            if found or same:
                continue
            try:
                held.append(await kind.add(tx, versions, new, entry))
            except Conflict as taken:
                words = Words(taken.detail("zh"), taken.detail("en"))
                faults.note(line, "code", new.code, words)
            else:
                inserted += 1
        if not skip_refused:
            faults.refuse(kind.what)
    return Report(
        what=kind.what,
        read=len(entries),
        inserted=inserted,
        updated=0,
        unchanged=len(entries) - inserted - len(faults.lines),
        refused=len(faults.lines),
        bad=sorted(faults.bad),
    )
