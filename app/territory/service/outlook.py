"""What a command would do, worked out in full before anything is written: the preview's figures
are those the command is answered with."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from shapely import MultiPolygon
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import Problem
from app.core.parameter_values import parameters_in_force
from app.grids.index import Found, GridIndex, ListLine, Territory, drawn
from app.grids.layers import LayerTangled
from app.grids.layers.shapes import past_joining, shapes_of
from app.grids.rules import metres_per_degree
from app.territory.queries import orders as orders_queries
from app.territory.queries import redraw as queries
from app.territory.queries.orders import Box
from app.territory.queries.redraw import KnownGrid
from app.territory.queries.relocation import Addresses, addresses_around
from app.territory.rules import refusals
from app.territory.rules.commands import Asked, Reshape
from app.territory.rules.following import Fate, follow
from app.territory.rules.plan import NO_GROUND, Outcome, Plan, ground_of, outcome, plan
from app.territory.rules.redraw import GAP_WARNED, OVERLAP_REFUSED, SLIVER
from app.territory.rules.telling import Named, Numbers, tell
from app.territory.service.as_seen import must_be_as_seen
from app.territory.service.relocation import Misplaced, located, misplaced, near_metres


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that a command comes to: what is told of it, and what is needed to carry it out."""

    plan: Plan
    grids: Mapping[UUID, KnownGrid]
    days: Mapping[UUID, date]
    index: GridIndex
    fates: Sequence[Fate]
    orders: Sequence[Misplaced]
    addresses: Addresses
    found: Found
    told: dict[str, Any]
    refusal: Problem | None


async def look_ahead(
    session: AsyncSession,
    asked: Asked,
    caller: Caller,
    *,
    index: GridIndex,
    now: datetime,
    lock: bool = False,
) -> Outlook:
    """Work out what a command does to the map that `index` holds, and to all that lies in it.

    `lock` holds the grids' rows. Raises NotFound, the refusals of `rules.refusals` but WouldOverlap
    (it is in the answer: a preview shows what it refuses), those of the geometry, and LayerTangled.
    """
    grids = await _grids(session, asked, caller, lock=lock)
    parameters = await parameters_in_force(session)
    first = next(iter(grids.values()))
    numbers = Numbers(
        overlap_m2=parameters.number(OVERLAP_REFUSED, now, first.org_path),
        sliver_m2=parameters.number(SLIVER, now, first.org_path),
        gap_m2=parameters.number(GAP_WARNED, now, first.org_path),
    )
    shapes = {one.id: _shape(one) for one in grids.values()}
    codes = {one.id: one.code for one in grids.values()}
    made = await asyncio.to_thread(plan, asked.command, shapes, codes, sliver_m2=numbers.sliver_m2)
    near_m = await near_metres(session, now)
    then = await asyncio.to_thread(redrawn, index, made, grids)
    ground = await asyncio.to_thread(_compared, index, made)

    around = await addresses_around(
        session, shapely.to_wkb(shapes_of(ground_of(made))).tolist(), list(grids), near_m=near_m
    )
    before = await located(index, around, near_m=near_m)
    found = await located(then, around, near_m=near_m)
    rows = await orders_queries.open_orders(session, box=_box(made, near_m), grid_ids=list(grids))
    orders = await misplaced(session, then, rows, near_m=near_m)
    members, people = await queries.members(session, list(grids), now=now)
    days = _days(made, grids, now)
    fates = follow(asked.kind, members, days=days, new=list(made.new), heir=made.heir)

    named = _named(then, caller)
    told = tell(
        made,
        ground,
        named,
        numbers,
        addresses=_addresses(index, before, then, found, set(made.grid_ids)),
        orders=_orders(orders, set(made.grid_ids)),
        fates=fates,
        people=people,
        notes=asked.notes,
    )
    refusal = None if asked.accept_overlap else _overlaps(ground, named, numbers)
    return Outlook(made, grids, days, then, fates, orders, around, found, told, refusal)


# --- the grids ------------------------------------------------------------------------------------


async def _grids(
    session: AsyncSession, asked: Asked, caller: Caller, *, lock: bool
) -> dict[UUID, KnownGrid]:
    seen = asked.seen()
    parts = getattr(asked.command, "parts", ())
    ids = [one.id for one in seen] + [part.id for part in parts]
    if len(set(ids)) < len(ids) or len({part.code for part in parts}) < len(parts):
        raise refusals.SameGridTwice(errors=[])
    grids = await queries.grids(session, [one.id for one in seen], caller, lock=lock)
    for one in seen:
        grid = grids[one.id]
        await must_be_as_seen(session, grid, one.version)
        if grid.wkb is None and not isinstance(asked.command, Reshape):
            raise refusals.GridWithoutGround(code=grid.code)
    if parts:
        known = await queries.taken(
            session, [part.id for part in parts], [part.code for part in parts]
        )
        if known:
            raise refusals.GridCodeTaken(codes=sorted({row.code for row in known}))
    return grids


