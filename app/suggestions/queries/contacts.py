"""Contacts of all channels: the lock under which they are counted, the ledger, and its pages."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.db import fetched
from app.core.errors import NotFound
from app.customers.models import Customer, Interaction
from app.customers.rules import Channel, may_offer_on
from app.suggestions.models import ContactReservation
from app.suggestions.rules.contacts import YEAR, Ledger
from app.suggestions.rules.limits import Limits

# Who lives where a customer lives: contacts count for the home. Where an address names no room it
# is a house or a building with many homes, so that nobody else counts.
HOUSEHOLD = """
    SELECT %(customer_id)s::uuid AS id UNION
    SELECT near.customer_id FROM service_address AS own
    JOIN service_address AS near
        ON replace(near.standard_address, ' ', '') = replace(own.standard_address, ' ', '')
    WHERE own.customer_id = %(customer_id)s AND own.room IS NOT NULL
"""
_LOCK = f"""
    SELECT id FROM customer WHERE id IN ({HOUSEHOLD})
    ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 - text of our own


async def lock_customer(tx: AsyncSession, customer_id: UUID) -> None:
    """Hold a customer, and whoever lives with them, until the transaction ends, so that contacts
    are counted by one at a time.

    It must be a statement of its own: what is counted in the locking statement would be what was
    there before the wait. All take the rows in one order, and the lock does not hinder rows that
    only refer to the customer. Raises NotFound.
    """
    await tx.flush()
    held = await fetched(tx, _LOCK, {"customer_id": customer_id})
    if (customer_id,) not in held:
        raise NotFound()


async def customer_named(session: AsyncSession, caller: Caller, named: UUID | str) -> Customer:
    """Find a customer of the caller's part of the organisation by our id or by the CRM's code.

    Raises NotFound.
    """
    by = Customer.id if isinstance(named, UUID) else Customer.code
    found = await session.scalar(
        select(Customer).where(by == named, subtree(Customer.org_unit_id, caller))
    )
    if found is None:
        raise NotFound()
    return found


async def unit_of(session: AsyncSession, org_unit_id: UUID) -> tuple[str, ZoneInfo]:
    """Give an org unit's path and time zone."""
    path, zone = (
        await session.execute(
            select(OrgUnit.path, OrgUnit.time_zone).where(OrgUnit.id == org_unit_id)
        )
    ).one()
    return path, ZoneInfo(zone)


# One visit is one sales contact, however much was said in it. A fault is known as a call or as an
# order, so the larger number is counted; a visit of today, done or begun, is service of today.
_LEDGER = f"""
    WITH home AS MATERIALIZED ({HOUSEHOLD}),
    heard AS MATERIALIZED (
        SELECT i.*, timezone(%(zone)s, at)::date AS day FROM interaction AS i
        WHERE customer_id IN (SELECT id FROM home)
        AND (at > %(year_ago)s OR (kind = 'complaint' AND customer_id = %(customer_id)s))
    ),
    orders AS MATERIALIZED (
        SELECT * FROM work_order WHERE customer_id = %(customer_id)s
        AND (state NOT IN ('completed', 'archived', 'cancelled') OR completed_at > %(today_began)s
             OR reported_at > %(faults_since)s)
    )
    SELECT customer.do_not_disturb, customer.channels_allowed, customer.channels_refused,
        customer.arrears_fen, coalesce(customer.blacklisted, false),
        EXISTS (SELECT FROM orders WHERE work_type = 'repair'
                AND state NOT IN ('completed', 'archived', 'cancelled')) AS fault_open,
        (SELECT array_agg(at) FROM heard
         WHERE customer_id = customer.id AND kind = 'fault' AND at > %(faults_since)s) AS calls,
        (SELECT array_agg(reported_at) FROM orders
         WHERE work_type = 'repair' AND state <> 'cancelled'
         AND reported_at > %(faults_since)s) AS repairs,
        EXISTS (SELECT FROM heard WHERE customer_id = customer.id AND kind = 'complaint'
                AND closed_at IS NULL) AS complaint_open,
        (SELECT max(closed_at) FROM heard
         WHERE customer_id = customer.id AND kind = 'complaint') AS complaint_closed_at,
        EXISTS (SELECT FROM heard WHERE customer_id = customer.id AND kind <> 'sales'
                AND at >= %(today_began)s)
        OR EXISTS (SELECT FROM orders WHERE completed_at >= %(today_began)s
                   OR state IN ('en_route', 'on_site')) AS served_today,
        (SELECT array_agg(at) FROM (
            SELECT min(at) AS at FROM heard WHERE kind = 'sales'
            GROUP BY coalesce(work_order_id, id), day) AS once) AS sold_at,
        (SELECT array_agg(at) FROM (
            SELECT min(at) AS at FROM heard
            WHERE customer_id = customer.id AND kind = 'sales' AND outcome = 'declined'
            GROUP BY coalesce(work_order_id, id), day) AS once) AS refused_at,
        (SELECT max(held_until) FROM contact_slot
         WHERE customer_id IN (SELECT id FROM home)) AS taken_until
    FROM customer WHERE customer.id = %(customer_id)s
"""  # noqa: S608 - text of our own


