"""Doorways of growth: coverage, blocks and the next best neighbours."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query

from app.auth.queries import org_unit_coded
from app.core.db import Read
from app.core.doorways import Router
from app.core.http import Code, Day, Now
from app.core.parameter_values import parameters_in_force
from app.territory.queries import growth as queries
from app.territory.queries.growth import KnownUnit
from app.territory.routes.contracts import Reader
from app.territory.rules.blocks import SHARED_BORDER, Candidate, RankBy
from app.territory.rules.growth import (
    EXCLUSION_WORDS,
    CoveredBy,
    Exclusion,
    Growth,
    Part,
    Plot,
    Share,
    grow,
)
from app.territory.schemas.growth import (
    BlockOut,
    ExclusionOut,
    FigureOut,
    GridRefOut,
    GrowthOut,
    NextGridOut,
    UnitGrowthOut,
)

router = Router()


@router.get("/territory/growth", operation_id="territory_growth")
async def growth(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_code: Annotated[
        Code | None, Query(description="Of the caller's subtree; their own when left out.")
    ] = None,
    on: Annotated[Day | None, Query(description="A local day; today when left out.")] = None,
    covered_by: Annotated[
        CoveredBy, Query(description="What makes a grid a part of a block.")
    ] = CoveredBy.STAGE,
    rank_by: Annotated[
        RankBy, Query(description="What the next grids are chosen for; the other breaks ties.")
    ] = RankBy.JOINS,
    top: Annotated[int, Query(ge=1, le=200, description="How many blocks and next grids.")] = 20,
) -> GrowthOut:
    """Report coverage, contiguous blocks and the next best neighbours of an org unit's grids."""
    unit = await org_unit_coded(read, org_unit_code, reader)
    today = now.astimezone(ZoneInfo(unit.time_zone)).date()
    parameters = await parameters_in_force(read)
    shared_border_m = parameters.number(SHARED_BORDER, now, unit.path)
    units = await queries.units(read, unit)
    day = on or today
    ground = await queries.ground(read, unit.path, day, shared_border_m=shared_border_m)
    paths = [known.path for known in units]
    # Some ten thousand grids and borders are gone through; others get their turn meanwhile.
    grown = await asyncio.to_thread(grow, ground, paths, by=covered_by, rank_by=rank_by, top=top)
    return GrowthOut(
        on=day,
        covered_by=covered_by,
        rank_by=rank_by,
        shared_border_m=shared_border_m,
        units=[
            _unit(known, part, past=day != today)
            for known, part in zip(units, grown.parts, strict=True)
        ],
        blocks=_blocks(grown, ground.plots, top),
        next=[_next(one, ground.plots) for one in grown.candidates],
    )


def exclusions(waiting: int, *, past: bool) -> list[ExclusionOut]:
    """Say what figures of customers leave out, and what they do not know of another day."""
    said: list[tuple[Exclusion, int | None]] = [(Exclusion.NOT_LOCATED, waiting)]
    if past:
        said.append((Exclusion.AS_OF_TODAY, None))
    return [
        ExclusionOut(
            what=what, count=count, zh=EXCLUSION_WORDS[what].zh, en=EXCLUSION_WORDS[what].en
        )
        for what, count in said
    ]


def _unit(known: KnownUnit, part: Part, *, past: bool) -> UnitGrowthOut:
    left_out = exclusions(part.waiting, past=past)

    def figure(share: Share) -> FigureOut:
        return FigureOut(
            numerator=share.numerator,
            denominator=share.denominator,
            value=share.value,
            exclusions=left_out,
        )

    return UnitGrowthOut(
        code=known.code,
        name_zh=known.name_zh,
        name_en=known.name_en,
        grids=part.grids,
        stages=dict(part.stages),
        grid_coverage=figure(part.grid_coverage),
        covered_share=figure(part.covered_share),
        in_grids=figure(part.in_grids),
        blocks=part.blocks,
        largest_block=part.largest_block,
    )


def _blocks(grown: Growth, plots: Sequence[Plot], top: int) -> list[BlockOut]:
    return [
        BlockOut(
            number=number,
            customers=block.customers,
            grids=[GridRefOut.model_validate(plots[place]) for place in block.grids],
        )
        for number, block in enumerate(grown.blocks[:top], start=1)
    ]


def _next(one: Candidate, plots: Sequence[Plot]) -> NextGridOut:
    plot = plots[one.grid]
    return NextGridOut(
        id=plot.id,
        code=plot.code,
        name=plot.name,
        stage=plot.stage,
        has_primary=plot.has_primary,
        customers=one.customers,
        joins=[place + 1 for place in one.joins],
        grids_after=one.grids_after,
        customers_after=one.customers_after,
    )
