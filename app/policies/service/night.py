"""A whole night of policies, part by part: each is a transaction of its own, done once, and stands
for itself: what fails keeps no other from being done, and is tried again."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import nights
from app.core.db import Database
from app.core.log import log
from app.policies.models import PolicyEvaluation, PolicyStep
from app.policies.queries import registry
from app.policies.rules.drift import Drift
from app.policies.service import adding_up, churning, evaluating, learning, promoting, watching
from app.policies.service.learning import Learned
from app.suggestions.models import PolicyModel

T = TypeVar("T")
ACTION = "policies.night"
FOLLOW = "policies.follow"
WATCH = "policies.watch"
# The churn card is looked at once a week; all else is done for every night.
NIGHTLY = (learning.WORK, FOLLOW, WATCH, adding_up.WORK)


@dataclass(frozen=True)
class Night:
    """What a night brought; None: there was nothing to be done, or no model is in force. `failed`
    names the parts that are to be tried again."""

    learned: Learned | None = None
    evaluation: PolicyEvaluation | None = None
    followed: PolicyStep | None = None
    drift: Drift | None = None
    card: PolicyModel | None = None
    failed: Sequence[str] = field(default=())


async def due(session: AsyncSession, now: datetime) -> datetime | None:
    """Tell the end of the last night (UTC) while a part of it is not done; None when all are."""
    until = await learning.cut(session, now)
    undone = [work for work in NIGHTLY if await _undone(session, work, until)]
    return until if undone or await churning.due(session, until) else None


async def _undone(session: AsyncSession, work: str, until: datetime) -> bool:
    done = await nights.done_until(session, work)
    return done is None or done < until


async def night(
    database: Database, now: datetime, told: Callable[[int], None] = lambda _rows: None
) -> Night:
    """Learn, judge the new candidate, let it follow the live model, watch for drift, add up,
    and fit the churn card.

    Whoever finds the night done, or somebody at it, has nothing to do. A night that was stopped
    goes on, and a part that fails is said to have, and is done by whoever comes next.
    """
    async with database.read() as read:
        until = await due(read, now)
    if until is None:
        return Night()
    failed: list[str] = []

    async def part(work: str, do: Callable[[AsyncSession], Awaitable[T]]) -> T | None:
        try:
            async with database.begin() as tx:
                audit.acting(tx, ACTION)
                return await do(tx)
        except Exception:  # noqa: BLE001 - logged and told; the other parts must not wait for it
            log.exception("a part of a night of policies failed", part=work)
            failed.append(work)
            return None

    learned = await part(learning.WORK, lambda tx: learning.learn(tx, now, told))
    judged = await part(FOLLOW, lambda tx: _follow(tx, until, now, told))
    seen = await part(WATCH, lambda tx: _watch(tx, until, now))
    await part(adding_up.WORK, lambda tx: adding_up.add_up(tx, until, now))
    card = await part(churning.WORK, lambda tx: churning.refit(tx, until, now))
    evaluation, followed = judged or (None, None)
    return Night(learned, evaluation, followed, seen, card, failed)


async def _follow(
    tx: AsyncSession, until: datetime, now: datetime, told: Callable[[int], None]
) -> tuple[PolicyEvaluation | None, PolicyStep | None]:
    """Judge a night's candidate and let it follow; without a live model nobody waits for that."""
    if await _undone(tx, learning.WORK, until) or not await _take(tx, FOLLOW, until, now):
        return None, None
    candidate = await registry.candidate_of(tx, until)
    if candidate is None or await registry.live(tx) is None:
        return None, None
    done = await evaluating.of_the_season(tx, candidate.version, now, told)
    followed = await promoting.follow(tx, done, now)
    return done, followed if isinstance(followed, PolicyStep) else None


async def _watch(tx: AsyncSession, until: datetime, now: datetime) -> Drift | None:
    return await watching.watch(tx, now) if await _take(tx, WATCH, until, now) else None


async def _take(tx: AsyncSession, work: str, until: datetime, now: datetime) -> bool:
    """Take on a part of a night, which is done with this transaction; False when it is done, or
    somebody is at it."""
    if not await nights.alone(tx, work) or not await _undone(tx, work, until):
        return False
    tx.add(nights.Night(work=work, until=until, done_at=now, facts={}))
    return True
