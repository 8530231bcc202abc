"""A night's sums: what each technician had on a day, and how well plans were kept; and what is too
old to be kept goes."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import nights
from app.core.nights import Night
from app.core.parameter_values import parameters_in_force
from app.planning.queries import tally as queries
from app.planning.rules import INPUTS_KEPT_DAYS, fairness
from app.travel.rules import KEPT_DAYS, TRIP_MOST, WINDOW_DAYS

WORK = "planning"
"""What the nights of adding up are called."""


async def is_due(session: AsyncSession, now: datetime) -> bool:
    """Tell whether there is a night whose ways are learned from and which is not added up."""
    return await _next(session, now) is not None


async def add_up(tx: AsyncSession, now: datetime) -> bool:
    """Add up the next night; False when there is none, or somebody else is at it."""
    if not await nights.alone(tx, WORK):
        return False
    span = await _next(tx, now)
    if span is None:
        return False
    numbers = await parameters_in_force(tx)
    await queries.add_workload(
        tx,
        span,
        longest_work=round(numbers.number(fairness.LONGEST_WORK, now) * 60),
        longest_way=numbers.whole(TRIP_MOST, now),
    )
    await queries.add_plan_errors(tx, span)
    await queries.forget(tx, span.until.date() - timedelta(days=numbers.whole(KEPT_DAYS, now)))
    kept = timedelta(days=numbers.whole(INPUTS_KEPT_DAYS, now))
    await queries.forget_inputs(tx, span.until.date() - kept)
    tx.add(Night(work=WORK, until=span.until, done_at=now, facts={}))
    await tx.flush()
    return True


async def _next(session: AsyncSession, now: datetime) -> queries.Span | None:
    numbers = await parameters_in_force(session)
    return await queries.next_span(session, WORK, numbers.whole(WINDOW_DAYS, now))
