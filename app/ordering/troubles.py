"""Reads of what went wrong with deliveries and changes: figures, lists, the story of one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.auth.callers import Caller, subtree
from app.core.db import fetched
from app.core.errors import NotFound
from app.core.parameters import Parameters
from app.customers.rules import masked_name
from app.ordering import delivery, rules
from app.ordering.delivery import ChangeState, SyncState
from app.ordering.models import (
    CHANGE_FAILED,
    IN_TROUBLE,
    STUCK,
    OrderAttempt,
    OrderCallback,
    OrderChange,
    OrderCorrection,
    OrderSync,
)
from app.ordering.rules import Cause, RemoteState
from app.sales.models import Sale
from app.workorders.rules import masked_address

# Of one delivery so many of each are shown, the latest first.
_MOST_SHOWN = 100


@dataclass(frozen=True)
class Trouble:
    """So many deliveries stand like this because of that; `since` is when the first was made."""

    state: SyncState
    cause: Cause
    count: int
    since: datetime


async def summary(session: AsyncSession, org_path: str) -> Sequence[Trouble]:
    """Count the deliveries of a subtree that failed and have not arrived, or whose end somebody has
    to judge, by state and cause."""
    rows = await fetched(session, _SUMMARY, {"path": org_path})
    return [Trouble(SyncState(state), Cause(cause), n, since) for state, cause, n, since in rows]


_SUMMARY = """
SELECT o.state, o.last_cause, count(*), min(o.created_at)
  FROM order_sync o JOIN org_unit u ON u.id = o.org_unit_id
 WHERE o.last_cause IS NOT NULL AND o.state IN ('waiting', 'sending', 'parked', 'finished')
   AND starts_with(u.path, %(path)s)
 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""


@dataclass(frozen=True)
class Standstill:
    """So many orders stand like this over there; `since` is when the first was made."""

    remote_state: RemoteState
    count: int
    since: datetime


async def standstills(session: AsyncSession, org_path: str) -> Sequence[Standstill]:
    """Count the orders of a subtree in the states in which somebody has to ask, and of which nobody
    has said as what they count."""
    rows = await fetched(session, _STANDSTILLS, {"path": org_path})
    return [Standstill(RemoteState(state), n, since) for state, n, since in rows]


# In the words of the partial indexes, each of which serves one half.
_STANDSTILLS = f"""
SELECT o.remote_state, count(*), min(o.created_at)
  FROM (SELECT org_unit_id, remote_state, created_at FROM order_sync
         WHERE {STUCK}
        UNION ALL
        SELECT org_unit_id, remote_state, created_at FROM order_sync
         WHERE last_cause IS NOT NULL AND state IN ('waiting', 'sending', 'parked', 'finished')
           AND state = 'finished' AND remote_state = 'partial') AS o
  JOIN org_unit u ON u.id = o.org_unit_id
 WHERE starts_with(u.path, %(path)s)
 GROUP BY 1 ORDER BY 2 DESC, 1
"""  # noqa: S608 - text of our own


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None,
    state: SyncState | None = None,
    remote_state: RemoteState | None = None,
    failed: bool = False,
    for_a_person: bool = False,
    cause: Cause | None = None,
    org_unit_id: UUID | None = None,
    too_long: Mapping[UUID, float] | None = None,
) -> Sequence[OrderSync]:
    """Read one page of deliveries, newest first, and one row more if there is a next page.

    With `failed`, only those that failed and have not arrived, or whose end somebody has to judge;
    with `for_a_person`, those of them that do not go on by themselves; with `too_long`, those that
    stand still over there for longer than so many hours (real time), unit by unit.
    """
    at, id_ = OrderSync.created_at, OrderSync.id
    found = select(OrderSync).where(subtree(OrderSync.org_unit_id, caller))
    if state is not None:
        found = found.where(OrderSync.state == state)
    if remote_state is not None:
        found = found.where(OrderSync.remote_state == remote_state.value)
    if remote_state in rules.STANDS_STILL or too_long is not None:
        # What moved on stands in another state; said so that the partial index serves it.
        found = found.where(STUCK)
    if too_long is not None:
        found = found.where(_longer(OrderSync.org_unit_id, OrderSync.stands_since, too_long))
    if failed or for_a_person:
        found = found.where(IN_TROUBLE)
    if for_a_person:
        found = found.where(OrderSync.state.in_((SyncState.PARKED, SyncState.FINISHED)))
    if cause is not None:
        found = found.where(OrderSync.last_cause == cause)
    if org_unit_id is not None:
        found = found.where(OrderSync.org_unit_id == org_unit_id)
    if after is not None:
        found = found.where(tuple_(at, id_) < tuple_(*after))
    return (await session.scalars(found.order_by(at.desc(), id_.desc()).limit(size + 1))).all()


