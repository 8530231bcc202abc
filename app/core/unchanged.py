"""What is edited by several people: nobody overwrites what they have not seen (`If-Match`).

A resource's tag is made of the very bytes that a reader is given, so whatever can be read and
replaced under one address has one, without a column of its own.
"""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.core.db import ONCE, Database, fetched
from app.core.errors import Problem
from app.core.i18n import Words

IF_MATCH = "if-match"

# How the tag of a packed answer ends: other bytes have another strong tag (RFC 9110, 8.8.3.3).
_PACKED = '-gzip"'


class PreconditionFailed(Problem):
    slug, status = "changed-meanwhile", 412
    title = Words(zh="内容已被他人修改", en="It was changed by somebody else meanwhile")
    advice = Words(
        zh="您看到的是 {seen}，现在是 {current}。请重新读取，再作修改。",
        en="You have seen {seen}, and it is {current} now: read it again before you change it.",
    )


class NothingToMatch(Problem):
    slug, status = "nothing-to-match", 412
    title = Words(zh="此处无法核对 If-Match", en="If-Match cannot be checked here")
    advice = Words(
        zh="这里的内容没有可读取的 ETag，因此未作任何修改；请去掉 If-Match 后再提交。",
        en="Nothing that is read here has a tag, so nothing was changed: send it without If-Match.",
    )


def tag_of(body: bytes) -> str:
    """Make the tag of exactly these bytes."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def _tags(said: str) -> list[str]:
    return [one.strip().removeprefix("W/").replace(_PACKED, '"') for one in said.split(",")]


def known(said: str | None, tag: str) -> bool:
    """Tell whether a reader has what has this tag, packed or not, by their `If-None-Match`."""
    return said is not None and tag in _tags(said)


def tagged(request: Request, answer: Response) -> Response:
    """Give an answer its tag; a reader that has these very bytes is told 304 instead."""
    if answer.status_code != 200:
        return answer
    answer.headers["etag"] = tag = tag_of(bytes(answer.body))
    answer.headers["cache-control"] = "private, no-cache"
    if not known(request.headers.get("if-none-match"), tag):
        return answer
    return Response(status_code=304, headers={"etag": tag, "cache-control": "private, no-cache"})


class Packing(GZipMiddleware):
    """Packs answers for who can unpack them, and gives a packed one a strong tag of its own.

    Whoever asks with that tag whether there is news is answered with it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                _tell_apart(message, scope)
            await send(message)

        await super().__call__(scope, receive, sending)


def _tell_apart(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(raw=message["headers"])
    tag = headers.get("etag")
    if tag is None or tag.startswith("W/") or tag.endswith(_PACKED):
        return
    of_packed = tag[:-1] + _PACKED
    packed = headers.get("content-encoding") == "gzip"
    if packed or (
        message["status"] == 304 and of_packed in Headers(scope=scope).get("if-none-match", "")
    ):
        headers["etag"] = of_packed


class Unchanged:
    """A change that is made only of what its sender has seen.

    Those who send `If-Match` to one address take turns, so that of two who have seen the same one
    is told.
    """

    def __init__(self, request: Request, read: Callable[[], Awaitable[Response]]) -> None:
        self._place = f"{request.url.path}?{request.url.query}"
        self._seen = request.headers[IF_MATCH]
        self._read = read

    async def begin(self, tx: AsyncSession) -> None:
        """Look, in turn, whether it is still what was seen. Raises PreconditionFailed."""
        await fetched(tx, _TURN, {"place": self._place})
        answer = await self._read()
        if answer.status_code != 200:
            # Not there, or not to be read by them: the doorway itself says so.
            return
        current = tag_of(bytes(answer.body))
        if self._seen.strip() != "*" and current not in _tags(self._seen):
            raise PreconditionFailed(seen=self._seen, current=current)

    async def keep(self, tx: AsyncSession) -> None:
        """Keep nothing: it can be sent again as it is."""

    async def keep_refusal(self, database: Database, problem: Problem) -> None:
        """Keep nothing."""


_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('edit ' || %(place)s, 0))::text"


async def asked_of(app: Any, request: Request) -> Response:
    """Ask a doorway what it would answer to a reader with the same rights, at the same address."""
    aside = (b"if-match", b"if-none-match", b"content-type", b"content-length")
    scope = {
        **request.scope,
        "method": "GET",
        "headers": [one for one in request.scope["headers"] if one[0] not in aside],
        # A reader that needs a transaction has a plain one, or it would ask itself again.
        ONCE: None,
    }
    body, status = bytearray(), 500

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def collect(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        body.extend(message.get("body", b""))

    await app(scope, nothing, collect)
    return Response(bytes(body), status_code=status)
