"""Repeat faults: what was closed shortly before on the same service, and how often that happens."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched


class Fault(NamedTuple):
    """A fault as far as it has to be known again: on a service, or at a customer's address where it
    names none, closed not before `since` and not after it was reported."""

    service_number: str | None
    customer_id: UUID | None
    address: str
    since: datetime
    reported_at: datetime


class Before(NamedTuple):
    """What was closed before a fault, by whom, and how many faults had come back until then."""

    order_id: UUID
    technician_id: UUID | None
    repeats: int


# Work that leaves a service running; after a removal there is none, and a care visit mends nothing.
_LAST = """
    SELECT w.id, w.holder_id, w.repeats FROM work_order w
    WHERE {} AND w.completed_at BETWEEN given.since AND given.reported_at
        AND w.work_type IN ('install', 'relocate', 'repair')
    ORDER BY w.completed_at DESC LIMIT 1
"""
_ON_SERVICE = _LAST.format("w.service_number = given.number")
_AT_ADDRESS = _LAST.format(
    "given.number IS NULL AND w.customer_id = given.customer AND w.address = given.address"
)
_BEFORE = f"""
    SELECT given.place, last.id, last.holder_id, last.repeats
    FROM unnest(
        CAST(%(places)s AS int[]), CAST(%(numbers)s AS text[]), CAST(%(customers)s AS uuid[]),
        CAST(%(addresses)s AS text[]), CAST(%(since)s AS timestamptz[]),
        CAST(%(reported)s AS timestamptz[])
    ) AS given (place, number, customer, address, since, reported_at)
    CROSS JOIN LATERAL (({_ON_SERVICE}) UNION ALL ({_AT_ADDRESS})) AS last
"""  # noqa: S608 - text of our own


async def closed_before(tx: AsyncSession, faults: Sequence[Fault]) -> dict[int, Before]:
    """Find what was closed last before each of some faults, by their places; one look for all.

    Faults that name neither a service nor a customer are not looked for.
    """
    looked = [
        (place, fault)
        for place, fault in enumerate(faults)
        if fault.service_number is not None or fault.customer_id is not None
    ]
    if not looked:
        return {}
    rows = await fetched(
        tx,
        _BEFORE,
        {
            "places": [place for place, _ in looked],
            "numbers": [fault.service_number for _, fault in looked],
            "customers": [fault.customer_id for _, fault in looked],
            "addresses": [fault.address for _, fault in looked],
            "since": [fault.since for _, fault in looked],
            "reported": [fault.reported_at for _, fault in looked],
        },
    )
    return {place: Before(*before) for place, *before in rows}


_LAST_HANDS = text(
    """
    SELECT o.id, before.holder_id
    FROM work_order o JOIN work_order before ON before.id = o.repeat_of_id
    WHERE o.id = ANY(CAST(:ids AS uuid[])) AND before.holder_id IS NOT NULL
    """
)


async def last_hands(tx: AsyncSession, order_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Say of repeat faults, given by their ids, which technician closed what came back."""
    rows = await tx.execute(_LAST_HANDS, {"ids": list(order_ids)})
    return {row.id: row.holder_id for row in rows}


# --- figures --------------------------------------------------------------------------------------


class By(StrEnum):
    """What repeat faults are counted by."""

    ORG_UNIT = "org_unit"
    TECHNICIAN = "technician"


class Figure(NamedTuple):
    """Repeat faults of a unit or a technician: how many of how many."""

    id: UUID
    code: str
    name_zh: str
    name_en: str
    repeats: int
    faults: int


# Of a unit: of the faults that came in, how many were repeats. One look into the index for each
# unit, bounded by the days that are asked for.
_OF_UNITS = text(
    """
    SELECT u.id, u.code, u.name_zh, u.name_en, counted.repeats, counted.faults
    FROM org_unit u CROSS JOIN LATERAL (
        SELECT count(repeat_of_id) AS repeats, count(*) AS faults FROM work_order o
        WHERE o.org_unit_id = u.id AND o.received_at >= :since AND o.received_at < :until
            AND o.work_type = 'repair' AND o.state <> 'cancelled'
    ) AS counted
    WHERE starts_with(u.path, :org_path) AND counted.faults > 0
    ORDER BY u.code
    """
)
# Of a technician: of what they closed, how much came back.
_OF_TECHNICIANS = text(
    """
    SELECT t.id, t.code, t.name, t.name, sum(counted.repeats)::bigint, sum(counted.faults)::bigint
    FROM org_unit u CROSS JOIN LATERAL (
        SELECT o.holder_id, count(*) AS faults, count(*) FILTER (WHERE EXISTS (
            SELECT FROM work_order again
            WHERE again.repeat_of_id = o.id AND again.state <> 'cancelled'
        )) AS repeats
        FROM work_order o
        WHERE o.org_unit_id = u.id AND o.completed_at >= :since AND o.completed_at < :until
            AND o.work_type IN ('install', 'relocate', 'repair') AND o.holder_id IS NOT NULL
        GROUP BY o.holder_id
    ) AS counted
    JOIN technician t ON t.id = counted.holder_id
    WHERE starts_with(u.path, :org_path)
    GROUP BY t.id ORDER BY t.code
    """
)


async def figures(
    read: AsyncSession, by: By, org_path: str, since: datetime, until: datetime
) -> list[Figure]:
    """Count the repeat faults of a subtree, given by its path, between two moments."""
    statement = _OF_UNITS if by is By.ORG_UNIT else _OF_TECHNICIANS
    rows = await read.execute(statement, {"org_path": org_path, "since": since, "until": until})
    return [Figure(*row) for row in rows]
