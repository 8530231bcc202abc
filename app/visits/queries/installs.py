"""What a technician was told last of installing what is offered at a door."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched

# An answer that is the same is not told to phones anew sooner than this, however often it is asked.
AGAIN_AFTER = timedelta(minutes=5)


async def note_installs(
    tx: AsyncSession,
    technician_id: UUID,
    answers: Mapping[UUID, tuple[UUID, Mapping[str, str | None]]],
    *,
    now: datetime,
) -> None:
    """Write down, by order, of which decision it was said what stands against installing each of
    its offers now, by code; None: nothing does. In one statement, in the order of orders' ids."""
    if not answers:
        return
    orders = sorted(answers)
    await fetched(
        tx,
        _NOTE,
        {
            "technician_id": technician_id,
            "orders": orders,
            "decisions": [answers[one][0] for one in orders],
            "not_now": [orjson.dumps(dict(answers[one][1])).decode() for one in orders],
            "now": now,
            "before": now - AGAIN_AFTER,
        },
    )


_NOTE = """
    INSERT INTO install_answer AS known
        (work_order_id, decision_id, technician_id, as_of, not_now)
    SELECT one.order_id, one.decision_id, %(technician_id)s, %(now)s, one.not_now::jsonb
    FROM unnest(%(orders)s::uuid[], %(decisions)s::uuid[], %(not_now)s::text[])
        AS one (order_id, decision_id, not_now)
    ON CONFLICT (work_order_id) DO UPDATE
    SET decision_id = excluded.decision_id, technician_id = excluded.technician_id,
        as_of = excluded.as_of, not_now = excluded.not_now
    WHERE known.as_of <= %(before)s
        OR (known.decision_id, known.not_now)
            IS DISTINCT FROM (excluded.decision_id, excluded.not_now)
    RETURNING 1
"""
