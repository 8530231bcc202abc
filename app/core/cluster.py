"""A private PostgreSQL + PostGIS cluster in a folder, for the demo, the tests and benchmarks.

Nothing of the machine is touched: data, socket and log lie in the folder, and the server listens
on a Unix socket alone, so no port can be taken and nobody else can connect. Production sets
`DATABASE_URL` and never comes here.

Several processes may use one cluster. The first to come starts the server, the last to leave stops
it; each holds a shared lock meanwhile, which a killed process gives up by dying.
"""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psycopg
from psycopg import sql

from app.core import postgres
from app.core.postgres import PostgresMissing, Say, Server

__all__ = ["Cluster", "ClusterFailed", "PostgresMissing"]

SUPERUSER = "yingwei"
SERVER_ACCOUNT = "postgres"  # what root drops to, since the server refuses to run as root
PORT = 5432  # names the socket file; no TCP port is opened
SOCKET = f".s.PGSQL.{PORT}"
# A socket's whole path has at most 107 bytes on Linux and 103 on macOS.
LONGEST_SOCKET_FOLDER = 103 - len(f"/{SOCKET}")
START_SECONDS = 60
STOP_SECONDS = 30

# The first that initdb accepts. All sort by code point, so that tests and demo see one order;
# the later ones are for macOS, where C.UTF-8 does not exist.
LOCALES = (
    ("--locale=C.UTF-8",),
    ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ("--locale=C", "--lc-ctype=UTF-8"),
    ("--locale=C", "--lc-ctype=en_US.UTF-8"),
)
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",  # it costs more than our short statements take
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# After a power cut such a cluster may be broken; it is for data that can be made again.
NOT_DURABLE: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
# What the server says while the children of a killed one are still ending.
PASSING = ("shared memory block", "lock file")


class ClusterFailed(Exception):
    """The cluster cannot be used; the words say why and what to do about it."""

    exit_code = 1


def _to_stderr(words: str) -> None:
    sys.stderr.write(f"{words}\n")


