"""Wire shapes of feasibility, reservations and the two-hour figure."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Code, Day, Input
from app.core.i18n import Lang
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import Grade, HoldState, Offer
from app.feasibility.models import InstallReservation
from app.feasibility.rules import (
    WORDS,
    Answers,
    Blocks,
    Feasible,
    Infeasible,
    No,
    TwoHours,
    standing,
)
from app.feasibility.rules import ReservationState as State
from app.serviceability.rules import LineAt, Source

Text = Annotated[str, Field(max_length=300)]
Minutes = Annotated[int, Field(ge=0, le=100_000)]
Serial = Annotated[str, Field(max_length=64)]
Terminals = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=100)]


class FeasibilityIn(Input):
    """What a phone asks about; without codes all that may be sold at doors."""

    offering_codes: Annotated[list[Code], Field(min_length=1, max_length=100)] | None = Field(
        default=None, examples=[["LINE-500"]]
    )


class NoOut(Answer):
    """One reason why not."""

    code: Infeasible
    blocks: Blocks = Field(
        description="Whether it stands in the way of the sale, or only of installing it now."
    )
    words: Text
    facts: dict[str, Any] = Field(description="What decided; the guide says which code has which.")

    @classmethod
    def of(cls, no: No, lang: Lang) -> Self:
        """Write a reason in one language."""
        return cls(
            code=no.code, blocks=no.blocks, words=WORDS[no.code].say(lang), facts=dict(no.facts)
        )


class NextBestOut(Answer):
    """The next slot that somebody can keep; book it for the sale."""

    day: date
    slot: Code
    begins_at: datetime
    ends_at: datetime
    grade: Grade

    @classmethod
    def of(cls, offer: Offer | None) -> Self | None:
        """Write a slot, if there is one."""
        if offer is None or offer.grade is None:
            return None
        slot = offer.slot
        return cls(
            day=slot.day,
            slot=slot.code,
            begins_at=slot.begins,
            ends_at=slot.ends,
            grade=offer.grade,
        )


class LineOut(Answer):
    """What is known of the line to this door, and who says so."""

    source: Source = Field(
        description=(
            "asked: the operator's system said so just now; cached: it said so a while ago; stale:"
            " it does not answer, and this is what it said last; not_asked: the customer's record."
        )
    )
    as_of: datetime | None = Field(description="When it was held to be so; null is not known.")
    port_free: bool | None
    max_speed_mbps: Annotated[int, Field(ge=0, le=1_000_000)] | None
    olt_port: Annotated[str, Field(max_length=64)] | None
    reason: Text | None = Field(description="The system's own words, where it said no.")

    @classmethod
    def of(cls, line: LineAt | None) -> Self | None:
        """Write a line, if anything is known of its address."""
        return None if line is None else cls.model_validate(line)


class FeasibleOut(Answer):
    """Whether one offering can be sold and installed in this visit."""

    offering_code: Code
    name: Text
    can_sell: bool
    needs_install: bool = Field(description="Whether anything has to be installed for it at all.")
    can_install_now: bool = Field(
        description="Whether the customer can have it with this visit; also where nothing has to"
        " be installed."
    )
    noes: Annotated[list[NoOut], Field(max_length=20)]
    next_best: NextBestOut | None = Field(
        description="When it can be installed, where it can be sold and not installed now."
    )
    minutes: Minutes | None = Field(description="How long installing takes.")
    terminals: Terminals = Field(description="Kinds of devices that are fitted, one each.")
    serial_numbers: Annotated[list[Serial], Field(max_length=10)] = Field(
        description="What the van has for it and is promised to nobody."
    )
    speed_mbps: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        description="The speed that is sold."
    )

    @classmethod
    def of(cls, one: Feasible, lang: Lang) -> Self:
        """Write an answer in one language."""
        need = one.need
        return cls(
            offering_code=one.code,
            name=one.name.say(lang),
            can_sell=one.can_sell,
            needs_install=need is not None,
            can_install_now=one.can_install_now,
            noes=[NoOut.of(no, lang) for no in one.noes],
            next_best=NextBestOut.of(one.next_best),
            minutes=None if need is None else need.minutes,
            terminals=[] if need is None else list(need.terminals),
            serial_numbers=list(one.serials),
            speed_mbps=one.speed_mbps,
        )


class FeasibilityOut(Answer):
    """What can be sold and installed in this visit, offering by offering."""

    visit_id: UUID
    at: datetime
    line: LineOut | None = Field(description="Null where no address of the customer is known.")
    free_minutes: Minutes | None = Field(
        description="What today has left beside all promises; null where the order has no grid."
    )
    offerings: Annotated[list[FeasibleOut], Field(max_length=500)]

    @classmethod
    def of(cls, found: Answers, lang: Lang) -> Self:
        """Write the answers in one language."""
        return cls(
            visit_id=found.visit_id,
            at=found.at,
            line=LineOut.of(found.line),
            free_minutes=None if found.free_minutes is None else int(found.free_minutes),
            offerings=[FeasibleOut.of(one, lang) for one in found.offerings],
        )


class ReservedItemIn(Input):
    """One thing to be installed."""

    offering_code: Code = Field(examples=["LINE-500"])
    quantity: Annotated[int, Field(ge=1, le=20)] = 1


class ReservationIn(Input):
    """What a phone wants to have reserved; it makes the id."""

    id: UUID
    items: Annotated[list[ReservedItemIn], Field(min_length=1, max_length=20)]

    def wanted(self) -> list[tuple[str, int]]:
        """Give codes and quantities, each code once."""
        wanted: dict[str, int] = {}
        for item in self.items:
            wanted[item.offering_code] = wanted.get(item.offering_code, 0) + item.quantity
        return list(wanted.items())


class InstallAppointmentIn(ReservationIn):
    """Which slot a phone wants for installing something another time; it makes the id."""

    day: Day = Field(description="A local day of the place, as in `next_best`.")
    slot: Code = Field(description="The slot's code, as in `next_best`.")


class InstallAppointmentOut(Answer):
    """A slot that is held for the install of what is being sold in a visit."""

    id: UUID = Field(description="Say it with the sale, as `appointment_hold_id`.")
    state: HoldState
    minutes: Minutes
    day: date
    slot: Code
    begins_at: datetime
    ends_at: datetime = Field(description="The work begins by then at the latest.")
    expires_at: datetime = Field(description="Confirm the sale by then, or book anew.")

    @classmethod
    def of(cls, held: AppointmentHold, now: datetime) -> Self:
        """Write a slot as it stands now."""
        over = held.state is HoldState.HELD and held.expires_at <= now
        return cls(
            id=held.id,
            state=HoldState.EXPIRED if over else held.state,
            minutes=held.minutes,
            day=held.day,
            slot=held.slot,
            begins_at=held.begins_at,
            ends_at=held.ends_at,
            expires_at=held.expires_at,
        )


class ReservedItemOut(Answer):
    """One thing that is reserved for."""

    offering_code: Code
    quantity: Annotated[int, Field(ge=1, le=20)]


class ReservationOut(Answer):
    """Minutes and terminals that are kept for a sale in a visit."""

    id: UUID
    visit_id: UUID
    state: State
    items: Annotated[list[ReservedItemOut], Field(max_length=20)]
    minutes: Minutes
    serial_numbers: Annotated[list[Serial], Field(max_length=400)]
    held_at: datetime
    expires_at: datetime = Field(description="Confirm the sale by then, or reserve anew.")

    @classmethod
    def of(cls, one: InstallReservation, serials: list[str], now: datetime) -> Self:
        """Write a reservation as it stands now."""
        return cls(
            id=one.id,
            visit_id=one.visit_id,
            state=standing(one.state, one.expires_at, now),
            items=[ReservedItemOut.model_validate(item) for item in one.items],
            minutes=one.minutes,
            serial_numbers=serials,
            held_at=one.held_at,
            expires_at=one.expires_at,
        )


class ExclusionsOut(Answer):
    """What is left out of a figure, and how often."""

    cancelled: Minutes = Field(description="The install was called off.")
    excused: Minutes = Field(description="Its clock was stopped for a cause that exempts.")
    running: Minutes = Field(description="Not live yet, and the time is not over.")


class TwoHourOut(Answer):
    """The share of on-site sales that were live in time."""

    figure: Text = Field(examples=["two_hour_activation_rate"])
    first_day: date
    last_day: date
    minutes: Minutes = Field(description="The time that is promised.")
    numerator: Minutes = Field(description="On-site sales live within the time.")
    denominator: Minutes = Field(description="On-site sales that count.")
    exclusions: ExclusionsOut
    rate: Annotated[float, Field(ge=0, le=1)] | None = Field(
        description="Null where no sale counts."
    )

    @classmethod
    def of(cls, found: TwoHours, first_day: date, last_day: date, minutes: int) -> Self:
        """Write the figure of some local days."""
        return cls(
            figure="two_hour_activation_rate",
            first_day=first_day,
            last_day=last_day,
            minutes=minutes,
            numerator=found.in_time,
            denominator=found.denominator,
            exclusions=ExclusionsOut(
                cancelled=found.cancelled, excused=found.excused, running=found.running
            ),
            rate=found.rate,
        )
