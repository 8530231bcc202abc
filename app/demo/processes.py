"""The demo's processes: API, worker and simulators, started, watched, killed, stopped."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import httpx

from app.activation import simulator as activation_platform
from app.core.errors import Problem
from app.core.i18n import Words
from app.messaging import simulator as messaging_provider
from app.ordering.simulator import BASE_PATH
from app.real_name import simulator as real_names
from app.serviceability import simulator as line_register

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


class DidNotStart(Problem):
    slug, status = "demo-did-not-start", 500
    title = Words(zh="演示进程未能启动", en="A process of the demo did not start")
    advice = Words(zh="{name}：请看日志 {log}。\n{tail}", en="{name}: see its log {log}.\n{tail}")


def free_port() -> int:
    """Find a loopback port that nobody uses at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Find so many loopback ports that nobody uses at this moment, each another one: they are all
    held until the last is found."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def is_free(port: int) -> bool:
    """Tell whether nobody uses a loopback port at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@dataclass
class Process:
    """One process of the demo: how it is started, and its log."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own, so that Ctrl-C reaches only the demo, which then
        stops everything in order."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.running is not None and self.running.poll() is None

    def kill(self) -> None:
        """Kill it with SIGKILL, as a power cut would."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()

    def stop(self) -> None:
        """Ask it to stop, and kill it when it does not."""
        stop([self])

    def tail(self, lines: int = 12) -> str:
        """Give the last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def stop(processes: Iterable[Process]) -> None:
    """Ask processes to stop, all at one time, and kill those that do not."""
    asked = []
    for process in processes:
        if process.running is not None and process.running.poll() is None:
            process.running.send_signal(signal.SIGTERM)
            asked.append((process, process.running))
    until = time.monotonic() + STOP_SECONDS
    for process, running in asked:
        try:
            running.wait(max(until - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()


@dataclass
class House:
    """The processes and their addresses."""

    api: Process
    worker: Process
    ordering: Process
    activation: Process
    messaging: Process
    real_name: Process
    serviceability: Process
    api_url: str
    ordering_url: str
    activation_url: str
    messaging_url: str
    real_name_url: str
    serviceability_url: str
    callback_token: str
    ordering_token: str
    processes: list[Process] = field(default_factory=list)

    def start(self, process: Process) -> None:
        """Start a process and wait until it is ready. Raises DidNotStart."""
        process.start()
        self.wait(process)

    def wait(self, process: Process) -> None:
        """Wait until a process that was started is ready. Raises DidNotStart."""
        address = {
            self.api.name: f"{self.api_url}/readyz",
            self.ordering.name: self.ordering_url,
            self.activation.name: self.activation_url,
            self.messaging.name: self.messaging_url,
            self.real_name.name: self.real_name_url,
            self.serviceability.name: self.serviceability_url,
        }
        deadline = time.monotonic() + READY_SECONDS
        url = address.get(process.name)
        # To make a client takes more processor time than whoever starts meanwhile can spare.
        with httpx.Client(timeout=2.0) as http:
            while url is not None and time.monotonic() < deadline:
                if not process.alive():
                    break
                with suppress(httpx.HTTPError):
                    if http.get(url).is_success:
                        return
                time.sleep(0.1)
        if url is not None or not process.alive():
            raise DidNotStart(name=process.name, log=str(process.log), tail=process.tail())


class Misbehaviour(NamedTuple):
    """How each simulator misbehaves, as JSON; `{}` is faultless."""

    ordering: str = "{}"
    activation: str = "{}"
    messaging: str = "{}"
    real_name: str = "{}"
    serviceability: str = "{}"


FAULTLESS = Misbehaviour()


@contextmanager
def house(
    *,
    database_url: str,
    clock: str,
    folder: Path,
    port: int | None = None,
    dials: Misbehaviour = FAULTLESS,
) -> Iterator[House]:
    """Run API, worker and simulators on a migrated database; all are stopped at the end.

    `folder` holds logs, keys, photos and the simulators' stores. Raises DidNotStart.
    """
    found, ordering_port, activation_port, messaging_port, *others = free_ports(6)
    port = port or found
    real_name_port, serviceability_port = others
    api_url = f"http://127.0.0.1:{port}"
    ordering = f"http://127.0.0.1:{ordering_port}"
    activation = f"http://127.0.0.1:{activation_port}"
    messaging = f"http://127.0.0.1:{messaging_port}"
    real_name = f"http://127.0.0.1:{real_name_port}"
    serviceability = f"http://127.0.0.1:{serviceability_port}"
    callback_token, ordering_token, activation_token, messaging_token, *more = _tokens(folder)
    real_name_token, hash_secret, serviceability_token, webhook_secret = more
    environment = {
        "DATABASE_URL": database_url,
        "YINGWEI_CLOCK": clock,
        "YINGWEI_SIGNING_KEYS": str(folder / "keys"),
        "YINGWEI_EVIDENCE_FOLDER": str(folder / "evidence"),
        "YINGWEI_ORDERING_URL": f"{ordering}{BASE_PATH}",
        "YINGWEI_ORDERING_TOKEN": ordering_token,
        "YINGWEI_ORDERING_CALLBACK_TOKEN": callback_token,
        "YINGWEI_ORDERING_TIMEOUT_SECONDS": "3",
        "YINGWEI_ACTIVATION_URL": f"{activation}{activation_platform.BASE_PATH}",
        "YINGWEI_ACTIVATION_TOKEN": activation_token,
        "YINGWEI_ACTIVATION_TIMEOUT_SECONDS": "3",
        "YINGWEI_MESSAGING_URL": f"{messaging}{messaging_provider.BASE_PATH}",
        "YINGWEI_MESSAGING_TOKEN": messaging_token,
        "YINGWEI_MESSAGING_TIMEOUT_SECONDS": "3",
        "YINGWEI_REAL_NAME_URL": f"{real_name}{real_names.BASE_PATH}",
        "YINGWEI_REAL_NAME_TOKEN": real_name_token,
        "YINGWEI_REAL_NAME_HASH_KEYS": f"demo:{_key_of(hash_secret)}",
        "YINGWEI_WEBHOOK_SECRET_KEYS": f"demo:{_key_of(webhook_secret)}",
        "YINGWEI_SERVICEABILITY_URL": f"{serviceability}{line_register.BASE_PATH}",
        "YINGWEI_SERVICEABILITY_TOKEN": serviceability_token,
        # The demo has no page for customers: the link leads to what such a page asks for.
        "YINGWEI_SURVEY_URL": f"{api_url}/v1/surveys/{{token}}",
        "YINGWEI_LOG_LEVEL": "WARNING",
    }
    yingwei = [sys.executable, "-m", "app.cli"]

    def process(name: str, *arguments: str) -> Process:
        return Process(name, [*yingwei, *arguments], environment, folder / "logs" / f"{name}.log")

    def simulator(name: str, port: int, dials: str, *more: str) -> Process:
        store = str(folder / f"{name}.sqlite")
        fixed = ("--store", store, "--port", str(port), "--dials", dials)
        return process(name, f"simulate-{name}", *fixed, *more)

    made = House(
        api=process("api", "serve", "--port", str(port)),
        worker=process("worker", "worker"),
        ordering=simulator(
            "ordering",
            ordering_port,
            dials.ordering,
            "--callback-url",
            f"{api_url}/v1/ordering/callbacks",
        ),
        activation=simulator("activation", activation_port, dials.activation),
        messaging=simulator("messaging", messaging_port, dials.messaging),
        real_name=simulator("real-name", real_name_port, dials.real_name),
        serviceability=simulator("serviceability", serviceability_port, dials.serviceability),
        api_url=api_url,
        ordering_url=ordering,
        activation_url=activation,
        messaging_url=messaging,
        real_name_url=real_name,
        serviceability_url=serviceability,
        callback_token=callback_token,
        ordering_token=ordering_token,
    )
    simulators = [made.ordering, made.activation, made.messaging, made.real_name]
    simulators.append(made.serviceability)
    made.processes = [*simulators, made.api, made.worker]
    try:
        # None needs another to start, so that they can do so side by side.
        for each in made.processes:
            each.start()
        for each in made.processes:
            made.wait(each)
        yield made
    finally:
        # Whom the API and the worker still speak with stays until they have ended.
        stop([made.worker, made.api])
        stop(simulators)


# Callbacks, and the ordering system, the activation platform, the messaging provider and the system
# that checks documents, what their numbers are hashed with, the register of lines, and what secrets
# of webhooks are sealed with.
_TOKENS = 8


def _key_of(secret: str) -> str:
    """Make a key of 32 bytes, in base64, of a token."""
    return b64encode(sha256(secret.encode()).digest()).decode()


def _tokens(folder: Path) -> list[str]:
    """Give the tokens between us and the simulators, made once a folder."""
    path = folder / "tokens"
    known = path.read_text().split() if path.exists() else []
    if len(known) < _TOKENS:
        # A folder of earlier days has fewer, and those stay what they were.
        known += [secrets.token_urlsafe(24) for _ in range(_TOKENS - len(known))]
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("\n".join(known) + "\n")
    return known
