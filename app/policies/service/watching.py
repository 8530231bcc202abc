"""Watching whether the model in force still says how often offers are accepted."""

from dataclasses import asdict
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries as alerts
from app.alerts import service
from app.alerts.rules import AlertKind, Found
from app.core.jobs import tell
from app.core.log import log as logging
from app.core.parameter_values import parameters_in_force
from app.policies.models import PolicyAlarm
from app.policies.queries import log, registry
from app.policies.rules import parameters as numbers
from app.policies.rules.drift import Drift, Watch, drift
from app.suggestions.rules.model import FEATURES


async def watch(tx: AsyncSession, now: datetime) -> Drift | None:
    """Compare what was predicted of the last pitched offers with what was said; raise an alarm, or
    end it. None where no model is in force: nobody has promised anything.

    What the model in force decided is looked at, and what those did that it followed night by
    night: since the step to it that people took.
    """
    live, alarm = await registry.live(tx), await registry.open_alarm(tx)
    if live is None:
        if alarm is not None:
            alarm.ended_at = now
        await _alert(tx, None, now)
        return None
    values = await parameters_in_force(tx)
    began, versions = await registry.in_force_since(tx)
    season = now - timedelta(days=values.whole(numbers.WINDOW_DAYS, now))
    heard = await log.answers(tx, max(began or season, season), now, FEATURES)
    own = heard.where(
        np.isin(heard.versions, [*versions, live.version]) & ~np.isnan(heard.predicted)
    )
    last = values.whole(numbers.DRIFT_LAST, now)
    seen = drift(
        own.predicted[-last:],
        own.accepted[-last:],
        Watch(
            odds=values.number(numbers.DRIFT_ODDS, now),
            answers=values.number(numbers.DRIFT_ANSWERS, now),
        ),
    )
    if alarm is not None:
        alarm.figures = asdict(seen)
        alarm.ended_at = None if seen.alarmed else now
    elif seen.alarmed:
        tx.add(PolicyAlarm(model_version=live.version, at=now, figures=asdict(seen)))
        logging.warning("a policy has drifted", version=live.version, observed=seen.observed)
        await tell(tx, "policy.drifted", version=live.version)
    await tx.flush()
    await _alert(tx, seen, now)
    return seen


async def _alert(tx: AsyncSession, seen: Drift | None, now: datetime) -> None:
    """Alert whoever answers for all units, since one model decides for all of them."""
    found = []
    if seen is not None and seen.alarmed:
        figures = (round(seen.observed, 3), round(seen.predicted, 3))
        found = [
            Found(AlertKind.MODEL_DRIFTED, unit, *figures) for unit in await alerts.top_units(tx)
        ]
    await service.stand(tx, (AlertKind.MODEL_DRIFTED,), found, now=now)
