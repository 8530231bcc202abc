"""Wire shapes of counts of vans, and of what was lost."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, DeviceTime, Input
from app.terminals.models import StockCount
from app.terminals.queries import LossRow
from app.terminals.rules import Cause, CountState, Difference, Pool, TerminalKind
from app.terminals.schemas.stock import SerialNumber

Text = Annotated[str, Field(max_length=300)]
Serial = Annotated[str, Field(max_length=64)]


class CountedIn(Input):
    """One terminal that is in the van."""

    serial_number: SerialNumber
    kind: TerminalKind | None = Field(
        default=None, description="As it stands on the device; left out, it is not compared."
    )


class CountIn(Input):
    """What was found in a van, and among what its technician has recovered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000021",
                    "counted": [{"serial_number": "HWTC-8F21A9C4", "kind": "ont_gateway"}],
                    "device_at": "2026-03-02T17:40:00+08:00",
                }
            ]
        }
    )

    id: UUID = Field(description="Made by the caller; the same count again changes nothing more.")
    technician_id: UUID | None = Field(
        default=None, description="Whose van; a technician counts their own and leaves it out."
    )
    counted: Annotated[list[CountedIn], Field(max_length=1000)]
    device_at: DeviceTime | None = None


class DifferenceOut(Answer):
    """One way in which what is there differs from what is booked."""

    serial_number: Serial
    difference: Difference
    pool: Pool | None = Field(
        description="Where it is booked; null when nobody knows it, or it belongs to others."
    )
    kind: TerminalKind | None = Field(description="What it is booked as.")
    counted_kind: TerminalKind | None
    elsewhere: bool = Field(description="Booked outside of the part of who counted.")
    cause: Cause | None = Field(description="Once it is settled.")
    moved: bool = Field(description="Settling it has moved the terminal, or booked its kind.")


class CountOut(Answer):
    """A count of a van; one that finds no difference is settled at once."""

    id: UUID
    org_unit_id: UUID
    technician_id: UUID
    state: CountState
    counted: Annotated[int, Field(ge=0, le=1000)]
    differences: Annotated[list[DifferenceOut], Field(max_length=2000)]
    counted_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, made: StockCount) -> Self:
        """Write a count."""
        return cls(
            id=made.id,
            org_unit_id=made.org_unit_id,
            technician_id=made.technician_id,
            state=made.state,
            counted=len(made.counted),
            differences=[
                DifferenceOut(**{**one, "pool": None if one["elsewhere"] else one["pool"]})
                for one in made.differences
            ],
            counted_at=made.counted_at,
            settled_at=made.settled_at,
        )


class CountsOut(Answer):
    """A page of counts, the newest first."""

    counts: Annotated[list[CountOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None


class CauseIn(Input):
    """What one difference comes from."""

    serial_number: SerialNumber
    cause: Cause = Field(
        description=(
            "missing: lost, found (it was there after all), misbooked (it is at the depot)."
            " surplus: misbooked (it is this technician's now), found (it was lost or unknown),"
            " not_ours (it stays booked where it is). wrong_kind: misbooked (the kind is put"
            " right), found (it is right as booked)."
        )
    )
    kind: TerminalKind | None = Field(
        default=None, description="Of what nobody knew and was counted without its kind."
    )


class SettleIn(Input):
    """A cause for each difference of a count."""

    causes: Annotated[list[CauseIn], Field(max_length=2000)]


class LossOut(Answer):
    """What a technician lost: `lost` less `found_again`, of what passed through their hands."""

    technician_id: UUID
    technician_code: Text
    technician_name: Text
    lost: Annotated[int, Field(ge=0)]
    found_again: Annotated[int, Field(ge=0)]
    numerator: Annotated[int, Field(ge=0)]
    denominator: Annotated[int, Field(ge=0)]
    rate: float | None = Field(description="Null when nothing passed through their hands.")


class UnitLossOut(Answer):
    """What a unit's technicians lost; what was lost beside them is told apart, without a rate."""

    org_unit_id: UUID
    org_unit_code: Text
    lost_elsewhere: Annotated[int, Field(ge=0)] = Field(
        description="From the warehouse, from customers and at the depot, less what was found."
    )
    numerator: Annotated[int, Field(ge=0)]
    denominator: Annotated[int, Field(ge=0)]
    rate: float | None
    technicians: Annotated[list[LossOut], Field(max_length=10_000)]


class LossesOut(Answer):
    """What was lost from one local day to another, both with it."""

    since: date
    until: date
    units: Annotated[list[UnitLossOut], Field(max_length=10_000)]

    @classmethod
    def of(cls, rows: Iterable[LossRow], since: date, until: date) -> Self:
        """Gather the rows of technicians and units."""
        units: dict[UUID, list[LossRow]] = defaultdict(list)
        for row in rows:
            units[row.org_unit_id].append(row)
        return cls(since=since, until=until, units=[_unit(of_unit) for of_unit in units.values()])


def _unit(rows: list[LossRow]) -> UnitLossOut:
    people = [_loss(row) for row in rows if row.technician_id is not None]
    numerator = sum(one.numerator for one in people)
    denominator = sum(one.denominator for one in people)
    return UnitLossOut(
        org_unit_id=rows[0].org_unit_id,
        org_unit_code=rows[0].org_unit_code,
        lost_elsewhere=sum(row.lost - row.found_again for row in rows if row.technician_id is None),
        numerator=numerator,
        denominator=denominator,
        rate=numerator / denominator if denominator else None,
        technicians=people,
    )


def _loss(row: LossRow) -> LossOut:
    assert row.technician_id is not None
    numerator, denominator = row.lost - row.found_again, row.had or 0
    return LossOut(
        technician_id=row.technician_id,
        technician_code=row.technician_code or "",
        technician_name=row.technician_name or "",
        lost=row.lost,
        found_again=row.found_again,
        numerator=numerator,
        denominator=denominator,
        rate=numerator / denominator if denominator else None,
    )
