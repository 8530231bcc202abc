"""What becomes of an order that gave way to an urgent one: it takes its step, and says for whom."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.dispatch.rules import Choice
from app.dispatch.rules.urgent import DISPLACED_WORDS, DISPLACES_WORDS
from app.dispatch.service.decisions import Decided, carry_out
from app.workorders.models import WorkOrder


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
        facts = {
            "displaced_by": str(by),
            "displaced_words": {"zh": DISPLACED_WORDS.zh, "en": DISPLACED_WORDS.en},
        }
        decided.append(
            await carry_out(
                tx,
                order,
                choice,
                choice.unplaced,
                now=now,
                facts=facts,
                account_id=account_id,
                displaced_by=by,
            )
        )
    return decided
