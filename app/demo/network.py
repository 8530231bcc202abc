"""The network between a phone or a system and the API: requests get lost, answers get lost, some
go twice, and in a cellar there is none.

Whoever speaks through it sends the same again until it is answered, which is safe because every
step has an id made by whoever takes it. So the demo shows in passing what the API is built for.
"""

import asyncio
import random
from dataclasses import dataclass, field

import httpx

# A stream is one request that goes on: it breaks off only where there is no network.
STREAM = "/v1/stream"


@dataclass(frozen=True)
class Trouble:
    """What goes wrong on a network, as shares of its requests."""

    request_lost: float = 0.0
    answer_lost: float = 0.0
    sent_twice: float = 0.0


@dataclass
class Counts:
    """What all networks of a demo have seen."""

    requests: int = 0
    sent_again: int = 0
    doubled: int = 0
    not_modified: int = 0
    streams: int = 0
    door: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(3))


class Network(httpx.AsyncBaseTransport):
    """One account's network, which has its own luck."""

    def __init__(
        self,
        to: httpx.AsyncBaseTransport,
        counts: Counts,
        trouble: Trouble | None = None,
        luck: random.Random | None = None,
    ) -> None:
        self._to = to
        self._counts = counts
        self._trouble = trouble or Trouble()
        self._luck = luck or random.Random(0)
        # Whether there is no network where the phone is now.
        self.dark = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on; raises ConnectError or ReadTimeout when it or its answer is lost."""
        if self.dark:
            raise httpx.ConnectError("no network")
        trouble, luck, counts = self._trouble, self._luck, self._counts
        if request.url.path == STREAM:
            counts.streams += 1
            return await self._to.handle_async_request(request)
        counts.requests += 1
        if luck.random() < trouble.request_lost:
            raise httpx.ConnectError("the request was lost")
        if request.method == "POST" and luck.random() < trouble.sent_twice:
            counts.doubled += 1
            answer, _ = await asyncio.gather(self._whole(request), self._whole(request))
        else:
            answer = await self._whole(request)
        counts.not_modified += answer.status_code == httpx.codes.NOT_MODIFIED
        if luck.random() < trouble.answer_lost:
            raise httpx.ReadTimeout("the answer was lost")
        return answer

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for all of its answer."""
        answer = await self._to.handle_async_request(request)
        try:
            await answer.aread()
        finally:
            await answer.aclose()
        return answer
