"""Alerts to supervisors: deliveries take too long or wait for them, orders stand still, changes
came to nothing, the ordering system is not reached, or strangers call."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import service as alerts
from app.alerts.queries import top_units
from app.alerts.rules import AlertKind, Found
from app.core.clock import Clock
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.ordering import delivery, troubles
from app.ordering.delivery import SyncState
from app.ordering.rules import Cause
from app.ordering.troubles import Lag, Standing
from app.workorders.queries import Units, org_units


async def look(tx: AsyncSession, now: datetime) -> int:
    """Alert the units whose deliveries take too long, whose orders stand still over there, or whose
    deliveries and changes wait for a person; those at the top if the ordering system is not
    reached, or cannot call us, for long, and if too many callbacks were turned away; and end what
    is over. `now` is business time. Returns how many were told."""
    parameters = await parameters_in_force(tx)
    window = timedelta(minutes=parameters.number(delivery.ALERT_WINDOW, now))
    lags = await troubles.lags(tx, now, window)
    units = await org_units(tx, ids=[lag.org_unit_id for lag in lags])
    still = await troubles.still_limits(tx, parameters, now)
    undecided = await troubles.undecided_limits(tx, parameters, now)
    changes = await troubles.changes_waiting(tx, undecided)
    found = [
        *_found(lags, units, parameters, now),
        *(
            Found(AlertKind.ORDERS_STAND_STILL, unit, int(hours), most)
            for unit, (hours, most) in still.items()
            if hours >= most
        ),
        *await alerts.too_many(
            tx, AlertKind.ORDER_CHANGES_FAILED, changes, delivery.ALERT_CHANGES, now=now
        ),
    ]
    # What lies between the two systems is no unit's own trouble, but that of those who answer for
    # all.
    between = list(
        _between(
            await troubles.not_standing(tx),
            await troubles.turned_away(tx, now, window),
            parameters,
            now,
        )
    )
    if between:
        found += [
            Found(kind, unit, figure, most, subject)
            for unit in await top_units(tx)
            for kind, figure, most, subject in between
        ]
    return await alerts.stand(tx, _KINDS, found, now=now)


_KINDS = (
    AlertKind.ORDER_LAG,
    AlertKind.ORDERS_FAILED,
    AlertKind.ORDERS_STAND_STILL,
    AlertKind.ORDER_CHANGES_FAILED,
    AlertKind.CALLBACKS_TURNED_AWAY,
    AlertKind.CALLBACKS_NOT_REGISTERED,
    AlertKind.ORDERING_LEFT_ALONE,
)


def _between(
    standing: Sequence[Standing], turned_away: int, numbers: Parameters, now: datetime
) -> Iterator[tuple[AlertKind, float, float, str]]:
    """Name what lies between the two systems and passes its limit; times in whole minutes."""
    for each in standing:
        if each.endpoint is None:
            kind, limit = AlertKind.CALLBACKS_NOT_REGISTERED, delivery.ALERT_LISTENER
        else:
            kind, limit = AlertKind.ORDERING_LEFT_ALONE, delivery.ALERT_BREAKER
        most = numbers.number(limit, now)
        if each.minutes >= most:
            yield kind, int(each.minutes), most, each.endpoint or ""
    most = numbers.number(delivery.ALERT_TURNED_AWAY, now)
    if turned_away >= most:
        yield AlertKind.CALLBACKS_TURNED_AWAY, turned_away, most, ""


def _found(
    lags: Sequence[Lag], units: Units, numbers: Parameters, now: datetime
) -> Iterator[Found]:
    """Name what passes its limit; the lag in whole seconds, since it is read by people."""
    for lag in lags:
        path = units.by_id[lag.org_unit_id].path
        most = numbers.number(delivery.ALERT_LAG, now, path)
        if lag.p95_seconds is not None and lag.p95_seconds > most:
            yield Found(AlertKind.ORDER_LAG, lag.org_unit_id, round(lag.p95_seconds), most)
        most = numbers.number(delivery.ALERT_FAILED, now, path)
        if lag.failed >= most:
            yield Found(AlertKind.ORDERS_FAILED, lag.org_unit_id, lag.failed, most)


# --- metrics --------------------------------------------------------------------------------------

_LAG = Gauge(
    "yingwei_order_sync_lag_p95",
    "Seconds from confirmation to arrival, the 95th of a hundred, of the unit where it is worst.",
)
_FAILED = Gauge(
    "yingwei_order_sync_failed", "Deliveries that wait for a person, by cause.", ["cause"]
)


def figures_of(clock: Clock) -> Callable[[AsyncSession], Awaitable[None]]:
    """Make what sets the metrics to how deliveries stand, by the business time of a clock."""

    async def refresh(session: AsyncSession) -> None:
        now = clock.now()
        parameters = await parameters_in_force(session)
        window = timedelta(minutes=parameters.number(delivery.ALERT_WINDOW, now))
        lags = [lag.p95_seconds or 0.0 for lag in await troubles.lags(session, now, window)]
        _LAG.set(max(lags, default=0.0))
        counts = dict.fromkeys(Cause, 0)
        for trouble in await troubles.summary(session, ""):
            if trouble.state in (SyncState.PARKED, SyncState.FINISHED):
                counts[trouble.cause] += trouble.count
        for cause, count in counts.items():
            _FAILED.labels(cause.value).set(count)

    return refresh
