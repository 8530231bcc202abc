"""Taking in orders by the thousand: in chunks, each its own transaction, one verdict a line.

No transaction is open while lines are waited for, and one bad line loses no other.
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import HTTPConnection

from app.auth.rules import Caller
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Problem, Unavailable
from app.core.log import log
from app.dispatch.rules import Judged, Outcome, Verdict
from app.dispatch.service.intake import take_in
from app.workorders.rules import Draft

# Large enough that each look into the database serves many, small enough that the days it fills
# are locked for a fraction of a second.
CHUNK = 1000

# After so many chunks in a row that the database could not serve, the rest is not even tried.
GIVE_UP_AFTER = 2


class Read(NamedTuple):
    """A line that was read: an order, or why it is none."""

    number: int
    external_id: str | None
    order: Draft | Problem


@dataclass(frozen=True, slots=True)
class BulkIntake:
    """Where to write, as whom, and by which time; `request` is for the audit trail."""

    database: Database
    sender: Caller
    clock: Clock
    request: HTTPConnection | None = None

    async def take_in(self, lines: AsyncIterable[Read]) -> AsyncIterator[list[Judged]]:
        """Judge lines as they come, chunk by chunk, in their order."""
        chunk: list[Read] = []
        failures = 0
        async for line in lines:
            chunk.append(line)
            if len(chunk) >= CHUNK:
                judged, failures = await self._chunk(chunk, failures)
                yield judged
                chunk = []
        if chunk:
            judged, failures = await self._chunk(chunk, failures)
            yield judged

    async def _chunk(self, lines: Sequence[Read], failures: int) -> tuple[list[Judged], int]:
        drafts = [line.order for line in lines if isinstance(line.order, Draft)]
        try:
            if failures >= GIVE_UP_AFTER:
                raise Unavailable(retry_after=2, reason="database")
            outcomes = await self._taken_in(drafts)
            failures = 0
        except Unavailable as problem:
            failures += 1
            outcomes = [Outcome(Verdict.REFUSED, problem=problem)] * len(drafts)
        following = iter(outcomes)
        return [
            Judged(
                line.number,
                line.number,
                line.external_id,
                next(following)
                if isinstance(line.order, Draft)
                else Outcome(Verdict.REFUSED, problem=line.order),
            )
            for line in lines
        ], failures

    async def _taken_in(self, drafts: Sequence[Draft]) -> list[Outcome]:
        if not drafts:
            return []
        try:
            async with self.database.begin(self.request) as tx:
                return await take_in(tx, drafts, self.sender, now=self.clock.now())
        except Problem:
            raise
        except Exception:  # noqa: BLE001 - one bad line must lose no other
            if len(drafts) == 1:
                log.exception("an order could not be taken in")
                return [Outcome(Verdict.REFUSED, problem=Problem())]
        # Something in one of them that nobody foresaw: halve until it stands alone.
        middle = len(drafts) // 2
        return [*await self._taken_in(drafts[:middle]), *await self._taken_in(drafts[middle:])]