class Cluster:
    """A private cluster under `folder`; `start()` and `stop()`, or use it in a `with` statement.

    `durable=False` trades safety against power cuts for speed (tests, benchmarks). `say` receives
    a line of words before anything that takes long. Both raise PostgresMissing (exit code 2) or
    ClusterFailed (exit code 1) with words for the user.
    """

    def __init__(self, folder: Path, *, durable: bool = True, say: Say = _to_stderr) -> None:
        self.folder = folder.absolute()
        self._durable = durable
        self._say = say
        self._presence: IO[str] | None = None
        self._home: Path | None = None

    @classmethod
    @contextmanager
    def throw_away(cls, *, say: Say = _to_stderr) -> Iterator[Self]:
        """A started, not durable cluster in a temporary folder that is gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="yingwei-"))
        cluster = cls(folder, durable=False, say=say)
        try:
            with cluster:
                yield cluster
        finally:
            if cluster._home is not None:
                shutil.rmtree(cluster._home, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make the cluster if it is new, start it if it is down, and count as one of its users."""
        if self._presence is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._turn():
                presence = (self.folder / "users.lock").open("a")
                fcntl.flock(presence, fcntl.LOCK_SH)
                try:
                    self._home = self._known_home()
                    if not self._answers():
                        self._boot()
                except BaseException:
                    # Also for a Ctrl-C while it starts: no server may stay behind.
                    self._leave(presence)
                    raise
                self._presence = presence
        except PermissionError as refused:
            raise ClusterFailed(
                f"{refused.filename} belongs to another account. Run this as that account, or "
                f"remove {self.folder} to begin anew."
            ) from refused

    def stop(self) -> None:
        """Leave the cluster; the last to leave stops the server. A second call does nothing."""
        if self._presence is not None:
            with self._turn():
                presence, self._presence = self._presence, None
                self._leave(presence)

    def url(self, name: str) -> str:
        """The address of one database, as libpq, psycopg and SQLAlchemy's `make_url` read it."""
        return f"postgresql://{SUPERUSER}@/{name}?host={self._socket_folder}&port={PORT}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database unless it exists, as a copy of `template` if given; its address."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        # It may be here already, or another process makes it at the same moment.
        already = suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection, already:
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, closing whatever connections it still has."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    # Places

    @property
    def home(self) -> Path:
        """Where the data lie: the folder itself, or a place the server's account can reach."""
        if self._home is None:
            raise ClusterFailed("The cluster has not been started.")
        return self._home

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _socket_folder(self) -> Path:
        """The home, unless its path is too long for a socket or needs quoting in an address."""
        path = str(self.home)
        if len(path) <= LONGEST_SOCKET_FOLDER and re.fullmatch(r"[A-Za-z0-9/._-]+", path):
            return self.home
        return Path("/tmp") / f"yingwei-{hashlib.sha256(path.encode()).hexdigest()[:16]}"  # noqa: S108

    def _known_home(self) -> Path:
        """The folder, or the place that the file `where` in it names (see `_settle`)."""
        where = self.folder / "where"
        elsewhere = Path(where.read_text().strip()) if where.exists() else self.folder
        return elsewhere if elsewhere.is_dir() else self.folder

    def _settle(self) -> None:
        """Before the first initdb: choose the home and, as root, give it to the server's account.

        Where that account cannot walk to the folder (a checkout under /root, say) the data get a
        place of their own, and the file `where` in the folder names it.
        """
        if os.geteuid() != 0 or self.home.stat().st_uid != 0:
            return
        try:
            account = pwd.getpwnam(SERVER_ACCOUNT)
        except KeyError:
            raise PostgresMissing(
                f"PostgreSQL refuses to run as root, and there is no account {SERVER_ACCOUNT!r} to "
                f"run it as. Make one (useradd --system {SERVER_ACCOUNT}), or use another account."
            ) from None
        if not postgres.can_enter(account, self.folder.parent):
            parent = Path(account.pw_dir)
            if not postgres.can_enter(account, parent):
                parent = Path("/var/tmp")  # noqa: S108 - what is made in there has a random name
            self._home = Path(tempfile.mkdtemp(prefix="yingwei-", dir=parent))
            (self.folder / "where").write_text(f"{self._home}\n")
        os.chown(self.home, account.pw_uid, account.pw_gid)

    # Up and down; all of this happens while `_turn` is held

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One process at a time starts or stops this cluster."""
        with (self.folder / "turn.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _leave(self, presence: IO[str]) -> None:
        with presence:
            try:
                fcntl.flock(presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else is using it
            self._shut_down()

    def _boot(self) -> None:
        server = self._server()
        if not self._data.exists():
            self._settle()
            self._initdb(server)
        self._write_settings()
        self._make_socket_folder()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            # A server left by a killed process may still be on its way up or down.
            if self._postmaster() is None:
                words = self._launch(server)
                if words is None:
                    return
                if not any(passing in words for passing in PASSING):
                    raise ClusterFailed(
                        f"The database in {self.home} does not start:\n{words}\n"
                        f"Removing {self.folder} begins anew, without its data."
                    )
            if time.monotonic() > deadline:
                raise ClusterFailed(f"The database in {self.home} is neither up nor down.")
            time.sleep(0.1)

    def _launch(self, server: Server) -> str | None:
        """Start the server; None when it is up, else what it said and where it says more."""
        for file in (self._data / "postmaster.pid", self._socket_folder / f"{SOCKET}.lock"):
            # After a machine or container was killed the number in the file may be somebody
            # else's by now, which the server would take for itself.
            file.unlink(missing_ok=True)
        log = self.home / "server.log"
        seen = log.stat().st_size if log.exists() else 0
        done = self._run(
            *(server.program("pg_ctl"), "start", "--silent", "--wait"),
            *(f"--timeout={START_SECONDS}", f"--pgdata={self._data}", f"--log={log}"),
        )
        if done.returncode == 0:
            return None
        words = log.read_bytes()[seen:].decode(errors="replace") if log.exists() else ""
        return f"{(words or done.stderr).rstrip()}\nIts log is {log}."

    def _shut_down(self) -> None:
        if self._home is None or self._postmaster() is None:
            return
        server = self._server()
        for mode in ("fast", "immediate"):
            done = self._run(
                *(server.program("pg_ctl"), "stop", "--silent", "--wait", f"--mode={mode}"),
                *(f"--timeout={STOP_SECONDS}", f"--pgdata={self._data}"),
            )
            if done.returncode == 0:
                break
        if self._socket_folder != self.home:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _server(self) -> Server:
        """The programs that fit the data; for a new cluster the newest, installed if need be."""
        made_by = self._data / "PG_VERSION"
        if not made_by.exists():
            return postgres.find_or_install(self._say)
        version = int(made_by.read_text())
        server = postgres.find(version)
        if server is None:
            raise PostgresMissing(
                f"The data in {self.home} were made by PostgreSQL {version}, which is not here "
                f"with PostGIS any more. Install it, or remove {self.folder} to begin anew."
            )
        return server

    def _initdb(self, server: Server) -> None:
        self._say(f"Making a private database in {self.home} (PostgreSQL {server.version})...")
        unfinished = self.home / "data.new"  # renamed at the end: a killed initdb leaves no half
        command = [server.program("initdb"), f"--pgdata={unfinished}", f"--username={SUPERUSER}"]
        # The home is closed to other accounts, so whoever reaches the socket may enter.
        command += ["--encoding=UTF8", "--auth-local=trust", "--auth-host=reject"]
        command += [] if self._durable else ["--no-sync"]
        os.chmod(self.home, 0o700)
        words = ""
        for locale in LOCALES:
            shutil.rmtree(unfinished, ignore_errors=True)
            done = self._run(*command, *locale)
            if done.returncode == 0:
                break
            words = words or done.stderr
        else:
            raise ClusterFailed(f"initdb failed in {self.home}:\n{words}")
        with (unfinished / "postgresql.conf").open("a") as conf:
            conf.write("include = 'private.conf'\n")
        unfinished.rename(self._data)

    def _write_settings(self) -> None:
        settings = {**SETTINGS, "unix_socket_directories": str(self._socket_folder)}
        settings |= {} if self._durable else NOT_DURABLE
        conf = self._data / "private.conf"
        conf.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        self._give(conf)

    def _make_socket_folder(self) -> None:
        folder = self._socket_folder
        if folder != self.home:
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.stat().st_uid == os.geteuid():
                self._give(folder)
            if folder.stat().st_uid != self.home.stat().st_uid:
                raise ClusterFailed(f"{folder} belongs to another account; remove it.")

    def _give(self, path: Path) -> None:
        """To the account that the server runs as: the owner of the home."""
        owner = self.home.stat()
        if path.stat().st_uid != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid)

    def _answers(self) -> bool:
        """Whether this cluster's server, and no other, takes connections."""
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]).resolve() == self._data.resolve()

    def _postmaster(self) -> int | None:
        """The process id of this cluster's living server, if there is one."""
        try:
            pid = int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(self._data) in postgres.command_line(pid) else None

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a server program as the owner of the home, out of reach of the terminal's Ctrl-C."""
        owner = self.home.stat()
        drop = os.geteuid() == 0
        with subprocess.Popen(
            command,
            cwd=self.home,
            # PGOPTIONS and its like are meant for clients and would confuse the server.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(self.home)},
            user=owner.st_uid if drop else None,
            group=owner.st_gid if drop else None,
            extra_groups=[] if drop else None,
            umask=0o077,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            try:
                stdout, stderr = program.communicate()
            except BaseException:
                program.wait()  # what a Ctrl-C comes into must end first, so that it can be undone
                raise
        return subprocess.CompletedProcess(command, program.returncode, stdout, stderr)
