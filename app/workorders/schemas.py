"""Wire shapes of work orders. Moments carry their zone; personal fields leave masked."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.geo import CoordSys, PointOut
from app.core.http import Answer, Code, Input, Line, Note
from app.customers.rules import masked_name, masked_phone
from app.terminals.rules import TerminalKind
from app.workorders.repeats import By, Figure
from app.workorders.rules import State, Step, UnplacedReason, masked_address
from app.worktypes.rules import WorkType


class OrderOut(Answer):
    """An order; name, telephone and address are masked here for everybody."""

    id: UUID
    org_unit_id: UUID
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    work_type: WorkType
    priority: int = Field(ge=1, le=4)
    repeat_of_id: UUID | None = Field(
        description="The order that was closed shortly before on the same service: this fault is a "
        "repeat, and `repeats` counts how many in a row came back so."
    )
    repeats: int = Field(ge=0, le=2**31 - 1)
    nudges: int = Field(ge=0, le=2**31 - 1, description="How often the customer has asked for it.")
    absences: int = Field(ge=0, le=2**31 - 1, description="How often nobody was at home.")
    state: State
    unplaced_reason: UnplacedReason | None = Field(
        description="Why nobody has it; null unless the state is unplaced."
    )
    outage_id: UUID | None = Field(description="The outage it belongs to, open or over.")
    customer_id: UUID | None
    service_number: str | None = Field(max_length=64)
    contact_name: str | None = Field(max_length=200, description="Masked, as in 王**.")
    contact_phone: str | None = Field(max_length=40, description="Masked, as in 138****1234.")
    address: str = Field(max_length=501, description="Down to the building.")
    locality: str | None = Field(max_length=200)
    summary: str = Field(max_length=2000)
    point: PointOut | None
    grid_id: UUID | None
    near_border: bool = Field(description="A grid's border is so close that the grid may be wrong.")
    skills: list[Line] = Field(max_length=20)
    terminals: list[TerminalKind] = Field(
        max_length=8, description="Of each of these one is fitted, out of the technician's van."
    )
    estimated_minutes: int = Field(ge=5, le=960)
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None = Field(description="Promised by; null where no promise rule applies.")
    reported_at: datetime
    received_at: datetime
    holder_id: UUID | None = Field(description="The technician who has it.")
    planned_day: date | None = Field(description="A local day of the org unit.")
    pinned: bool = Field(description="A person gave it to its holder; nothing else moves it.")
    restored_at: datetime | None
    completed_at: datetime | None
    outcome_code: str | None = Field(max_length=64)
    version: int = Field(
        ge=1, le=2**31 - 1, description="Say it when you assign, so that nobody is overruled."
    )

    @classmethod
    def of(cls, row: Any, coordsys: CoordSys) -> Self:
        """Shape a row of `queries.one` or `queries.page`; the point in the system asked for."""
        fields = dict(row._mapping)
        lon, lat = fields.pop("lon"), fields.pop("lat")
        fields["point"] = None if lon is None else PointOut.of(lon, lat, coordsys)
        fields["address"] = masked_address(fields["address"])
        if fields["contact_name"] is not None:
            fields["contact_name"] = masked_name(fields["contact_name"])
        if fields["contact_phone"] is not None:
            fields["contact_phone"] = masked_phone(fields["contact_phone"])
        return cls(**fields)


class OrderPage(Answer):
    """Some orders, those last taken in first."""

    orders: list[OrderOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)


class EventOut(Answer):
    """One step in an order's history."""

    id: UUID
    at: datetime = Field(description="The server's business time.")
    device_at: datetime | None = Field(description="What the phone's clock said; never trusted.")
    account_id: UUID | None
    technician_id: UUID | None
    step: Step | None = Field(description="Null for the taking in itself.")
    from_state: State | None
    to_state: State
    reason: str | None = Field(max_length=2000)
    facts: dict[str, Any] | None


class HistoryOut(Answer):
    """All that happened to an order, oldest first."""

    events: list[EventOut] = Field(max_length=10_000)


class NudgeIn(Input):
    """A customer who asks for their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"reference": "CALL-20260302-0417", "note": "家中有老人，盼尽快修复"}]
        }
    )

    reference: Code = Field(
        description="Your own name of the call; sent again, it is answered like the first time."
    )
    note: Note | None = Field(default=None, description="What the customer says.")


class NudgeOut(Answer):
    """A nudge as it was taken: the same answer, however often it is sent."""

    work_order_id: UUID
    reference: str = Field(max_length=64)
    at: datetime
    state: State = Field(description="Where the order stood then.")
    nudges: int = Field(ge=1, le=2**31 - 1, description="How many there were with this one.")
    priority: int = Field(ge=1, le=4, description="Then; 1 is the most urgent.")
    raised: bool = Field(
        description="Whether it has made the order more urgent; false where that happened a short "
        "time before, or the order is as urgent as nudges make it."
    )


class RepeatFigureOut(Answer):
    """Repeat faults of a unit or a technician; the rate is `repeats` of `faults`."""

    id: UUID
    code: str = Field(max_length=64)
    name_zh: str = Field(max_length=200)
    name_en: str = Field(max_length=200)
    repeats: int = Field(ge=0, le=2**31 - 1)
    faults: int = Field(ge=0, le=2**31 - 1)
    rate: float | None = Field(ge=0, le=1, description="Null where there is nothing to count.")


class RepeatFiguresOut(Answer):
    """How much of what was mended came back."""

    by: By
    since: date
    until: date = Field(description="The last day, which counts.")
    repeats: int = Field(ge=0, le=2**31 - 1)
    faults: int = Field(ge=0, le=2**31 - 1)
    rows: list[RepeatFigureOut] = Field(max_length=10_000)

    @classmethod
    def of(cls, by: By, since: date, until: date, figures: Sequence[Figure]) -> Self:
        """Write figures with their rates and their sum."""
        return cls(
            by=by,
            since=since,
            until=until,
            repeats=sum(one.repeats for one in figures),
            faults=sum(one.faults for one in figures),
            rows=[
                RepeatFigureOut(
                    **one._asdict(), rate=one.repeats / one.faults if one.faults else None
                )
                for one in figures
            ],
        )


class CancelIn(Input):
    """Why an order is cancelled."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
