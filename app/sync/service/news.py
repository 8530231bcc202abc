"""Who has news: what each API process knows of the feed without asking for one technician alone.

One statement tells for whom something was committed since the one before it, and all who wait ask
it together: a thousand polls a second cost PostgreSQL what twenty-five do. It is asked, and not
told by messages, since PostgreSQL lets transactions that send one commit one after the other, and
every step of every technician would be such a transaction.

Whoever waits is answered by a look that began after they had come. So what a phone has written by
one process is news for its next poll at any other, and nothing is known too late. What cannot be
said for certain, as after the connection was lost or the database was restored, is news for
everybody.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg

from app.core.db import Database
from app.core.errors import Problem
from app.core.log import log
from app.sync.queries import feed
from app.sync.rules.tables import EVERYBODY

# Seconds. Two looks begin at least so far apart unless many wait, and while somebody watches at
# most so far; after one that went wrong the next one that nobody waits for is later.
GATHER = 0.04
WATCHED = 0.25
WRONG = 1.0
# A look that takes longer than this is given up, and whoever waits asks for themselves.
LONGEST = 2.0
# After so many seconds in which nobody asked it is not looked up what has happened meanwhile.
LONG_AGO = 300.0
# So many wait no longer for others: a look costs each of them next to nothing.
MANY = 50
# For so many technicians it is kept when they last had news; then all are taken to have some.
REMEMBERED = 200_000


class Watch:
    """Somebody who waits for a technician's news; however much there is, they hear of it once."""

    __slots__ = ("_something", "over")

    def __init__(self) -> None:
        self._something = asyncio.Event()
        self.over = False

    def tell(self, *, over: bool = False) -> None:
        """Hear that there may be news, or that there will be none any more."""
        self.over = self.over or over
        self._something.set()

    async def next(self, *, within: float) -> bool:
        """Wait for news, at most `within` seconds; tells whether there may be any."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._something.wait()
        heard = self._something.is_set() and not self.over
        if heard:
            self._something.clear()
        return heard


class News:
    """What a process knows of who has news. It looks when somebody asks, and four times a second
    while anybody watches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looks = 0
        # The look that last brought a technician news, and the one that brought it to everybody.
        self._brought: dict[UUID, int] = {}
        self._to_all = 0
        self._before: feed.Heard | None = None
        self._began = 0.0
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[bool] | None = None
        # How many wait for the next look, and whether these are many.
        self._waiting = 0
        self._many = asyncio.Event()
        self._looking: set[asyncio.Task[bool]] = set()
        self._watches: dict[UUID, set[Watch]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._stopped = False

    def mark(self, technician_id: UUID) -> int:
        """Return a number that becomes another one when a technician may have news.

        It is this process's own, and as of its last look; `caught_up` looks again.
        """
        return max(self._brought.get(technician_id, 0), self._to_all)

    @property
    def position(self) -> int:
        """Up to which transaction of the database, in its own numbers, everything was told by the
        last look; 0 when this is not known. The same for all processes."""
        return int(self._before.snapshot.partition(":")[0]) if self._before is not None else 0

    async def caught_up(self) -> bool:
        """Wait until all is known that was committed before now; tells whether it is."""
        self._waiting += 1
        if self._waiting >= MANY:
            self._many.set()
        if self._next is None:
            self._next = asyncio.create_task(self._look(), name="news")
            self._looking.add(self._next)
            self._next.add_done_callback(self._looking.discard)
        # Whoever goes away does not take the others' look with them.
        return await asyncio.shield(self._next)

    @contextmanager
    def watching(self, technician_id: UUID) -> Iterator[Watch]:
        """Watch a technician's news from now on."""
        watch = Watch()
        self._watches.setdefault(technician_id, set()).add(watch)
        if self._stopped:
            watch.tell(over=True)
        elif self._watching is None:
            self._watching = asyncio.create_task(self._keep_looking(), name="news for who watches")
        try:
            yield watch
        finally:
            others = self._watches[technician_id]
            others.discard(watch)
            if not others:
                del self._watches[technician_id]

    async def of(self, technician_id: UUID, *, within: float) -> AsyncIterator[int | None]:
        """Give a technician's `mark` each time it becomes another one; None when nothing has
        happened for `within` seconds. It ends when the process is to end."""
        with self.watching(technician_id) as watch:
            while not watch.over:
                heard = await watch.next(within=within)
                if not watch.over:
                    yield self.mark(technician_id) if heard else None

    def stop(self) -> None:
        """Let everybody who watches know that there will be no more."""
        self._stopped = True
        for watches in self._watches.values():
            for watch in watches:
                watch.tell(over=True)

    async def close(self) -> None:
        """End all looking."""
        self.stop()
        tasks = [*self._looking, *([self._watching] if self._watching is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> bool:
        loop = asyncio.get_running_loop()
        async with self._turn:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._began + GATHER):
                    await self._many.wait()
            # Whoever comes from now on waits for the next look, since this one has begun.
            self._next, last, self._began = None, self._began, loop.time()
            self._waiting = 0
            self._many.clear()
            if self._began - last > LONG_AGO:
                self._before = None
            before = self._before.snapshot if self._before is not None else None
            try:
                async with asyncio.timeout(LONGEST), self._database.hot(fresh=True) as driver:
                    found = await feed.heard(driver, before)
            except (Problem, psycopg.Error, OSError, TimeoutError) as error:
                log.warning("who has news is not known", reason=str(error).strip())
                self._before = None
                return False
            self._hear(found)
            return True

    def _hear(self, found: feed.Heard) -> None:
        self._looks += 1
        unsure = (
            self._before is None
            or self._before.life != found.life
            or len(self._brought) > REMEMBERED
        )
        self._before = found
        if unsure or EVERYBODY in found.technicians:
            self._to_all = self._looks
            self._brought.clear()
            concerned = list(self._watches)
        else:
            self._brought.update(dict.fromkeys(found.technicians, self._looks))
            concerned = [one for one in found.technicians if one in self._watches]
        for technician_id in concerned:
            for watch in self._watches[technician_id]:
                watch.tell()

    async def _keep_looking(self) -> None:
        while self._watches and not self._stopped:
            known = await self.caught_up()
            await asyncio.sleep(WATCHED if known else WRONG)
        self._watching = None
