"""A technician's day on the wire. It is asked for all day long, so its bytes are made by hand."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import Field

from app.core.geo import CoordSys, PointOut, from_wgs84
from app.core.http import Answer
from app.customers.rules import masked_name, masked_phone
from app.visits.queries import DayRow
from app.visits.rules import STEPS, sees_contact
from app.workorders.rules import HELD, State, Step
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
            "orders": [_order(row, now, grace, coordsys) for row in orders],
        }
    )


def _order(row: DayRow, now: datetime, grace: timedelta, coordsys: CoordSys) -> dict[str, Any]:
    state = row.state
    assisting = row.assist_id is not None
    seen = sees_contact(state, row.completed_at, now, grace)
    if assisting and row.assists_since is None:
        seen = False
    point = None
    if row.lon is not None and row.lat is not None:
        lon, lat = from_wgs84(row.lon, row.lat, coordsys)
        point = {"lon": round(lon, 8), "lat": round(lat, 8), "coordsys": coordsys.value}
    name, phone, number = row.contact_name, row.contact_phone, row.service_number
    if not seen:
        name, phone, number = (
            name and masked_name(name),
            phone and masked_phone(phone),
            number and masked_phone(number),
        )
    return {
        "id": row.id,
        "external_id": row.external_id,
        "work_type": row.work_type,
        "state": state,
        "priority": row.priority,
        "customer_id": row.customer_id,
        "masked": not seen,
        "contact_name": name,
        "contact_phone": phone,
        "service_number": number,
        "address": row.address if seen or state in HELD else row.locality,
        "summary": row.summary,
        "point": point,
        "grid_code": row.grid_code,
        "grid_name": row.grid_name,
        "near_border": row.near_border,
        "estimated_minutes": row.estimated_minutes,
        "appointment_from": row.appointment_from,
        "appointment_until": row.appointment_until,
        "due_at": row.due_at,
        "planned_day": row.planned_day,
        "completed_at": row.completed_at,
        "visit_id": row.visit_id,
        "resume_at": row.resume_at,
        "resume_overdue": row.resume_at is not None and row.resume_at < now,
        "restored_at": row.restored_at,
        "repeats": row.repeats,
        "nudges": row.nudges,
        "absences": row.absences,
        "outage_id": row.outage_id,
        "version": row.version,
        "assisting": assisting,
        "assist_id": row.assist_id,
        "allowed": () if assisting else STEPS[state, row.work_type],
    }
