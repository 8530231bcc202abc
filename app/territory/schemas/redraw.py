"""Wire shapes of redrawing: the commands, what is told of them, and the changes that were made."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.core.geo import CoordSys
from app.core.http import Answer, Code, Input, Name
from app.grids.rules import ChangeKind, MembershipKind
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
from app.territory.rules.following import Becomes

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
    ReshapeIn | SplitIn | MergeIn | MoveBorderIn | RetireIn, Field(discriminator="kind")
]


# --- what is told ---------------------------------------------------------------------------------


class GroundOut(Answer):
    """What a grid has and gets, in m2 on the ellipsoid."""

    grid_id: UUID
    code: str
    becomes: Literal["changed", "same", "new", "retired"]
    area_before_m2: float
    area_after_m2: float
    gained_m2: float
    lost_m2: float


class AddressCounts(Answer):
    """Customers' addresses in the grids concerned, before or after."""

    affected: int
    change_grid: int
    without_grid: int = Field(description="Of those that change: in no grid afterwards.")


class OrderCounts(Answer):
    """Open orders in the grids concerned, before or after; closed ones keep their grid."""

    affected: int
    by_state: dict[str, int]
    change_grid: int
    without_grid: int = Field(description="Of those that change: in no grid afterwards.")
    with_appointment: int = Field(description="Of those that change: with an appointment.")


class MemberChangeOut(Answer):
    """What becomes of somebody's belonging to a grid; local days, `valid_to` excluded."""

    technician_id: UUID
    technician_code: str
    grid_code: str
    kind: MembershipKind
    rank: int
    becomes: Becomes
    valid_from: date
    valid_to: date | None


class MembersOut(Answer):
    """Those who look after the grids concerned, and what becomes of it; who stays is counted."""

    affected: int
    changes: list[MemberChangeOut]


class NewOverlapOut(Answer):
    """Ground that a grid gains and that a neighbour has already."""

    code: str
    neighbour_code: str
    area_m2: float


class ElsewhereOut(Answer):
    """The same with grids of other parts of the organisation, which are only counted."""

    grids: int
    area_m2: float


class NewGapOut(Answer):
    """Ground that no grid has any more, and the grids around it."""

    area_m2: float
    beside: list[str]
    beside_elsewhere: int


class WarningOut(Answer):
    """Something to look at before it is done, in both languages."""

    code: str
    facts: dict[str, Any]
    zh: str
    en: str


class NoteOut(Answer):
    """What was repaired in a drawn shape, and where in the request it stands."""

    code: str
    path: str
    facts: dict[str, Any]
    zh: str
    en: str


class ForecastOut(Answer):
    """What a command does, or did."""

    grids: list[GroundOut]
    addresses: AddressCounts
    orders: OrderCounts
    members: MembersOut
    overlaps: list[NewOverlapOut] = Field(description="What it adds, the largest first.")
    overlaps_elsewhere: ElsewhereOut
    gaps: list[NewGapOut] = Field(description="What it adds, the largest first.")
    warnings: list[WarningOut]
    notes: list[NoteOut]


class AreaOut(Answer):
    """A GeoJSON MultiPolygon in the coordinate system the answer declares."""

    type: Literal["MultiPolygon"]
    coordinates: list[list[list[list[float]]]]


class RedrawnOut(Answer):
    """The shape a grid would have."""

    grid_id: UUID
    code: str
    boundary: AreaOut


class PreviewOut(ForecastOut):
    """What a command would do, with the shapes to show on a map."""

    kind: ChangeKind
    needs_accept_overlap: bool = Field(description="It is refused unless accept_overlap is said.")
    coordsys: CoordSys
    shapes: list[RedrawnOut]


class RelocationOut(Answer):
    """How far the customers' addresses have followed a change."""

    state: Literal["waiting", "running", "done"]
    addresses: int = Field(description="To be located anew; an estimate while it is waiting.")
    done: int
    left: int
    per_second: float | None = Field(description="Located a second so far; null at first.")

    @classmethod
    def of(cls, row: Any, now: datetime) -> Self:
        """Shape a row of `queries.progress` at a real moment."""
        if row.queued_at is None:
            left = row.expected
            return cls(state="waiting", addresses=left, done=0, left=left, per_second=None)
        left = row.waiting or 0
        done = max(row.addresses - left, 0)
        seconds = ((row.done_at or now) - row.queued_at).total_seconds()
        return cls(
            state="running" if row.done_at is None else "done",
            addresses=row.addresses,
            done=done,
            left=left,
            per_second=round(done / seconds, 1) if seconds > 0 and done else None,
        )


class ChangeOut(Answer):
    """A change of the map that was made."""

    id: UUID
    kind: ChangeKind
    at: datetime
    account_id: UUID | None
    org_unit_id: UUID = Field(description="The closest unit above all grids it concerns.")
    reason: str
    grid_ids: list[UUID]
    relocation: RelocationOut


class ChangeDetailOut(ChangeOut):
    """The same with what was told of it: as in the preview, or the report of an import."""

    told: ForecastOut | dict[str, Any]


class ChangePage(Answer):
    """A page of changes, the latest first."""

    changes: list[ChangeOut]
    next_page_token: str | None


def fields_of(change: Any) -> Mapping[str, Any]:
    """Take from a row of `grid_change` what is shown of it."""
    names = ("id", "kind", "at", "account_id", "org_unit_id", "reason", "grid_ids")
    return {name: getattr(change, name) for name in names}
