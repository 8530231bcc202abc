"""Changes as supervisors list them, the history of one customer, and counts by org unit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.db import fetched
from app.core.errors import NotFound
from app.lifecycle.rules import ChangeKind, ChurnClass, Stage, Tier

HISTORY = 200


class Customer(NamedTuple):
    """Whom a caller may look up: a customer of their part of the organisation."""

    customer_id: UUID
    code: str


_CUSTOMER = """
    SELECT c.id, c.code FROM customer c JOIN org_unit u ON u.id = c.org_unit_id
    WHERE c.id = %(customer_id)s AND starts_with(u.path, %(path)s)
"""


async def customer(session: AsyncSession, caller: Caller, customer_id: UUID) -> Customer:
    """Read a customer. Raises NotFound, also outside the caller's part of the organisation."""
    asked = {"customer_id": customer_id, "path": caller.org_path}
    rows = await fetched(session, _CUSTOMER, asked)
    if not rows:
        raise NotFound()
    return Customer(*rows[0])


async def zone_of(session: AsyncSession, org_unit_id: UUID) -> str:
    """Read the time zone of an org unit."""
    statement = "SELECT time_zone FROM org_unit WHERE id = %(id)s"
    ((zone,),) = await fetched(session, statement, {"id": org_unit_id})
    return str(zone)


_HISTORY = text(
    """
    SELECT id, customer_id, org_unit_id, kind, before, after, rule, inputs, warns, at
    FROM lifecycle_change WHERE customer_id = :customer_id ORDER BY at DESC, id DESC LIMIT :most
    """
).bindparams(bindparam("customer_id", type_=Uuid()))


async def history(session: AsyncSession, customer_id: UUID) -> Sequence[Row[Any]]:
    """Read the latest changes of a customer, the latest first."""
    rows = await session.execute(_HISTORY, {"customer_id": customer_id, "most": HISTORY})
    return rows.all()


# One look into the index for each unit. The grid of a customer is that of any of their addresses.
_CHANGES = """
    SELECT l.id, l.customer_id, c.code AS customer_code, l.org_unit_id, l.kind, l.before, l.after,
        l.rule, l.inputs, l.warns, l.at, s.value_12m_fen, s.stage, s.tier, s.churn_class
    FROM (
        SELECT each.* FROM org_unit u CROSS JOIN LATERAL (
            SELECT l.* FROM lifecycle_change l
            WHERE l.org_unit_id = u.id {wanted}
            ORDER BY l.at DESC, l.id DESC LIMIT :most
        ) AS each
        WHERE starts_with(u.path, :path) ORDER BY each.at DESC, each.id DESC LIMIT :most
    ) AS l
    JOIN customer c ON c.id = l.customer_id
    JOIN customer_lifecycle s ON s.customer_id = l.customer_id
    ORDER BY l.at DESC, l.id DESC
"""
_IN_GRID = """AND EXISTS (
    SELECT FROM service_address a JOIN address_grid g ON g.service_address_id = a.id
    WHERE a.customer_id = l.customer_id AND g.grid_id = :grid_id)"""


async def changes(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    since: datetime | None = None,
    until: datetime | None = None,
    kind: ChangeKind | None = None,
    grid_id: UUID | None = None,
    warns: bool | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` changes of the caller's part of the organisation, the latest first.

    `after` is the key (at, id) of the page before; `until` is excluded.
    """
    conditions: dict[str, Any] = {
        "AND l.kind = :kind": kind and kind.value,
        "AND l.at >= :since": since,
        "AND l.at < :until": until,
        "AND l.warns = :warns": warns,
        _IN_GRID: grid_id,
    }
    names = ("kind", "since", "until", "warns", "grid_id")
    wanted = [words for words, value in conditions.items() if value is not None]
    asked = dict(zip(names, conditions.values(), strict=True))
    if after is not None:
        wanted.append("AND (l.at, l.id) < (:last_at, :last_id)")
        asked |= {"last_at": after[0], "last_id": after[1]}
    statement = text(_CHANGES.format(wanted=" ".join(wanted)))
    asked = {name: value for name, value in asked.items() if value is not None}
    rows = await session.execute(statement, {**asked, "path": caller.org_path, "most": size + 1})
    return rows.all()


class Counted(NamedTuple):
    """How many customers of a unit stand alike."""

    org_unit_id: UUID
    org_unit_code: str
    stage: Stage
    tier: Tier | None
    churn_class: ChurnClass | None
    customers: int
    hidden_high_value: int


_SUMMARY = """
    SELECT u.id, u.code, l.stage, l.tier, l.churn_class, count(*),
        count(*) FILTER (WHERE l.hidden_high_value)
    FROM org_unit u JOIN customer_lifecycle l ON l.org_unit_id = u.id
    WHERE starts_with(u.path, %(path)s)
    GROUP BY u.id, u.code, u.path, l.stage, l.tier, l.churn_class
    ORDER BY u.path, l.stage, l.tier NULLS LAST, l.churn_class NULLS LAST
    LIMIT %(most)s
"""


async def summary(session: AsyncSession, path: str, *, most: int) -> list[Counted]:
    """Count the customers of the units under a path by stage, tier and class of risk."""
    rows = await fetched(session, _SUMMARY, {"path": path, "most": most})
    return [Counted(*row) for row in rows]
