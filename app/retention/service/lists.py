"""A grid's lists, with the toolkit that is meant for each entry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.parameter_values import parameters_in_force
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.queries import lists as queries
from app.retention.queries.toolkits import toolkits
from app.retention.rules import Cause, LeaveReason, cases
from app.retention.rules.toolkits import DatedToolkit, Subject, toolkit_for
from app.workorders.queries import Unit, org_units


@dataclass(frozen=True)
class Listed:
    """The rows of a list, one more than asked where others follow, and each one's toolkit."""

    grid_id: UUID
    rows: Sequence[Row[Any]]
    toolkit: Callable[[Row[Any]], DatedToolkit | None]


async def win_back(
    read: AsyncSession,
    grid_id: UUID,
    caller: Caller,
    *,
    size: int,
    now: datetime,
    tier: Tier | None = None,
    reason: LeaveReason | None = None,
    customer_id: UUID | None = None,
    after: tuple[int, UUID] | None = None,
) -> Listed:
    """Read a grid's win-back list. Raises NotFound for a grid outside the caller's subtree."""
    unit, today, cool_since = await _where(read, grid_id, caller, now)
    numbers = await parameters_in_force(read)
    asked = queries.Asked(grid_id, today, cool_since, size, customer_id, tier)
    rows = await queries.win_back(
        read,
        asked,
        from_days=numbers.whole(cases.WIN_BACK_FROM_DAYS, now, unit.path),
        until_days=numbers.whole(cases.WIN_BACK_UNTIL_DAYS, now, unit.path),
        reason=reason,
        after=after,
    )

    def subject(row: Row[Any]) -> Subject:
        return Subject(
            tier=Tier(row.tier) if row.tier else None,
            stage=Stage.EXIT,
            reason=LeaveReason(row.reason),
        )

    return await _listed(read, asked, rows, unit.path, Cause.LEFT, subject)


async def renewal(
    read: AsyncSession,
    grid_id: UUID,
    caller: Caller,
    *,
    size: int,
    now: datetime,
    tier: Tier | None = None,
    churn_class: ChurnClass | None = None,
    customer_id: UUID | None = None,
    after: tuple[str, date, UUID] | None = None,
) -> Listed:
    """Read a grid's renewal list. Raises NotFound for a grid outside the caller's subtree."""
    unit, today, cool_since = await _where(read, grid_id, caller, now)
    numbers = await parameters_in_force(read)
    asked = queries.Asked(grid_id, today, cool_since, size, customer_id, tier)
    rows = await queries.renewal(
        read,
        asked,
        days=numbers.whole(cases.RENEWAL_DAYS, now, unit.path),
        churn_class=churn_class,
        after=after,
    )

    def subject(row: Row[Any]) -> Subject:
        return Subject(
            Tier(row.tier) if row.tier else None,
            ChurnClass(row.churn_class) if row.churn_class else None,
            Stage(row.stage) if row.stage else None,
            hidden=row.hidden,
        )

    return await _listed(read, asked, rows, unit.path, Cause.CONTRACT_ENDS, subject)


async def _listed(
    read: AsyncSession,
    asked: queries.Asked,
    rows: Sequence[Row[Any]],
    org_path: str,
    cause: Cause,
    subject: Callable[[Row[Any]], Subject],
) -> Listed:
    """Put a list's rows beside what says which toolkit is meant for each of them."""
    known = (await toolkits(read)).values()

    def toolkit(row: Row[Any]) -> DatedToolkit | None:
        kind = cases.TOOLKIT_OF[cause]
        return toolkit_for(known, kind, subject(row), org_path, asked.today)

    return Listed(asked.grid_id, rows, toolkit)


async def _where(
    read: AsyncSession, grid_id: UUID, caller: Caller, now: datetime
) -> tuple[Unit, date, datetime]:
    """Give a grid's org unit, its local day, and since when a case keeps a customer off a list."""
    grid = await queries.grid_within(read, grid_id, caller)
    unit = (await org_units(read, ids=[grid.org_unit_id])).by_id[grid.org_unit_id]
    numbers = await parameters_in_force(read)
    days = numbers.number(cases.COOL_DOWN_DAYS, now, unit.path)
    return unit, now.astimezone(unit.zone).date(), now - timedelta(days=days)
