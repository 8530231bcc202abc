"""Around each request: its id, log line and metrics, the time here, and how bodies come and go."""

import functools
import re
import time
import zlib
from collections.abc import MutableMapping
from datetime import UTC
from typing import Any

import structlog
from fastapi import Request
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.clock import Clock
from app.core.db import new_id
from app.core.errors import Malformed, Problem, TooLarge, UnsupportedEncoding
from app.core.http import MOST_BYTES, STREAMED, render
from app.core.log import log

_SECONDS = Histogram(
    "yingwei_http_request_seconds",
    "Time from the request's first byte to the answer's last.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_ANSWERS = Counter("yingwei_http_answers_total", "Answers by status.", ["route", "status"])


# Answers lighter than this gain nothing by being packed; those that go on (server-sent events) and
# pictures are left as they are.
PACKED_FROM = 1_000
# Of the nine levels, this one takes a third of the time of the last and loses a hundredth.
PACKED_AT = 4

# What is put into a request's scope when its answer is nothing to log.
QUIET = "yingwei.quiet"

_REQUEST_ID = re.compile(r"^[A-Za-z0-9\-]{8,64}$")
_UNEXPECTED = Problem()


class Surroundings:
    """ASGI middleware: request id, the time here, log line, metrics, how much a body may weigh,
    packed or not, and a last resort for what nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0
        began = time.perf_counter()
        clock: Clock = scope["app"].state.clock
        receiving = _Weighing(scope, receive)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                    (b"x-server-time", _told(clock)),
                ]
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        except Exception:
            # The path itself may hold the secret of a link.
            unmet = getattr(scope.get("route"), "path", "unmatched")
            log.exception("unexpected", route=unmet)
            if status == 0:
                await render(Request(scope), _UNEXPECTED)(scope, receive, sending)
            else:
                raise
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "unmatched")
            taking, answers = _counted(scope["method"], route, status)
            taking.observe(seconds)
            answers.inc()
            # Phones ask again and again whether there is news: that is counted, and told only to
            # whoever looks closely.
            tell = log.debug if QUIET in scope else log.info
            tell(
                "answered",
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )
            structlog.contextvars.clear_contextvars()


@functools.lru_cache(maxsize=4096)
def _counted(method: str, route: str, status: int) -> tuple[Histogram, Counter]:
    """Give what a doorway's answers are counted by, which takes longer to find than to use."""
    return _SECONDS.labels(method, route), _ANSWERS.labels(route, str(status))


def _request_id(scope: MutableMapping[str, Any]) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            if _REQUEST_ID.match(given):
                return given
    return new_id().hex


def _told(clock: Clock) -> bytes:
    """Write the time by which this server judges, in UTC and to the millisecond."""
    now = clock.now()
    if now.tzinfo is not UTC:
        now = now.astimezone(UTC)
    return now.isoformat(timespec="milliseconds")[:-6].encode() + b"Z"


class _Weighing:
    """Receives a body, unpacks it if it is packed with gzip, and weighs it as it comes.

    What is unpacked is weighed too, and nothing is unpacked beyond the limit, so that a small body
    cannot become a large one. Doorways that read a body piece by piece take it as it comes.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive
        self._taken = 0
        said = b"".join(value for name, value in scope["headers"] if name == b"content-encoding")
        self._encoding = said.strip().lower().decode("latin-1")
        self._unpacking = zlib.decompressobj(wbits=31) if self._encoding == "gzip" else None

    async def __call__(self) -> Message:
        """Receive the next part. Raises TooLarge, Malformed and UnsupportedEncoding."""
        message = await self._receive()
        if message["type"] != "http.request" or STREAMED in self._scope:
            return message
        if self._unpacking is not None:
            message = {**message, "body": self._unpacked(message)}
        elif self._encoding not in ("", "identity"):
            raise UnsupportedEncoding(accepted=["gzip"])
        self._taken += len(message.get("body", b""))
        if self._taken > MOST_BYTES:
            raise TooLarge(limit=f"{MOST_BYTES} bytes")
        return message

    def _unpacked(self, message: Message) -> bytes:
        assert self._unpacking is not None
        try:
            part = self._unpacking.decompress(
                message.get("body", b""), MOST_BYTES - self._taken + 1
            )
        except zlib.error as error:
            raise Malformed(reason="not gzip") from error
        whole = not message.get("more_body", False)
        if whole and self._taken + len(part) <= MOST_BYTES and not self._unpacking.eof:
            raise Malformed(reason="gzip that breaks off")
        return part
