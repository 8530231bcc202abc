"""Reading both sides of a day. No transaction is open while the other side is asked."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.db import Database
from app.ordering.client import OrderingClient
from app.ordering.client.listing import Listed
from app.ordering.courier import Courier
from app.ordering.courier.reaching import Told, asked
from app.ordering.delivery import Endpoint
from app.ordering.queries import CHANNEL
from app.ordering.rules import Cause, Failure, OrderingFailed, Unknown
from app.reconciliation import queries
from app.reconciliation.rules import Ours, Theirs
from app.sales.rules import SaleState
from app.workorders.queries import org_units

# A question that failed is asked again so often; a day may take hundreds of them.
_TRIES = 4
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Scope:
    """What is compared: a unit and all under it; `whole` says that nothing lies beside it."""

    org_unit_id: UUID
    path: str
    whole: bool


async def ask(courier: Courier, question: Callable[[OrderingClient], Awaitable[Told]]) -> Told:
    """Ask the other side something, a few times if need be. Raises NotSent, Unknown, Refused."""
    pause = _FIRST_PAUSE_SECONDS
    for _ in range(_TRIES - 1):
        try:
            return await asked(courier, question, Endpoint.ASK)
        except OrderingFailed as failed:
            if failed.failure is Failure.REFUSED or failed.cause is Cause.FILTER_IGNORED:
                raise
            wished = failed.retry_after.total_seconds() if failed.retry_after else 0.0
            await asyncio.sleep(min(max(pause, wished), _LONGEST_PAUSE_SECONDS))
            pause *= 3
    return await asked(courier, question, Endpoint.ASK)


async def orders_between(
    courier: Courier,
    since: datetime,
    before: datetime,
    progress: Callable[[int, int | None], Awaitable[None]],
) -> dict[str, Listed]:
    """Read all orders of the other side made in a time (real, aware), page by page, by their ids.

    Raises NotSent, Unknown, Refused: also where its pages do not lead on.
    """
    found: dict[str, Listed] = {}
    at: int | dict[str, str] = 0
    read = 0
    while True:
        page = await ask(courier, lambda client, at=at: client.page(since, before, at))  # type: ignore[misc]
        known = len(found)
        found.update((each.order.id, each) for each in page.orders)
        read += len(page.orders)
        await progress(read, page.total)
        if page.next_query is not None:
            at = page.next_query
        elif not page.orders or (page.total is not None and read >= page.total):
            return found
        else:
            at = read
        if page.orders and len(found) == known:
            raise Unknown(Cause.FILTER_IGNORED, said="its pages do not lead on")


async def placed(
    database: Database,
    listed: Collection[Listed],
    ours: Sequence[Ours],
    scope: Scope,
    begins: datetime,
    ends: datetime,
) -> list[Theirs]:
    """Say of each order whose it is, and whether it counts for the day (real times)."""
    of_day = {str(sale.sale_id) for sale in ours} | {s.remote_id for s in ours if s.remote_id}
    rest = [
        each
        for each in listed
        if each.order.external_id not in of_day and each.order.id not in of_day
    ]
    async with database.read() as read:
        ids = filter(None, (_uuid(each.order.external_id) for each in rest))
        confirmed, unconfirmed = await queries.sales_named(read, list(ids))
        elsewhere = {str(id_) for id_ in confirmed}
        elsewhere |= await queries.orders_known(read, [each.order.id for each in rest])
        numbers = {each.technician_number for each in rest if each.technician_number}
        unit_of = await queries.units_of_technicians(read, numbers)
        units = await org_units(read, ids=list(unit_of.values()))
    theirs = []
    for each in listed:
        order = each.order
        unit = unit_of.get(each.technician_number or "")
        within = units.by_id[unit].path.startswith(scope.path) if unit else scope.whole
        made = order.ordered_at
        counts = (
            CHANNEL.id in each.channel_ids
            and order.external_id not in elsewhere
            and order.id not in elsewhere
            and (made is None or begins <= made < ends)
            and within
        )
        named = _uuid(order.external_id)
        state = unconfirmed.get(named) if named else None
        unit_id = unit or scope.org_unit_id
        theirs.append(theirs_of(each, counts=counts, org_unit_id=unit_id, unconfirmed=state))
    return theirs


def theirs_of(
    each: Listed, *, counts: bool, org_unit_id: UUID | None, unconfirmed: SaleState | None = None
) -> Theirs:
    """Write an order of the other side as it is compared."""
    order = each.order
    return Theirs(
        id=order.id,
        external_id=order.external_id,
        state=order.state,
        lines=each.lines,
        counts=counts,
        org_unit_id=org_unit_id,
        href=order.href,
        reason=order.reason,
        places=each.places,
        unconfirmed=unconfirmed,
        item_states=order.item_states,
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
