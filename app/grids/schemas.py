"""Wire shapes of grids."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.geo import CoordSys
from app.core.http import MOST_IN_A_LAYER, Answer, Day, Input, Line, Note, Polygons
from app.core.paging import NextPage, Rows
from app.grids.layers import Verdict
from app.grids.rules import GridKind, GridStage, MembershipKind


class FindingOut(Answer):
    """Something found in a file, where, and what to do, in both languages."""

    code: Line
    path: Line = Field(description="A JSON Pointer into the file.")
    facts: dict[str, Any]
    zh: Note
    en: Note


class FeatureOut(Answer):
    """What became of one feature of the file."""

    index: int
    name: Line | None
    code: Line | None = Field(description="The code of the grid it is or would be.")
    verdict: Verdict
    findings: Annotated[list[FindingOut], Field(max_length=10)]


class OverlapOut(Answer):
    """Ground that two grids both claim."""

    first: Line
    second: Line
    area_m2: float


class HoleOut(Answer):
    """Ground that no grid claims, with grids all around it."""

    beside: Annotated[list[Line], Field(max_length=MOST_IN_A_LAYER)]
    area_m2: float


class CoverageOut(Answer):
    """Where grids overlap and where they leave gaps, the largest first."""

    overlaps: Annotated[list[OverlapOut], Field(max_length=MOST_IN_A_LAYER)]
    holes: Annotated[list[HoleOut], Field(max_length=MOST_IN_A_LAYER)]


class FileOut(Answer):
    """How the file was read; null where its format has no such thing."""

    format: Line
    layer: Note | None
    crs: Annotated[str, Field(max_length=100_000)] | None = Field(
        description="The system it names: an EPSG code, or WKT."
    )
    encoding: Line | None = Field(description="The encoding of its text.")
    findings: Annotated[list[FindingOut], Field(max_length=MOST_IN_A_LAYER)] = Field(
        description="What there is to say of it as a whole."
    )


class ImportOut(Answer):
    """What an import did, or would do, feature by feature."""

    change_id: UUID | None = Field(description="The change it made; null when it made none.")
    dry_run: bool
    file: FileOut
    counts: dict[str, int]
    created: Annotated[list[Line], Field(max_length=MOST_IN_A_LAYER)]
    reshaped: Annotated[list[Line], Field(max_length=MOST_IN_A_LAYER)]
    unchanged: Annotated[list[Line], Field(max_length=MOST_IN_A_LAYER)]
    renamed: Annotated[list[Line], Field(max_length=MOST_IN_A_LAYER)] = Field(
        description="Codes of known grids that have a new name."
    )
    retired: Annotated[list[Line], Field(max_length=MOST_IN_A_LAYER)] = Field(
        description="Codes of grids that left the map, by `replace`."
    )
    memberships_ended: int = Field(description="Of people who looked after the retired ones.")
    features: Annotated[list[FeatureOut], Field(max_length=MOST_IN_A_LAYER)]
    coverage: CoverageOut


class Geometry(Answer):
    """A GeoJSON MultiPolygon in the coordinate system the answer declares."""

    type: Literal["MultiPolygon"]
    coordinates: Polygons


class GridOut(Answer):
    """A grid; `boundary` is null in lists unless asked for, or when it has none now."""

    id: UUID
    org_unit_id: UUID
    code: Line
    name: Line
    kind: GridKind
    version: int = Field(description="Say it when you redraw, so that nobody is overruled.")
    retired_at: datetime | None
    stage: GridStage = Field(description="On the day asked about: see the grid's contracts.")
    shaped_from: datetime | None = Field(description="Since when it has this boundary.")
    shaped_to: datetime | None
    change_id: UUID | None = Field(description="The change that gave it this boundary.")
    area_m2: float | None
    coordsys: CoordSys
    boundary: Geometry | None


class GridDetailOut(GridOut):
    """A grid with who belongs to it on the day asked about, primaries first, whatever weekday."""

    members: Annotated[list["NamedMembershipOut"], Field(max_length=10_000)]


class GridPage(Answer):
    """A page of grids by code."""

    grids: Rows[GridOut]
    next_page_token: NextPage


class BoundaryOut(Answer):
    """A shape that a grid has or had; `valid_to` null means now."""

    id: UUID
    valid_from: datetime
    valid_to: datetime | None
    area_m2: float
    source: Line
    notes: Annotated[list[FindingOut], Field(max_length=MOST_IN_A_LAYER)] = Field(
        description="What its import repaired, merged or dropped."
    )
    change_id: UUID | None = Field(description="The change that brought it.")
    coordsys: CoordSys
    boundary: Geometry


class BoundaryPage(Answer):
    """A page of a grid's shapes, newest first."""

    boundaries: Rows[BoundaryOut]
    next_page_token: NextPage


class MembershipIn(Input):
    """Who shall look after a grid; the caller makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-00000000000a",
                    "technician_id": "01956f3a-7c00-7000-8000-00000000000b",
                    "kind": "primary",
                    "valid_from": "2026-03-01",
                }
            ]
        }
    )

    id: UUID
    technician_id: UUID
    kind: MembershipKind
    rank: Annotated[int, Field(ge=1, le=99, description="Backups are asked in this order.")] = 1
    valid_from: Day
    valid_to: Annotated[
        Day | None, Field(description="The first day on which it no longer holds.")
    ] = None
    weekdays: Annotated[
        int, Field(ge=1, le=127, description="Bit mask, Monday 1 to Sunday 64.")
    ] = 127
    ratio: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Percent of the technician's day that this grid's orders may take.",
        ),
    ] = 100


class MembershipOut(Answer):
    """Who looks after a grid, and when."""

    id: UUID
    grid_id: UUID
    technician_id: UUID
    kind: MembershipKind
    rank: int
    valid_from: date
    valid_to: date | None
    weekdays: int
    ratio: int = Field(ge=1, le=100, description="Percent of their day for this grid's orders.")


class NamedMembershipOut(MembershipOut):
    """The same with what grid and technician are called."""

    grid_code: Line
    grid_name: Line
    technician_code: Line
    technician_name: Line


class MembershipList(Answer):
    """Everybody who looked, looks or will look after a grid."""

    memberships: Annotated[list[NamedMembershipOut], Field(max_length=10_000)]


class MembershipPage(Answer):
    """A page of what a technician looks after, the latest begun first."""

    memberships: Rows[NamedMembershipOut]
    next_page_token: NextPage


class EndIn(Input):
    """When a membership ends."""

    valid_to: Annotated[Day, Field(description="The first day on which it no longer holds.")]


class BackupsIn(Input):
    """In which order a grid's backups are asked from a local day on."""

    valid_from: Annotated[Day, Field(description="Before this day the order stays as it was.")]
    technician_ids: Annotated[
        list[UUID],
        Field(
            min_length=1,
            max_length=99,
            description="Every backup of the grid on that day or later, once, first asked first.",
        ),
    ]
