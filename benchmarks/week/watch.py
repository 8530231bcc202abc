"""What must hold at any moment of the week, read from the database by statements of its own."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.workorders.rules import MOVES, State, Step

# Each gives the rows that break a rule; none may give any.
RULES: dict[str, str] = {
    "the books of a day are not what its orders and holds come to": (
        """
        WITH taken AS (
            SELECT technician_id, day, sum(minutes) AS minutes, sum(orders) AS orders FROM (
                SELECT holder_id AS technician_id, planned_day AS day,
                    estimated_minutes AS minutes, 1 AS orders
                FROM work_order
                WHERE state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
                UNION ALL
                SELECT technician_id, day, reserved_minutes, reserved_orders
                FROM appointment_hold WHERE state = 'held'
            ) AS each_one GROUP BY 1, 2
        )
        SELECT technician_id, day, t.minutes, t.orders, d.committed_minutes, d.orders AS booked
        FROM taken t FULL JOIN technician_day d USING (technician_id, day)
        WHERE coalesce(t.minutes, 0) <> coalesce(d.committed_minutes, 0)
            OR coalesce(t.orders, 0) <> coalesce(d.orders, 0)
        """
    ),
    "an order is not in exactly one place": (
        """
        SELECT id AS order_id, state, holder_id, planned_day, unplaced_reason FROM work_order
        WHERE (state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
                AND (holder_id IS NULL OR planned_day IS NULL OR unplaced_reason IS NOT NULL))
            OR (state IN ('received', 'located', 'unplaced') AND holder_id IS NOT NULL)
            OR (state = 'unplaced') <> (unplaced_reason IS NOT NULL)
        """
    ),
    "somebody has two visits under way at once": (
        """
        SELECT holder_id, array_agg(id) AS order_ids FROM work_order
        WHERE state IN ('en_route', 'on_site') GROUP BY 1 HAVING count(*) > 1
        """
    ),
    "an order stands twice in the route of its day": (
        """
        SELECT d.technician_id, d.day, one AS order_id
        FROM technician_day d CROSS JOIN unnest(d.route) AS one GROUP BY 1, 2, 3 HAVING count(*) > 1
        """
    ),
    "an appointment is planned on another day": (
        """
        SELECT w.id AS order_id, w.planned_day, w.appointment_from
        FROM work_order w JOIN org_unit o ON o.id = w.org_unit_id
        WHERE w.state IN ('assigned', 'acknowledged') AND w.appointment_from IS NOT NULL
            AND w.appointment_until > :now
            AND w.planned_day <> (w.appointment_from AT TIME ZONE o.time_zone)::date
        """
    ),
}


_LOOK = text(
    " UNION ALL ".join(
        f"SELECT {number} AS rule, to_jsonb(broken) AS row FROM ({rule}) AS broken"
        for number, rule in enumerate(RULES.values())
    )
)


async def look(session: AsyncSession, now: datetime) -> list[tuple[str, dict[str, Any]]]:
    """Give what is broken at this moment: the rule in words, and the row."""
    words = list(RULES)
    return [(words[found.rule], found.row) for found in await session.execute(_LOOK, {"now": now})]


def legal(events: list[dict[str, Any]]) -> str | None:
    """Say what is wrong with the history of an order, or nothing."""
    state: State | None = None
    for event in events:
        then = State(event["to_state"])
        if event["step"] is not None:
            step = Step(event["step"])
            if event["from_state"] != state:
                return f"{step} begins at {event['from_state']}, but the order was {state}"
            assert state is not None
            pins = step in (Step.PIN, Step.UNPIN)
            if then is not (state if pins else MOVES.get((state, step))):
                return f"{step} leads from {state} to {then}"
        state = then
    return None
