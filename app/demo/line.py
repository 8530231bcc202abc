"""A line of an office to the API: supervisors, administrators and the systems that send orders.

What technicians do goes through their phones, see `app.demo.hand`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from app.core.clock import wall
from app.demo.network import Counts

TRIES = 60
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# A token lives for minutes; it is renewed well before its end.
RENEW_AFTER = timedelta(minutes=10)


class LineDead(Exception):
    """Nobody has answered for so long that the demo gives up."""


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
    """One account's way to the API; a person has a name and a password, a system credentials."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        username: str,
        password: str,
        counts: Counts,
        *,
        system: bool = False,
    ) -> None:
        self._http = http
        self._counts = counts
        self._username = username
        self._form = (
            {
                "grant_type": "client_credentials",
                "client_id": username,
                "client_secret": password,
            }
            if system
            else {"grant_type": "password", "username": username, "password": password}
        )
        self._token = ""
        self._renew_at = wall()

    async def sign_in(self) -> None:
        """Get an access token."""
        # Everybody in the demo comes from one address, whose tries at one time are limited.
        async with self._counts.door:
            reply = await self._until_answered("POST", "/v1/auth/token", {"data": self._form})
        if not reply.ok:
            raise LineDead(f"{self._username} cannot sign in: {reply.body}")
        self._token = reply.body["access_token"]
        self._renew_at = wall() + RENEW_AFTER

    async def get(self, path: str, *, params: Mapping[str, Any] | None = None) -> Reply:
        """Ask for something."""
        return await self._authorized("GET", path, {"headers": {}, "params": params or {}})

    async def post(self, path: str, body: Any) -> Reply:
        """Do something; sent again until it is answered."""
        return await self._authorized("POST", path, {"json": body, "headers": {}})

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
        return await self._until_answered(method, path, given)

    async def _until_answered(self, method: str, path: str, given: dict[str, Any]) -> Reply:
        pause, last = FIRST_PAUSE, "no answer"
        for _ in range(TRIES):
            try:
                answer = await self._http.request(method, path, **given)
                if answer.status_code not in (502, 503, 429):
                    return _reply(answer)
                last = f"{answer.status_code} {answer.text[:300]}"
            except httpx.HTTPError as error:
                last = str(error) or type(error).__name__
            self._counts.sent_again += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        raise LineDead(f"{method} {path}: given up after {TRIES} tries, the last: {last}")


def _reply(answer: httpx.Response) -> Reply:
    kind = answer.headers.get("content-type", "")
    body = answer.json() if "json" in kind and "ndjson" not in kind else answer.text
    return Reply(answer.status_code, body, answer.headers.get("etag"))
