"""What every simulator of another system is made of: faults by dials and by luck, answers that go
wrong on the wire, and a doorman who says of each answer whose it is.

Every draw is a function of the seed and of what it is about, never of the order in which requests
happen to arrive, so the same seed and ids meet the same faults however the run is interleaved.
"""

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

import orjson
import uvicorn
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]

BODY_LIMIT = 1_000_000


def luck(seed: int, *about: object) -> float:
    """Draw a number from 0 up to 1 that depends on nothing but the seed and what it is about."""
    text = "\x1f".join((str(seed), *map(str, about)))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


# --- faults ---------------------------------------------------------------------------------------


class Fault(StrEnum):
    """What can go wrong with one request that has an effect; the names are those of the dials."""

    TOO_MANY = "too_many"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    HANG_AFTER = "hang_after"
    CUT_AFTER = "cut_after"


class FaultDials(BaseModel):
    """The dials of every small simulator; the defaults are fast and faultless. Shares: 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 1
    delay_seconds: Seconds = Field(default=0, description="Between taking a POST and its effect.")
    too_many: Share = Field(default=0, description="429 with Retry-After, without effect.")
    retry_after_seconds: int = Field(default=1, ge=0, le=86_400)
    error_before: Share = Field(default=0, description="500, without effect.")
    error_after: Share = Field(default=0, description="500, yet it had its effect.")
    hang_after: Share = Field(default=0, description="It had its effect; no answer ever comes.")
    cut_after: Share = Field(default=0, description="It had its effect; the connection breaks.")

    @model_validator(mode="after")
    def _one_fate_each(self) -> Self:
        if sum(getattr(self, fault) for fault in Fault) > 1 + 1e-9:
            raise ValueError("the shares of faults of a POST are more than 1 together")
        return self

    def fault_of(self, key: str, nth: int) -> Fault | None:
        """Draw the fault that the nth POST of one key meets; None is none."""
        drawn = luck(self.seed, "fault", key, nth)
        for fault in Fault:
            drawn -= float(getattr(self, fault))
            if drawn < 0:
                return fault
        return None


D = TypeVar("D", bound=FaultDials)


def refused_before(fault: Fault | None, dials: FaultDials) -> Response | None:
    """Give the answer of a fault that leaves the request without effect."""
    if fault is Fault.TOO_MANY:
        wait = {"Retry-After": str(dials.retry_after_seconds)}
        return as_json({"code": "too_many", "message": "Slow down"}, 429, wait)
    if fault is Fault.ERROR_BEFORE:
        return as_json({"code": "error", "message": "A simulated error, without effect"}, 500)
    return None


def lost_after(fault: Fault | None) -> Response | None:
    """Give the answer of a fault that comes after the effect."""
    if fault is Fault.ERROR_AFTER:
        return as_json({"code": "error", "message": "A simulated error after the effect"}, 500)
    if fault is Fault.HANG_AFTER:
        return Silence()
    return Cut(b"") if fault is Fault.CUT_AFTER else None


# --- memory ---------------------------------------------------------------------------------------


class Memory:
    """What a small simulator keeps: one SQLite file of its own, whose tables `schema` makes.

    What a method has returned from survives a SIGKILL of the process.
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.execute("PRAGMA busy_timeout = 5000")
        self.db.executescript(
            "CREATE TABLE IF NOT EXISTS posts (key TEXT PRIMARY KEY, times INTEGER NOT NULL);"
            + schema
        )

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def count_post(self, key: str) -> int:
        """Count one more POST of a key and return how many there were."""
        counted = self.db.execute(
            "INSERT INTO posts VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1"
            " RETURNING times",
            (key,),
        )
        return int(counted.fetchone()[0])


# --- HTTP -----------------------------------------------------------------------------------------


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(orjson.dumps(value), status, headers, "application/json")


