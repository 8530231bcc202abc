"""What is told of a command that redraws grids, and the changes that were made."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, WithJsonSchema

from app.core.geo import CoordSys
from app.core.http import MOST_IN_A_LAYER, Answer, Line, Note, Polygons
from app.core.paging import NextPage, Rows
from app.grids.rules import ChangeKind, MembershipKind
from app.territory.rules.following import Becomes


class GroundOut(Answer):
    """What a grid has and gets, in m2 on the ellipsoid."""

    grid_id: UUID
    code: Line
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
    technician_code: Line
    grid_code: Line
    kind: MembershipKind
    rank: int
    becomes: Becomes
    valid_from: date
    valid_to: date | None


class MembersOut(Answer):
    """Those who look after the grids concerned, and what becomes of it; who stays is counted."""

    affected: int
    changes: Annotated[list[MemberChangeOut], Field(max_length=1_000_000)]


class NewOverlapOut(Answer):
    """Ground that a grid gains and that a neighbour has already."""

    code: Line
    neighbour_code: Line
    area_m2: float


class ElsewhereOut(Answer):
    """The same with grids of other parts of the organisation, which are only counted."""

    grids: int
    area_m2: float


class NewGapOut(Answer):
    """Ground that no grid has any more, and the grids around it."""

    area_m2: float
    beside: Annotated[list[Line], Field(max_length=MOST_IN_A_LAYER)]
    beside_elsewhere: int


class WarningOut(Answer):
    """Something to look at before it is done, in both languages."""

    code: Line
    facts: dict[str, Any]
    # Where much is drawn over, many grids are named.
    zh: Annotated[str, Field(max_length=MOST_IN_A_LAYER)]
    en: Annotated[str, Field(max_length=MOST_IN_A_LAYER)]


class NoteOut(Answer):
    """What was repaired in a drawn shape, and where in the request it stands."""

    code: Line
    path: Line
    facts: dict[str, Any]
    zh: Note
    en: Note


class ForecastOut(Answer):
    """What a command does, or did."""

    grids: Annotated[list[GroundOut], Field(max_length=MOST_IN_A_LAYER)]
    addresses: AddressCounts
    orders: OrderCounts
    members: MembersOut
    overlaps: Annotated[list[NewOverlapOut], Field(max_length=MOST_IN_A_LAYER)] = Field(
        description="What it adds, the largest first."
    )
    overlaps_elsewhere: ElsewhereOut
    gaps: Annotated[list[NewGapOut], Field(max_length=MOST_IN_A_LAYER)] = Field(
        description="What it adds, the largest first."
    )
    warnings: Annotated[list[WarningOut], Field(max_length=MOST_IN_A_LAYER)]
    notes: Annotated[list[NoteOut], Field(max_length=MOST_IN_A_LAYER)]


class AreaOut(Answer):
    """A GeoJSON MultiPolygon in the coordinate system the answer declares."""

    type: Literal["MultiPolygon"]
    coordinates: Polygons


class RedrawnOut(Answer):
    """The shape a grid would have."""

    grid_id: UUID
    code: Line
    boundary: AreaOut


class PreviewOut(ForecastOut):
    """What a command would do, with the shapes to show on a map."""

    kind: ChangeKind
    needs_accept_overlap: bool = Field(description="It is refused unless accept_overlap is said.")
    coordsys: CoordSys
    shapes: Annotated[list[RedrawnOut], Field(max_length=MOST_IN_A_LAYER)]


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
    reason: Note
    grid_ids: Annotated[list[UUID], Field(max_length=MOST_IN_A_LAYER)]
    relocation: RelocationOut


class ChangeDetailOut(ChangeOut):
    """The same with what was told of it: as in the preview, or the report of an import."""

    # Of a union with any object, generators make types that do not compile.
    told: Annotated[
        ForecastOut | dict[str, Any],
        WithJsonSchema({"type": "object", "additionalProperties": True}),
    ]


class ChangePage(Answer):
    """A page of changes, the latest first."""

    changes: Rows[ChangeOut]
    next_page_token: NextPage


def fields_of(change: Any) -> Mapping[str, Any]:
    """Take from a row of `grid_change` what is shown of it."""
    names = ("id", "kind", "at", "account_id", "org_unit_id", "reason", "grid_ids")
    return {name: getattr(change, name) for name in names}