def _shape(grid: KnownGrid) -> MultiPolygon:
    shape: Any = shapely.from_wkb(grid.wkb)
    return NO_GROUND if shape is None else shape


def _days(made: Plan, grids: Mapping[UUID, KnownGrid], now: datetime) -> dict[UUID, date]:
    """Give the local day of each grid's org unit; a new grid has that of the one it is cut from."""
    first = next(iter(grids.values()))
    return {
        grid_id: now.astimezone(ZoneInfo(grids.get(grid_id, first).time_zone)).date()
        for grid_id in made.grid_ids
    }


# --- the ground -----------------------------------------------------------------------------------


def redrawn(index: GridIndex, made: Plan, grids: Mapping[UUID, KnownGrid]) -> GridIndex:
    """Make the index of the map as a plan leaves it."""
    changed = set(made.grid_ids)
    shapes = {id: one for id, one in index.shapes.items() if one.grid_id not in changed}
    ids = list(made.after)
    after = drawn(ids, shapely.to_wkb(shapes_of([made.after[one] for one in ids])).tolist())
    # No boundary has these ids; an index only wants them different.
    shapes.update(zip(ids, after, strict=True))
    first = next(iter(grids.values()))
    # An index that is only read may be a moment older than the grids.
    known = {one.id for one in index.territories}
    new = [
        Territory(grid.id, grid.code, grid.org_unit_id, grid.org_path)
        for grid in grids.values()
        if grid.id not in known
    ] + [
        Territory(part.id, part.code, first.org_unit_id, first.org_path)
        for part in made.new.values()
    ]
    lines: dict[UUID, ListLine] = {}
    for id, line in index.lines.items():
        if line.grid_id not in made.retired:
            lines[id] = line
        elif made.heir is not None:
            lines[id] = line._replace(grid_id=made.heir)
    return GridIndex(index.edition, [*index.territories, *new], shapes, lines)


def _compared(index: GridIndex, made: Plan) -> Outcome:
    """Compare a plan with the grids around it. Raises LayerTangled past reasonable time."""
    changed = set(made.grid_ids)
    west, south, east, north = shapely.total_bounds(shapes_of(ground_of(made)))
    others = [one for one in index.shapes.values() if one.grid_id not in changed]
    about = shapely.box(west, south, east, north)
    beside = shapely.intersects(shapes_of([one.area for one in others]), about)
    neighbours = {others[at].grid_id: others[at].area for at in np.flatnonzero(beside)}
    meetings = past_joining(shapes_of([*ground_of(made), *neighbours.values()]))
    if meetings is not None:
        raise LayerTangled(meetings=meetings)
    return outcome(made, neighbours)


def _box(made: Plan, near_m: float) -> Box:
    west, south, east, north = shapely.total_bounds(shapes_of(ground_of(made))).tolist()
    metres = metres_per_degree(max(abs(south), abs(north)))
    dx, dy = near_m / metres[0], near_m / metres[1]
    return Box(west - dx, south - dy, east + dx, north + dy)


def _named(index: GridIndex, caller: Caller) -> Named:
    """Name the grids of the caller's part of the organisation; the others are only counted."""
    return Named(
        {one.id: one.code for one in index.territories if one.org_path.startswith(caller.org_path)}
    )


def _overlaps(ground: Outcome, named: Named, numbers: Numbers) -> Problem | None:
    over = [one for one in ground.overlaps if one.area_m2 > numbers.overlap_m2]
    if not over:
        return None
    return refusals.WouldOverlap(
        area_m2=round(sum(one.area_m2 for one in over)),
        limit_m2=round(numbers.overlap_m2),
        others=named.all_of([one.neighbour_id for one in over]),
    )


# --- what lies in it ------------------------------------------------------------------------------


def _addresses(
    index: GridIndex, before: Found, then: GridIndex, found: Found, concerned: set[UUID]
) -> dict[str, int]:
    """Count the addresses in the grids concerned, before or after, and those that change grid.

    A new index has the old one's grids in the same places, and new ones behind them.
    """
    ours = np.zeros(len(then.territories) + 1, dtype=bool)  # the last: nowhere
    ours[:-1] = [one.id in concerned for one in then.territories]
    assert then.territories[: len(index.territories)] == index.territories
    return {
        "affected": int((ours[before.grid] | ours[found.grid]).sum()),
        "change_grid": int((before.grid != found.grid).sum()),
        "without_grid": int(((before.grid != found.grid) & (found.grid < 0)).sum()),
    }


def _orders(orders: Sequence[Misplaced], concerned: set[UUID]) -> dict[str, Any]:
    affected = [one for one in orders if {one.row.grid_id, one.there} & concerned]
    moving = [one for one in affected if one.row.grid_id != one.there and one.changes]
    return {
        "affected": len(affected),
        "by_state": dict(sorted(Counter(one.row.state.value for one in affected).items())),
        "change_grid": len(moving),
        "without_grid": sum(one.there is None for one in moving),
        "with_appointment": sum(one.row.appointment_from is not None for one in moving),
    }
