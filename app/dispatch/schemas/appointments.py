"""Wire shapes of appointments: searching for slots, holding, confirming and moving them."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from app.core.geo import PointIn
from app.core.http import Answer, Code, Day, Input, Moment, Note
from app.dispatch.models import AppointmentChange, AppointmentHold
from app.dispatch.rules import (
    CAUSE_WORDS,
    FAULT_OF,
    NOT_OFFERED_WORDS,
    NOW_SLOT,
    Cause,
    Fault,
    Grade,
    HoldState,
    NotOffered,
    Offer,
    Wish,
    is_open,
)
from app.dispatch.schemas.decisions import WordsOut
from app.workorders.rules import State
from app.worktypes.rules import WorkType

SlotCode = Annotated[str, StringConstraints(max_length=64, pattern=r"^[\w.\-:/]*$")]


class WishIn(Input):
    """What slots are asked for: work at a place, given in exactly one of four ways."""

    point: PointIn | None = None
    grid_id: UUID | None = None
    customer_code: Annotated[
        Code | None, Field(description="The place is the customer's first address.")
    ] = None
    work_order_id: Annotated[
        UUID | None,
        Field(description="An order; it brings its work, minutes, skills and promise with it."),
    ] = None
    work_type: Annotated[WorkType | None, Field(description="Needed unless an order is given.")] = (
        None
    )
    estimated_minutes: Annotated[
        int | None, Field(ge=5, le=960, description="Left out: the operator's for the work type.")
    ] = None
    skills: Annotated[list[Code], Field(max_length=20)] = Field(default_factory=list)
    priority: Annotated[int, Field(ge=1, le=4, description="1 is the most urgent.")] = 3
    reported_at: Annotated[
        Moment | None,
        Field(description="When the customer asked for it: the promise runs from then; else now."),
    ] = None
    earliest: Annotated[
        Moment | None,
        Field(description="The work is not possible before, for want of a port, say."),
    ] = None
    later_agreed: Annotated[
        bool, Field(description="The customer wishes a slot after the promised time.")
    ] = False

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = (self.point, self.grid_id, self.customer_code, self.work_order_id)
        if sum(place is not None for place in places) != 1:
            raise ValueError("give one of point, grid_id, customer_code and work_order_id")
        if self.work_order_id is None and self.work_type is None:
            raise ValueError("work_type is needed unless an order is given")
        return self

    def wish(self, *, activation: bool) -> Wish:
        """Turn it into what the search takes."""
        return Wish(
            point=self.point.wgs84() if self.point else None,
            grid_id=self.grid_id,
            customer_code=self.customer_code,
            order_id=self.work_order_id,
            work_type=self.work_type,
            minutes=self.estimated_minutes,
            skills=frozenset(self.skills),
            priority=self.priority,
            reported_at=self.reported_at,
            earliest=self.earliest,
            later_agreed=self.later_agreed,
            activation=activation,
        )


class SearchIn(WishIn):
    """Which days to look at, and what for."""

    first_day: Annotated[Day, Field(description="A local day of the place; a past one is today.")]
    last_day: Annotated[Day, Field(description="At most 31 days are looked at.")]
    two_hour_activation: Annotated[
        bool, Field(description="An install sold at the door: offer the slot `now` as well.")
    ] = False

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("last_day must not lie before first_day")
        return self


class SlotOut(Answer):
    """A slot of a local day: its grade, or why it is not offered."""

    slot: str = Field(max_length=64, description="Its code; say it to hold the slot.")
    category: str = Field(max_length=64)
    day: date
    begins_at: datetime
    ends_at: datetime = Field(description="The work begins by then at the latest.")
    closes_at: datetime = Field(description="Until when it may be taken.")
    grade: Grade | None = Field(description="Null when it is not offered.")
    not_offered: NotOffered | None = Field(description="Why not; null when it is offered.")
    not_offered_words: WordsOut | None
    minutes: int = Field(
        ge=0, le=10_000_000, description="At work within it, of all who may come and can do it."
    )
    free_minutes: int = Field(ge=0, le=10_000_000, description="Of these, not promised yet.")
    close_by: bool = Field(description="Somebody is in the grid then anyway.")
    beyond_promise: bool = Field(description="It begins after the work is promised to be done.")
    valid_until: datetime | None = Field(description="Until when it is worth holding.")

    @classmethod
    def from_offer(cls, offer: Offer) -> Self:
        """Shape an offer."""
        slot, why = offer.slot, offer.why
        return cls(
            slot=slot.code,
            category=slot.category,
            day=slot.day,
            begins_at=slot.begins,
            ends_at=max(slot.ends, slot.begins),
            closes_at=max(slot.closes, slot.begins) if slot.code == NOW_SLOT else slot.closes,
            grade=offer.grade,
            not_offered=why,
            not_offered_words=_words(NOT_OFFERED_WORDS[why]) if why else None,
            minutes=int(offer.minutes),
            free_minutes=int(offer.free),
            close_by=offer.close_by,
            beyond_promise=offer.beyond_promise,
            valid_until=offer.valid_until,
        )


def _words(words: Any) -> WordsOut:
    return WordsOut(zh=words.zh, en=words.en)


class SlotsOut(Answer):
    """The slots of the days asked about, the first first, with those that are not offered."""

    grid_id: UUID
    org_unit_id: UUID
    work_type: WorkType
    estimated_minutes: int = Field(ge=5, le=960)
    due_at: datetime | None = Field(description="Promised by; null where no promise rule applies.")
    slots: list[SlotOut] = Field(max_length=1000)


class HoldIn(WishIn):
    """A slot to be held; the same again, with the same id, is answered like the first time."""

    id: Annotated[UUID, Field(description="A UUIDv7 of the client's.")]
    day: Annotated[Day, Field(description="A local day of the place.")]
    slot: Annotated[Code, Field(description="A slot's code, or `now`.")]

    def content_hash(self) -> str:
        """Tell the same again from something else under the same id."""
        content = self.model_dump_json(exclude={"id"}, exclude_defaults=True)
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


class HoldOut(Answer):
    """A slot that is held, or was."""

    id: UUID
    state: HoldState
    work_order_id: UUID | None = Field(description="The order it is for, or was used for.")
    technician_id: UUID = Field(description="Who can keep it; the order may go to another.")
    grid_id: UUID
    work_type: WorkType
    estimated_minutes: int = Field(ge=5, le=960)
    slot: str = Field(max_length=64)
    day: date
    begins_at: datetime
    ends_at: datetime
    held_at: datetime
    expires_at: datetime = Field(description="Confirm it before.")

    @classmethod
    def of(cls, held: AppointmentHold, now: datetime) -> Self:
        """Shape a hold as it stands at a moment."""
        over = held.state is HoldState.HELD and not is_open(held.state, held.expires_at, now)
        return cls(
            id=held.id,
            state=HoldState.EXPIRED if over else held.state,
            work_order_id=held.work_order_id,
            technician_id=held.technician_id,
            grid_id=held.grid_id,
            work_type=held.work_type,
            estimated_minutes=held.minutes,
            slot=held.slot,
            day=held.day,
            begins_at=held.begins_at,
            ends_at=held.ends_at,
            held_at=held.held_at,
            expires_at=held.expires_at,
        )


class ConfirmIn(Input):
    """The order that gets a held slot as its first appointment."""

    work_order_id: UUID


class RescheduleIn(Input):
    """An appointment to be moved to a held slot, and why."""

    hold_id: UUID
    cause: Cause
    agreed_with_customer: Annotated[
        bool, Field(description="Whether the customer has agreed to the new time; must be true.")
    ]
    note: Note = ""
    override: Annotated[
        bool,
        Field(description="Move it once more for the operator's own reasons; needs a note."),
    ] = False


class ChangeOut(Answer):
    """An appointment that was moved."""

    at: datetime
    cause: Cause
    cause_words: WordsOut
    fault: Fault = Field(description="On whose side the cause lies.")
    account_id: UUID | None
    note: str = Field(max_length=2000)
    overridden: bool
    before_from: datetime
    before_until: datetime
    after_from: datetime
    after_until: datetime
    technician_before_id: UUID | None
    technician_id: UUID | None


class CountOut(Answer):
    """How often a cause has moved an appointment."""

    cause: Cause
    times: int = Field(ge=1, le=2**31 - 1)


class AppointmentOut(Answer):
    """An order's appointment, and how it came to be."""

    work_order_id: UUID
    state: State
    holder_id: UUID | None = Field(description="The technician who has the order.")
    planned_day: date | None
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    version: int = Field(ge=1, le=2**31 - 1)
    counts: list[CountOut] = Field(max_length=20)
    changes: list[ChangeOut] = Field(max_length=1000, description="The oldest first.")

    @classmethod
    def of(cls, order: Any, changes: Sequence[AppointmentChange]) -> Self:
        """Shape an order's columns and the changes of its appointment."""
        times: dict[Cause, int] = {}
        for one in changes:
            times[one.cause] = times.get(one.cause, 0) + 1
        return cls(
            work_order_id=order.id,
            state=order.state,
            holder_id=order.holder_id,
            planned_day=order.planned_day,
            appointment_from=order.appointment_from,
            appointment_until=order.appointment_until,
            due_at=order.due_at,
            version=order.version,
            counts=[CountOut(cause=cause, times=number) for cause, number in times.items()],
            changes=[_change(one) for one in changes],
        )


