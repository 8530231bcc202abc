"""Adding up what suggestions came to, a local day at a time, for as long as outcomes can change."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import nights
from app.core.nights import Night
from app.policies.queries import days, guards
from app.policies.service.learning import top_zone

WORK = "policies.add_up"


async def add_up(tx: AsyncSession, until: datetime, now: datetime) -> bool:
    """Add up the days before a night's end (UTC) anew, as far back as their outcomes can have
    changed; False when that is done, or somebody is at it.

    Days are those of the top of the organisation. Written twice they say the same.
    """
    if not await nights.alone(tx, WORK):
        return False
    done = await nights.done_until(tx, WORK)
    if done is not None and done >= until:
        return False
    zone = await top_zone(tx)
    last = until.astimezone(zone).date() - timedelta(days=1)
    first = last - timedelta(days=days.YOUNG_DAYS)
    missed = (until - done).days if done is not None else 2 * days.OLD_DAYS
    begin = datetime.combine(first, datetime.min.time(), zone)
    end = datetime.combine(last + timedelta(days=1), datetime.min.time(), zone)
    given = {
        "zone": zone.key,
        "first": first,
        "last": last,
        "kept_until": last - timedelta(days=30),
        "complained_until": last - timedelta(days=14),
    }
    await days.forget(tx, first, last, churn=False)
    for statement in (days.ANSWERED, days.VALUE, days.COMPLAINTS, days.GROUPS, days.CONTACTS):
        await tx.execute(statement, given)
    await tx.execute(
        days.VIOLATIONS,
        {"zone": zone.key} | await guards.judging(tx, begin, end),
    )
    # Who has left is known for days that lie a quarter back, those that were missed included.
    old = last - timedelta(days=days.OLD_DAYS)
    since = old - timedelta(days=max(missed, 1) - 1)
    await days.forget(tx, since, old, churn=True)
    await tx.execute(days.CHURN, {"zone": zone.key, "first": since, "last": old})
    tx.add(Night(work=WORK, until=until, done_at=now, facts={}))
    await tx.flush()
    return True
