"""Wire shapes of work orders. Moments carry their zone; personal fields leave masked."""

import hashlib
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.core.geo import CoordSys, PointIn, PointOut
from app.core.http import Answer, Code, Input, Moment, Name, Note
from app.customers.rules import masked_name, masked_phone
from app.workorders.rules import Draft, State, Step, UnplacedReason, WorkType, masked_address

LONGEST_WINDOW = timedelta(days=7)


def _of_this_century(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2100:
        raise ValueError("must lie between the years 2000 and 2099")
    return moment


Dated = Annotated[Moment, AfterValidator(_of_this_century)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Phone = Annotated[str, StringConstraints(min_length=3, max_length=40)]


class OrderIn(Input):
    """An order as an upstream system sends it; source and external id together name it."""

    id: Annotated[UUID | None, Field(description="A UUIDv7 of the sender's, if it makes one.")] = (
        None
    )
    source: Code
    external_id: ExternalId
    work_type: WorkType
    priority: Annotated[int, Field(ge=1, le=4, description="1 is the most urgent.")] = 3
    org_unit_code: Annotated[
        Code | None,
        Field(description="The unit it belongs to until it is located; else the caller's."),
    ] = None
    customer_code: Code | None = None
    service_number: Code | None = None
    contact_name: Name | None = None
    contact_phone: Phone | None = None
    address: Address
    locality: Annotated[
        Name | None, Field(description="The street or compound the address lies in.")
    ] = None
    point: PointIn | None = None
    skills: Annotated[list[Code], Field(max_length=20)] = Field(default_factory=list)
    estimated_minutes: Annotated[int, Field(ge=5, le=960)] | None = None
    appointment_from: Dated | None = None
    appointment_until: Dated | None = None
    reported_at: Annotated[
        Dated | None, Field(description="When the customer asked for it; left out means now.")
    ] = None
    summary: Note = ""

    @model_validator(mode="after")
    def _window_in_order(self) -> Self:
        begins, ends = self.appointment_from, self.appointment_until
        if (begins is None) != (ends is None):
            raise ValueError("appointment_from and appointment_until belong together")
        if begins and ends and not begins < ends <= begins + LONGEST_WINDOW:
            raise ValueError("appointment_until must follow appointment_from within 7 days")
        return self

    def draft(self, now: datetime) -> Draft:
        """Turn it into what intake takes; `now` stands in for a report without a moment."""
        lon, lat = self.point.wgs84() if self.point else (None, None)
        content = self.model_dump_json(exclude={"id"}, exclude_defaults=True)
        return Draft(
            source=self.source,
            external_id=self.external_id,
            content_hash=hashlib.blake2b(content.encode(), digest_size=16).hexdigest(),
            work_type=self.work_type,
            address=self.address,
            summary=self.summary,
            reported_at=self.reported_at or now,
            priority=self.priority,
            id=self.id,
            org_unit_code=self.org_unit_code,
            customer_code=self.customer_code,
            service_number=self.service_number,
            contact_name=self.contact_name,
            contact_phone=self.contact_phone,
            locality=self.locality,
            lon=lon,
            lat=lat,
            skills=tuple(self.skills),
            estimated_minutes=self.estimated_minutes,
            appointment_from=self.appointment_from,
            appointment_until=self.appointment_until,
        )


class OrderOut(Answer):
    """An order; name, telephone and address are masked here for everybody."""

    id: UUID
    org_unit_id: UUID
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    work_type: WorkType
    priority: int = Field(ge=1, le=4)
    state: State
    unplaced_reason: UnplacedReason | None = Field(
        description="Why nobody has it; null unless the state is unplaced."
    )
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
    skills: list[str] = Field(max_length=20)
    estimated_minutes: int = Field(ge=5, le=960)
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None = Field(description="Promised by; null where no promise rule applies.")
    reported_at: datetime
    received_at: datetime
    holder_id: UUID | None = Field(description="The technician who has it.")
    planned_day: date | None = Field(description="A local day of the org unit.")
    restored_at: datetime | None
    completed_at: datetime | None
    outcome_code: str | None = Field(max_length=64)
    version: int = Field(ge=1, description="Say it when you assign, so that nobody is overruled.")

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


class CancelIn(Input):
    """Why an order is cancelled."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
