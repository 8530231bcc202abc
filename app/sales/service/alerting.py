"""Alerts to supervisors: somebody is installing what is not sold any more."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries as units
from app.alerts import service as alerts
from app.alerts.rules import AlertKind, Found
from app.core.parameter_values import parameters_in_force
from app.sales import queries
from app.sales.rules import ALERT_LEFT


async def look(tx: AsyncSession, now: datetime) -> int:
    """Alert the units in which installs go on whose sales have ended, and end the alerts of those
    in which none does any more; `now` is business time. Returns how many were told."""
    numbers = await parameters_in_force(tx)
    counts = await queries.installs_left(tx)
    paths = await units.paths(tx, counts)
    found = []
    for unit, count in counts.items():
        most = numbers.whole(ALERT_LEFT, now, paths[unit])
        if count >= most:
            found.append(Found(AlertKind.INSTALLS_LEFT, unit, count, most))
    return await alerts.stand(tx, (AlertKind.INSTALLS_LEFT,), found, now=now)
