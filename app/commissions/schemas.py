"""Wire shapes of commissions; money is in whole fen, counter entries are below nothing."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from app.commissions.rules import EntryKind, FlagKind, FlagState
from app.core.http import Answer, Input, Line

Fen = Annotated[int, Field(ge=-(2**53), le=2**53)]


class CommissionEntryOut(Answer):
    """One entry of the ledger."""

    id: UUID
    at: datetime
    kind: EntryKind
    fen: Fen
    cut_fen: Fen = Field(description="What the month's cap cut.")
    sale_id: UUID
    offering_codes: list[Line] = Field(max_length=20)
    commission_fen: Fen = Field(description="Both parts of the sale's commission together.")
    counters_id: UUID | None = Field(
        description="Of a counter entry: the entry it takes back, or of which it gives back."
    )
    sale_item_id: UUID | None = Field(
        description="Of a counter entry for one item alone: which item of the sale."
    )


class StatementOut(Answer):
    """What a technician's month comes to, with each entry it is the sum of."""

    technician_id: UUID
    month: date = Field(description="The first day of it.")
    earned_fen: Fen = Field(description="First parts, of sales that were acknowledged.")
    kept_fen: Fen = Field(description="Second parts, of sales that were kept.")
    taken_back_fen: Fen = Field(description="Counter entries; nothing or below.")
    given_back_fen: Fen = Field(
        description="What had been taken back for the end of an order that had not ended after all."
    )
    total_fen: Fen = Field(description="The sum of the entries, and of the four above.")
    cut_fen: Fen = Field(description="What the month's cap cut.")
    to_come_fen: Fen = Field(
        description="Second parts that are not due yet, of whatever month, before any cap."
    )
    entries: list[CommissionEntryOut] = Field(max_length=20_000)


class TechnicianMonthOut(Answer):
    """What a technician's month comes to."""

    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    sales: int = Field(ge=0, le=1_000_000, description="Sales that were acknowledged.")
    earned_fen: Fen
    kept_fen: Fen
    taken_back_fen: Fen
    given_back_fen: Fen
    cut_fen: Fen
    total_fen: Fen


class CommissionsOut(Answer):
    """The months of the people who sold in a part of the organisation."""

    month: date
    total_fen: Fen = Field(description="Of all of them, on whichever page.")
    technicians: list[TechnicianMonthOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)


class CommissionFlagOut(Answer):
    """What a person should look at."""

    id: UUID
    kind: FlagKind
    words: str = Field(max_length=200, description="In the language asked for.")
    technician_id: UUID
    org_unit_id: UUID
    sale_id: UUID | None = Field(description="Null for a flag about a whole month.")
    month: date
    at: datetime
    facts: dict[str, Any] = Field(description="The numbers it rests on.")
    state: FlagState
    reviewed_at: datetime | None
    reviewed_by_id: UUID | None
    reason: str | None = Field(max_length=2000)


class CommissionFlagPage(Answer):
    """Some flags, the latest first."""

    flags: list[CommissionFlagOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)


class ReviewIn(Input):
    """What was found when somebody looked."""

    verdict: Literal[FlagState.CLEARED, FlagState.UPHELD]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
