"""What this machine has to run a PostgreSQL server with PostGIS; what is missing is installed.

Used by `core.cluster` alone: an installation with `DATABASE_URL` never comes here.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]

PROGRAMS = ("initdb", "pg_ctl", "postgres")
# btree_gist is a part of contrib, which some systems package apart from the server.
EXTENSIONS = ("postgis", "btree_gist")
# Where servers hide whose programs are not on the PATH: Debian and Ubuntu, Red Hat, Homebrew on
# Apple and Intel processors, and Postgres.app.
HOMES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)

BY_HAND = """PostgreSQL with PostGIS is needed and could not be installed from here{why}.
Install it, then run the command again:
  Debian, Ubuntu:  sudo apt-get install postgresql postgresql-postgis
  macOS:           brew install postgis
  Fedora:          sudo dnf install postgresql-server postgresql-contrib postgis
or set DATABASE_URL to a database that has PostGIS (any postgresql:// address)."""


class PostgresMissing(Exception):
    """No server with PostGIS is here and none could be installed; the words say what to do.

    A command line ends with `exit_code` and prints the words, without a traceback.
    """

    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Server:
    """The programs of one installed PostgreSQL server; they order by version."""

    version: int
    bindir: Path

    def program(self, name: str) -> str:
        """The path of one program, such as `initdb`."""
        return str(self.bindir / name)

    def has_extensions(self) -> bool:
        """Whether PostGIS and btree_gist can be created in this server's databases."""
        folder = self._sharedir() / "extension"
        return all((folder / f"{name}.control").exists() for name in EXTENSIONS)

    def _sharedir(self) -> Path:
        asked = _answer_of(self.program("pg_config"), "--sharedir")
        # Minimal installs leave pg_config out; Debian's layout is the one that does so.
        return Path(asked) if asked else Path(f"/usr/share/postgresql/{self.version}")


def installed() -> list[Server]:
    """Every PostgreSQL server of this machine, newest first, with PostGIS or without."""
    servers = set()
    for bindir in _bindirs():
        if all(os.access(bindir / name, os.X_OK) for name in PROGRAMS):
            # "postgres (PostgreSQL) 16.4 (Debian ...)", and "17beta1" before a release
            words = re.search(r"\) (\d+)", _answer_of(str(bindir / "postgres"), "--version"))
            if words:
                servers.add(Server(int(words[1]), bindir))
    return sorted(servers, reverse=True)


def find(version: int | None = None) -> Server | None:
    """The newest server that has the extensions; of exactly this major version when given."""
    for server in installed():
        if version in (None, server.version) and server.has_extensions():
            return server
    return None


def find_or_install(say: Say) -> Server:
    """The server to make a new cluster with, installed first where that is possible.

    Raises PostgresMissing with the words for the user when it is not.
    """
    server = find()
    if server is None:
        why = _install(say)
        server = find()
        if server is None:
            raise PostgresMissing(BY_HAND.format(why=f" ({why})" if why else ""))
        say(f"PostgreSQL {server.version} with PostGIS is installed.")
    return server


def can_enter(account: pwd.struct_passwd, folder: Path) -> bool:
    """Whether an account can walk to a folder; only root may ask.

    It is asked of the system itself, since permissions, access lists and mounts all have a say.
    """
    asked = subprocess.run(
        ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0


def command_line(pid: int) -> str:
    """The command line of a living process, empty when there is none (or it is a zombie)."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    asked = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def _bindirs() -> Iterator[Path]:
    asked = _answer_of("pg_config", "--bindir")
    if asked:
        yield Path(asked).resolve()
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in HOMES:
        for bindir in Path("/").glob(pattern.lstrip("/")):
            yield bindir.resolve()


def _install(say: Say) -> str:
    """Install PostGIS with this machine's package manager; the answer is what stood in the way."""
    if sys.platform == "darwin" and shutil.which("brew"):
        say("Installing PostgreSQL with PostGIS (brew install postgis), a few minutes...")
        return _run(["brew", "install", "postgis"])
    if not shutil.which("apt-get"):
        return "no apt-get and no Homebrew"
    root: list[str] = []
    if os.geteuid() != 0:
        root = ["sudo", "-n"]
        if not shutil.which("sudo") or not _succeeds([*root, "true"]):
            return "this needs root, or sudo without a password"
    say("Looking for PostGIS in the package lists (apt-get update)...")
    trouble = _run([*root, "apt-get", "-q", "update"])
    packages = _debian_packages()
    say(f"Installing {' and '.join(packages)} (apt-get install), a minute or two...")
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    failure = _run([*quiet, "install", "--no-install-recommends", *packages])
    return failure and (trouble or failure)


def _debian_packages() -> list[str]:
    """PostGIS for the newest server that is here already, else the distribution's own pair."""
    for server in installed():
        package = f"postgresql-{server.version}-postgis-3"
        if _succeeds(["apt-cache", "show", package]):
            return [package]
    return ["postgresql", "postgresql-postgis"]


def _run(command: Sequence[str]) -> str:
    """Run a command; empty when it went well, else the last line of what it complained about."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"{command[0]} ended with {done.returncode}"


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _answer_of(program: str, option: str) -> str:
    """What a program prints for an option; empty when it is absent or fails."""
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