def _change(one: AppointmentChange) -> ChangeOut:
    return ChangeOut(
        at=one.at,
        cause=one.cause,
        cause_words=_words(CAUSE_WORDS[one.cause]),
        fault=FAULT_OF[one.cause],
        account_id=one.account_id,
        note=one.note,
        overridden=one.overridden,
        before_from=one.before_from,
        before_until=one.before_until,
        after_from=one.after_from,
        after_until=one.after_until,
        technician_before_id=one.technician_before_id,
        technician_id=one.technician_id,
    )


class LimitIn(Input):
    """At most so many appointments of a unit's local day; no `most` takes the limit back."""

    org_unit_code: Code
    day: Day
    category: Annotated[SlotCode, Field(description="Empty is every category.")] = ""
    slot: Annotated[SlotCode, Field(description="A slot's code; empty is the whole day.")] = ""
    most: Annotated[
        int | None,
        Field(ge=0, le=100_000, description="0 for every category and slot is a holiday."),
    ] = None
    note: Note = ""


class LimitOut(Answer):
    """A limit that is in force."""

    org_unit_code: str = Field(max_length=64)
    day: date
    category: str = Field(max_length=64)
    slot: str = Field(max_length=64)
    most: int = Field(ge=0, le=100_000)
    note: str = Field(max_length=2000)


class LimitsOut(Answer):
    """The limits of some local days, the first first."""

    limits: list[LimitOut] = Field(max_length=1000)
