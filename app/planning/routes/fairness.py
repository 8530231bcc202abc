"""Doorway of who had how much in the last month."""

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
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.planning.queries import fairness as queries
from app.planning.rules import fairness as rules
from app.planning.rules.fairness import MONTH, Measure
from app.planning.schemas.fairness import FairnessPage, MeasureOut, TechnicianFairnessOut
from app.travel.rules import DETOUR

router = Router()

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="technicians:read"))]


@router.get("/fairness", operation_id="fairness")
async def fairness(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: Annotated[
        UUID | None, Query(description="This unit and those under it; the caller's without.")
    ] = None,
    until: Annotated[
        Day | None, Query(description="A local day, included; yesterday when left out.")
    ] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> FairnessPage:
    """Tell who had how much work, travel and chance to sell in the 31 days up to a day.

    Each is held against the hours somebody was on shift, and that against the median of their own
    org unit. An opportunity is a visit at which at least one offer was shown. Kilometres are the
    straight lines from door to door times the usual detour.
    """
    unit = await org_unit_within(read, org_unit_id or reader.org_unit_id, reader)
    last = until or now.astimezone(ZoneInfo(unit.time_zone)).date() - timedelta(days=1)
    numbers = await parameters_in_force(read)
    least = numbers.number(rules.LEAST_HOURS, now, unit.path) * 3600
    tolerance = numbers.number(rules.TOLERANCE, now, unit.path) / 100
    rows, more = cut(
        await queries.report(
            read,
            unit.path,
            last,
            detour=numbers.number(DETOUR, now, unit.path),
            least_present=least,
            after=key_of(token, str)[0] if token else None,
            limit=size + 1,
        ),
        size,
    )
    return FairnessPage(
        since=last - timedelta(days=MONTH - 1),
        until=last,
        technicians=[
            TechnicianFairnessOut(
                technician_id=row.id,
                code=row.code,
                name=row.name,
                org_unit_id=row.org_unit_id,
                hours_present=round(row.present / 3600, 2),
                measures=[_measure(row, one, least, tolerance) for one in Measure],
            )
            for row in rows
        ],
        next_page_token=token_of(more.code) if more else None,
    )


def _measure(row: Row[Any], measure: Measure, least: float, tolerance: float) -> MeasureOut:
    amount = row._mapping[measure.value]
    median = row._mapping[f"median_{measure.value}"]
    per_hour = amount * 3600 / row.present if row.present >= max(1.0, least) else None
    ratio = per_hour / median if per_hour is not None and median else None
    words = rules.hint(measure, ratio, tolerance)
    return MeasureOut(
        measure=measure,
        amount=round(amount, 2),
        per_hour=None if per_hour is None else round(per_hour, 4),
        median_per_hour=None if median is None else round(median, 4),
        ratio=None if ratio is None else round(ratio, 3),
        standing=rules.standing(ratio, tolerance),
        zh=words.zh,
        en=words.en,
    )
