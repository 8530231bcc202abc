"""The reference phone in a technician's hand, and networks that lose what goes through them."""

from pathlib import Path
from random import Random
from typing import Any

import httpx

from app.phone.line import Line
from app.phone.phone import Phone as ReferencePhone
from app.phone.store import Store
from tests.make.visits import Phone


class BadNetwork(httpx.AsyncBaseTransport):
    """A network that loses requests and answers, and sends some twice, by its luck.

    `delayed` holds requests that arrive only when somebody lets them (`deliver`), long after the
    phone has given them up.
    """

    def __init__(self, to: httpx.AsyncBaseTransport, luck: Random, *, share: float) -> None:
        self.to = to
        self.luck = luck
        self.share = share
        self.delayed: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on, or lose it, or its answer."""
        await request.aread()
        drawn = self.luck.random() / self.share if self.share else 5.0
        if drawn < 0.3:
            raise httpx.ConnectError("the request was lost")
        if drawn < 0.5:
            self.delayed.append(request)
            raise httpx.ReadTimeout("the request is late")
        if drawn < 0.75:
            await self._sent(request)
            raise httpx.ReadTimeout("the answer was lost")
        if drawn < 1.0:
            await self._sent(request)
        return await self._sent(request)

    async def deliver(self) -> None:
        """Let what is late arrive; nobody waits for its answers any more."""
        late, self.delayed = self.delayed, []
        for request in late:
            await self._sent(request)

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        copy = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.content
        )
        answer = await self.to.handle_async_request(copy)
        await answer.aread()
        assert answer.status_code < 500, answer.text
        return answer


class Untagged(Store):
    """A store that never says what it knows: within one transaction, as tests that are rolled back
    are, no number tells a second change from the first."""

    def __setitem__(self, name: str, said: Any) -> None:
        super().__setitem__(name, None if name == "etag" else said)


def make_reference_phone(
    folder: Path,
    phone: Phone,
    http: httpx.AsyncClient | None = None,
    *,
    store: Store | None = None,
) -> ReferencePhone:
    """Give a technician the reference phone, signed in; the same folder is the same phone."""
    store = store or Untagged(folder)
    bearer = phone.headers["authorization"].removeprefix("Bearer ")
    store["tokens"] = {"access_token": bearer, "refresh_token": None}
    return ReferencePhone(store, Line(http or phone.http, store, lang="en"), phone.clock)
