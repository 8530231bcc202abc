"""The doors at which something may be offered, each with what of its customer's orders matters."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.suggestions.queries.contacts import ORDERED_HERE, SOLD_HERE, ordered_here
from app.suggestions.rules.here import OrderedHere
from app.workorders.rules import State
from app.worktypes.rules import WorkType


class DoorRow(NamedTuple):
    """An order at whose door something may be offered, and what else its customer has ordered.

    `others_pending` says that another install, move or removal of theirs is open that was not sold
    in this visit, `ordered_here` has what was, and what other visits sold them that does not show
    yet, and `other_repairs_at` when their other repairs were reported. `place` is the order's place
    in the day's route, if it has one.
    """

    order_id: UUID
    customer_id: UUID | None
    org_unit_id: UUID
    grid_id: UUID | None
    outage_id: UUID | None
    work_type: WorkType
    state: State
    priority: int
    reported_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    appointment_from: datetime | None
    appointment_until: datetime | None
    estimated_minutes: int
    place: int | None
    others_pending: bool
    ordered_here: Sequence[OrderedHere]
    other_repairs_at: Sequence[datetime]


# While one of these is open for the customer, what they hold is about to change.
_DOORS = """
    SELECT o.id, o.customer_id, o.org_unit_id, o.grid_id, o.outage_id, o.work_type, o.state,
        o.priority, o.reported_at, o.due_at, o.completed_at, o.appointment_from,
        o.appointment_until, o.estimated_minutes, {place}, other.pending, ordered.here,
        other.repairs
    FROM work_order AS o
    CROSS JOIN LATERAL (
        SELECT
            coalesce(bool_or(
                work_type IN ('install', 'relocate', 'remove')
                AND state NOT IN ('completed', 'archived', 'cancelled')
                AND NOT {sold_here}
            ), false) AS pending,
            coalesce(array_agg(reported_at) FILTER (WHERE work_type = 'repair'), '{{}}') AS repairs
        FROM work_order AS x
        WHERE x.customer_id = o.customer_id AND x.id <> o.id AND (
            state NOT IN ('completed', 'archived', 'cancelled')
            OR reported_at >= %(since)s OR completed_at >= %(since)s
        )
    ) AS other
    CROSS JOIN LATERAL ({ordered_here}) AS ordered
    WHERE {which}
"""
# Ahead of a visit nothing is sold in it; the installs of what earlier visits sold may be in other
# hands.
_HERE = {
    "there": "o.id",
    "customer": "o.customer_id",
    "visits": "SELECT %(visit_id)s::uuid",
    "but": "AND sale.id IS DISTINCT FROM %(without)s::uuid",
}
_DOORS = _DOORS.replace("{sold_here}", SOLD_HERE.format(order="x", **_HERE))
_DOORS = _DOORS.replace("{ordered_here}", ORDERED_HERE.format(**_HERE))
_ONE = _DOORS.format(place="NULL::bigint", which="o.id = %(order_id)s")
# The states stand in it as words for the sake of the partial index of what is held.
_TO_COME = _DOORS.format(
    place="""array_position(
            (SELECT route FROM technician_day AS d
             WHERE d.technician_id = %(technician_id)s AND d.day = %(day)s),
            o.id
        )""",
    which="""o.holder_id = %(technician_id)s AND o.state IN ('assigned', 'acknowledged')
    AND o.planned_day <= %(day)s AND o.customer_id IS NOT NULL""",
)


async def door_of(
    session: AsyncSession,
    order_id: UUID,
    visit_id: UUID,
    since: datetime,
    *,
    without: UUID | None = None,
) -> DoorRow:
    """Read the door of an order that is there, as a visit of it finds it, but for what one sale has
    sold in it; its customer's others are open or younger than `since`."""
    given = {"order_id": order_id, "visit_id": visit_id, "since": since, "without": without}
    return _row((await fetched(session, _ONE, given))[0])


async def doors_to_come(
    session: AsyncSession, technician_id: UUID, day: date, since: datetime
) -> list[DoorRow]:
    """List the doors a technician has still to come to on a local day, or had to on days before.

    In no order, and only those whose orders name a customer.
    """
    ahead = {"visit_id": None, "without": None}
    given = {"technician_id": technician_id, "day": day, "since": since, **ahead}
    return [_row(row) for row in await fetched(session, _TO_COME, given)]


def _row(found: tuple[Any, ...]) -> DoorRow:
    row = DoorRow._make(found)
    return row._replace(ordered_here=ordered_here(row.ordered_here))