async def ledger_of(
    session: AsyncSession,
    customer_id: UUID,
    limits: Limits,
    now: datetime,
    zone: ZoneInfo,
    channel: Channel | None = None,
) -> Ledger:
    """Read what counts before anybody speaks to a customer; under `lock_customer` to decide on it.

    Without a channel nobody's consent to one is asked for. Raises NotFound.
    """
    rows = await fetched(
        session,
        _LEDGER,
        {
            "customer_id": customer_id,
            "zone": zone.key,
            "year_ago": now - YEAR,
            "faults_since": now - timedelta(days=limits.repeat_fault_days),
            "today_began": now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0),
        },
    )
    if not rows:
        raise NotFound()
    dnd, allows, refuses, arrears, black, fault, calls, repairs, *counted = rows[0]
    complains, closed, served, sold, refused, taken = counted
    return Ledger(
        now=now,
        zone=zone,
        do_not_disturb=dnd,
        consented=channel is None
        or may_offer_on(channel, allowed=allows, refused=refuses, do_not_disturb=False),
        arrears_fen=arrears,
        blacklisted=black,
        fault_open=fault,
        faults_at=max(calls or [], repairs or [], key=len),
        complaint_open=complains,
        complaint_closed_at=closed,
        served_today=served,
        sold_at=sold or [],
        refused_at=refused or [],
        taken_until=taken,
    )


async def reservation(
    tx: AsyncSession, reservation_id: UUID, account_id: UUID
) -> ContactReservation:
    """Take a reservation of an account's own under its row lock. Raises NotFound."""
    found = await tx.scalar(
        select(ContactReservation)
        .where(ContactReservation.id == reservation_id, ContactReservation.account_id == account_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound()
    return found


async def contacts_page(
    session: AsyncSession,
    customer_id: UUID,
    *,
    size: int,
    after: tuple[datetime, UUID] | None,
) -> Sequence[Interaction]:
    """List a customer's contacts on every channel, the latest first, and one more than `size`."""
    statement = select(Interaction).where(Interaction.customer_id == customer_id)
    if after is not None:
        statement = statement.where(tuple_(Interaction.at, Interaction.id) < after)
    ordered = statement.order_by(Interaction.at.desc(), Interaction.id.desc()).limit(size + 1)
    return (await session.scalars(ordered)).all()


_HOLDER = text(
    """
    SELECT coalesce(reservation.channel, 'visit') AS channel, slot.held_until
    FROM contact_slot AS slot
    LEFT JOIN contact_reservation AS reservation ON reservation.id = slot.reservation_id
    WHERE slot.customer_id = :customer_id AND slot.held_until > :now
    """
)


async def slot_holder(session: AsyncSession, customer_id: UUID, now: datetime) -> Row[Any] | None:
    """Say which channel holds a customer's slot, and until when."""
    return (await session.execute(_HOLDER, {"customer_id": customer_id, "now": now})).one_or_none()
