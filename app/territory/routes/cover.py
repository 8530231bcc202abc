"""Doorways of who serves a grid, and of what a supervisor is warned of."""

from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.http import Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.territory.queries import keeping
from app.territory.rules.vacancies import EXPIRY_WARNING, USUAL, WarningKind
from app.territory.schemas.cover import CoverDayOut, CoverOut, WarningOut, WarningPage
from app.territory.service import cover as service

router = Router()

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]


@router.get("/grids/vacancies", operation_id="grid_vacancies_list")
async def vacancies(
    reader: Reader,
    read: Read,
    now: Now,
    on: Annotated[
        Day | None, Query(description="The first day looked at; today when left out.")
    ] = None,
    days: Annotated[
        int | None,
        Query(ge=1, le=92, description="How many; `grids.expiry_warning_days` when left out."),
    ] = None,
    kind: Annotated[
        list[WarningKind] | None,
        Query(max_length=5, description="Only these; all but `off_shift` when left out."),
    ] = None,
    org_unit_id: Annotated[
        UUID | None, Query(description="Only this org unit and what is under it.")
    ] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> WarningPage:
    """List what is wrong with grids on the coming days, the most customers first.

    Grids without a primary, with or without somebody who covers; backups and loans that end and
    nobody follows; days on which everybody of a grid is away.
    """
    unit = await org_unit_within(read, org_unit_id or reader.org_unit_id, reader)
    parameters = await parameters_in_force(read)
    found = await service.vacancies(
        read,
        unit.path,
        first=on or keeping.today(now, unit.time_zone),
        days=days or parameters.whole(EXPIRY_WARNING, now, unit.path),
        kinds=kind or USUAL,
    )
    after = key_of(token, int, str, str, str) if token else None
    rest = [one for one in found if after is None or one.place > after]
    rows, last = cut(rest[: size + 1], size)
    return WarningPage(
        warnings=[WarningOut.of(*one) for one in rows],
        counts=Counter(one.warned.kind for one in found),
        next_page_token=token_of(*last.place) if last else None,
    )


@router.get("/grids/{grid_id}/cover", operation_id="grid_cover")
async def cover(
    grid_id: UUID,
    reader: Reader,
    read: Read,
    now: Now,
    first: Annotated[
        Day | None, Query(alias="from", description="The first day; today when left out.")
    ] = None,
    days: Annotated[int, Query(ge=1, le=31)] = 7,
) -> CoverOut:
    """Say who is asked for a grid's orders on each of some days, in order, and who is away and why.

    It is the order in which placing asks them; what an order needs, and how full their days are,
    is not looked at.
    """
    time_zone = await keeping.zone_of(read, grid_id, reader)
    found = await service.cover_of(
        read, grid_id, first=first or keeping.today(now, time_zone), days=days, now=now
    )
    return CoverOut(grid_id=grid_id, days=[CoverDayOut.of(day, found.people) for day in found.days])
