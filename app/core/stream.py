"""What has changed, as PostgreSQL tells it: one listening connection a process, many who watch.

Triggers send a message in the transaction that changes something, so it is heard when, and only
when, that is committed, and by all processes in one order. It says ids alone. Who watches gets
what concerns them through a queue of their own, which is bounded: whoever is too slow is told that
something was missed, and so is everybody when the connection was lost. A lost message only delays.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from weakref import WeakSet

import orjson
import psycopg

from app.core.db import NOT_HELD_BY_SILENCE, Database, libpq_url, new_id
from app.core.errors import Unavailable
from app.core.log import log

CHANNEL = "changes"

# How many messages are known again to whoever comes back, and how many wait for one who is slow.
REMEMBERED = 4_096
WAITING = 512
# How long after a lost connection the next one is tried: twice as long each time.
SOONEST, LATEST = 0.2, 5.0
# A connection that says nothing for so many seconds is asked whether it is still there.
SILENCE = 20.0


class Message(NamedTuple):
    """One message: an id that no other has, and what it says."""

    id: str
    facts: Mapping[str, Any]


class Heard(NamedTuple):
    """What somebody who watches has heard: up to which message, and whether some were missed, in
    which case there are none. `over` says that nothing more will be heard, since the process ends.
    """

    last_id: str
    messages: list[Message]
    missed: bool
    over: bool


class Watch:
    """Somebody who watches: messages that concern them wait here until they are taken."""

    def __init__(self, concerns: Callable[[Mapping[str, Any]], bool], last_id: str) -> None:
        self._concerns = concerns
        self._waiting: deque[Message] = deque()
        self._missed = self._over = False
        self._last_id = last_id
        self._something = asyncio.Event()

    def tell(self, message: Message) -> None:
        """Hear of a message, if it concerns them."""
        self._last_id = message.id
        if self._missed or not self._concerns(message.facts):
            return
        self._waiting.append(message)
        if len(self._waiting) > WAITING:
            self.miss(message.id)
        self._something.set()

    def miss(self, last_id: str) -> None:
        """Hear that something was missed up to a message; what waits is of no use any more."""
        self._waiting.clear()
        self._missed, self._last_id = True, last_id
        self._something.set()

    def end(self) -> None:
        """Hear that nothing more will be heard."""
        self._over = True
        self._something.set()

    async def next(self, *, within: float, gather: float) -> Heard:
        """Wait for something to hear, at most `within` seconds, and gather for some seconds more
        what comes with it. No messages and none missed: nothing has happened."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._something.wait()
        if self._something.is_set() and not self._over:
            await asyncio.sleep(gather)
        heard = Heard(self._last_id, list(self._waiting), self._missed, self._over)
        self._waiting.clear()
        self._missed = False
        if not self._over:
            self._something.clear()
        return heard


class Changes:
    """The one listening connection of a process. It is opened for the first who watches, kept until
    `close`, and opened again when it is lost."""

    def __init__(self, database: Database) -> None:
        # A replica cannot listen.
        self._address = libpq_url(database.engine.url.render_as_string(hide_password=False))
        # Whoever has gone without a word is forgotten.
        self._watches: WeakSet[Watch] = WeakSet()
        self._remembered: deque[Message] = deque(maxlen=REMEMBERED)
        self._listening: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stopped = False

    async def watch(
        self, concerns: Callable[[Mapping[str, Any]], bool], *, since: str | None = None
    ) -> Watch:
        """Watch from now on what concerns somebody, for as long as they keep what is returned.

        `since` is the last message they know of: what came after it waits for them at once, or
        they are told that they have missed something, as is whoever knows of none. Raises
        Unavailable when PostgreSQL cannot be listened to.
        """
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="changes")
        try:
            async with asyncio.timeout(LATEST):
                await self._ready.wait()
        except TimeoutError as error:
            raise Unavailable(retry_after=2, reason="listening") from error
        watch = Watch(concerns, self._remembered[-1].id)
        known = [message.id for message in self._remembered]
        if since in known:
            for message in list(self._remembered)[known.index(since) + 1 :]:
                watch.tell(message)
        else:
            watch.miss(known[-1])
        if self._stopped:
            watch.end()
        self._watches.add(watch)
        return watch

    def stop(self) -> None:
        """Let everybody know that nothing more will be heard; a server that is to stop waits until
        its last answer is sent."""
        self._stopped = True
        for watch in self._watches:
            watch.end()

    async def close(self) -> None:
        """End the connection."""
        self.stop()
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
            self._listening = None

    async def _listen(self) -> None:
        wait = SOONEST
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._address,
                    autocommit=True,
                    connect_timeout=3,
                    **NOT_HELD_BY_SILENCE,
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._begin()
                    wait = SOONEST
                    while True:
                        async for one in connection.notifies(timeout=SILENCE):
                            self._tell(one.payload)
                        async with asyncio.timeout(SILENCE):
                            await connection.execute("SELECT 1")
            except (psycopg.Error, OSError) as error:
                self._ready.clear()
                log.warning("changes are not heard", reason=str(error).strip(), again_in=wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LATEST)

    def _begin(self) -> None:
        """Begin to listen: what was said meanwhile is not known, so what was heard before is of no
        use, and everybody has missed something. A message that nobody sent marks the beginning."""
        self._remembered.clear()
        self._remembered.append(Message(new_id().hex, {}))
        self._ready.set()
        for watch in self._watches:
            watch.miss(self._remembered[-1].id)

    def _tell(self, payload: str) -> None:
        try:
            facts = orjson.loads(payload)
            message = Message(facts["id"], facts)
        except (ValueError, KeyError, TypeError):
            log.warning("what was said on the channel cannot be read", channel=CHANNEL)
            return
        self._remembered.append(message)
        for watch in self._watches:
            watch.tell(message)
