"""A line to the API as a phone has it: requests get lost, answers get lost, taps come twice.

Whoever speaks through it sends the same request again until it is answered, which is safe because
every step has an id made by the phone. So the demo shows in passing what the API is built for.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from app.core.clock import wall

TRIES = 60
LONGEST_PAUSE = 2.0
# A token lives for minutes; it is renewed well before its end.
RENEW_AFTER = timedelta(minutes=10)


class LineDead(Exception):
    """Nobody has answered for so long that the demo gives up."""


@dataclass
class Trouble:
    """What goes wrong on a line, as shares of its requests."""

    request_lost: float = 0.0
    answer_lost: float = 0.0
    sent_twice: float = 0.0


@dataclass
class Counts:
    """What the lines of a demo have seen."""

    requests: int = 0
    sent_again: int = 0
    doubled: int = 0
    not_modified: int = 0
    door: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(3))
    refused: dict[str, int] = field(default_factory=dict)


@dataclass
class Reply:
    """An answer: its status and body; `problem` is the slug of a refusal."""

    status: int
    body: Any
    etag: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether it was done."""
        return self.status < 400

    @property
    def problem(self) -> str:
        """Give the slug of a refusal, empty for anything else."""
        if self.ok or not isinstance(self.body, dict):
            return ""
        return str(self.body.get("type", "")).rpartition(":")[2]


class Line:
    """One account's way to the API."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        username: str,
        password: str,
        counts: Counts,
        *,
        trouble: Trouble | None = None,
        luck: random.Random | None = None,
        system: bool = False,
    ) -> None:
        self._http = http
        self._username = username
        self._password = password
        self._counts = counts
        self._system = system
        self._trouble = trouble or Trouble()
        self._luck = luck or random.Random(0)
        self._token = ""
        self._renew_at = wall()

    async def sign_in(self) -> None:
        """Get an access token: a person with name and password, a system with its credentials."""
        if self._system:
            form = {
                "grant_type": "client_credentials",
                "client_id": self._username,
                "client_secret": self._password,
            }
        else:
            form = {
                "grant_type": "password",
                "username": self._username,
                "password": self._password,
            }
        # All phones of the demo come from one address, whose tries at one time are limited.
        async with self._counts.door:
            reply = await self._until_answered("POST", "/v1/auth/token", {"data": form})
        if not reply.ok:
            raise LineDead(f"{self._username} cannot sign in: {reply.body}")
        self._token = reply.body["access_token"]
        self._renew_at = wall() + RENEW_AFTER

    async def get(
        self, path: str, *, etag: str | None = None, params: Mapping[str, Any] | None = None
    ) -> Reply:
        """Ask for something."""
        headers = {"if-none-match": etag} if etag else {}
        return await self._authorized("GET", path, {"headers": headers, "params": params or {}})

    async def post(self, path: str, body: Any) -> Reply:
        """Do something; sent again until it is answered."""
        return await self._authorized("POST", path, {"json": body, "headers": {}})

    async def put(self, path: str, body: Any) -> Reply:
        """Set something; sent again until it is answered."""
        return await self._authorized("PUT", path, {"json": body, "headers": {}})

    async def send(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        """Send bytes, or headers alone, as uploads do; sent again until it is answered."""
        return await self._authorized(method, path, {"content": content, "headers": dict(headers)})

    async def post_lines(self, path: str, lines: bytes) -> Reply:
        """Send many orders at once, one JSON object a line."""
        given = {"content": lines, "headers": {"content-type": "application/x-ndjson"}}
        return await self._authorized("POST", path, given)

    async def pages(
        self, path: str, rows: str, params: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """Ask for all pages of a list."""
        found: list[Any] = []
        asked = {"size": 200, **(params or {})}
        while True:
            reply = await self.get(path, params=asked)
            if not reply.ok:
                raise LineDead(f"{path}: {reply.body}")
            found += reply.body[rows]
            if reply.body["next_page_token"] is None:
                return found
            asked["page_token"] = reply.body["next_page_token"]

    async def _authorized(self, method: str, path: str, given: dict[str, Any]) -> Reply:
        if wall() >= self._renew_at:
            await self.sign_in()
        given["headers"] = {**given["headers"], "authorization": f"Bearer {self._token}"}
        reply = await self._until_answered(method, path, given)
        if not reply.ok:
            slug = reply.problem or str(reply.status)
            self._counts.refused[slug] = self._counts.refused.get(slug, 0) + 1
        return reply

    async def _until_answered(self, method: str, path: str, given: dict[str, Any]) -> Reply:
        pause = 0.1
        answer = None
        for _ in range(TRIES):
            answer = await self._once(method, path, given)
            if answer is not None and answer.status_code not in (502, 503, 429):
                return _reply(answer)
            self._counts.sent_again += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        last = "no answer" if answer is None else f"{answer.status_code} {answer.text[:300]}"
        raise LineDead(f"{method} {path}: given up after {TRIES} tries, the last: {last}")

    async def _once(self, method: str, path: str, given: dict[str, Any]) -> httpx.Response | None:
        """Send once; None when the request or its answer was lost."""
        trouble, luck = self._trouble, self._luck
        self._counts.requests += 1
        if luck.random() < trouble.request_lost:
            return None
        try:
            if method == "POST" and luck.random() < trouble.sent_twice:
                self._counts.doubled += 1
                first, _ = await asyncio.gather(
                    self._http.request(method, path, **given),
                    self._http.request(method, path, **given),
                )
            else:
                first = await self._http.request(method, path, **given)
        except httpx.HTTPError:
            return None
        if first.status_code == 304:
            self._counts.not_modified += 1
        return None if luck.random() < trouble.answer_lost else first


def _reply(answer: httpx.Response) -> Reply:
    kind = answer.headers.get("content-type", "")
    body = answer.json() if "json" in kind and "ndjson" not in kind else answer.text
    return Reply(answer.status_code, body, answer.headers.get("etag"))
