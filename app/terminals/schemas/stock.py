"""Wire shapes of terminals."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from app.core.http import Answer
from app.terminals.rules import Pool, TerminalKind, serial_number

SerialNumber = Annotated[
    str,
    Field(min_length=1, max_length=120, examples=["HWTC-8F21A9C4"]),
    AfterValidator(serial_number),
]
"""A serial number as it is scanned or typed, which is read as it is stored."""


class TerminalOut(Answer):
    """One device and where it is booked."""

    id: UUID
    serial_number: Annotated[str, Field(max_length=64)]
    kind: TerminalKind
    model: Annotated[str, Field(max_length=100)]
    pool: Pool
    org_unit_id: UUID
    technician_id: UUID | None = Field(
        description="In whose van it is, or who has recovered it and not handed it in."
    )
    customer_id: UUID | None = Field(description="Where it stands, in the pool `customer`.")
    placed_at: datetime | None = Field(description="Since when it is there; null is not known.")
    version: Annotated[int, Field(ge=1)]


class TerminalPage(Answer):
    """A page of terminals, by serial number."""

    terminals: Annotated[list[TerminalOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None


class StockOut(Answer):
    """How many of a kind the van has."""

    kind: TerminalKind
    count: Annotated[int, Field(ge=0)]
    least: Annotated[int, Field(ge=0)] = Field(description="With fewer, it is time to stock up.")
    low: bool


class VanOut(Answer):
    """What is in a technician's own van and hands; every kind is counted, also with none."""

    terminals: Annotated[list[TerminalOut], Field(max_length=1000)]
    to_hand_in: Annotated[list[TerminalOut], Field(max_length=1000)] = Field(
        description="Recovered from customers, and still to be handed in at the depot."
    )
    stock: Annotated[list[StockOut], Field(max_length=20)]
