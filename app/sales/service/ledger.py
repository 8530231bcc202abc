"""Writing down what happened to sales, in the transaction in which it happens."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched, new_id
from app.sales import rules
from app.sales.models import Sale
from app.sales.rules import SaleStep, Standing


@dataclass(frozen=True)
class Entry:
    """A step to be entered: `at` is the server's business time and `device_at` the phone's, `by` is
    an account. `facts` holds ids, codes and amounts, never what a person said or is called."""

    sale_id: UUID
    step: SaleStep
    at: datetime
    device_at: datetime | None = None
    by: UUID | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


async def entered(
    tx: AsyncSession,
    sale_id: UUID,
    step: SaleStep,
    *,
    at: datetime,
    device_at: datetime | None = None,
    by: UUID | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Enter one step into a sale's ledger; see `Entry`.

    Whoever calls sees to it that a step which is only repeated is entered once.
    """
    await enter(tx, [Entry(sale_id, step, at, device_at, by, facts or {})])


async def enter(tx: AsyncSession, entries: Sequence[Entry]) -> None:
    """Enter steps of any number of sales in one statement.

    Raises psycopg's ForeignKeyViolation for a sale that is not there yet: flush first.
    """
    if not entries:
        return
    given = {
        "ids": [new_id() for _ in entries],
        "sales": [one.sale_id for one in entries],
        "steps": [one.step.value for one in entries],
        "at": [one.at for one in entries],
        "device_at": [one.device_at for one in entries],
        "by": [one.by for one in entries],
        "facts": [json.dumps(one.facts, default=str) for one in entries],
    }
    await fetched(tx, _ENTER, given)


async def enter_news(
    tx: AsyncSession, sale: Sale, known: Standing, *, at: datetime, by: UUID | None = None
) -> None:
    """Enter what became of a sale, which stood as `known` before its state was set."""
    steps = rules.steps_told(known, sale.state)
    await enter(tx, [Entry(sale.id, step, at, by=by, facts=facts) for step, facts in steps])


def standing(sale: Sale) -> Standing:
    """Say where a sale stands, for whoever is about to set its state."""
    return Standing(sale.state, sale.acknowledged_at is not None, sale.reversed_at is not None)


# A sale is reversed once, and once more after each reversal that was undone.
AGAIN = """
    CASE WHEN entry.step = 'reversed'
         THEN coalesce((SELECT jsonb_build_object('again', count(*)) FROM sale_event u
                         WHERE u.sale_id = entry.sale_id AND u.step = 'reversal_undone'
                        HAVING count(*) > 0), '{}')
         ELSE '{}' END
"""
_ENTER = f"""
INSERT INTO sale_event (id, sale_id, step, at, device_at, account_id, facts)
SELECT id, sale_id, step, at, device_at, account_id, facts || {AGAIN}
  FROM unnest(%(ids)s::uuid[], %(sales)s::uuid[], %(steps)s::text[], %(at)s::timestamptz[],
    %(device_at)s::timestamptz[], %(by)s::uuid[], %(facts)s::jsonb[])
    AS entry (id, sale_id, step, at, device_at, account_id, facts)
RETURNING id
"""  # noqa: S608 - text of our own
