"""Doorways of what retention brings: effects, the levers in pairs, and what customers bring."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Query

from app.auth.queries import org_unit_coded
from app.core.db import Read
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Day, Now
from app.core.parameter_values import parameters_in_force
from app.retention.queries import effects, levers
from app.retention.queries import market as markets
from app.retention.routes.callers import OrgUnitCode, Overseer
from app.retention.rules import cases, market
from app.retention.rules.levers import pairs
from app.retention.schemas.figures import EffectsOut, LeverOut, LeversOut, MarketOut
from app.suggestions.rules.limits import limits_in_force
from app.workorders.queries import org_units

router = Router(prefix="/v1", tags=["retention"])

LONGEST_DAYS = 731

FirstDay = Annotated[Day, Query(alias="from", description="A local day.")]
UntilDay = Annotated[Day, Query(alias="until", description="The first day that does not count.")]


class _Period(NamedTuple):
    unit_id: UUID
    units: list[UUID]
    path: str
    begins: datetime
    ends: datetime


async def _period(
    read: Read, overseer: Overseer, org_unit: str | None, first: date, until: date
) -> _Period:
    """Find an org unit with all under it, and when its days begin and end. Raises Invalid."""
    if not 0 < (until - first).days <= LONGEST_DAYS:
        message = f"must follow `from` within {LONGEST_DAYS} days"
        raise Invalid(errors=[{"field": "until", "message": message}])
    unit = await org_unit_coded(read, org_unit, overseer)
    units = await org_units(read, ids=[unit.id])
    zone = units.by_id[unit.id].zone
    begins, ends = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, until))
    return _Period(unit.id, units.within(unit.path), unit.path, begins, ends)


@router.get("/retention-effects", operation_id="retention_effects")
async def told(
    overseer: Overseer,
    read: Read,
    now: Now,
    first_day: FirstDay,
    until_day: UntilDay,
    org_unit: OrgUnitCode = None,
) -> EffectsOut:
    """Tell whether taking care keeps customers: of those warned of in a period, how many of the
    treated were kept, and of those who were left alone for comparison.

    Everybody counts in the group they were drawn into, reached or not.
    """
    period = await _period(read, overseer, org_unit, first_day, until_day)
    days = (await parameters_in_force(read)).whole(cases.KEPT_DAYS, now, period.path)
    counted = await effects.counted(
        read, period.units, period.begins, period.ends, days=days, now=now
    )
    return EffectsOut.of(counted, first_day, until_day, days)


@router.get("/levers", operation_id="levers_in_pairs")
async def in_pairs(
    overseer: Overseer,
    read: Read,
    now: Now,
    first_day: FirstDay,
    until_day: UntilDay,
    org_unit: OrgUnitCode = None,
) -> LeversOut:
    """Tell what each of the eleven levers has brought in a period, always beside its harm.

    Each figure has its numerator, its denominator, and how many were left out, since it is not
    known of them, or not yet: harm takes its days to show, and a case to end.
    """
    period = await _period(read, overseer, org_unit, first_day, until_day)
    days = (await parameters_in_force(read)).whole(cases.KEPT_DAYS, now, period.path)
    asked = levers.Period(period.units, period.begins, period.ends, first_day, until_day)
    found = pairs(
        await levers.offers(read, asked, now=now),
        await levers.base(read, asked),
        await levers.contacts(read, asked),
        await levers.kept(read, asked, days=days, now=now),
    )
    return LeversOut(
        org_unit_id=period.unit_id,
        first_day=first_day,
        until_day=until_day,
        levers=[LeverOut.of(pair) for pair in found],
    )


@router.get("/market-figures", operation_id="market_figures")
async def of_month(
    overseer: Overseer,
    read: Read,
    month: Annotated[Day, Query(description="A local day of the month; each one means the same.")],
    org_unit: OrgUnitCode = None,
) -> MarketOut:
    """Tell what a month's customers brought: how many of the target market were kept, what is left
    over of a customer, and what new services brought and was collected.

    What is left over is no full EBITDA: it is what can be known by the customer.
    """
    first = month.replace(day=1)
    until = (first + timedelta(days=31)).replace(day=1)
    period = await _period(read, overseer, org_unit, first, until)
    numbers = await parameters_in_force(read)
    limits = limits_in_force(numbers, period.ends, period.path)
    costs = market.Costs(
        margin_share=limits.margin_share,
        visit_fen=numbers.number(market.VISIT_COST_FEN, period.ends, period.path),
        spoken_fen=numbers.number(market.SPOKEN_COST_FEN, period.ends, period.path),
        sales_contact_fen=limits.contact_cost_fen,
        gift_fen=limits.incentive_fen,
    )
    counted = await markets.counted(
        read,
        levers.Period(period.units, period.begins, period.ends, first, until),
        target_tiers=numbers.whole(market.TARGET_TIERS, period.ends, period.path),
    )
    return MarketOut.of(period.unit_id, first, market.figures(counted, costs))
