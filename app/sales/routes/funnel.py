"""The doorway of what became of visits."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.http import Day, Language, Now
from app.sales.schemas.funnel import ExcludedOut, FigureOut, FunnelOut
from app.sales.service import funnel as service
from app.worktypes.rules import WorkType

router = Router(prefix="/v1/sales", tags=["sales"])

Supervisor = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sales:read"))]


@router.get("/funnel", operation_id="sales_funnel")
async def funnel(
    supervisor: Supervisor,
    read: Read,
    now: Now,
    lang: Language,
    org_unit_id: Annotated[
        UUID | None, Query(description="With all units under it; left out, the caller's own.")
    ] = None,
    first_day: Day | None = None,
    until_day: Annotated[Day | None, Query(description="The day after the last one.")] = None,
    work_type: WorkType | None = None,
) -> FunnelOut:
    """Read what became of completed visits: what was suggested, answered, sold and kept, each
    figure with what it is of. Left out, the days are the last thirty."""
    found = await service.read(
        read,
        supervisor,
        org_unit_id=org_unit_id,
        first=first_day,
        until=until_day,
        work_type=work_type,
        now=now,
    )
    return FunnelOut(
        org_unit_id=found.org_unit_id,
        first_day=found.first,
        until_day=found.until,
        work_type=work_type,
        added_up_until=found.added_up_until,
        figures=[
            FigureOut(
                stage=one.stage,
                words=one.words.say(lang),
                counts=one.counts,
                numerator=one.numerator,
                denominator=one.denominator,
                share=one.numerator / one.denominator if one.denominator else None,
            )
            for one in found.figures
        ],
        excluded=[
            ExcludedOut(exclusion=each, words=each.words.say(lang), visits=visits)
            for each, visits in found.excluded.items()
        ],
    )
