"""A whole night of policies, part by part: each is a transaction of its own and done once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import Database
from app.policies.models import PolicyEvaluation, PolicyStep
from app.policies.queries import registry
from app.policies.rules.drift import Drift
from app.policies.service import adding_up, churning, evaluating, learning, promoting, watching
from app.policies.service.learning import Learned
from app.suggestions.models import PolicyModel

ACTION = "policies.night"


@dataclass(frozen=True)
class Night:
    """What a night brought; None: there was nothing to be done, or no model is in force."""

    learned: Learned | None
    evaluation: PolicyEvaluation | None
    followed: PolicyStep | None
    drift: Drift | None
    card: PolicyModel | None


async def night(
    database: Database, now: datetime, told: Callable[[int], None] = lambda _rows: None
) -> Night:
    """Learn, judge the new candidate, let it follow the live model, watch for drift, add up,
    and fit the churn card.

    Whoever finds the night done, or somebody at it, has nothing to do. A night that was stopped
    goes on: what is learned is learned, and the rest is looked at again the next night.
    """
    async with database.read() as read:
        until = await learning.due(read, now)
    learned = evaluation = followed = seen = None
    if until is not None:
        async with database.begin() as tx:
            audit.acting(tx, ACTION)
            learned = await learning.learn(tx, now, told)
    if learned is None:
        return Night(None, None, None, None, None)
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        evaluation, followed = await _follow(tx, learned, now, told)
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        seen = await watching.watch(tx, now)
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        await adding_up.add_up(tx, learned.until, now)
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        card = await churning.refit(tx, learned.until, now)
    return Night(learned, evaluation, followed, seen, card)


async def _follow(
    tx: AsyncSession, learned: Learned, now: datetime, told: Callable[[int], None]
) -> tuple[PolicyEvaluation | None, PolicyStep | None]:
    """Judge a night's candidate and let it follow; without a live model nobody waits for that."""
    if await registry.live(tx) is None:
        return None, None
    asked, _ = await evaluating.ask(
        tx, learned.model.version, since=None, until=None, account_id=None, now=now
    )
    done = await evaluating.work_out(tx, asked.id, now, told)
    if done is None:
        return None, None
    followed = await promoting.follow(tx, done, now)
    return done, followed if isinstance(followed, PolicyStep) else None
