"""Wire shapes of a sale's ledger, and of taking a sale back."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from app.core.http import Answer, Code, Input, Moment
from app.sales.rules import RETURNED, ReversalReason, SaleState, SaleStep


def _a_customers(reason: ReversalReason) -> ReversalReason:
    if reason not in RETURNED:
        raise ValueError("is told by the ordering system alone")
    return reason


class ReversalIn(Input):
    """What was sold came back."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "external_id": "RET-20260320-0007",
                    "reason": "changed_mind",
                    "returned_at": "2026-03-20T15:00:00+08:00",
                }
            ]
        }
    )

    external_id: Code = Field(description="The return's number where it was taken in.")
    reason: Annotated[ReversalReason, AfterValidator(_a_customers)]
    returned_at: Moment


class LedgerStepOut(Answer):
    """One step of a sale."""

    step: SaleStep
    words: str = Field(max_length=100, description="In the language asked for.")
    at: datetime = Field(description="By the server's clock.")
    device_at: datetime | None = Field(description="By the phone's clock; null without one.")
    account_id: UUID | None = Field(description="Who took it; null for a machine.")
    facts: dict[str, Any] = Field(
        description="Ids of what the step belongs to (visit, decision, suggestion, answer, consent"
        " request, work order, order in the ordering system, commission entry), codes, amounts in"
        " fen."
    )


class LedgerOut(Answer):
    """Everything that happened to a sale, from the visit to the commission, in order."""

    sale_id: UUID
    visit_id: UUID
    work_order_id: UUID
    technician_id: UUID
    state: SaleState
    reversed_at: datetime | None
    steps: list[LedgerStepOut] = Field(max_length=1000)
