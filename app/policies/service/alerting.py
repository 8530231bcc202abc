"""Alerts to whoever answers for all units: a night of policies is not done."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries as units
from app.alerts import service as alerts
from app.alerts.rules import AlertKind, Found
from app.policies.service.learning import top_zone


async def night_failed(tx: AsyncSession, until: datetime | None, now: datetime) -> None:
    """Say that parts of the night that ended at a moment (UTC) failed, or with None that none did,
    which ends what was said."""
    found = []
    if until is not None:
        hours = (now - until) // timedelta(hours=1)
        hour = until.astimezone(await top_zone(tx)).hour
        found = [
            Found(AlertKind.POLICIES_NIGHT_FAILED, unit, hours, hour)
            for unit in await units.top_units(tx)
        ]
    await alerts.stand(tx, (AlertKind.POLICIES_NIGHT_FAILED,), found, now=now)
