"""The streams of phones in one process: who listens, what each is told, and when it ends.

What may have changed is asked for all who wait at once. A stream holds no events: it holds up to
where its phone has been told, and asks what came since when it is next able to send. So a slow
phone costs no memory, and one that comes back goes on where it was, at whichever process.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from uuid import UUID

import psycopg

from app.auth import audit
from app.auth.callers import Caller, technician_of
from app.core import events as wire
from app.core.clock import wall
from app.core.db import Database, new_id
from app.core.errors import Problem, Unavailable
from app.core.log import log
from app.devices import queries as devices
from app.devices.phones import Seen
from app.devices.service import refuse
from app.sync import rules
from app.sync.queries import feed
from app.sync.queries.feed import Looked
from app.sync.rules.cursor import Cursor
from app.sync.rules.live import StreamEnd, StreamEvent, told_of
from app.sync.rules.tables import EVERYBODY, Kind
from app.sync.service import epochs
from app.sync.service.news import News, Watch

# Seconds. Looks for all who wait begin so long after the first of them came.
GATHER = 0.05
# How often it is looked whether streams are still good, and for how long a process that does so is
# thought to be alive.
LOOK_AFTER = 5.0
ALIVE = 30.0


# Where a phone stands that knows of nothing: ahead of everything, so that nothing is looked for.
_NOWHERE = Cursor(0, 2**62)


@dataclass(eq=False, slots=True)
class Stream:
    """One phone that listens: up to where it has been told, and why it is to end, if it is."""

    id: UUID
    device_id: UUID
    caller: Caller
    name: str
    cursor: Cursor
    watch: Watch | None = None
    end: StreamEnd | None = None
    wipe_id: UUID | None = None
    # Lines beyond the cursor that it has been told of: those of transactions that others outlast.
    told: set[feed.News] = field(default_factory=set)

    def wake(self) -> None:
        """Let it look at what has become of it."""
        if self.watch is not None:
            self.watch.tell()


class Live:
    """The streams of a process; there are at most so many of them."""

    def __init__(self, database: Database, news: News, seen: Seen, *, most: int) -> None:
        self._database = database
        self._news = news
        self._seen = seen
        self._most = most
        self._process_id = new_id()
        self._streams: dict[UUID, Stream] = {}
        # The one of each phone.
        self._of_device: dict[UUID, Stream] = {}
        self._closed: set[UUID] = set()
        self._looking_after: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._asked: dict[UUID, int] = {}
        # The look that will begin, and all that have begun and not ended.
        self._next: asyncio.Task[Looked] | None = None
        self._looking: set[asyncio.Task[Looked]] = set()

    async def open(
        self, caller: Caller, name: str, *, cursor: Cursor | None, now: datetime
    ) -> Stream:
        """Begin to listen, from a cursor on; another stream of the same phone ends.

        Raises AccessRevoked, WipeAsked, and Unavailable when there are too many.
        """
        technician_of(caller)
        if len(self._streams) >= self._most:
            raise Unavailable(retry_after=30, reason="too many streams")
        stream_id = new_id()
        async with self._database.hot(fresh=True) as driver:
            opened = await devices.open_stream(
                driver,
                process_id=self._process_id,
                stream_id=stream_id,
                caller=caller,
                name=name,
                now=now,
                alive=ALIVE,
            )
        if opened is None:
            raise rules.AccessRevoked(needs="an open account")
        device_id, wipe = opened
        if wipe is not None:
            self._closed.add(stream_id)
            self._begin_to_look_after()
            refuse(wipe)
        stream = Stream(stream_id, device_id, caller, name, cursor or _NOWHERE)
        before = self._of_device.get(device_id)
        if before is not None:
            self._end(before, StreamEnd.REPLACED)
        self._streams[stream_id] = self._of_device[device_id] = stream
        self._seen.note(caller, name, now)
        self._begin_to_look_after()
        return stream

    def _begin_to_look_after(self) -> None:
        if self._looking_after is None:
            self._looking_after = asyncio.create_task(self._look_after(), name="streams")

    async def events(self, stream: Stream, until: datetime) -> AsyncGenerator[bytes]:
        """Tell a phone what may have changed, until a moment of real time at which its token is not
        good any more."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + (until - wall()).total_seconds()
        try:
            with self._news.watching(technician_of(stream.caller)) as watch:
                stream.watch = watch
                yield wire.beginning()
                # What came before it listened is looked for once.
                heard = True
                while True:
                    if stream.wipe_id is not None:
                        yield _event(StreamEvent.WIPE, {"wipe_id": stream.wipe_id})
                        return
                    why = stream.end or (StreamEnd.SERVER_STOPS if watch.over else None)
                    left = ends - loop.time()
                    if why is not None or left <= 0:
                        yield _event(StreamEvent.END, {"reason": why or StreamEnd.EXPIRED})
                        return
                    if not heard:
                        yield wire.heartbeat(_id_of(stream))
                    elif (told := await self._news_of(stream)) is not None:
                        yield told
                    heard = await watch.next(within=min(wire.HEARTBEAT, ends - loop.time()))
        finally:
            self._forget(stream)

    async def _news_of(self, stream: Stream) -> bytes | None:
        """Look what is new for a phone, and write it; None when that is nothing."""
        mine = technician_of(stream.caller)
        try:
            looked = await self._looked(mine, stream.cursor.xid)
        except (Problem, psycopg.Error, OSError) as error:
            # What is not known is news: the phone asks by itself, and later if it must.
            log.warning("what is new is not known", reason=str(error))
            return _event(StreamEvent.RESET, {})
        cursor = stream.cursor
        stream.cursor = Cursor(looked.epoch, looked.horizon)
        known = cursor.epoch == looked.epoch and looked.oldest <= cursor.xid <= looked.horizon
        found = [looked.lines.get(whose, ()) for whose in (mine, EVERYBODY)]
        cut = any(len(one) > feed.LINES for one in found)
        since = [one for one in chain(*found) if one.xid >= cursor.xid]
        lines = [one for one in since if one not in stream.told]
        if cut and not lines:
            # What it was told of before hides what came behind it.
            lines = since
        stream.told = {one for one in (*stream.told, *lines) if one.xid >= looked.horizon}
        if not known:
            return _event(StreamEvent.RESET, {}, _id_of(stream))
        if any(one.kind is Kind.DEVICE for one in lines):
            self._hurry.set()
        told = told_of(lines, cut=cut)
        if not told.tables and all(one.kind is not Kind.SETTING for one in lines):
            return None
        return _event(StreamEvent.CHANGED, told._asdict(), _id_of(stream))

    async def _looked(self, technician_id: UUID, since: int) -> Looked:
        """Look together with all others who want to; whoever comes later is in the next look."""
        self._asked[technician_id] = min(since, self._asked.get(technician_id, since))
        if self._next is None:
            self._next = asyncio.create_task(self._look_for_all(), name="what is new")
            self._looking.add(self._next)
            self._next.add_done_callback(self._looking.discard)
        # Whoever goes away does not take the others' look with them.
        return await asyncio.shield(self._next)

    async def _look_for_all(self) -> Looked:
        await asyncio.sleep(GATHER)
        asked, self._asked, self._next = self._asked, {}, None
        # Begins another epoch where that is due. In which one the look is it says by itself: others
        # may have begun one since this process last asked.
        await epochs.current(self._database, wall())
        async with self._database.hot(fresh=True) as driver:
            return await feed.look(driver, asked)

    # --- how streams end ------------------------------------------------------------------------

    def _end(self, stream: Stream, why: StreamEnd) -> None:
        stream.end = why
        stream.wake()

    def _forget(self, stream: Stream) -> None:
        if self._streams.pop(stream.id, None) is None:
            return
        self._closed.add(stream.id)
        if self._of_device.get(stream.device_id) is stream:
            del self._of_device[stream.device_id]

    async def _look_after(self) -> None:
        """Say that this process is alive, and end the streams that are not good any more."""
        while self._streams or self._closed:
            try:
                async with asyncio.timeout(LOOK_AFTER):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            try:
                await self._compare()
            except (Problem, psycopg.Error, OSError) as error:
                log.warning("streams are not looked after", reason=str(error))
        self._looking_after = None

    async def _compare(self) -> None:
        closed, known = set(self._closed), dict(self._streams)
        async with self._database.begin() as tx:
            audit.acting(tx, "sync.streams")
            await devices.close_streams(tx, closed)
            states = {
                one.stream_id: one
                for one in await devices.streams_of(
                    tx, self._process_id, alive=ALIVE, wall_now=wall()
                )
            }
        self._closed -= closed
        for stream_id, stream in known.items():
            state = states.get(stream_id)
            if state is None:
                self._end(stream, StreamEnd.REPLACED)
            elif not state.good:
                self._end(stream, StreamEnd.SIGNED_OUT)
            elif state.wipe_id is not None:
                stream.wipe_id = state.wipe_id
                stream.wake()

    async def close(self) -> None:
        """End all looking, also what nobody waits for any more; streams that are left are over with
        the process."""
        after = [] if self._looking_after is None else [self._looking_after]
        for task in (*after, *self._looking):
            task.cancel()
        await asyncio.gather(*after, *self._looking, return_exceptions=True)
        self._looking_after = None


def _id_of(stream: Stream) -> str:
    return str(stream.cursor.number)


def _event(name: StreamEvent, data: dict[str, object], last_id: str = "") -> bytes:
    return wire.event(name.value, data, last_id=last_id)
