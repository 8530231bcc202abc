"""Alerts to supervisors: too many differences with the ordering system wait for them."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries as units
from app.alerts import service as alerts
from app.alerts.rules import AlertKind, Found
from app.core.parameter_values import parameters_in_force
from app.reconciliation import queries
from app.reconciliation.rules.numbers import ALERT_OPEN


async def look(tx: AsyncSession, now: datetime) -> int:
    """Alert the units in which too many differences wait for a person, and end the alerts of those
    in which they were resolved; `now` is business time. Returns how many were told."""
    numbers = await parameters_in_force(tx)
    counts = await queries.waiting(tx)
    paths = await units.paths(tx, counts)
    found = []
    for unit, count in counts.items():
        most = numbers.whole(ALERT_OPEN, now, paths[unit])
        if count >= most:
            found.append(Found(AlertKind.DIFFERENCES_OPEN, unit, count, most))
    return await alerts.stand(tx, (AlertKind.DIFFERENCES_OPEN,), found, now=now)