async def still_limits(
    session: AsyncSession, parameters: Parameters, now: datetime, org_path: str = ""
) -> dict[UUID, tuple[float, float]]:
    """Say of the units of a subtree whose orders stand still over there for how many hours (real
    time) the one that has stood longest does, and how many are allowed to it at a moment of
    business time."""
    rows = await fetched(session, _STILL, {"path": org_path})
    return {
        unit: (hours, parameters.number(delivery.ALERT_STILL, now, path))
        for unit, path, hours in rows
    }


_STILL = f"""
SELECT o.org_unit_id, u.path,
       extract(epoch FROM clock_timestamp() - min(o.stands_since))::float8 / 3600
  FROM order_sync o JOIN org_unit u ON u.id = o.org_unit_id
 WHERE {STUCK} AND starts_with(u.path, %(path)s)
 GROUP BY 1, 2
"""  # noqa: S608 - text of our own


def _longer(
    unit: InstrumentedAttribute[UUID], since: InstrumentedAttribute[Any], most: Mapping[UUID, float]
) -> ColumnElement[bool]:
    """Say that something has been so for longer than its unit allows, in hours (real time); as many
    conditions as there are different limits, which are few."""
    by_limit: dict[float, list[UUID]] = defaultdict(list)
    for unit_id, hours in most.items():
        by_limit[hours].append(unit_id)
    return or_(
        false(),
        *(
            and_(
                unit.in_(units),
                since <= func.statement_timestamp() - timedelta(hours=hours),
            )
            for hours, units in by_limit.items()
        ),
    )


async def turned_away(tx: AsyncSession, now: datetime, window: timedelta) -> int:
    """Count the callers that were turned away in the time before `now` (business time), to the
    minute; those before that are forgotten."""
    rows = await fetched(tx, _TURNED_AWAY, {"now": now, "since": now - window})
    return int(rows[0][0])


_TURNED_AWAY = """
WITH old AS (DELETE FROM callback_turned_away WHERE minute <= %(since)s)
SELECT coalesce(sum(number), 0) FROM callback_turned_away
 WHERE minute > %(since)s AND minute <= %(now)s
"""


@dataclass(frozen=True)
class Lag:
    """How long deliveries of one unit took, in seconds, and how many wait for a person."""

    org_unit_id: UUID
    p95_seconds: float | None
    sales: int
    failed: int


async def lags(session: AsyncSession, now: datetime, window: timedelta) -> Sequence[Lag]:
    """Measure, unit by unit, how long the sales confirmed in the time before `now` (business time)
    took to arrive; one that has not arrived counts with its age.

    What is older and still on its way counts too, so that a standstill is seen; what waits for a
    person is counted apart.
    """
    rows = await fetched(session, _LAGS, {"now": now, "since": now - window})
    return [Lag(*row) for row in rows]


