"""Doorways of the road map."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.queries import org_unit_coded
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Code, Now
from app.core.parameter_values import parameters_in_force
from app.territory.queries import growth as queries
from app.territory.routes.contracts import GridSupervisor, Reader
from app.territory.routes.growth import exclusions
from app.territory.rules.blocks import SHARED_BORDER
from app.territory.rules.roadmap import Reached, Target, compare, measure, quarter_ends
from app.territory.schemas.roadmap import RoadMapIn, RoadMapOut, TargetOut, TrendOut
from app.territory.service.roadmap import set_road_map

router = Router()

Wanted = Annotated[
    Code | None, Query(description="Of the caller's subtree; their own when left out.")
]


@router.get("/territory/road-map", operation_id="territory_road_map")
async def road_map(
    reader: Reader, read: Read, now: Now, org_unit_code: Wanted = None
) -> RoadMapOut:
    """Report an org unit's targets beside what was reached, and the trend quarter by quarter."""
    unit = await org_unit_coded(read, org_unit_code, reader)
    return await _report(read, unit, now)


@router.put("/territory/road-map", operation_id="territory_road_map_set")
async def put(
    body: RoadMapIn, supervisor: GridSupervisor, tx: Tx, now: Now, org_unit_code: Wanted = None
) -> RoadMapOut:
    """Set all targets of an org unit at once; those not among them are gone."""
    unit = await org_unit_coded(tx, org_unit_code, supervisor)
    await set_road_map(tx, unit.id, [Target(**one.model_dump()) for one in body.figures])
    return await _report(tx, unit, now)


async def _report(session: AsyncSession, unit: OrgUnit, now: datetime) -> RoadMapOut:
    today = now.astimezone(ZoneInfo(unit.time_zone)).date()
    parameters = await parameters_in_force(session)
    shared_border_m = parameters.number(SHARED_BORDER, now, unit.path)
    ground = await queries.ground(session, unit.path, today, shared_border_m=shared_border_m)
    held = await queries.held(session, unit.path, ground)
    wanted = await queries.targets(session, unit.id)
    begun = min((span.valid_from for span in held), default=None)
    trend = [*quarter_ends(today, begun), today]
    days = {*trend, *(min(one.due_on, today) for one in wanted)}
    measured = await asyncio.to_thread(measure, ground, held, days)
    reached = [
        compare(one, measured[day][one.figure], day)
        for one in wanted
        for day in [min(one.due_on, today)]
    ]
    return RoadMapOut(
        org_unit_code=unit.code,
        figures=_figures(reached),
        trend=[
            TrendOut(on=day, figures={name: one.value for name, one in measured[day].items()})
            for day in trend
        ],
        exclusions=exclusions(sum(ground.waiting.values()), past=True),
    )


def _figures(reached: Sequence[Reached]) -> list[TargetOut]:
    return [
        TargetOut(
            **one.target._asdict(),
            measured_on=one.on,
            value=one.measured.value,
            numerator=one.measured.made_of.numerator,
            denominator=one.measured.made_of.denominator,
            reached=one.reached,
            missing=one.missing,
        )
        for one in reached
    ]
