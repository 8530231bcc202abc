"""What is said of terminals that are due back, and what is answered."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.core.cells import NotReadable
from app.core.http import Answer, Code, Input, Line, Note
from app.core.paging import NextPage
from app.customers.rules import masked_name
from app.recovery.queries.pickups import Stop
from app.recovery.queries.rates import Rate
from app.recovery.rules import rate
from app.terminals.queries import Owed
from app.terminals.rules import (
    DueCause,
    DueState,
    KeptCause,
    TerminalKind,
    WriteOffCause,
    serial_number,
)
from app.workorders.rules import State


def _serial(scanned: str) -> str:
    try:
        return serial_number(scanned)
    except NotReadable as wrong:
        raise ValueError(wrong.words.en) from wrong


class DueIn(Input):
    """One terminal that has to be given back."""

    serial_number: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_serial)]
    kind: TerminalKind = Field(description="Of a serial number that is not known here yet.")


class RecoveryIn(Input):
    """What a customer has to give back, as another system says."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "crm",
                    "external_id": "R20260302-0107",
                    "customer_code": "C000107",
                    "cause": "removal",
                    "terminals": [{"serial_number": "HWTC-8F21A9C4", "kind": "ont_gateway"}],
                }
            ]
        }
    )

    source: Code
    external_id: Code = Field(description="The same again is answered like the first time.")
    customer_code: Code | None = None
    service_number: Code | None = Field(
        default=None, description="Either this or the customer's code; of this line alone."
    )
    cause: DueCause
    terminals: Annotated[list[DueIn], Field(max_length=50)] = Field(
        default_factory=list,
        description="Left out, all that stands there of the kinds that are given back.",
    )

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.customer_code is None) == (self.service_number is None):
            raise ValueError("give either customer_code or service_number")
        return self

    def named(self) -> dict[str, TerminalKind]:
        """Give the kinds by serial number."""
        return {one.serial_number: one.kind for one in self.terminals}


class WriteOffIn(Input):
    """Why a terminal will not come back."""

    cause: WriteOffCause


class KeepIn(Input):
    """Why a terminal need not come back after all."""

    cause: KeptCause


class OwedOut(Answer):
    """One terminal that a customer has, or had, to give back."""

    id: UUID
    serial_number: Line
    kind: TerminalKind
    cause: DueCause
    since: datetime
    due_at: datetime = Field(description="Until when it is fetched.")
    state: DueState
    settled_at: datetime | None
    work_order_id: UUID | None = Field(description="The order that fetches it, or did.")


class OwedList(Answer):
    """What a customer has to give back and had to, the newest first."""

    items: Annotated[list[OwedOut], Field(max_length=100)]

    @classmethod
    def of(cls, owed: Sequence[Owed]) -> Self:
        """Write a customer's list."""
        return cls(items=[OwedOut.model_validate(one) for one in owed])


class RequestOut(Answer):
    """What has become due by a request; empty when nothing of it stands there."""

    id: UUID
    customer_id: UUID
    terminals: Annotated[list[OwedOut], Field(max_length=100)]


class DueOut(Answer):
    """One terminal of a pick-up."""

    id: UUID
    serial_number: Line
    kind: TerminalKind
    cause: DueCause
    since: datetime
    due_at: datetime
    state: DueState
    settled_at: datetime | None
    write_off_cause: WriteOffCause | None
    kept_cause: KeptCause | None


class RecoveryOut(Answer):
    """All that one customer has to give back, and where the order stands that fetches it."""

    id: UUID
    org_unit_id: UUID
    org_unit_code: Line
    customer_id: UUID
    customer_code: Line
    customer_name: Line = Field(description="Masked.")
    locality: Note | None
    since: datetime
    due_at: datetime = Field(description="The first deadline of what is open.")
    overdue: bool
    closed_at: datetime | None
    orders: int = Field(description="How many orders were made for it.")
    work_order_id: UUID | None
    order_state: State | None
    planned_day: date | None
    holder_id: UUID | None
    holder_name: Line | None
    taken_by_id: UUID | None = Field(description="Who has taken it on the way.")
    taken_at: datetime | None
    terminals: Annotated[list[DueOut], Field(max_length=200)]

    @classmethod
    def of(cls, row: Any, now: datetime) -> Self:
        """Write a pick-up, with its customer masked."""
        plain = cls.model_fields.keys() - {"customer_name", "overdue", "terminals"}
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in plain},
                "customer_name": masked_name(row.customer_name),
                "overdue": row.closed_at is None and row.due_at <= now,
                "terminals": row.terminals or [],
            }
        )


class RecoveryPage(Answer):
    """Pick-ups by their deadline."""

    items: Annotated[list[RecoveryOut], Field(max_length=200)]
    next_page_token: NextPage


class StopOut(Answer):
    """A pick-up on the way; whose it is shows once it is taken."""

    id: UUID
    locality: Note | None
    distance_m: int = Field(description="From the nearest stop of the day, rounded to 50 m.")
    due_at: datetime
    terminals: int = Field(description="How many are to be fetched.")
    estimated_minutes: int


class StopsOut(Answer):
    """Pick-ups near today's stops, the nearest first."""

    items: Annotated[list[StopOut], Field(max_length=20)]

    @classmethod
    def of(cls, stops: Sequence[Stop]) -> Self:
        """Write what is offered."""
        return cls(
            items=[
                StopOut(**{**stop._asdict(), "distance_m": round(stop.distance_m / 50) * 50})
                for stop in stops
            ]
        )


class TakenOut(Answer):
    """A pick-up that is in the caller's day now."""

    id: UUID
    work_order_id: UUID
    planned_day: date
    due_at: datetime


class ShareOut(Answer):
    """A share with what it was made from; null where nothing was due."""

    rate: float | None
    numerator: int
    denominator: int


class RateOut(Answer):
    """How much has come back of what was due in a group."""

    key: Line | None = Field(description="The kind, or the code of the unit or technician.")
    name: Line | None
    recovery_rate: ShareOut = Field(description="Recovered of what was due back.")
    pickup_on_time_rate: ShareOut = Field(description="Recovered until the deadline, of the same.")
    written_off: int = Field(description="Among what was due.")
    cancelled: int = Field(description="Left out: it need not be given back after all.")
    not_yet_due: int = Field(description="Left out: it is open and has time left.")

    @classmethod
    def of(cls, found: Rate) -> Self:
        """Write the figures of a group."""
        return cls(
            key=found.key,
            name=found.name,
            recovery_rate=_share(found.recovered, found.due),
            pickup_on_time_rate=_share(found.on_time, found.due),
            written_off=found.written_off,
            cancelled=found.cancelled,
            not_yet_due=found.not_yet_due,
        )


def _share(numerator: int, denominator: int) -> ShareOut:
    return ShareOut(rate=rate(numerator, denominator), numerator=numerator, denominator=denominator)


class RatesOut(Answer):
    """Figures of what fell due from one local day to another, the last included."""

    since: date
    until: date
    items: Annotated[list[RateOut], Field(max_length=500)]