_LAGS = """
WITH lately AS (
    SELECT id, org_unit_id, confirmed_at, sent_at FROM sale
     WHERE confirmed_at >= %(since)s AND confirmed_at <= %(now)s AND state <> 'draft'
    UNION ALL
    SELECT id, org_unit_id, confirmed_at, sent_at FROM sale
     WHERE state = 'confirmed' AND confirmed_at < %(since)s
), moving AS (
    SELECT org_unit_id, extract(epoch FROM coalesce(sent_at, %(now)s) - confirmed_at)::float8 AS lag
      FROM lately
     WHERE sent_at IS NOT NULL OR NOT EXISTS (
           SELECT FROM order_sync o
            WHERE o.sale_id = lately.id AND o.state IN ('parked', 'given_up', 'finished'))
), lag AS (
    SELECT org_unit_id, percentile_cont(0.95) WITHIN GROUP (ORDER BY lag) AS p95, count(*) AS sales
      FROM moving GROUP BY 1
), parked AS (
    SELECT org_unit_id, count(*) AS failed FROM order_sync WHERE last_cause IS NOT NULL
       AND state IN ('waiting', 'sending', 'parked', 'finished')
       AND state IN ('parked', 'finished') GROUP BY 1
)
SELECT coalesce(lag.org_unit_id, parked.org_unit_id), p95, coalesce(sales, 0), coalesce(failed, 0)
  FROM lag FULL JOIN parked ON parked.org_unit_id = lag.org_unit_id
"""


# --- what stands still, and changes that came to nothing -----------------------------------------


@dataclass(frozen=True)
class Standing:
    """What has not been as it should be for so many minutes: an endpoint by its name, or our
    listener where it is none."""

    endpoint: str | None
    minutes: float


async def not_standing(session: AsyncSession) -> Sequence[Standing]:
    """Say which endpoints are left alone, and whether our listener is not registered, for how
    long (real time)."""
    return [Standing(*row) for row in await fetched(session, _NOT_STANDING, {})]


# Of listeners the one that is looked after: those of systems that are no more are not.
_NOT_STANDING = """
SELECT name, extract(epoch FROM clock_timestamp() - opened_at)::float8 / 60
  FROM ordering_endpoint WHERE open_until IS NOT NULL
UNION ALL
SELECT NULL, extract(epoch FROM clock_timestamp() - failing_since)::float8 / 60
  FROM (SELECT failing_since FROM ordering_listener ORDER BY next_try_at DESC LIMIT 1) AS l
 WHERE failing_since IS NOT NULL
"""


async def undecided_limits(
    session: AsyncSession, parameters: Parameters, now: datetime, org_path: str = ""
) -> dict[UUID, float]:
    """Say of the units of a subtree of whose changes the other side has any to decide for how many
    hours (real time) it may, at a moment of business time."""
    rows = await fetched(session, _UNDECIDED, {"path": org_path})
    return {unit: parameters.number(delivery.ALERT_STILL, now, path) for unit, path in rows}


_UNDECIDED = """
SELECT DISTINCT o.org_unit_id, u.path FROM order_change o JOIN org_unit u ON u.id = o.org_unit_id
 WHERE o.state = 'sent' AND starts_with(u.path, %(path)s)
"""


async def changes_waiting(
    session: AsyncSession, undecided: Mapping[UUID, float]
) -> dict[UUID, int]:
    """Count, unit by unit, the changes that came to nothing and that nobody has dealt with, and
    those that the other side has left undecided for longer than so many hours (real time)."""
    given = {"units": list(undecided), "hours": list(undecided.values())}
    return dict(await fetched(session, _CHANGES_WAITING, given))


_CHANGES_WAITING = """
SELECT org_unit_id, count(*)
  FROM (SELECT org_unit_id FROM order_change
         WHERE state IN ('refused', 'given_up') AND closed_at IS NULL
        UNION ALL
        SELECT o.org_unit_id
          FROM unnest(%(units)s::uuid[], %(hours)s::float8[]) AS most (org_unit_id, hours)
          JOIN order_change o USING (org_unit_id)
         WHERE o.state = 'sent'
           AND o.created_at <= clock_timestamp() - make_interval(secs => most.hours * 3600)) AS o
 GROUP BY 1
"""


