"""What has become true since an offer was made, and wins over what the customer said to it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.customers.models import Customer
from app.suggestions import queries
from app.suggestions.rules import HeldBack
from app.suggestions.rules.answering import MEANWHILE, guard_in
from app.suggestions.rules.asking import stand_against
from app.suggestions.rules.facts import Facts
from app.suggestions.rules.gating import switched_off
from app.suggestions.rules.here import seen_here
from app.suggestions.rules.limits import limits_in_force
from app.suggestions.service.choosing import offer_of


async def guard_now(
    tx: AsyncSession,
    customer_id: UUID,
    suggestion_ids: Sequence[UUID],
    *,
    prepaid: bool,
    now: datetime,
) -> HeldBack | None:
    """Name a guard that forbids, now, to sell to a customer; None forbids nothing.

    `prepaid` tells that all of it is paid for beforehand: nothing else is sold to who owes. The
    other guards are asked of what was suggested, and what was taken ahead of a repair waits for
    that to succeed. Raises NotFound.
    """
    true = dict(await queries.guards_of(tx, customer_id, suggestion_ids))
    if suggestion_ids:
        true |= dict.fromkeys(await _meanwhile(tx, customer_id, suggestion_ids, now), True)
    return guard_in(true, suggested=bool(suggestion_ids), prepaid=prepaid)


async def _meanwhile(
    tx: AsyncSession, customer_id: UUID, suggestion_ids: Sequence[UUID], now: datetime
) -> set[HeldBack]:
    """Ask the gates again, by the ledger, of all that another channel may have brought about.

    What was said at the door at which it was offered, the order there, and what was sold on it
    stand in no way; what else was sold in its visit keeps only its like from being sold again. Nor
    do devices stand in one: what was fitted in this visit may be the very one that is sold.
    """
    customer = await tx.get_one(Customer, customer_id)
    path, zone = await queries.unit_of(tx, customer.org_unit_id)
    today = now.astimezone(zone).date()
    limits = limits_in_force(await parameters_in_force(tx), now, path)
    off = switched_off(await queries.gates(tx), path, today)
    held = await queries.held_by(tx, customer_id, today)
    found: set[HeldBack] = set()
    for own, offerings in (await queries.offered(tx, suggestion_ids)).items():
        ledger = await queries.ledger_of(tx, customer_id, limits, now, zone, own=own)
        closed = ledger.complaint_closed_at
        facts = Facts(
            **vars(ledger.silence),
            today=today,
            work_type="",
            restored=True,
            held=held,
            order_pending=ledger.order_pending,
            **seen_here(ledger.ordered_here, held)._asdict(),
            complaint_closed_on=closed and closed.astimezone(zone).date(),
            outage=ledger.outage,
            faults=len(ledger.faults_at),
        )
        for offering in offerings:
            found.update(stand_against(facts, offer_of(offering), limits, off, MEANWHILE))
    return found
