"""Alerts to supervisors: somebody is installing what is not sold any more, or a customer has agreed
and nothing has come of it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import service as alerts
from app.alerts.rules import AlertKind
from app.sales import queries
from app.sales.rules import ALERT_LEFT, ALERT_UNCONFIRMED
from app.sales.service.unattended import LOOKED_BACK


async def look(tx: AsyncSession, now: datetime) -> int:
    """Alert the units in which installs go on whose sales have ended, and those in which sales were
    agreed to by message and could not be confirmed, and end the alerts of those in which that is so
    no more; `now` is business time. Returns how many were told."""
    installs, sales = AlertKind.INSTALLS_LEFT, AlertKind.SALES_LEFT_UNCONFIRMED
    left = await queries.installs_left(tx)
    found = await alerts.too_many(tx, installs, left, ALERT_LEFT, now=now)
    agreed = await queries.left_unconfirmed(tx, now - LOOKED_BACK)
    found += await alerts.too_many(tx, sales, agreed, ALERT_UNCONFIRMED, now=now)
    return await alerts.stand(tx, (installs, sales), found, now=now)
