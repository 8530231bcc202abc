"""A technician's day on the wire. It is asked for all day long, so its bytes are made by hand."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import orjson
from pydantic import Field

from app.core.geo import CoordSys, PointOut
from app.core.http import Answer
from app.visits.queries import DayRow
from app.visits.queries.shown import order_facts
from app.workorders.rules import State, Step
from app.worktypes.rules import WorkType

Text = Annotated[str, Field(max_length=2000)]


class DayOrderOut(Answer):
    """One order of the day, as the phone's list needs it."""

    id: UUID
    external_id: Text
    work_type: WorkType
    state: State
    priority: Annotated[int, Field(ge=1, le=4)] = Field(description="1 is the most urgent.")
    customer_id: UUID | None
    masked: bool = Field(
        description=(
            "Name, number and service number are in full from acknowledging the order until a"
            " short grace after completing it, and masked before and after."
        )
    )
    contact_name: Text | None
    contact_phone: Text | None
    service_number: Text | None
    address: Text | None = Field(description="Only the locality once the grace is over.")
    summary: Text
    point: PointOut | None
    grid_code: Text | None
    grid_name: Text | None
    near_border: bool
    estimated_minutes: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    planned_day: date = Field(description="Earlier than `day` when it is left from before.")
    completed_at: datetime | None
    visit_id: UUID | None = Field(description="The visit that is going on.")
    resume_at: datetime | None = Field(description="When suspended work is to go on.")
    resume_overdue: bool = Field(description="Whether that is past, and it is still suspended.")
    restored_at: datetime | None
    repeats: int = Field(
        description="How many faults in a row came back on this service, with this one; 0: none."
    )
    nudges: int = Field(description="How often the customer has asked for it.")
    absences: int = Field(description="How often somebody came and nobody was at home.")
    outage_id: UUID | None = Field(
        description="The outage it belongs to: the cause may lie outside of the customer's home."
    )
    version: int = Field(description="Grows with every change of the order.")
    assisting: bool = Field(
        description="Somebody else holds it and takes the steps; this technician helps."
    )
    assist_id: UUID | None = Field(
        description="Of an assist: join by it, and the customer is shown as to the holder."
    )
    allowed: Annotated[list[Step], Field(max_length=20)] = Field(
        description="The technician's steps open now."
    )


class DayOut(Answer):
    """The orders of a local day in the order they are to be worked."""

    day: date
    coordsys: CoordSys = Field(description="The system of every point below.")
    orders: Annotated[list[DayOrderOut], Field(max_length=500)]


def day_bytes(
    day: date,
    orders: Sequence[DayRow],
    *,
    now: datetime,
    grace: timedelta,
    coordsys: CoordSys,
) -> bytes:
    """Write `DayOut` as JSON from rows of `queries.day_of`, in the order given.

    It says nothing that changes while nothing has happened, so equal bytes are equal news.
    """
    return orjson.dumps(
        {
            "day": day,
            "coordsys": coordsys.value,
            "orders": [order_facts(row, now, grace, coordsys) for row in orders],
        }
    )
