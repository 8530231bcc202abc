"""Other systems over HTTP: one exchange within limits of time and size, and what its end means.

Nothing is tried twice in here: when to try again is decided over the lifetime of what is to be
told, by whoever keeps it.
"""

import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

import anyio
import httpx
import orjson

from app.core import clock
from app.core.db import new_id

SAID_LIMIT = 300

if find_spec("sniffio") is None:
    # httpcore asks this module, several times a request, for the event loop, and does without it
    # where it is missing. Said once, that spares a search on disk each time: a tenth of what a
    # delivery cost.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


class Lost(StrEnum):
    """Why no answer came."""

    UNREACHABLE = "unreachable"
    WRONG_ADDRESS = "wrong_address"
    TIMED_OUT = "timed_out"
    CUT = "cut"
    NOT_SIGNED_IN = "not_signed_in"


class NoAnswer(Exception):
    """An exchange that ended without an answer; `sent` tells whether it may have had an effect."""

    def __init__(self, lost: Lost, said: str, request_id: str) -> None:
        self.lost, self.said, self.request_id = lost, said, request_id
        self.sent = lost in (Lost.TIMED_OUT, Lost.CUT)
        super().__init__(f"{lost.value}: {said}")


class Unreadable(ValueError):
    """What came from outside cannot be understood, with the reason as its message."""


@dataclass(frozen=True)
class Reply:
    """An answer whose head and, unless `cropped`, whole body arrived in time."""

    status: int
    headers: httpx.Headers
    content: bytes
    cropped: bool
    request_id: str

    def json(self) -> Any:
        """Read the body; raises Unreadable when it is too large, encoded or not JSON."""
        if self.cropped:
            raise Unreadable("the answer is too large or encoded")
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise Unreadable("the answer is not JSON") from error

    def retry_after(self) -> timedelta | None:
        """Read Retry-After (RFC 9110, 10.2.3): seconds or a date; None when it says neither."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            # Nine digits are thirty years; more would only overflow.
            return timedelta(seconds=int(text[:9]))
        try:
            return max(parsedate_to_datetime(text) - clock.wall(), timedelta())
        except (ValueError, TypeError):
            return None


class Outside:
    """One other system's HTTP API.

    `base_url` is what every path is put behind; `token` is sent as a bearer token; `time_limit` is
    for a whole exchange, body included, in seconds; answers above `body_limit` bytes are not read.
    `tls` is for another side that wants to see a certificate of ours, or has one of its own making.
    Close it with `aclose()` or use it in `async with`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str = "",
        time_limit: float = 10.0,
        body_limit: int = 1_000_000,
        connections: int = 20,
        request_id: Callable[[], str] = lambda: new_id().hex,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.base = base_url.rstrip("/") + "/"
        self._time_limit = time_limit
        self._body_limit = body_limit
        self._request_id = request_id
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.AsyncClient(
            headers=headers,
            # Connecting gets half of the time, so that a connection which is never made is told
            # apart from an answer which never comes.
            timeout=httpx.Timeout(time_limit, connect=time_limit / 2, pool=time_limit / 2),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=True if tls is None else tls,
        )

    async def __aenter__(self) -> Self:
        """Use it for a while."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close its connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def signed(self, content: bytes) -> dict[str, str]:
        """Make the headers that tell who we are, for one request with this body.

        Nothing more than the token by default. Raises NoAnswer when it cannot be told: nothing was
        sent.
        """
        return {}

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request and read its answer, whatever its status. Raises NoAnswer."""
        request_id = self._request_id()
        content = b"" if body is None else orjson.dumps(body)
        sent = {"X-Request-Id": request_id, **await self.signed(content), **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            # httpx limits each wait; this limits them together, against an answer that drips. It is
            # anyio's limit and not asyncio's: httpcore lets that one wait while it closes a
            # connection, and one that is broken into then never gives its place back.
            with anyio.fail_after(self._time_limit):
                async with self._http.stream(
                    method,
                    self.base + path,
                    params=params,
                    headers=sent,
                    content=None if body is None else content,
                ) as answer:
                    read, cropped = await self._read(answer)
                    return Reply(answer.status_code, answer.headers, read, cropped, request_id)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _lost(Lost.UNREACHABLE, error, request_id) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise _lost(Lost.WRONG_ADDRESS, error, request_id) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _lost(Lost.TIMED_OUT, error, request_id) from error
        except (httpx.HTTPError, AttributeError, RuntimeError, OSError) as error:
            # Not all that goes wrong with a connection is named: one that is closed the moment it
            # was made has no socket to be asked about. Some of it may have been sent.
            raise _lost(Lost.CUT, error, request_id) from error

    async def _read(self, answer: httpx.Response) -> tuple[bytes, bool]:
        """Read a body up to the limit; the flag says that there was more, or that it is encoded."""
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            # We asked for none; unpacking could grow without limit.
            return b"", True
        parts, size = [], 0
        async for part in answer.aiter_raw():
            size += len(part)
            if size > self._body_limit:
                return b"", True
            parts.append(part)
        return b"".join(parts), False


def _lost(lost: Lost, error: Exception, request_id: str) -> NoAnswer:
    return NoAnswer(lost, tidy(str(error) or type(error).__name__), request_id)


def tidy(text: str) -> str:
    """Make foreign text fit for a log line, a database and a screen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SAID_LIMIT]


# --- what an end means to whatever was to be told ------------------------------------------------


class Failure(StrEnum):
    """What a failed exchange means: surely without effect, perhaps with one, or turned down."""

    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    REFUSED = "refused"


class Failed(Exception):
    """An exchange that did not do what it was for, in words that may be shown to a supervisor."""

    def __init__(self, failure: Failure, said: str, retry_after: timedelta | None = None) -> None:
        self.failure, self.said, self.retry_after = failure, said, retry_after
        super().__init__(f"{failure.value}: {said}")


def failed(end: Reply | NoAnswer) -> Failed:
    """Say what an answer other than a success, or no answer at all, means."""
    if isinstance(end, NoAnswer):
        return Failed(
            Failure.UNKNOWN if end.sent else Failure.NOT_SENT, f"{end.lost.value}: {end.said}"
        )
    status = end.status
    if status in (401, 403, 404, 405, 407, 425, 429) or 300 <= status < 400:
        # A doorman or a gateway spoke: what was to be told cannot be blamed for it.
        failure = Failure.NOT_SENT
    elif 400 <= status < 500 and status not in (408, 409):
        failure = Failure.REFUSED
    else:
        failure = Failure.UNKNOWN
    return Failed(failure, f"HTTP {status} {said(end)}".strip(), end.retry_after())


def said(reply: Reply) -> str:
    """Take the other side's words from the answer to something it turned down."""
    try:
        told = reply.json()
    except Unreadable:
        return tidy(reply.content[: 4 * SAID_LIMIT].decode("utf-8", "replace"))
    if not isinstance(told, dict):
        return ""
    names = ("code", "reason", "title", "detail", "message")
    return tidy(": ".join(str(told[name]) for name in names if isinstance(told.get(name), str)))
