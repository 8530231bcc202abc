"""Alerts to supervisors: somebody is installing what is not sold any more."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import service as alerts
from app.alerts.rules import AlertKind
from app.sales import queries
from app.sales.rules import ALERT_LEFT


async def look(tx: AsyncSession, now: datetime) -> int:
    """Alert the units in which installs go on whose sales have ended, and end the alerts of those
    in which none does any more; `now` is business time. Returns how many were told."""
    kind, counts = AlertKind.INSTALLS_LEFT, await queries.installs_left(tx)
    found = await alerts.too_many(tx, kind, counts, ALERT_LEFT, now=now)
    return await alerts.stand(tx, (kind,), found, now=now)
