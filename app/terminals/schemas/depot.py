"""Wire shapes of a depot's work, and of a terminal's history."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Input
from app.core.i18n import Lang
from app.terminals.models import Terminal, TerminalBatch
from app.terminals.queries import HistoryRow
from app.terminals.rules import Handling, Pool, Why
from app.terminals.rules.depot import Judged, RowFault
from app.terminals.schemas.stock import SerialNumber, TerminalOut

Text = Annotated[str, Field(max_length=300)]


class BatchIn(Input):
    """What a depot does with many terminals: all of it, or nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000012",
                    "handling": "issue",
                    "serial_numbers": ["HWTC-8F21A9C4", "HWTC-8F21A9C5"],
                    "technician_id": "01956f39-1200-7000-8000-000000000003",
                }
            ]
        }
    )

    id: UUID = Field(description="Made by the caller; the same batch again changes nothing more.")
    handling: Handling = Field(
        description=(
            "issue and transfer bring into the van of `technician_id`; return brings out of a van"
            " into the warehouse; hand_in takes what was recovered out of a technician's hands;"
            " refurbish, restock (refurbished, back in stock), scrap, lose and find."
        )
    )
    serial_numbers: Annotated[list[SerialNumber], Field(min_length=1, max_length=1000)]
    technician_id: UUID | None = None
    why: Why | None = Field(
        default=None,
        description=(
            "issue: stock_up; return: not_needed, wrong_model, faulty; transfer: lent, not_needed;"
            " hand_in: handed_in; refurbish: handed_in, faulty; restock: tested_good; scrap:"
            " beyond_repair, outdated; lose: lost, customer_lost_it; find: found. The first is"
            " meant when it is left out."
        ),
    )


class BatchOut(Answer):
    """A batch that was carried out."""

    id: UUID
    handling: Handling
    why: Why
    technician_id: UUID | None
    moved: Annotated[int, Field(ge=1, le=1000)]
    at: datetime

    @classmethod
    def of(cls, made: TerminalBatch) -> Self:
        """Write a batch."""
        return cls(
            id=made.id,
            handling=made.handling,
            why=made.why,
            technician_id=made.technician_id,
            moved=len(made.serial_numbers),
            at=made.at,
        )


class BatchRowOut(Answer):
    """What would become of one serial number."""

    serial_number: Annotated[str, Field(max_length=64)]
    from_pool: Pool | None = Field(description="Where it is booked; null when nobody here has it.")
    to_pool: Pool | None = Field(description="Where it would go; null when it cannot be done.")
    fault: RowFault | None
    words: Text | None = Field(description="Why it cannot be done, in the caller's language.")


class BatchPreviewOut(Answer):
    """What a batch would do now; it is carried out only when no row has a fault."""

    rows: Annotated[list[BatchRowOut], Field(max_length=1000)]
    refused: Annotated[int, Field(ge=0, le=1000)]

    @classmethod
    def of(cls, judged: list[Judged], lang: Lang) -> Self:
        """Write a judgement in one language."""
        return cls(
            rows=[
                BatchRowOut(
                    serial_number=row.serial_number,
                    from_pool=row.before.pool if row.before else None,
                    to_pool=row.after.pool if row.after else None,
                    fault=row.fault,
                    words=row.words.say(lang) if row.words else None,
                )
                for row in judged
            ],
            refused=sum(row.fault is not None for row in judged),
        )


class MoveOut(Answer):
    """One move of a terminal; customers are named by their id alone."""

    number: Annotated[int, Field(ge=1)]
    handling: Handling
    why: Why
    at: datetime
    device_at: datetime | None
    from_pool: Pool | None = Field(description="Null at its first move, when nobody knew it.")
    from_technician: Text | None
    from_customer_id: UUID | None
    to_pool: Pool
    to_org_unit: Text = Field(description="Code of the unit that answers for it from then on.")
    to_technician: Text | None
    to_customer_id: UUID | None
    by_technician: Text | None
    by_account: Text | None
    work_order_id: UUID | None
    visit_id: UUID | None
    undone: bool = Field(description="A later move has taken it back.")


class HistoryOut(Answer):
    """A terminal, and its chain of moves, the newest first."""

    terminal: TerminalOut
    moves: Annotated[list[MoveOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None

    @classmethod
    def of(cls, terminal: Terminal, moves: list[HistoryRow], token: str | None) -> Self:
        """Write a page of a terminal's history."""
        return cls(
            terminal=TerminalOut.model_validate(terminal),
            moves=[MoveOut.model_validate(move) for move in moves],
            next_page_token=token,
        )
