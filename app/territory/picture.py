"""`yingwei grids growth`: the growth report and the road map as pictures in a terminal."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from app.auth.models import OrgUnit
from app.core.clock import clock_from
from app.core.db import open_database
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.core.settings import Settings
from app.grids.rules import ExpansionFigure, GridStage
from app.territory.queries import growth as queries
from app.territory.queries.growth import KnownUnit
from app.territory.rules.blocks import SHARED_BORDER, RankBy
from app.territory.rules.growth import CoveredBy, Ground, Growth, Part, Share, grow
from app.territory.rules.roadmap import Reached, compare, measure

WIDTH = 24
CODES_NAMED = 8
_STAGES = {
    GridStage.CONTRACTED: ("█", "green", "承包 contracted"),
    GridStage.COVERED: ("▓", "cyan", "覆盖 covered"),
    GridStage.PILOT: ("▒", "yellow", "试点 pilot"),
    GridStage.NONE: ("·", "bright_black", "空白 none"),
}


@dataclass(frozen=True)
class Grown:
    """All that is printed of an org unit on a local day."""

    day: date
    units: Sequence[KnownUnit]
    ground: Ground
    growth: Growth
    road_map: Sequence[Reached]


def show_growth(
    settings: Settings,
    *,
    org_unit_code: str,
    on: date | None,
    covered_by: CoveredBy,
    rank_by: RankBy,
    top: int,
) -> None:
    """Print an org unit's growth on a local day, today if None. Raises NotFound for no such unit.

    What each figure means is told by `GET /v1/territory/growth`.
    """

    async def read() -> Grown:
        now = clock_from(settings.clock).now()
        database = open_database(settings)
        try:
            async with database.read() as session:
                unit = await session.scalar(select(OrgUnit).where(OrgUnit.code == org_unit_code))
                if unit is None:
                    raise NotFound(org_unit_code=org_unit_code)
                day = on or now.astimezone(ZoneInfo(unit.time_zone)).date()
                parameters = await parameters_in_force(session)
                metres = parameters.number(SHARED_BORDER, now, unit.path)
                units = await queries.units(session, unit)
                ground = await queries.ground(session, unit.path, day, shared_border_m=metres)
                held = await queries.held(session, unit.path, ground)
                targets = await queries.targets(session, unit.id)
        finally:
            await database.close()
        paths = [known.path for known in units]
        growth = grow(ground, paths, by=covered_by, rank_by=rank_by, top=top)
        days = {one: min(one.due_on, day) for one in targets}
        measured = measure(ground, held, set(days.values()))
        road_map = [compare(one, measured[at][one.figure], at) for one, at in days.items()]
        return Grown(day, units, ground, growth, road_map)

    grown = asyncio.run(read())
    console = Console()
    _tell_units(console, grown)
    _tell_blocks(console, grown, top)
    _tell_road_map(console, grown)


def _bar(share: float, style: str) -> str:
    full = round(max(0.0, min(1.0, share)) * WIDTH)
    return f"[{style}]{'█' * full}[/][bright_black]{'·' * (WIDTH - full)}[/]"


def _share(share: Share) -> str:
    percent = "" if share.value is None else f" {share.value:.0%}"
    return f"{share.numerator:,}/{share.denominator:,}{percent}"


def _stages(part: Part) -> str:
    """Draw an org unit's grids by stage, each stage as wide as its share."""
    ends, drawn, said = 0, 0, ""
    for stage, (mark, style, _) in _STAGES.items():
        ends += part.stages[stage]
        until = round(WIDTH * ends / part.grids) if part.grids else 0
        said += f"[{style}]{mark * (until - drawn)}[/]"
        drawn = until
    return said


def _tell_units(console: Console, grown: Grown) -> None:
    legend = "  ".join(f"[{style}]{mark}[/] {name}" for mark, style, name in _STAGES.values())
    console.print(f"{grown.day}  {legend}", highlight=False)
    coverage = "客户有主责 customers with a primary"
    table = Table("组织 unit", "网格 grids", "", coverage, "", "连片 blocks")
    for known, part in zip(grown.units, grown.growth.parts, strict=True):
        table.add_row(
            f"{known.code} {known.name_zh}",
            str(part.grids),
            _stages(part),
            _bar(part.grid_coverage.value or 0, "green"),
            _share(part.grid_coverage),
            str(part.blocks),
            end_section=part is grown.growth.parts[0],
        )
    console.print(table)
    waiting = grown.growth.parts[0].waiting
    if waiting:
        console.print(f"{waiting:,} 个地址待定位，未计入 · addresses still to be located, left out")


def _tell_blocks(console: Console, grown: Grown, top: int) -> None:
    plots, found = grown.ground.plots, grown.growth.blocks
    most = max((block.customers for block in found), default=0) or 1
    table = Table("连片 block", "客户 customers", "", "网格 grids")
    for number, block in enumerate(found[:top], start=1):
        codes = ", ".join(plots[place].code for place in block.grids[:CODES_NAMED])
        more = len(block.grids) - CODES_NAMED
        table.add_row(
            str(number),
            _bar(block.customers / most, "cyan"),
            f"{block.customers:,}",
            f"{len(block.grids)}: {codes}" + (f" +{more}" if more > 0 else ""),
        )
    console.print(table)
    table = Table(
        "下一步 next best",
        "阶段 stage",
        "连通 joins",
        "新增客户 customers added",
        "连通后 the block after",
    )
    for one in grown.growth.candidates:
        plot = plots[one.grid]
        table.add_row(
            f"{plot.code} {plot.name}",
            plot.stage.value,
            " + ".join(str(place + 1) for place in one.joins),
            f"{one.customers:,}",
            f"{one.grids_after} 网格 grids, {one.customers_after:,} 客户 customers",
        )
    console.print(table)


def _tell_road_map(console: Console, grown: Grown) -> None:
    if not grown.road_map:
        return
    table = Table(
        "路线图 road map",
        "到期 due",
        "目标 target",
        "实际 actual",
        "",
    )
    for one in grown.road_map:
        target, value = one.target.target, one.measured.value
        # Of blocks the fewer the better, so the bar is full when no more are left than wanted.
        blocks = one.target.figure is ExpansionFigure.BLOCKS
        over, under = (target, value) if blocks else (value, target)
        table.add_row(
            one.target.figure.value,
            str(one.target.due_on),
            f"{target:,.6g}",
            f"{value:,.4g}",
            _bar(over / under if under else 1.0, "green" if one.reached else "yellow"),
        )
    console.print(table)
