"""The commands that redraw grids, as they are sent."""

import hashlib
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.core.geo import CoordSys
from app.core.http import Code, Input, Name
from app.territory.rules.commands import (
    Asked,
    Command,
    Merge,
    MoveBorder,
    NewPart,
    Reshape,
    Retire,
    Seen,
    Split,
)
from app.territory.rules.drawing import boundary_of, line_of, point_of

Position = Annotated[
    list[Annotated[float, Field(ge=-180, le=180)]],
    Field(min_length=2, max_length=3, description="Longitude, then latitude, in degrees."),
]
Notes = list[dict[str, Any]]


class SeenIn(Input):
    """A grid, and its version that you have looked at: nobody is overruled unseen."""

    id: UUID
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]

    def seen(self) -> Seen:
        """Give it as a value."""
        return Seen(self.id, self.version)


class DrawnArea(Input):
    """A GeoJSON Polygon or MultiPolygon; it is checked and repaired like an imported layer."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: Annotated[list[Any], Field(min_length=1, max_length=10_000)]


class DrawnLine(Input):
    """A GeoJSON LineString."""

    type: Literal["LineString"]
    coordinates: Annotated[list[Position], Field(min_length=2, max_length=10_000)]


class NewPartIn(Input):
    """A grid that a split makes; you make its id (UUIDv7).

    Cut by a line, `at` is a point in its piece; without one, the only new part gets all that does
    not stay. Cut along shapes, `boundary` is what it takes.
    """

    id: UUID
    code: Code
    name: Name
    at: Position | None = None
    boundary: DrawnArea | None = None


class _CommandIn(Input):
    """What every command says; you make its id (UUIDv7), and the same again is answered alike."""

    id: UUID
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    accept_overlap: Annotated[
        bool, Field(description="Redraw although more would lie in two grids than is allowed.")
    ] = False

    def asked(self) -> Asked:
        """Read the command and what is drawn in it. Raises what `rules.drawing` raises."""
        content = self.model_dump(mode="json", exclude={"id"})
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        notes: Notes = []
        return Asked(
            id=self.id,
            command=self._command(notes),
            reason=self.reason,
            accept_overlap=self.accept_overlap,
            content=content,
            content_hash=hashlib.sha256(canonical).hexdigest(),
            notes=tuple(notes),
        )

    def _command(self, notes: Notes) -> Command:
        raise NotImplementedError


def _area(drawn: DrawnArea, coordsys: CoordSys, field: str, notes: Notes) -> Any:
    shape, found = boundary_of(drawn.model_dump(), coordsys, field=field)
    notes.extend(found)
    return shape


class ReshapeIn(_CommandIn):
    """Give a grid a new boundary."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-00000000000a",
                    "kind": "reshape",
                    "reason": "the new building belongs to the compound",
                    "coordsys": "gcj02",
                    "grid": {"id": "01956f3a-7c00-7000-8000-00000000000b", "version": 1},
                    "boundary": {
                        "type": "Polygon",
                        "coordinates": [
                            [[112.6, 28.9], [112.61, 28.9], [112.61, 28.91], [112.6, 28.9]]
                        ],
                    },
                }
            ]
        }
    )

    kind: Literal["reshape"]
    coordsys: CoordSys
    grid: SeenIn
    boundary: DrawnArea

    def _command(self, notes: Notes) -> Command:
        return Reshape(self.grid.seen(), _area(self.boundary, self.coordsys, "boundary", notes))


class SplitIn(_CommandIn):
    """Cut a grid by a line, or along the shapes of its new parts.

    It keeps its id and code for the piece that holds `keep`, or else for the largest; along shapes,
    for what they leave.
    """

    kind: Literal["split"]
    coordsys: CoordSys
    grid: SeenIn
    parts: Annotated[list[NewPartIn], Field(min_length=1, max_length=50)]
    line: DrawnLine | None = None
    keep: Position | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        drawn = [part.boundary is not None for part in self.parts]
        if self.line is None and not all(drawn):
            raise ValueError("give a line, or a boundary to every part")
        if self.line is not None and any(drawn):
            raise ValueError("give a line or boundaries, not both")
        return self

    def _command(self, notes: Notes) -> Command:
        system = self.coordsys
        return Split(
            self.grid.seen(),
            tuple(
                NewPart(
                    part.id,
                    part.code,
                    part.name,
                    point_of(part.at, system) if part.at else None,
                    _area(part.boundary, system, f"parts.{number}.boundary", notes)
                    if part.boundary
                    else None,
                )
                for number, part in enumerate(self.parts)
            ),
            line_of(self.line.coordinates, system) if self.line else None,
            point_of(self.keep, system) if self.keep else None,
        )


class MergeIn(_CommandIn):
    """Let a grid take others over; the others retire."""

    kind: Literal["merge"]
    grid: SeenIn
    others: Annotated[list[SeenIn], Field(min_length=1, max_length=50)]

    def _command(self, notes: Notes) -> Command:
        return Merge(self.grid.seen(), tuple(one.seen() for one in self.others))


class MoveBorderIn(_CommandIn):
    """Give the ground in an area from a grid to its neighbour, or both a new common border.

    By a line, the largest piece of each grid stays, and what the line cuts off goes to the other.
    """

    kind: Literal["move_border"]
    coordsys: CoordSys
    grid: SeenIn
    neighbour: SeenIn
    area: DrawnArea | None = None
    line: DrawnLine | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.area is None) == (self.line is None):
            raise ValueError("give an area or a line")
        return self

    def _command(self, notes: Notes) -> Command:
        return MoveBorder(
            self.grid.seen(),
            self.neighbour.seen(),
            _area(self.area, self.coordsys, "area", notes) if self.area else None,
            line_of(self.line.coordinates, self.coordsys) if self.line else None,
        )


class RetireIn(_CommandIn):
    """End a grid; an heir takes it over as in a merge, or nobody."""

    kind: Literal["retire"]
    grid: SeenIn
    heir: SeenIn | None = None

    def _command(self, notes: Notes) -> Command:
        return Retire(self.grid.seen(), self.heir.seen() if self.heir else None)


CommandIn = Annotated[
    ReshapeIn | SplitIn | MergeIn | MoveBorderIn | RetireIn,
    Field(discriminator="kind", title="RedrawIn"),
]
