"""What a phone keeps, in a SQLite file: its tables, the queue of what was done, and pictures.

Whatever is said to be done is in the file by then, in one transaction, so that the phone may be
killed at any moment. The tables are kept as they were told, whatever they are called and whichever
columns they have: a table or a column that the server adds is there with the next pull.
"""

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from app.phone.rules import Stage

_TABLES = """
    CREATE TABLE IF NOT EXISTS told (
        name TEXT NOT NULL, id TEXT NOT NULL, said TEXT NOT NULL, PRIMARY KEY (name, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS known (name TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS action (
        place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
        payload TEXT NOT NULL, base_version INTEGER, device_at TEXT NOT NULL, about TEXT,
        stage TEXT NOT NULL DEFAULT 'waiting', code TEXT, words_zh TEXT, words_en TEXT,
        judgement TEXT
    );
    CREATE INDEX IF NOT EXISTS action_waiting ON action (place) WHERE stage = 'waiting';
    CREATE TABLE IF NOT EXISTS picture (
        id TEXT PRIMARY KEY, action_id TEXT NOT NULL, bytes INTEGER NOT NULL,
        sent INTEGER NOT NULL DEFAULT 0, problem TEXT, follows INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
"""


_DONE = (
    "place, id, type, payload, base_version, device_at, about, stage, code, words_zh, words_en,"
    " judgement FROM action"
)


class Done(NamedTuple):
    """Something that was done on this phone; `about` is the order's id, where it is known."""

    place: int
    id: str
    type: str
    payload: dict[str, Any]
    base_version: int | None
    device_at: str
    about: str | None
    stage: Stage
    code: str | None
    words_zh: str | None
    words_en: str | None
    judgement: str | None


class Picture(NamedTuple):
    """A picture that is on its way; `problem` says why it does not go on.

    `about` is its order's id. One that `follows` may come after the order was completed.
    """

    id: str
    action_id: str
    bytes: int
    sent: int
    problem: str | None
    follows: bool
    about: str | None


