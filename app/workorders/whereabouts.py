"""Where orders are to be done: their points, and their addresses as the grids' lists see them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.grids.rules import Lists, Where, district_of


class Whereabouts(NamedTuple):
    """What an order says of its place; the point is in WGS-84 degrees, None where it has none.

    `org_path` is that of the customer's unit, where the customer is known, else the order's own.
    """

    lon: float | None
    lat: float | None
    org_path: str
    customer_id: UUID | None
    service_number: str | None
    address: str
    locality: str | None


_OF_ORDERS = text(
    """
    SELECT w.id, ST_X(w.point), ST_Y(w.point), coalesce(theirs.path, o.path), w.customer_id,
        w.service_number, w.address, w.locality
    FROM work_order w
    JOIN org_unit o ON o.id = w.org_unit_id
    LEFT JOIN customer c ON c.id = w.customer_id
    LEFT JOIN org_unit theirs ON theirs.id = c.org_unit_id
    WHERE w.id = ANY(CAST(:ids AS uuid[]))
    """
)


async def of_orders(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Whereabouts]:
    """Read what orders say of their places."""
    rows = await session.execute(_OF_ORDERS, {"ids": list(ids)})
    return {row[0]: Whereabouts(*row[1:]) for row in rows}


class _Address(NamedTuple):
    standard_address: str
    locality: str | None
    building: str | None


_SERVED_AT = text(
    """
    SELECT a.customer_id, s.service_number, a.standard_address, a.locality, a.building
    FROM service_address a
    LEFT JOIN subscription s ON s.service_address_id = a.id
        AND s.service_number = ANY(CAST(:service_numbers AS text[]))
    WHERE a.customer_id = ANY(CAST(:customer_ids AS uuid[]))
    """
)


async def as_listed(
    session: AsyncSession, lists: Lists, orders: Sequence[Whereabouts]
) -> list[Where | None]:
    """Say where orders are as grids' lists see it, in order; None where no list may speak.

    A known customer's address counts: the one where the service is, else the only one there is.
    Failing that, what the order itself says. Costs one statement, and none where no list may speak
    for a known customer.
    """
    spoken = {path: lists.speak_within(path) for path in {order.org_path for order in orders}}
    known = [order for order in orders if order.customer_id and spoken[order.org_path]]
    served: dict[tuple[UUID, str | None], set[_Address]] = {}
    if known:
        asked = {
            "customer_ids": list({order.customer_id for order in known}),
            "service_numbers": [order.service_number for order in known if order.service_number],
        }
        for customer_id, number, *columns in await session.execute(_SERVED_AT, asked):
            for key in {(customer_id, number), (customer_id, None)}:
                served.setdefault(key, set()).add(_Address(*columns))
    wheres: list[Where | None] = []
    for order in orders:
        if not spoken[order.org_path]:
            wheres.append(None)
            continue
        address = _Address(order.address, order.locality, None)
        if order.customer_id is not None:
            for key in ((order.customer_id, order.service_number), (order.customer_id, None)):
                found = served.get(key, set())
                if len(found) == 1:
                    (address,) = found
                    break
        wheres.append(Where(district_of(order.org_path), *address))
    return wheres
