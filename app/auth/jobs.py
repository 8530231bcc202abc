"""From time to time: what sign-ins and requests leave behind is forgotten in time."""

from datetime import timedelta

from sqlalchemy import delete, select

from app.auth.models import LoginGuard, RefreshToken
from app.auth.rules import FAILURES_FORGOTTEN
from app.core.clock import wall
from app.core.jobs import Worker
from app.core.once import KEPT_DAYS, forget_kept
from app.core.parameter_values import parameters_in_force

# Few enough rows a time that the deletion holds no lock for long.
AT_ONCE = 5000


async def forget_sign_ins(worker: Worker) -> None:
    """Delete refresh tokens a day after they expired, and counts of failed logins grown old.

    Until it expires a used token stays, since its second use must be noticed.
    """
    now = wall()
    async with worker.database.begin() as tx:
        numbers = await parameters_in_force(tx)
        hours = numbers.number(FAILURES_FORGOTTEN, now)
        # Rows that somebody is using now, another worker say, are left for the next time.
        tokens = (
            select(RefreshToken.id)
            .where(RefreshToken.expires_at < now - timedelta(days=1))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        await tx.execute(delete(RefreshToken).where(RefreshToken.id.in_(tokens)))
        guards = (
            select(LoginGuard.key)
            .where(LoginGuard.last_try_at < now - timedelta(hours=hours))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        await tx.execute(delete(LoginGuard).where(LoginGuard.key.in_(guards)))


async def forget_answers(worker: Worker) -> None:
    """Delete the answers that were kept under a key for long enough."""
    now = wall()
    async with worker.database.read() as read:
        days = (await parameters_in_force(read)).number(KEPT_DAYS, now)
    await forget_kept(worker.database, days, now)
