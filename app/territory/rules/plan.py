"""From a command and the shapes there are to a plan, and what the plan does to the ground."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import shapely
from shapely import MultiPolygon

from app.grids.layers.shapes import LEAST_M2, Shapes, area_m2, shapes_of
from app.grids.rules import ChangeKind
from app.territory.rules import redraw
from app.territory.rules.commands import Command, Merge, MoveBorder, NewPart, Reshape, Retire, Split

NO_GROUND = MultiPolygon()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command comes to: shapes by grid, before and after, new grids and retired ones.

    `heir` takes over what the retired ones had. `outside_m2` is what of a split's drawn shapes
    lies outside of the grid, and so is left out.
    """

    kind: ChangeKind
    before: Mapping[UUID, MultiPolygon]
    after: Mapping[UUID, MultiPolygon]
    new: Mapping[UUID, NewPart]
    retired: tuple[UUID, ...] = ()
    heir: UUID | None = None
    outside_m2: float = 0.0

    @property
    def grid_ids(self) -> list[UUID]:
        """All grids that it concerns, the one it is about first."""
        return list(dict.fromkeys([*self.before, *self.after]))


def plan(
    command: Command,
    shapes: Mapping[UUID, MultiPolygon],
    codes: Mapping[UUID, str],
    *,
    sliver_m2: float,
) -> Plan:
    """Work out what a command comes to; `shapes` and `codes` are of the grids it names.

    Raises the refusals of `redraw`, NothingLeft among them when a grid would have no ground left.
    """
    match command:
        case Reshape(grid=grid, boundary=boundary):
            made = Plan(ChangeKind.RESHAPE, shapes, {grid.id: boundary}, {})
        case Split():
            made = _split(command, shapes, codes[command.grid.id], sliver_m2)
        case Merge(grid=grid, others=others):
            made = _taken_over(ChangeKind.MERGE, shapes, grid.id, [one.id for one in others])
        case MoveBorder():
            made = _moved(command, shapes, codes[command.grid.id], sliver_m2)
        case Retire(grid=grid, heir=heir) if heir is not None:
            made = _taken_over(ChangeKind.RETIRE, shapes, heir.id, [grid.id])
        case Retire(grid=grid):
            made = Plan(ChangeKind.RETIRE, shapes, {}, {}, (grid.id,))
    for grid_id, size in zip(made.after, area_m2(_array(made.after)), strict=True):
        if size < LEAST_M2:
            known = made.new[grid_id].code if grid_id in made.new else codes[grid_id]
            raise redraw.NothingLeft(grid=known, least_m2=LEAST_M2, errors=[])
    return made


def _split(command: Split, shapes: Mapping[UUID, MultiPolygon], code: str, sliver: float) -> Plan:
    whole, outside = shapes[command.grid.id], 0.0
    if command.line is not None:
        cut = redraw.split_by_line(
            whole,
            command.line,
            keep=command.keep,
            new=[part.at for part in command.parts],
            grid=code,
        )
    else:
        drawn = [part.boundary or NO_GROUND for part in command.parts]
        cut = redraw.split_by_shapes(whole, drawn, sliver_m2=sliver)
        outside = float(area_m2(shapely.difference(shapes_of(drawn), whole)).sum())
    ids = [command.grid.id, *(part.id for part in command.parts)]
    return Plan(
        ChangeKind.SPLIT,
        shapes,
        dict(zip(ids, cut, strict=True)),
        {part.id: part for part in command.parts},
        outside_m2=outside,
    )


def _taken_over(
    kind: ChangeKind, shapes: Mapping[UUID, MultiPolygon], heir: UUID, retired: list[UUID]
) -> Plan:
    whole = redraw.joined([shapes[heir], *(shapes[one] for one in retired)])
    return Plan(kind, shapes, {heir: whole}, {}, tuple(retired), heir)


def _moved(
    command: MoveBorder, shapes: Mapping[UUID, MultiPolygon], code: str, sliver: float
) -> Plan:
    one, other = shapes[command.grid.id], shapes[command.neighbour.id]
    if command.line is not None:
        left, right = redraw.new_border(one, other, command.line, grid=code)
    else:
        area = command.area or NO_GROUND
        left, right = redraw.move_area(one, other, area, sliver_m2=sliver, grid=code)
    after = {command.grid.id: left, command.neighbour.id: right}
    return Plan(ChangeKind.MOVE_BORDER, shapes, after, {})