async def body_of(request: Request) -> Any:
    """Read a JSON object; a Response instead says why it cannot be read."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > BODY_LIMIT:
            message = f"At most {BODY_LIMIT} bytes are taken"
            return as_json({"code": "too_large", "message": message}, 413)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        return as_json({"code": "invalid", "message": "The body must be a JSON object"}, 400)
    return body


async def set_dials(request: Request, kind: type[FaultDials]) -> Response:
    """GET the dials, or PUT them all; a dial that is left out returns to its default."""
    if request.method == "PUT":
        body = await body_of(request)
        if isinstance(body, Response):
            return body
        try:
            request.app.state.dials = kind.model_validate(body)
        except ValidationError as error:
            return as_json({"code": "invalid", "message": str(error)}, 400)
    return as_json(request.app.state.dials.model_dump())


class Doorman:
    """ASGI middleware: every answer says whose it is, and with a token set strangers stay out of
    all paths but those that are open."""

    def __init__(self, app: ASGIApp, name: str, token: str, guarded: str = "/") -> None:
        self.app = app
        self._name = name
        self._guarded = guarded
        self._pass = f"Bearer {token}".encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"server", self._name.encode())]
            await send(message)

        app = self.app
        if self._pass and scope["path"].startswith(self._guarded):
            carried = dict(scope["headers"]).get(b"authorization")
            if carried != self._pass:
                # In the shape that TMF630 gives to errors; the small simulators need only its code.
                error = {
                    "@type": "Error",
                    "code": "40",
                    "reason": "Unauthorized",
                    "message": "A bearer token is needed",
                    "status": "401",
                }
                app = as_json(error, 401)
        await app(scope, receive, sending)


def serve_app(app: ASGIApp, host: str, port: int) -> None:
    """Run a simulator in this process until SIGINT or SIGTERM."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=CuttableProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Requests that hang on purpose must not keep the process from stopping.
        timeout_graceful_shutdown=1,
    )


@dataclass(frozen=True)
class SmallSimulator(Generic[D]):
    """A simulator of a system that is asked and answers, and calls nobody by itself.

    `schema` makes the tables of its Memory, `said` is what it says of itself at `/`, `api` lies
    under `base_path` and may ask for a token, `own` is for whoever sets it.
    """

    name: str
    said: Mapping[str, str]
    base_path: str
    schema: str
    dials: type[D]
    api: Sequence[BaseRoute]
    own: Sequence[BaseRoute]

    def create(self, store: Path, dials: D, *, token: str = "") -> Starlette:
        """Make it as an ASGI application that keeps what it is told in the file `store`.

        With `token` set, callers must carry that one. Cut connections need the server of `serve`.
        """

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            app.state.memory = Memory(store, self.schema)
            app.state.dials = dials
            yield
            app.state.memory.close()

        return Starlette(
            routes=[
                Route("/", self._who),
                Mount(self.base_path, routes=list(self.api)),
                Route("/_simulator/dials", self._dials, methods=["GET", "PUT"]),
                *self.own,
            ],
            middleware=[Middleware(Doorman, name=self.name, token=token, guarded=self.base_path)],
            lifespan=lifespan,
        )

    def serve(self, host: str, port: int, store: Path, dials: D, *, token: str = "") -> None:
        """Run it in this process until SIGINT or SIGTERM; the parameters are those of `create`.
        Its API is at `http://host:port` + `base_path`."""
        serve_app(self.create(store, dials, token=token), host, port)

    async def _who(self, request: Request) -> Response:
        return as_json({"name": self.name, **self.said, "dials": "/_simulator/dials"})

    async def _dials(self, request: Request) -> Response:
        return await set_dials(request, self.dials)


# --- answers that go wrong on the wire ------------------------------------------------------------

_CUT = "yingwei.cut"
_WRITE = "yingwei.write"


class Silence(Response):
    """An answer that never comes: the request stays open until the caller leaves."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the caller to give up."""
        while (await receive())["type"] != "http.disconnect":
            pass


class Cut(Response):
    """A connection that breaks: before the first byte, or halfway through the body given."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body, 201, media_type="application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the body, if there is one, and cut the connection."""
        cut = scope.get("extensions", {}).get(_CUT)
        if self.body or cut is None:
            await send({"type": "http.response.start", "status": 201, "headers": self.raw_headers})
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
            # Let the half leave the machine before the connection goes.
            await asyncio.sleep(0.02)
        if cut is not None:
            cut()
        # A server without the extension sees an answer that ends too early and closes by itself.


class CutInHead(Response):
    """A connection that breaks in the middle of an answer's headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the beginning of a head, past the server that would write a whole one."""
        extensions = scope.get("extensions", {})
        if _WRITE in extensions:
            extensions[_WRITE](b"HTTP/1.1 201 Created\r\nContent-Type: appl")
            await asyncio.sleep(0.02)
            extensions[_CUT]()


class CuttableProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with a way for the application to cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Hand the application the means to cut this connection."""
        super().connection_made(transport)
        app = self.app

        async def with_cut(scope: Scope, receive: Receive, send: Send) -> None:
            hands = {_CUT: transport.abort, _WRITE: transport.write}
            scope["extensions"] = {**scope.get("extensions", {}), **hands}
            await app(scope, receive, send)

        self.app = with_cut
