"""The way out to the ordering system: TMF622 v4 over HTTP, with every failure given its meaning.

Nothing is tried twice in here; `rules.after_failure` decides that over the lifetime of an order.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote

import httpx
import orjson

from app.core import clock
from app.core.db import new_id
from app.ordering import codec_v4
from app.ordering.order import OrderToPlace, RemoteOrder
from app.ordering.rules import Cause, NotSent, OrderingFailed, Refused, Unknown

# What `find` asks for; `id` and `href` always come along (TMF630).
_FIELDS = "id,href,externalId,state,orderDate,cancellationReason,note,productOrderItem"
_FIND_LIMIT = 50
_SAID_LIMIT = 300


@dataclass(frozen=True)
class _Reply:
    """An answer whose head and, unless `cropped`, whole body arrived in time."""

    status: int
    headers: httpx.Headers
    content: bytes
    cropped: bool
    request_id: str

    def json(self) -> Any:
        """Read the body; raises Unreadable when it is too large, encoded or not JSON."""
        if self.cropped:
            raise codec_v4.Unreadable("the answer is too large or encoded")
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise codec_v4.Unreadable("the answer is not JSON") from error


class OrderingClient:
    """One ordering system's TMF622 v4 API.

    `base_url` ends where `/productOrder` begins; `token` is sent as a bearer token; `time_limit`
    is for a whole exchange, body included, in seconds; answers above `body_limit` bytes are not
    read. Close it with `aclose()` or use it in `async with`.

    Every verb raises NotSent, Unknown or Refused, and nothing else of its own.
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
    ) -> None:
        self._base = base_url.rstrip("/") + "/"
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
            limits=httpx.Limits(max_connections=connections),
        )

    async def __aenter__(self) -> Self:
        """Use the client for a while."""
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

    async def place(self, order: OrderToPlace) -> RemoteOrder:
        """Send an order (`POST /productOrder`) and return what the other side made of it.

        201, 202 and any other success are the same to us: it has the order. Raises NotSent,
        Unknown or Refused.
        """
        reply = await self._exchange("POST", "productOrder", body=codec_v4.body_of(order))
        if not 200 <= reply.status < 300:
            _fail(reply)
        try:
            placed = self._read_placed(reply)
        except codec_v4.Unreadable as error:
            # It was taken, but under which number? Looking will tell.
            raise _unreadable(reply, error) from error
        if placed.external_id not in (None, order.external_id):
            raise _unreadable(reply, f"externalId {placed.external_id} is not the one we sent")
        return placed

    async def find(self, external_id: str) -> RemoteOrder | None:
        """Look for our order; None means that the other side surely does not have it now.

        Should it have several, the oldest is returned. Raises NotSent, Unknown or Refused.
        """
        found = await self.find_all(external_id)
        return found[0] if found else None

    async def find_all(self, external_id: str) -> Sequence[RemoteOrder]:
        """Look for every order with our id (`GET /productOrder?externalId=`), oldest first.

        More than one means that an order was doubled. Raises NotSent, Unknown or Refused.
        """
        params = {"externalId": external_id, "fields": _FIELDS, "limit": str(_FIND_LIMIT)}
        reply = await self._exchange("GET", "productOrder", params=params)
        if reply.status == 204 or (reply.status == 404 and _said(reply)[1]):
            return []  # how some systems say that nothing matches
        if reply.status not in (200, 206):
            _fail(reply)
        try:
            rows = reply.json()
            if not isinstance(rows, list):
                raise codec_v4.Unreadable("the answer is not a list")
            found = [codec_v4.read_order(row, self._base) for row in rows]
        except codec_v4.Unreadable as error:
            raise _unreadable(reply, error) from error
        if any(order.external_id != external_id for order in found):
            # A server that ignores the filter shows us a page of others' orders; ours may stand on
            # the next page, and "not found" would make us send a second one.
            raise Unknown(Cause.FILTER_IGNORED, answered=reply.status, sent_as=reply.request_id)
        # Without a time an order counts as the youngest; ids only settle the order of equals.
        latest = datetime.max.replace(tzinfo=UTC)
        return sorted(found, key=lambda order: (order.ordered_at or latest, order.id))

    async def get(self, order_id: str) -> RemoteOrder | None:
        """Read one order by the other side's id; None when it says there is none.

        Raises NotSent, Unknown or Refused.
        """
        reply = await self._exchange("GET", f"productOrder/{quote(order_id, safe='')}")
        if reply.status == 404 and _said(reply)[1]:
            return None
        if reply.status != 200:
            _fail(reply)
        try:
            return codec_v4.read_order(reply.json(), self._base)
        except codec_v4.Unreadable as error:
            raise _unreadable(reply, error) from error

    def _read_placed(self, reply: _Reply) -> RemoteOrder:
        """Read the order just placed: from the body or, where that is empty, from Location."""
        if reply.content or reply.cropped:
            return codec_v4.read_order(reply.json(), self._base)
        return codec_v4.read_order({"href": reply.headers.get("location")}, self._base)

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> _Reply:
        """Send one request and read its answer within the limits of time and size."""
        request_id = self._request_id()
        headers = {"X-Request-Id": request_id}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                # httpx limits each wait; this limits them together, against an answer that drips.
                asyncio.timeout(self._time_limit),
                self._http.stream(
                    method,
                    self._base + path,
                    params=params,
                    headers=headers,
                    content=None if body is None else orjson.dumps(body),
                ) as answer,
            ):
                content, cropped = await self._read(answer)
                return _Reply(answer.status_code, answer.headers, content, cropped, request_id)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _failed(NotSent, Cause.UNREACHABLE, error, request_id) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise _failed(NotSent, Cause.WRONG_ADDRESS, error, request_id) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _failed(Unknown, Cause.TIMED_OUT, error, request_id) from error
        except httpx.HTTPError as error:
            raise _failed(Unknown, Cause.CUT, error, request_id) from error

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


