"""A technician's phone in the technician's hand: the reference phone, signed in, on the network of
the place where its owner stands.

What can be done without a network is done on the phone, whose queue brings it up. What asks for an
answer on the spot is asked online, after stepping outside if need be.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import orjson

from app.core.db import new_id
from app.demo.day import Day, Tally
from app.demo.line import FIRST_PAUSE, LONGEST_PAUSE, TRIES, LineDead, Reply
from app.demo.network import Counts, Network
from app.phone.line import NoSignal, Refused, SignInNeeded
from app.phone.phone import Phone
from app.phone.rules import Stage
from app.phone.store import Done

Out = TypeVar("Out")
DONE = (Stage.WAITING, Stage.APPLIED)


class Hand:
    """One technician's phone, with which everything is sent again until it is answered."""

    def __init__(
        self,
        phone: Phone,
        network: Network,
        account: tuple[str, str],
        counts: Counts,
        tally: Tally,
    ) -> None:
        self.phone = phone
        self._network = network
        self._account = account
        self._counts = counts
        self._tally = tally
        self._listening: asyncio.Task[None] | None = None

    # --- with a network, and without one ----------------------------------------------------------

    @property
    def dark(self) -> bool:
        """Tell whether there is no network here."""
        return self._network.dark

    async def switch_on(self) -> None:
        """Sign in, unless the phone is let in still, and begin to listen."""
        if self.phone.store["tokens"] is None:
            await self._served(self._sign_in)
        await self._served(self.phone.server.register)
        await self.come_out()

    async def switch_off(self) -> None:
        """Stop to listen."""
        if self._listening is not None:
            self._listening.cancel()
            # Whatever has ended it before is told by the pull.
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None

    async def go_dark(self) -> None:
        """Go to where there is no network."""
        self._network.dark = True
        await self.switch_off()

    async def come_out(self) -> None:
        """Come to where there is a network, and hear of changes from now on."""
        if self.dark:
            self._tally.offline += len(self.phone.store.done(waiting=True))
        self._network.dark = False
        if self._listening is None or self._listening.done():
            await self.switch_off()
            self._listening = asyncio.create_task(self.phone.listen())

    @asynccontextmanager
    async def outside(self) -> AsyncIterator[None]:
        """Step outside for what can be done only there, and go back in."""
        dark = self.dark
        if dark:
            await self.come_out()
            await self.sync()
        yield
        if dark:
            await self.go_dark()

    async def news(self, day: Day, within: timedelta) -> None:
        """Wait until there is something to pull, but no longer than so much business time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(within.total_seconds() / day.speed, 1.0)):
                await self.phone.news.wait()

    # --- doing ------------------------------------------------------------------------------------

    def do(self, kind: str, **payload: Any) -> str:
        """Keep that something was done; return the action's id."""
        return self.phone.do(kind, payload)

    async def step(self, kind: str, **payload: Any) -> Done:
        """Do something, and look what became of it; in the dark that is not known yet."""
        return await self.verdict(self.do(kind, **payload))

    async def made(self, kind: str, **payload: Any) -> Done:
        """Do what makes a thing, whose id is the phone's."""
        return await self.step(kind, id=str(new_id()), **payload)

    async def verdict(self, action_id: str) -> Done:
        """Sync, and look what became of something that was done."""
        await self.sync()
        return self.phone.store.one_done(action_id)

    def facts(self, done: Done) -> dict[str, Any]:
        """Give the facts of a refusal, which came with the pull."""
        row = self.phone.store.row("actions", done.id)
        found: dict[str, Any] = orjson.loads(row["facts"]) if row and row["facts"] else {}
        return found

    async def sync(self) -> None:
        """Send what was done and pull what has changed; in the dark that waits."""
        if self.dark:
            return
        waiting = self.phone.store.done(waiting=True)
        await self._served(self.phone.sync)
        for one in waiting:
            self._tally.judged(self.phone.store.one_done(one.id))

    # --- asking -----------------------------------------------------------------------------------

    async def ask(
        self, path: str, body: Any = None, *, method: str = "POST", etag: str | None = None
    ) -> Reply:
        """Ask for an answer on the spot; in the dark, after stepping outside."""
        headers = {"if-none-match": etag} if etag else {}
        given = {} if method == "GET" else {"json": body}

        async def ask() -> Reply:
            answer = await self.phone.line.ask(method, path, headers=headers, **given)
            read = answer.json() if answer.content else None
            return Reply(answer.status_code, read, answer.headers.get("etag"))

        async with self.outside():
            try:
                return await self._served(ask)
            except Refused as no:
                return Reply(no.status, {"type": f":{no.slug}", "facts": no.facts})

    async def get(self, path: str, *, etag: str | None = None) -> Reply:
        """Read something."""
        return await self.ask(path, method="GET", etag=etag)

    async def template(self, order_id: str) -> Mapping[str, Any]:
        """Give what an order asks for: the phone knows it, or asks."""
        return await self._served(lambda: self.phone.template(order_id))

    async def _sign_in(self) -> None:
        # All phones of the demo come from one address, whose tries at one time are limited.
        async with self._counts.door:
            await self.phone.line.sign_in(*self._account)

    async def _served(self, ask: Callable[[], Awaitable[Out]]) -> Out:
        pause, last = FIRST_PAUSE, ""
        for _ in range(TRIES):
            try:
                return await ask()
            except NoSignal as lost:
                last = str(lost)
                self._counts.sent_again += 1
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            except SignInNeeded:
                await self._served(self._sign_in)
        raise LineDead(f"{self._account[0]}: given up after {TRIES} tries, the last: {last}")