# --- what it does to the ground -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ground:
    """What a grid has and gets, in m2 on the ellipsoid."""

    before_m2: float
    after_m2: float
    gained_m2: float
    lost_m2: float
    pieces: int


@dataclass(frozen=True, slots=True)
class NewOverlap:
    """Ground that a grid gains and that a neighbour, which stays as it is, has already."""

    grid_id: UUID
    neighbour_id: UUID
    area_m2: float


@dataclass(frozen=True, slots=True)
class NewGap:
    """Ground that nobody has any more; `beside` are the grids around it."""

    area_m2: float
    beside: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a plan does to the ground; overlaps and gaps are what it adds, the largest first."""

    grounds: Mapping[UUID, Ground]
    overlaps: tuple[NewOverlap, ...]
    gaps: tuple[NewGap, ...]


# A gap's neighbours are those within this many degrees (1 cm).
_BESIDE = 1e-7


def outcome(made: Plan, neighbours: Mapping[UUID, Any]) -> Outcome:
    """Compare a plan with what is there; `neighbours` are the shapes of other grids near it."""
    grid_ids = made.grid_ids
    before = shapes_of([made.before.get(one, NO_GROUND) for one in grid_ids])
    after = shapes_of([made.after.get(one, _stays(made, one)) for one in grid_ids])
    gained, lost = shapely.difference(after, before), shapely.difference(before, after)
    had, has, more, less = (area_m2(some).round(2) for some in (before, after, gained, lost))
    pieces = shapely.get_num_geometries(after)
    grounds = {
        grid_id: Ground(
            float(had[n]), float(has[n]), float(more[n]), float(less[n]), int(pieces[n])
        )
        for n, grid_id in enumerate(grid_ids)
    }
    whole_before, whole_after = shapely.union_all(before), shapely.union_all(after)
    others, ids = shapes_of(list(neighbours.values())), list(neighbours)
    fresh = shapely.difference(after, whole_before)
    gone = shapely.difference(whole_before, shapely.union_all([*others, whole_after]))
    around = {**neighbours, **{one: made.after[one] for one in made.after}}
    return Outcome(grounds, _overlaps(grid_ids, fresh, ids, others), _gaps(gone, around))


def _stays(made: Plan, grid_id: UUID) -> MultiPolygon:
    return NO_GROUND if grid_id in made.retired else made.before.get(grid_id, NO_GROUND)


def _array(shapes: Mapping[UUID, MultiPolygon]) -> Shapes:
    return shapes_of(list(shapes.values()))


def _overlaps(
    grid_ids: list[UUID], fresh: Shapes, neighbour_ids: list[UUID], neighbours: Shapes
) -> tuple[NewOverlap, ...]:
    if not len(neighbours):
        return ()
    mine, theirs = shapely.STRtree(neighbours).query(fresh, predicate="intersects")
    sizes = area_m2(shapely.intersection(fresh[mine], neighbours[theirs]))
    found = [
        NewOverlap(grid_ids[one], neighbour_ids[other], round(float(size), 2))
        for one, other, size in zip(mine, theirs, sizes, strict=True)
        if size > LEAST_M2
    ]
    return tuple(sorted(found, key=lambda one: -one.area_m2))


def _gaps(gone: Any, around: Mapping[UUID, Any]) -> tuple[NewGap, ...]:
    parts = shapely.get_parts(shapely.get_parts([gone]))
    sizes = area_m2(parts)
    ids, shapes = list(around), shapes_of(list(around.values()))
    tree = shapely.STRtree(shapes)
    found = [
        NewGap(
            round(float(size), 2),
            tuple(ids[at] for at in tree.query(part, predicate="dwithin", distance=_BESIDE)),
        )
        for part, size in zip(parts, sizes, strict=True)
        if size > LEAST_M2
    ]
    return tuple(sorted(found, key=lambda one: -one.area_m2))


def ground_of(made: Plan, only: Collection[UUID] | None = None) -> list[MultiPolygon]:
    """List the shapes within which something may lie elsewhere now: all there were and will be."""
    shapes = [
        shape
        for known in (made.before, made.after)
        for grid_id, shape in known.items()
        if only is None or grid_id in only
    ]
    return [shape for shape in shapes if not shape.is_empty]