# --- what an answer other than success means ----------------------------------------------------


def _fail(reply: _Reply) -> NoReturn:
    """Raise what an answer other than the expected one means for the order."""
    status = reply.status
    said, by_the_api = _said(reply)
    kind: type[OrderingFailed]
    if status in (401, 403, 407):
        kind, cause = NotSent, Cause.SIGN_IN
    elif status in (425, 429):
        kind, cause = NotSent, Cause.BUSY
    elif 300 <= status < 400 or (status in (404, 405) and not by_the_api):
        # A gateway spoke, not the ordering system; no order can be blamed for it.
        kind, cause = NotSent, Cause.WRONG_ADDRESS
    elif status == 408:
        kind, cause = Unknown, Cause.TIMED_OUT
    elif status == 409:
        kind, cause = Unknown, Cause.CONFLICT
    elif 400 <= status < 500:
        kind, cause = Refused, Cause.REFUSED
    elif status >= 500:
        kind, cause = Unknown, Cause.SERVER_ERROR
    else:
        kind, cause = Unknown, Cause.UNREADABLE
    raise kind(
        cause,
        said=said or f"HTTP {status}",
        retry_after=_retry_after(reply.headers),
        answered=status,
        sent_as=reply.request_id,
    )


def _failed(
    kind: type[OrderingFailed], cause: Cause, error: Exception, request_id: str
) -> OrderingFailed:
    return kind(cause, said=_tidy(str(error) or type(error).__name__), sent_as=request_id)


def _unreadable(reply: _Reply, why: object) -> Unknown:
    return Unknown(
        Cause.UNREADABLE, said=_tidy(str(why)), answered=reply.status, sent_as=reply.request_id
    )


def _said(reply: _Reply) -> tuple[str, bool]:
    """Take the other side's words, and whether they are an error of the API (TMF630's shape)."""
    try:
        error = reply.json()
    except codec_v4.Unreadable:
        return _tidy(reply.content[: 4 * _SAID_LIMIT].decode("utf-8", "replace")), False
    if not isinstance(error, dict):
        return "", False
    words = [text for name in ("reason", "message") if isinstance(text := error.get(name), str)]
    return _tidy(": ".join(dict.fromkeys(words))), "code" in error and "reason" in error


def _tidy(text: str) -> str:
    """Make foreign text fit for a log line, a database and a screen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_SAID_LIMIT]


def _retry_after(headers: httpx.Headers) -> timedelta | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds or a date; None when absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        # Nine digits are thirty years; more would only overflow.
        return timedelta(seconds=int(text[:9]))
    try:
        return max(parsedate_to_datetime(text) - clock.wall(), timedelta())
    except (ValueError, TypeError):
        return None
