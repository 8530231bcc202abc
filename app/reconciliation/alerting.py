"""Alerts to supervisors: differences with the ordering system wait, or a night was not compared."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries as units
from app.alerts import service as alerts
from app.alerts.rules import AlertKind, Found
from app.reconciliation import queries
from app.reconciliation.rules.numbers import ALERT_OPEN
from app.reconciliation.service.asking import night_late


async def look(tx: AsyncSession, now: datetime, *, nightly: bool = True) -> int:
    """Alert the units in which too many differences wait for a person, and those at the top where
    the night's comparison is not done in time; end what is over. `now` is business time. Returns
    how many were told. Unless it is `nightly`, no night is late: there is nothing to compare with.
    """
    found = await alerts.too_many(
        tx, AlertKind.DIFFERENCES_OPEN, await queries.waiting(tx), ALERT_OPEN, now=now
    )
    late = await night_late(tx, now) if nightly else None
    if late is not None:
        hours, hour = late
        found += [
            Found(AlertKind.NIGHT_NOT_COMPARED, unit, int(hours), hour)
            for unit in await units.top_units(tx)
        ]
    kinds = (AlertKind.DIFFERENCES_OPEN, AlertKind.NIGHT_NOT_COMPARED)
    return await alerts.stand(tx, kinds, found, now=now)
