"""What becomes of an order that gave way to an urgent one: it takes its step, and says for whom."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.dispatch.rules import Choice
from app.dispatch.rules.urgent import DISPLACED_WORDS, DISPLACES_WORDS
from app.dispatch.service.decisions import Decided
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step


def displacing(choice: Choice) -> dict[str, Any]:
    """Say in an order's history what gave way to it; nothing where nothing did."""
    if choice.displaced is None:
        return {}
    words = {"zh": DISPLACES_WORDS.zh, "en": DISPLACES_WORDS.en}
    return {"displaced": str(choice.displaced.order_id), "displaced_words": words}


async def give_way(
    tx: AsyncSession,
    choices: Mapping[UUID, Choice],
    *,
    now: datetime,
    account_id: UUID | None = None,
) -> list[Decided]:
    """Let what gave way to some orders, given by their ids, take its step; return the decisions.

    The rows are locked and the minutes promised already.
    """
    decided = []
    for by, urgent in choices.items():
        if urgent.displaced is None:
            continue
        order = await tx.get_one(WorkOrder, urgent.displaced.order_id)
        choice = urgent.displaced.choice
        order.tried_at = now
        facts: dict[str, Any] = {
            "displaced_by": str(by),
            "displaced_words": {"zh": DISPLACED_WORDS.zh, "en": DISPLACED_WORDS.en},
        }
        if choice.candidate is None:
            assert choice.unplaced is not None
            reason = choice.unplaced.value
            await take_step(
                tx,
                order,
                Step.UNPLACE,
                now=now,
                account_id=account_id,
                unplaced_reason=choice.unplaced,
                facts=facts,
                minutes_released=True,
            )
            order.holder_id = order.planned_day = None
        else:
            reason = choice.candidate.kind.value
            technician_id = choice.candidate.technician_id
            await take_step(
                tx,
                order,
                Step.ASSIGN,
                now=now,
                account_id=account_id,
                holder_id=technician_id,
                planned_day=choice.day,
                reason=reason,
                facts={
                    "technician_id": str(technician_id),
                    "planned_day": str(choice.day),
                    **facts,
                },
                minutes_promised=True,
                minutes_released=True,
            )
        decided.append(Decided(order.id, order.grid_id, choice, reason, displaced_by=by))
    return decided
