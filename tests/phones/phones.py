"""Phones: processes of node that keep WatermelonDB's tables in a file, and can be killed."""

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What npm installs, and phones' files, lie here.
FOLDER = ROOT / ".local" / "phones"
ANSWER_SECONDS = 120.0
NODE = 20


class Missing(Exception):
    """Why phones cannot be had on this machine, in words."""


def install() -> None:
    """Install what phones need into `.local/phones`, once. Raises Missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Missing(f"node {NODE} or later and npm are needed, and are not installed here")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < NODE:
        raise Missing(f"node {NODE} or later is needed, and this is {version.strip()}")
    wanted = (HERE / "package-lock.json").read_bytes()
    done = FOLDER / "installed.json"
    if done.exists() and done.read_bytes() == wanted:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, FOLDER / name)
    installed = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--prefix", str(FOLDER)],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        raise Missing(f"npm could not install what phones need:\n{installed.stderr.strip()[-600:]}")
    done.write_bytes(wanted)


@dataclass
class Phone:
    """One phone. What it has said it did is known here, also once it was killed."""

    name: str
    username: str
    settings: dict[str, Any]
    folder: Path
    made: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    signed_in: bool = False
    _since: dict[str, int] = field(default_factory=dict)
    _process: asyncio.subprocess.Process | None = None

    @property
    def file(self) -> Path:
        """Where its tables are, and what it writes down beside them."""
        return self.folder / f"{self.name}.sqlite"

    def undone(self) -> set[str]:
        """Return the ids of actions that were taken back before they were known to have come."""
        told = self.file.with_suffix(".sqlite.undone")
        return set(told.read_text().split()) if told.exists() else set()

    async def start(self) -> None:
        """Switch it on."""
        given = {**self.settings, "device": self.name, "username": self.username}
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / "phone.js"),
            json.dumps({**given, "file": str(self.file)}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=(self.folder / f"{self.name}.log").open("ab"),
            limit=2**26,
            env={**os.environ, "NODE_PATH": str(FOLDER / "node_modules")},
        )
        self._since = {}

    async def ask(self, ask: str, **given: Any) -> dict[str, Any]:
        """Let it do something and give its answer. Raises RuntimeError when it fails."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"ask": ask, **given}).encode() + b"\n")
        await process.stdin.drain()
        line = await asyncio.wait_for(process.stdout.readline(), ANSWER_SECONDS)
        if not line:
            raise RuntimeError(f"{self.name} has died")
        said: dict[str, Any] = json.loads(line)
        self.complaints += said["complaints"]
        if "failed" in said:
            raise RuntimeError(f"{self.name} could not {ask}: {said['failed']}")
        for name, count in said["counts"].items():
            more = count - self._since.get(name, 0)
            self.counts[name] = self.counts.get(name, 0) + more
        self._since = said["counts"]
        self.signed_in = said["signed_in"]
        self.made.update(said.get("made", {}))
        return said

    async def killed_while(self, ask: str, after: float, **given: Any) -> None:
        """Switch it off so many seconds after it has begun something, and on again."""
        process = self._process
        assert process is not None and process.stdin is not None
        process.stdin.write(json.dumps({"ask": ask, **given}).encode() + b"\n")
        await process.stdin.drain()
        await asyncio.sleep(after)
        await self.stop()
        await self.start()
        self.restarts += 1

    async def stop(self) -> None:
        """Switch it off, as an empty battery does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
