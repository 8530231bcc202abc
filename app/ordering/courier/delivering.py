"""The courier: delivers what is due, many at once, with few statements.

Attempts are claimed in batches, each batch in one transaction that has committed before the first
byte of any of its orders leaves; exchanges run side by side; what came of them is written down in
batches again. What was confirmed just now goes before what has waited, but never takes all the
room, so that neither starves the other. A job that brings one sale takes further jobs of the kind
along, in the transaction of the claim.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from app.core.jobs import Worker, taken_along
from app.core.log import log
from app.core.settings import Settings
from app.ordering import service
from app.ordering.client import OrderingClient
from app.ordering.courier.breaker import Breakers
from app.ordering.delivery import Endpoint
from app.ordering.order import RemoteOrder
from app.ordering.rules import OrderingFailed
from app.ordering.service import Attempt

# The event whose jobs bring what was confirmed.
CONFIRMED = "sale.confirmed"
# More in one transaction would only keep rows locked for longer.
_BATCH = 32
# While several exchanges are under way, claims and settlements wait so long for each other.
_SEVERAL = 4
_GATHER_SECONDS = 0.01
# A side that answers at once is not asked more at a time: every connection that lies idle is looked
# at with each request. Where it takes longer, nobody waits for more than this moment.
_LANES = 6
_LANE_SECONDS = 0.02
# Of every so many places one is for what has waited.
_ROOM_FOR_WAITING = 4

Outcome = Sequence[RemoteOrder] | OrderingFailed


class Taken(Enum):
    """What became of what the courier was given."""

    CLAIMED = "claimed"
    PUT_OFF = "put_off"  # the other side is left alone for a while
    NOT_PLAIN = "not_plain"  # nothing was due, or it has to be looked at for itself


@dataclass(eq=False)
class _Errand:
    sale_id: UUID
    taken: asyncio.Future[Taken] = field(default_factory=lambda: _future())


def _most_at_once(settings: Settings) -> int:
    """Say how many exchanges may be under way. Where they have to wait for their turns, no more
    than leave soon: what is claimed and waits may be held up for too long to be sent safely."""
    a_second = settings.ordering_requests_per_second
    soon = int(a_second * settings.ordering_timeout_seconds / 4)
    most = settings.ordering_concurrency
    return min(most, max(1, soon)) if a_second else most


def _future() -> asyncio.Future[Taken]:
    return asyncio.get_running_loop().create_future()


class Courier:
    """One worker's way of delivering; use it in `async with`, which ends when all is settled."""

    def __init__(self, worker: Worker, client: OrderingClient) -> None:
        settings = worker.settings
        self.client = client
        self._worker = worker
        self._time_limit = settings.ordering_timeout_seconds
        self._room = self._at_once = _most_at_once(settings)
        self.breakers = Breakers(worker.database, 6 * self._time_limit)
        self._fresh: deque[_Errand] = deque()
        self._waiting: deque[_Errand] = deque()
        # Whether there may be more jobs to take along.
        self._more_jobs = False
        self._known: set[UUID] = set()
        self._lanes = asyncio.Semaphore(_LANES)
        self._outcomes: list[tuple[Attempt, Outcome]] = []
        self._under_way: set[asyncio.Task[Any]] = set()
        self._to_claim = asyncio.Event()
        self._to_settle = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._ending = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to deliver."""
        self._loops = [
            asyncio.create_task(self._for_ever(self._to_claim, self._claim_some)),
            asyncio.create_task(self._for_ever(self._to_settle, self._settle_some)),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Let what is under way be settled, and close the connections."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4 * self._time_limit):
                await self.rest()
        # A loop that is cancelled in the middle of a statement loses its connection, so it ends by
        # itself if it can.
        self._ending.set()
        self._to_claim.set()
        self._to_settle.set()
        _, late = await asyncio.wait(self._loops, timeout=self._time_limit)
        for loop in late:
            loop.cancel()
        await asyncio.gather(*self._loops, *self._under_way, return_exceptions=True)
        await self.client.aclose()

    # --- what is asked of it ----------------------------------------------------------------

    async def take(self, sale_id: UUID) -> Taken:
        """Deliver a sale confirmed just now; returns when its attempt is claimed, and committed.

        Raises what the database raises.
        """
        return (await self._queue(self._fresh, [sale_id])).get(sale_id, Taken.CLAIMED)

    async def take_waiting(self, sale_ids: Sequence[UUID]) -> dict[UUID, Taken]:
        """Deliver sales that have waited, but those it has already; returns when their attempts are
        claimed. Raises what the database raises."""
        return await self._queue(self._waiting, sale_ids)

    async def run(
        self, endpoint: Endpoint, errands: Sequence[Callable[[], Awaitable[object]]]
    ) -> None:
        """Do errands of another kind side by side, as far as the breaker of their endpoint lets
        them; returns when all are done. Each returns what failed, or what came of it, or None when
        there was nothing to do."""
        passes = await self.breakers.lets_pass(endpoint) if errands else False
        if passes is None:
            for errand in errands:
                # The first that finds something out; many may have nothing to do any more.
                if await self._done(endpoint, errand):
                    return
            await self.breakers.tell_nothing(endpoint)
        if not passes:
            return
        turn = asyncio.Semaphore(max(1, self._at_once // 2))

        async def one(errand: Callable[[], Awaitable[object]]) -> None:
            async with turn:
                await self._done(endpoint, errand)

        await asyncio.gather(*map(one, errands))

    async def _done(self, endpoint: Endpoint, errand: Callable[[], Awaitable[object]]) -> bool:
        """Do an errand; tells whether the other side was asked anything."""
        try:
            told = await errand()
        except Exception:  # noqa: BLE001 - logged; one must not hold up the others
            log.exception("an errand to the ordering system failed", endpoint=endpoint)
            return False
        if told is not None:
            failed = told if isinstance(told, OrderingFailed) else None
            await self.breakers.note(endpoint, failed)
        return told is not None

    async def rest(self) -> None:
        """Return when nothing is queued or under way."""
        await self._at_rest.wait()

    async def _queue(self, queue: deque[_Errand], sale_ids: Sequence[UUID]) -> dict[UUID, Taken]:
        errands = [_Errand(sale_id) for sale_id in sale_ids if sale_id not in self._known]
        queue.extend(errands)
        self._known.update(errand.sale_id for errand in errands)
        self._look_up()
        taken = await asyncio.gather(*(errand.taken for errand in errands))
        return {errand.sale_id: how for errand, how in zip(errands, taken, strict=True)}

    # --- claiming ---------------------------------------------------------------------------

    async def _for_ever(self, event: asyncio.Event, act: Callable[[], Awaitable[None]]) -> None:
        while not self._ending.is_set():
            await event.wait()
            if self._ending.is_set():
                return
            if len(self._under_way) >= _SEVERAL:
                await asyncio.sleep(_GATHER_SECONDS)
            event.clear()
            try:
                await act()
            except Exception:  # noqa: BLE001 - logged; what it was about is taken up by `send_due`
                log.exception("the courier stumbled")
            self._look_up()

    def _look_up(self) -> None:
        """Wake what has something to do, and tell whether all is at rest."""
        queued = bool(self._fresh or self._waiting or self._more_jobs)
        if queued and self._room > 0:
            self._to_claim.set()
        if self._outcomes:
            self._to_settle.set()
        if self._known or self._under_way or self._outcomes:
            self._at_rest.clear()
        else:
            self._at_rest.set()

    def _picked(self, most: int) -> tuple[list[_Errand], int]:
        """Take the next errands, those of confirmed sales first, with room for what has waited;
        tells also how many more jobs of confirmed sales there is room for."""
        for_waiting = min(len(self._waiting), -(-most // _ROOM_FOR_WAITING))
        for_fresh = max(1, most - for_waiting)
        fresh = [self._fresh.popleft() for _ in range(min(len(self._fresh), for_fresh))]
        along = for_fresh - len(fresh) if fresh or self._more_jobs else 0
        rest = min(len(self._waiting), most - len(fresh) - along)
        return fresh + [self._waiting.popleft() for _ in range(rest)], along

    async def _claim_some(self) -> None:
        passes = await self.breakers.lets_pass(Endpoint.PLACE)
        most = 1 if passes is None else min(self._room, _BATCH)
        if most < 1:
            return
        if passes is False:
            most, self._more_jobs = _BATCH, False
        picked, room = self._picked(most)
        attempts: dict[UUID, Attempt] = {}
        along: list[UUID] = []
        try:
            ids = [errand.sale_id for errand in picked]
            async with self._worker.database.begin() as tx:
                if passes is False:
                    await service.wait_for_better_times(tx, ids)
                else:
                    jobs = await taken_along(tx, CONFIRMED, room)
                    along = [UUID(facts["sale_id"]) for facts in jobs]
                    attempts = await service.claim_many(
                        tx,
                        [*ids, *along],
                        time_limit=self._time_limit,
                        business_now=self._worker.clock.now(),
                        codec=self.client.codec,
                    )
            self._more_jobs = room > 0 and len(along) == room
        except Exception as error:
            # A commit that failed has claimed nothing, and taken no job along.
            attempts = {}
            for errand in picked:
                if not errand.taken.done():
                    errand.taken.set_exception(error)
            raise
        finally:
            for errand in picked:
                if errand.sale_id not in attempts:
                    self._known.discard(errand.sale_id)
        for errand in picked:
            how = Taken.CLAIMED if errand.sale_id in attempts else Taken.NOT_PLAIN
            if not errand.taken.done():
                errand.taken.set_result(Taken.PUT_OFF if passes is False else how)
        for sale_id in along:
            if sale_id not in attempts:
                self._begin(self._deliver_alone(sale_id))
        for attempt in attempts.values():
            self._known.add(attempt.sale_id)
            self._room -= 1
            self._begin(self._exchange(attempt))
        if passes is None and not attempts:
            await self.breakers.tell_nothing(Endpoint.PLACE)

    def _begin(self, what: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(what)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    async def _deliver_alone(self, sale_id: UUID) -> None:
        """Deliver what came along and is no plain case, as its job would have."""
        try:
            await service.deliver(
                self._worker.database.begin,
                self.client,
                sale_id,
                time_limit=self._time_limit,
                business_now=self._worker.clock.now,
            )
        except Exception:  # noqa: BLE001 - logged; `send_due` takes it up
            log.exception("a sale was not delivered", sale=str(sale_id))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        self._look_up()

    async def _exchange(self, attempt: Attempt) -> None:
        try:
            async with self._lane():
                outcome = await service.outcome_of(self.client, attempt)
            self._outcomes.append((attempt, outcome))
        except BaseException:
            # Its lease will tell that nobody told.
            self._let_go(attempt)
            raise

    @contextlib.asynccontextmanager
    async def _lane(self) -> AsyncIterator[None]:
        """Wait a moment for one of the few exchanges that a quick side needs at once to end."""
        try:
            async with asyncio.timeout(_LANE_SECONDS):
                await self._lanes.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._lanes.release()

    def _let_go(self, attempt: Attempt) -> None:
        self._room += 1
        self._known.discard(attempt.sale_id)

    # --- settling ---------------------------------------------------------------------------

    async def _settle_some(self) -> None:
        ended, self._outcomes = self._outcomes[:_BATCH], self._outcomes[_BATCH:]
        try:
            await self._settle(ended)
        finally:
            for attempt, _ in ended:
                self._let_go(attempt)
        for _, outcome in ended:
            failed = outcome if isinstance(outcome, OrderingFailed) else None
            await self.breakers.note(Endpoint.PLACE, failed)

    async def _settle(self, ended: Sequence[tuple[Attempt, Outcome]]) -> None:
        now = self._worker.clock.now()
        plain = {
            attempt.sale_id: (attempt, outcome[0])
            for attempt, outcome in ended
            if not isinstance(outcome, OrderingFailed) and service.is_plain(outcome)
        }
        done: set[UUID] = set()
        if plain:
            async with self._worker.database.begin() as tx:
                done = await service.settle_many(tx, plain, now)
        for attempt, outcome in ended:
            if attempt.sale_id not in done:
                try:
                    async with self._worker.database.begin() as tx:
                        await service.settle(tx, attempt, outcome, now)
                except Exception:  # noqa: BLE001 - logged; its lease tells that nobody told
                    log.exception("an attempt was not settled", sale=str(attempt.sale_id))
