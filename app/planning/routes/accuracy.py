"""Doorway of how far off expected ways and planned times were."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Query
from sqlalchemy import Row

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Day, Now
from app.planning.queries import accuracy as queries
from app.planning.rules.fairness import MONTH
from app.planning.schemas.accuracy import (
    ErrorOut,
    KeptOut,
    PlannedOut,
    TravelErrorsOut,
    UnitErrorsOut,
    WaysOut,
)

router = Router()

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]


@router.get("/travel/errors", operation_id="travel_errors")
async def errors(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: Annotated[
        UUID | None, Query(description="This unit and those under it; the caller's without.")
    ] = None,
    since: Annotated[
        Day | None, Query(alias="from", description="A local day; a week before `until` without.")
    ] = None,
    until: Annotated[
        Day | None, Query(description="A local day, included; yesterday when left out.")
    ] = None,
) -> TravelErrorsOut:
    """Tell how far off expected ways and planned times were, by org unit, for 31 days at most.

    Days are taken in during the night after them.
    """
    unit = await org_unit_within(read, org_unit_id or reader.org_unit_id, reader)
    last = until or now.astimezone(ZoneInfo(unit.time_zone)).date() - timedelta(days=1)
    first = since or last - timedelta(days=6)
    if not last - timedelta(days=MONTH) < first <= last:
        raise Invalid(
            errors=[{"field": "from", "message": f"at most {MONTH} days up to `until`, included"}]
        )
    units = await queries.units(read, unit.path)
    ids = [one.id for one in units]
    ways = await queries.ways(read, ids, first, last)
    plans = await queries.plans(read, ids, first, last)
    return TravelErrorsOut(
        since=first,
        until=last,
        total=_unit(units[0], ways.get(None), plans.get(None)),
        units=[
            _unit(one, ways.get(one.id), plans.get(one.id))
            for one in units
            if one.id in ways or one.id in plans
        ],
    )


def _unit(unit: Row[Any], ways: Row[Any] | None, plans: Row[Any] | None) -> UnitErrorsOut:
    return UnitErrorsOut(
        org_unit_id=unit.id,
        code=unit.code,
        name_zh=unit.name_zh,
        name_en=unit.name_en,
        ways=WaysOut(
            trips=ways.trips if ways else 0,
            left_out=ways.left_out if ways else 0,
            expected=_error(ways.expected if ways else None),
            by_distance=_error(ways.by_distance if ways else None),
        ),
        planned=PlannedOut(
            visits=plans.visits if plans else 0,
            first=KeptOut(
                error=_error(plans.first if plans else None),
                within_15_minutes=plans.first_15 if plans else 0,
                within_30_minutes=plans.first_30 if plans else 0,
            ),
            last=KeptOut(
                error=_error(plans.last if plans else None),
                within_15_minutes=plans.last_15 if plans else 0,
                within_30_minutes=plans.last_30 if plans else 0,
            ),
        ),
    )


def _error(parts: list[float] | None) -> ErrorOut:
    median, p90 = parts or (None, None)
    return ErrorOut(median=median, p90=p90)
