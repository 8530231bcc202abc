"""Erasing one customer: every personal column is emptied, and sums stay what they were."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.catalog.queries import today_of
from app.core import jobs
from app.customers import queries as customers
from app.privacy import queries
from app.privacy.rules import StillServed
from app.retention.queries import cases


async def erase(
    tx: AsyncSession, customer_id: UUID, caller: Caller, *, now: datetime
) -> dict[str, int]:
    """Make all that is kept of a customer nobody's; the answer counts rows by table.

    The row stays, so that sales, orders and their sums hold, but it names nobody, and a file of the
    CRM that names the customer again is passed over; nobody is to call them any more. Doing it
    again changes nothing. Raises NotFound, and StillServed while something of theirs goes on.
    """
    customer = await customers.for_change(tx, caller, customer_id)
    if customer.erased_at is not None:
        return {}
    going_on = await queries.against(tx, customer_id, await today_of(tx, customer.org_unit_id, now))
    if going_on:
        raise StillServed(reasons=", ".join(sorted(going_on)), **going_on)
    customer.erased_at = now
    customer.do_not_disturb, customer.personal_offers = True, False
    await tx.flush()
    for evidence_id in await queries.pictures_left(tx, customer_id, now):
        await jobs.tell(tx, "evidence.left", evidence_id=evidence_id)
    await cases.drop_of(tx, customer_id, now)
    counts = await queries.erased_rows(tx, customer_id)
    await tx.refresh(customer)
    for table, count in counts.items():
        audit.note(tx, table=table, operation="erase", ids=[customer_id], count=count)
    return counts
