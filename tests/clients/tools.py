"""Programs that are no part of the house: looked for, installed where they are pinned, and run."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path


class LeftOutError(Exception):
    """A machine lacks what a part needs; the words say what."""


class FailedError(Exception):
    """A command failed; the words are the end of what it said."""


def run(*command: str | Path, at: Path, log: Path, **environment: str) -> str:
    """Run a command in a folder and keep what it says in a log. Raises FailedError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as to:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=at,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=to,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = log.read_text("utf-8", "replace")
    if done.returncode:
        raise FailedError(f"{log.stem} ended with {done.returncode}, see {log}:\n{said[-2000:]}")
    return said


def needs(*programs: str) -> None:
    """Look for programs. Raises LeftOutError."""
    if missing := [name for name in programs if shutil.which(name) is None]:
        raise LeftOutError(f"not on this machine: {', '.join(missing)}")


def packages_of_npm(wanted: Path, to: Path, log: Path) -> Path:
    """Install the packages that are pinned in a folder into another one, once; give the latter.

    Raises FailedError.
    """
    to.mkdir(parents=True, exist_ok=True)
    lock = (wanted / "package-lock.json").read_bytes()
    stamp = to / ".installed"
    shutil.copy(wanted / "package.json", to)
    (to / "package-lock.json").write_bytes(lock)
    if not stamp.exists() or stamp.read_text() != sha256(lock).hexdigest():
        # What a package would run when it is installed is of no use here.
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        run("npm", "ci", *quiet, at=to, log=log)
        stamp.write_text(sha256(lock).hexdigest())
    return to