class Store:
    """One technician's phone, in a folder."""

    def __init__(self, folder: Path, *, outlives_power: bool = True) -> None:
        """Open the phone that is kept in a folder, or begin one.

        Whatever was kept outlives that the phone is killed; with `outlives_power` also that its
        battery is taken out, which costs a write to the disk for each thing that is done.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._pictures = folder / "pictures"
        self._file = sqlite3.connect(folder / "phone.sqlite", timeout=30, isolation_level=None)
        self._outlives_power = outlives_power
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute(f"PRAGMA synchronous = {'FULL' if outlives_power else 'NORMAL'}")
        self._file.executescript(_TABLES)
        with contextlib.suppress(sqlite3.OperationalError):
            # Phones that were begun before this column was there.
            self._file.execute("ALTER TABLE picture ADD COLUMN follows INTEGER NOT NULL DEFAULT 0")
        (folder / "phone.sqlite").chmod(0o600)
        self._sweep()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Keep all that is written within, or nothing of it."""
        if self._file.in_transaction:
            yield
            return
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    # --- single things --------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        row = self._file.execute("SELECT said FROM known WHERE name = ?", [name]).fetchone()
        return orjson.loads(row[0]) if row else None

    def __setitem__(self, name: str, said: Any) -> None:
        self._file.execute(
            "INSERT INTO known VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET said = excluded.said",
            [name, orjson.dumps(said).decode()],
        )

    # --- tables -----------------------------------------------------------------------------------

    def rows(self, table: str) -> dict[str, dict[str, Any]]:
        """Give a table as it was told, by the rows' ids."""
        found = self._file.execute("SELECT id, said FROM told WHERE name = ?", [table])
        return {row_id: orjson.loads(said) for row_id, said in found}

    def row(self, table: str, row_id: str) -> dict[str, Any] | None:
        """Give one row of a table."""
        row = self._file.execute(
            "SELECT said FROM told WHERE name = ? AND id = ?", [table, row_id]
        ).fetchone()
        return orjson.loads(row[0]) if row else None

    def tables(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Give all tables that have rows."""
        names = [row[0] for row in self._file.execute("SELECT DISTINCT name FROM told ORDER BY 1")]
        return {name: self.rows(name) for name in names}

    def take(self, changes: Mapping[str, Any], *, anew: bool) -> None:
        """Put changes into the tables; `anew` in place of all that was there."""
        with self.together():
            if anew:
                self._file.execute("DELETE FROM told")
            for name, changed in changes.items():
                self._file.executemany(
                    "INSERT INTO told VALUES (?, ?, ?)"
                    " ON CONFLICT (name, id) DO UPDATE SET said = excluded.said",
                    [
                        (name, row["id"], orjson.dumps(row).decode())
                        for row in (*changed["created"], *changed["updated"])
                    ],
                )
                self.drop(name, changed["deleted"])

    def forget_told(self) -> None:
        """Remove all that was told, with the place to which it was: the next pull begins anew. What
        was done here, and its pictures, stay."""
        with self.together():
            self._file.execute("DELETE FROM told")
            self._file.execute("DELETE FROM known WHERE name IN ('cursor', 'etag')")

    def drop(self, table: str, ids: Sequence[str]) -> None:
        """Let rows of a table go."""
        self._file.executemany(
            "DELETE FROM told WHERE name = ? AND id = ?", [(table, one) for one in ids]
        )

    # --- what was done ----------------------------------------------------------------------------

    def add(
        self,
        action_id: str,
        kind: str,
        payload: Mapping[str, Any],
        *,
        device_at: str,
        about: str | None,
        base_version: int | None,
    ) -> None:
        """Keep what was done, behind all that was done before."""
        self._file.execute(
            "INSERT INTO action (id, type, payload, device_at, about, base_version)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [action_id, kind, orjson.dumps(payload).decode(), device_at, about, base_version],
        )

    def done(self, *, waiting: bool = False, most: int = -1) -> list[Done]:
        """List what was done, the first one first; with `waiting` what has no verdict yet."""
        found = self._file.execute(
            f"SELECT {_DONE} WHERE stage = 'waiting' OR NOT ? ORDER BY place LIMIT ?",
            [waiting, most],
        )
        return [_done(row) for row in found]

    def one_done(self, action_id: str) -> Done:
        """Give one thing that was done, with what became of it."""
        return _done(self._file.execute(f"SELECT {_DONE} WHERE id = ?", [action_id]).fetchone())

    def judge(self, action_id: str, stage: Stage, told: Mapping[str, Any]) -> None:
        """Keep what became of an action; what is of others' phones is left aside."""
        self._file.execute(
            "UPDATE action SET stage = ?, code = ?, words_zh = ?, words_en = ?, judgement = ?"
            " WHERE id = ?",
            [
                stage,
                *(told.get(name) for name in ("code", "words_zh", "words_en", "judgement")),
                action_id,
            ],
        )

    # --- pictures ---------------------------------------------------------------------------------

    def keep_bytes(self, picture_id: str, data: bytes) -> None:
        """Keep the bytes of a picture; they are on the disk when this returns."""
        self._pictures.mkdir(exist_ok=True, mode=0o700)
        with (self._pictures / picture_id).open("wb") as file:
            file.write(data)
            file.flush()
            if self._outlives_power:
                os.fsync(file.fileno())

    def bytes_of(self, picture_id: str) -> bytes:
        """Give the bytes of a picture."""
        return (self._pictures / picture_id).read_bytes()

    def add_picture(self, picture_id: str, action_id: str, size: int, *, follows: bool) -> None:
        """Note that a picture is to be sent once its action was taken."""
        self._file.execute(
            "INSERT INTO picture (id, action_id, bytes, follows) VALUES (?, ?, ?, ?)",
            [picture_id, action_id, size, follows],
        )

    def pictures(self) -> list[Picture]:
        """List the pictures that are on their way, in the order they were taken."""
        found = self._file.execute(
            "SELECT p.id, p.action_id, p.bytes, p.sent, p.problem, p.follows, a.about"
            " FROM picture AS p JOIN action AS a ON a.id = p.action_id ORDER BY a.place"
        )
        return [Picture._make([*row[:5], bool(row[5]), row[6]]) for row in found]

    def picture_stands(self, picture_id: str, sent: int, problem: str | None = None) -> None:
        """Note how far a picture is."""
        self._file.execute(
            "UPDATE picture SET sent = ?, problem = ? WHERE id = ?", [sent, problem, picture_id]
        )

    def forget_picture(self, picture_id: str) -> None:
        """Let go of a picture: the server has it."""
        self._file.execute("DELETE FROM picture WHERE id = ?", [picture_id])
        (self._pictures / picture_id).unlink(missing_ok=True)

    # --- forgetting -------------------------------------------------------------------------------

    def empty(self, *, kept: Collection[str] = (), unsent: bool = True) -> None:
        """Remove everything but the phone's own name and what is `kept` by its name; with `unsent`
        also what was not sent, with the pictures that belong to it."""
        with self.together():
            self._file.execute("DELETE FROM told")
            self._file.execute("DELETE FROM action WHERE stage <> 'waiting' OR ?", [unsent])
            self._file.execute("DELETE FROM picture WHERE action_id NOT IN (SELECT id FROM action)")
            known = [row[0] for row in self._file.execute("SELECT name FROM known")]
            self._file.executemany(
                "DELETE FROM known WHERE name = ?",
                [(name,) for name in known if name not in {"device", *kept}],
            )
        self._sweep()
        # What was removed leaves the disk, too.
        self._file.execute("VACUUM")
        self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _sweep(self) -> None:
        """Remove the bytes of pictures that nothing is known of: the phone was killed meanwhile."""
        known = {row[0] for row in self._file.execute("SELECT id FROM picture")}
        for file in self._pictures.glob("*"):
            if file.name not in known:
                file.unlink(missing_ok=True)


def _done(row: Sequence[Any]) -> Done:
    return Done._make([*row[:3], orjson.loads(row[3]), *row[4:7], Stage(row[7]), *row[8:]])