async def changes_page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None,
    state: ChangeState | None = None,
    failed: bool = False,
    undecided: Mapping[UUID, float] | None = None,
    org_unit_id: UUID | None = None,
) -> Sequence[OrderChange]:
    """Read one page of changes of orders, the latest first, and one more if there is a next page.

    With `failed`, only those that came to nothing and that nobody has dealt with; with `undecided`,
    these and those that the other side has left undecided for longer than so many hours (real
    time), unit by unit.
    """
    at, id_ = OrderChange.created_at, OrderChange.id
    found = select(OrderChange).where(subtree(OrderChange.org_unit_id, caller))
    if state is not None:
        found = found.where(OrderChange.state == state)
    if failed:
        found = found.where(CHANGE_FAILED)
    if undecided is not None:
        is_sent = OrderChange.state == ChangeState.SENT
        too_long = _longer(OrderChange.org_unit_id, OrderChange.created_at, undecided)
        found = found.where(or_(CHANGE_FAILED, and_(is_sent, too_long)))
    if org_unit_id is not None:
        found = found.where(OrderChange.org_unit_id == org_unit_id)
    if after is not None:
        found = found.where(tuple_(at, id_) < tuple_(*after))
    return (await session.scalars(found.order_by(at.desc(), id_.desc()).limit(size + 1))).all()


# --- the story of one -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """One delivery with everything that is known of how it went."""

    sync: OrderSync
    attempts: Sequence[OrderAttempt]
    corrections: Sequence[OrderCorrection]
    callbacks: Sequence[OrderCallback]


async def story(session: AsyncSession, sync_id: UUID, caller: Caller) -> Story:
    """Read a delivery in the caller's part of the organisation. Raises NotFound."""
    sync = await one(session, sync_id, caller)

    async def of(table: Any, moment: Any) -> Sequence[Any]:
        found = select(table).where(table.order_sync_id == sync_id)
        return (await session.scalars(found.order_by(moment.desc()).limit(_MOST_SHOWN))).all()

    return Story(
        sync,
        await of(OrderAttempt, OrderAttempt.at),
        await of(OrderCorrection, OrderCorrection.at),
        await of(OrderCallback, OrderCallback.received_at),
    )


async def with_customer(
    session: AsyncSession, sync_id: UUID, caller: Caller
) -> tuple[OrderSync, UUID]:
    """Read a delivery in the caller's part of the organisation, and the id of its customer.

    Raises NotFound.
    """
    sync = await one(session, sync_id, caller)
    customer_id = await session.scalar(select(Sale.customer_id).where(Sale.id == sync.sale_id))
    assert customer_id is not None
    return sync, customer_id


async def one(session: AsyncSession, sync_id: UUID, caller: Caller) -> OrderSync:
    """Read a delivery in the caller's part of the organisation. Raises NotFound."""
    found = select(OrderSync).where(OrderSync.id == sync_id, subtree(OrderSync.org_unit_id, caller))
    sync = (await session.scalars(found)).one_or_none()
    if sync is None:
        raise NotFound(order_sync_id=sync_id)
    return sync


# --- what was sent, as it may be shown ------------------------------------------------------------

_MASKS = {"Customer": masked_name, "GeographicAddress": masked_address}


def masked_body(body: Any) -> Any:
    """Mask the customer's name and address, and what was noted, in a body as it was sent."""
    if isinstance(body, list):
        return [masked_body(each) for each in body]
    if not isinstance(body, dict):
        return body
    shown = {name: masked_body(value) for name, value in body.items() if name != "note"}
    mask = _MASKS.get(str(body.get("@referredType")))
    if mask is not None and isinstance(body.get("name"), str):
        shown["name"] = mask(body["name"])
    if "note" in body:
        shown["note"] = "***"
    return shown
