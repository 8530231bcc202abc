"""Contacts of all channels: the lock under which they are counted, the ledger, and its pages."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, Uuid, bindparam, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.models import OrgUnit
from app.auth.rules import Caller, Role
from app.core.db import fetched
from app.core.errors import NotFound
from app.customers.models import Customer, Interaction
from app.customers.rules import Channel, may_offer_on
from app.suggestions.models import ContactReservation
from app.suggestions.queries.hearing import answers_of
from app.suggestions.queries.outcomes import CAME_BACK
from app.suggestions.rules.contacts import YEAR, Ledger
from app.suggestions.rules.faults import faults_of
from app.suggestions.rules.here import OrderedHere
from app.suggestions.rules.leads import LeadTo
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.silence import silence_of

# Who lives where a customer lives: contacts count for the home. Where an address names no room it
# is a house or a building with many homes, so that nobody else counts.
HOUSEHOLD = """
    SELECT {customer_id} AS id UNION
    SELECT near.customer_id FROM service_address AS own
    JOIN service_address AS near
        ON replace(near.standard_address, ' ', '') = replace(own.standard_address, ' ', '')
    WHERE own.customer_id = {customer_id} AND own.room IS NOT NULL
"""
_HOME = HOUSEHOLD.format(customer_id="%(customer_id)s::uuid")
_HOMES = f"""
    SELECT asked.id, home.id FROM unnest(%(customer_ids)s::uuid[]) AS asked (id)
    CROSS JOIN LATERAL ({HOUSEHOLD.format(customer_id="asked.id")}) AS home
"""  # noqa: S608 - text of our own
_LOCK = f"""
    SELECT id FROM customer WHERE id IN (
        SELECT home.id FROM unnest(%(customer_ids)s::uuid[]) AS asked (id)
        CROSS JOIN LATERAL ({HOUSEHOLD.format(customer_id="asked.id")}) AS home
    )
    ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 - text of our own

# Whether a slot is held at a moment. What was taken ahead holds it only as long as whoever took it
# is still to go there: an order that went to somebody else, or nowhere, frees it by itself.
STILL_HELD = """contact_slot.held_until > %(now)s AND (
            contact_slot.work_order_id IS NULL OR EXISTS (
                SELECT FROM work_order WHERE work_order.id = contact_slot.work_order_id
                AND work_order.holder_id = contact_slot.technician_id
                AND work_order.state <> 'cancelled'
            )
        )"""


async def lock_customer(tx: AsyncSession, customer_id: UUID) -> None:
    """Hold one customer like `lock_customers`. Raises NotFound."""
    await lock_customers(tx, [customer_id])


async def lock_customers(tx: AsyncSession, customer_ids: Sequence[UUID]) -> None:
    """Hold customers, and whoever lives with them, until the transaction ends, so that contacts
    are counted by one at a time.

    It must be a statement of its own: what is counted in the locking statement would be what was
    there before the wait. All take the rows in one order, and the lock does not hinder rows that
    only refer to the customer. Raises NotFound where one of them is not there.
    """
    await tx.flush()
    held = await fetched(tx, _LOCK, {"customer_ids": list(customer_ids)})
    if set(customer_ids) - {row[0] for row in held}:
        raise NotFound()


async def homes_of(tx: AsyncSession, customer_ids: Sequence[UUID]) -> Mapping[UUID, set[UUID]]:
    """Say of each customer who lives at their address, with themselves."""
    homes: dict[UUID, set[UUID]] = {}
    for customer_id, near in await fetched(tx, _HOMES, {"customer_ids": list(customer_ids)}):
        homes.setdefault(customer_id, set()).add(near)
    return homes


_MEETS = text(
    "EXISTS (SELECT FROM work_order WHERE work_order.customer_id = customer.id"
    " AND work_order.holder_id = :technician_id"
    " AND work_order.state IN ('acknowledged', 'en_route', 'on_site', 'suspended'))"
).bindparams(bindparam("technician_id", type_=Uuid()))


async def customer_named(session: AsyncSession, caller: Caller, named: UUID | str) -> Customer:
    """Find a customer of the caller's part of the organisation by our id or by the CRM's code.

    Raises NotFound.
    """
    return await _found(session, _named(caller, named))


async def customer_shown(session: AsyncSession, caller: Caller, named: UUID | str) -> Customer:
    """Find a customer about whom the caller may read: for a technician, those alone whose order
    they have taken on. Raises NotFound."""
    statement = _named(caller, named)
    if caller.role is Role.TECHNICIAN:
        statement = statement.where(_MEETS.bindparams(technician_id=caller.technician_id))
    return await _found(session, statement)


def _named(caller: Caller, named: UUID | str) -> Select[Customer]:
    by = Customer.id if isinstance(named, UUID) else Customer.code
    return select(Customer).where(by == named, subtree(Customer.org_unit_id, caller))


async def _found(session: AsyncSession, statement: Select[Customer]) -> Customer:
    found = await session.scalar(statement)
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


class Own(NamedTuple):
    """What of the ledger is the asker's own and does not stand in their way: the slot they hold,
    and the order at whose door they are, with what was said there and sold in this visit of it;
    ahead of a visit, in any."""

    reservation_id: UUID | None = None
    work_order_id: UUID | None = None
    visit_id: UUID | None = None


NOTHING_OWN = Own()


def ordered_here(stored: Iterable[Sequence[Any]]) -> list[OrderedHere]:
    """Read what `ORDERED_HERE` gives."""
    return [
        OrderedHere(code, category, kind, frozenset(excludes), brought)
        for code, category, kind, excludes, brought in stored
    ]


# The visits that what is sold in counts as sold here: those that `visits` tells of, and the one in
# which the order of this door was sold, if it is such an install itself: one in the same visit, or
# in the slot that was booked.
SOLD_IN = """(
            {visits} UNION ALL
            SELECT visit_id FROM same_visit_install WHERE work_order_id = {there} UNION ALL
            SELECT booking.visit_id FROM appointment_hold AS slot
            JOIN sale AS booking ON booking.appointment_hold_id = slot.id
            WHERE slot.work_order_id = {there} AND booking.confirmed_at IS NOT NULL
        )"""

# Whether an order is the install of what was sold here: nobody stands in their own way. One in the
# same visit is known, and so is one that has taken the slot that the sale booked. Without either
# the ordering system's order does not name the sale: an install that comes after it is its own.
SOLD_HERE = f"""EXISTS (
        SELECT FROM sale
        LEFT JOIN same_visit_install AS fitted ON fitted.sale_id = sale.id
        LEFT JOIN appointment_hold AS slot ON slot.id = sale.appointment_hold_id
        WHERE sale.customer_id = {{order}}.customer_id AND sale.visit_id IN {SOLD_IN} AND (
            {{order}}.id IN (fitted.work_order_id, slot.work_order_id)
            OR {{order}}.work_type = 'install' AND {{order}}.received_at >= sale.confirmed_at
            AND (fitted.sale_id IS NULL OR fitted.gone_at IS NOT NULL)
            AND slot.work_order_id IS NULL
            AND EXISTS (
                SELECT FROM sale_item JOIN product_offering AS p ON p.id = sale_item.offering_id
                WHERE sale_item.sale_id = sale.id AND p.install_minutes IS NOT NULL
                AND NOT {CAME_BACK}
            )
        )
    )"""  # noqa: S608 - text of our own

# Whether what was sold shows in what the customer holds, or would: the order is done, and the CRM
# has spoken since of their services, if they have any, or it was there and has ended.
_SHOWN = """(
        sale.completed_at < coalesce(
            (SELECT max(held.as_of) FROM subscription AS held
             WHERE held.customer_id = sale.customer_id),
            (SELECT as_of FROM customer AS buyer WHERE buyer.id = sale.customer_id)
        )
        OR EXISTS (
            SELECT FROM subscription AS gone
            WHERE gone.customer_id = sale.customer_id
            AND gone.offering_code = sale_item.offering_code
            AND gone.ended_on > sale.confirmed_at::date
        )
    ) IS TRUE"""

# All that was sold here and stands, as `OrderedHere` has it, with what any other visit has sold to
# the customer and does not show yet. Drafts do not count: the customer has not agreed to them, and
# it is asked again when they do.
ORDERED_HERE = f"""
    SELECT coalesce(jsonb_agg(jsonb_build_array(
        p.code, p.category, p.terminal_kind, p.excludes,
        here.sold AND sale.state <> 'second_confirmation' AND (p.install_minutes IS NULL OR EXISTS (
            SELECT FROM same_visit_install AS fitted JOIN work_order AS install
                ON install.id = fitted.work_order_id
            WHERE fitted.sale_id = sale.id AND install.state <> 'cancelled'
        ) OR EXISTS (
            SELECT FROM appointment_hold AS slot
            WHERE slot.id = sale.appointment_hold_id AND slot.work_order_id = {{there}}
        ))
    )), '[]'::jsonb) AS here
    FROM sale
    CROSS JOIN LATERAL (SELECT (sale.visit_id IN {SOLD_IN}) IS TRUE AS sold) AS here
    JOIN sale_item ON sale_item.sale_id = sale.id
    JOIN product_offering AS p ON p.id = sale_item.offering_id
    WHERE sale.customer_id = {{customer}} AND sale.state <> 'draft' AND NOT {CAME_BACK}
    AND (here.sold OR NOT {_SHOWN}) {{but}}"""  # noqa: S608 - text of our own

_OWN = {
    "there": "%(work_order_id)s::uuid",
    "customer": "customer.id",
    "but": "",
    "visits": """SELECT id FROM visit WHERE work_order_id = %(work_order_id)s::uuid
                AND (%(visit_id)s::uuid IS NULL OR id = %(visit_id)s::uuid)""",
}

# Whether a customer lives where a confirmed outage is, or has an order that waits for its end: few
# outages are open at a time, and a customer has an address or two.
_OUTAGE = """EXISTS (
        SELECT FROM outage
        WHERE outage.state = 'confirmed' AND outage.ended_at IS NULL AND (
            EXISTS (SELECT FROM orders WHERE orders.outage_id = outage.id
                    AND orders.state NOT IN ('completed', 'archived', 'cancelled'))
            OR EXISTS (
                SELECT FROM service_address AS address
                WHERE address.customer_id = customer.id AND CASE outage.place_kind
                    WHEN 'olt_port' THEN address.olt_port = outage.place_key
                    WHEN 'olt' THEN starts_with(address.olt_port, outage.place_key || '/')
                    WHEN 'compound' THEN
                        replace(address.locality, ' ', '')
                            = substring(outage.place_key FROM '[^|]*$')
                        AND starts_with(unit.path, substring(outage.place_key FROM '^(.*)[|]'))
                    ELSE EXISTS (
                        SELECT FROM address_grid WHERE service_address_id = address.id
                        AND grid_id::text = outage.place_key)
                    END
            )
        )
    )"""

# That they will not come back may still be corrected at the door at which they said so.
# One visit is one sales contact, however much was said in it; a visit of today, done or begun, is
# service of today.
_LEDGER = f"""
    WITH home AS MATERIALIZED ({_HOME}),
    heard AS MATERIALIZED (
        SELECT i.*, timezone(%(zone)s, at)::date AS day,
            (i.work_order_id = %(work_order_id)s::uuid) IS TRUE AS own
        FROM interaction AS i
        WHERE customer_id IN (SELECT id FROM home)
        AND (at > %(year_ago)s OR (kind = 'complaint' AND customer_id = %(customer_id)s))
    ),
    orders AS MATERIALIZED (
        SELECT * FROM work_order WHERE customer_id = %(customer_id)s
        AND (id = %(work_order_id)s::uuid) IS NOT TRUE
        AND (state NOT IN ('completed', 'archived', 'cancelled') OR completed_at > %(today_began)s
             OR reported_at > %(faults_since)s)
    )
    SELECT customer.do_not_disturb, customer.channels_allowed, customer.channels_refused,
        customer.arrears_fen, coalesce(customer.blacklisted, false),
        EXISTS (SELECT FROM orders WHERE work_type = 'repair'
                AND state NOT IN ('completed', 'archived', 'cancelled')) AS fault_open,
        EXISTS (SELECT FROM orders WHERE work_type IN ('install', 'relocate', 'remove')
                AND state NOT IN ('completed', 'archived', 'cancelled')
                AND NOT {SOLD_HERE.format(order="orders", **_OWN)}
        ) AS order_pending,
        ({ORDERED_HERE.format(**_OWN)}) AS ordered_here,
        EXISTS (SELECT FROM former_customer
                WHERE former_customer.customer_id = customer.id AND returned_on IS NULL
                AND refused_at < coalesce((SELECT own.reported_at FROM work_order AS own
                    WHERE own.id = %(work_order_id)s::uuid), 'infinity'))
        AND NOT EXISTS (SELECT FROM subscription
                WHERE subscription.customer_id = customer.id AND started_on <= %(today)s
                AND (ended_on IS NULL OR ended_on > %(today)s)) AS win_back_refused,
        {_OUTAGE} AS outage,
        (SELECT array_agg(at) FROM heard
         WHERE customer_id = customer.id AND kind = 'fault' AND NOT own
         AND at > %(faults_since)s) AS calls,
        -- The repair at the asker's own door counts however long it has waited, and its calls not.
        ARRAY(SELECT reported_at FROM orders
              WHERE work_type = 'repair' AND state <> 'cancelled'
              AND reported_at > %(faults_since)s
              UNION ALL SELECT reported_at FROM work_order
              WHERE id = %(work_order_id)s::uuid AND work_type = 'repair') AS repairs,
        EXISTS (SELECT FROM heard WHERE customer_id = customer.id AND kind = 'complaint'
                AND closed_at IS NULL) AS complaint_open,
        (SELECT max(closed_at) FROM heard
         WHERE customer_id = customer.id AND kind = 'complaint') AS complaint_closed_at,
        EXISTS (SELECT FROM heard WHERE customer_id = customer.id AND kind <> 'sales'
                AND at >= %(today_began)s AND NOT own)
        OR EXISTS (SELECT FROM orders WHERE completed_at >= %(today_began)s
                   OR state IN ('en_route', 'on_site')) AS served_today,
        (SELECT array_agg(at) FROM (
            SELECT min(at) AS at FROM heard WHERE kind = 'sales' AND NOT own
            GROUP BY coalesce(work_order_id, id), day) AS once) AS sold_at,
        (SELECT max(held_until) FROM contact_slot
         LEFT JOIN visit ON visit.id = contact_slot.visit_id
         WHERE contact_slot.customer_id IN (SELECT id FROM home) AND {STILL_HELD}
         AND (contact_slot.reservation_id = %(reservation_id)s::uuid
              OR coalesce(contact_slot.work_order_id, visit.work_order_id)
                 = %(work_order_id)s::uuid) IS NOT TRUE) AS taken_until,
        (SELECT jsonb_object_agg(offering_code, handed_to) FROM sales_lead
         WHERE customer_id = customer.id AND state IN ('open', 'taken')) AS leads
    FROM customer JOIN org_unit AS unit ON unit.id = customer.org_unit_id
    WHERE customer.id = %(customer_id)s
"""  # noqa: S608 - text of our own


async def ledger_of(
    session: AsyncSession,
    customer_id: UUID,
    limits: Limits,
    now: datetime,
    zone: ZoneInfo,
    channel: Channel | None = None,
    own: Own = NOTHING_OWN,
) -> Ledger:
    """Read what counts before anybody speaks to a customer; under `lock_customer` to decide on it.

    Without a channel nobody's consent to one is asked for. Which offering is spoken of is for the
    asker to add. Raises NotFound.
    """
    rows = await fetched(
        session,
        _LEDGER,
        {
            "customer_id": customer_id,
            **own._asdict(),
            "zone": zone.key,
            "now": now,
            "today": now.astimezone(zone).date(),
            "year_ago": now - YEAR,
            "faults_since": now - timedelta(days=limits.repeat_fault_days),
            "today_began": now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0),
        },
    )
    if not rows:
        raise NotFound()
    dnd, allows, refuses, arrears, black, fault, pending, here, stays_away, outage, *counted = rows[
        0
    ]
    calls, repairs, complains, closed, served, sold, taken, leads = counted
    heard = (await answers_of(session, [customer_id], limits, now))[customer_id]
    # What was said at the asker's own door may still be corrected there.
    said = [
        one.spoken(zone)
        for one in heard
        if one.work_order_id is None or one.work_order_id != own.work_order_id
    ]
    today = now.astimezone(zone).date()
    return Ledger(
        now=now,
        zone=zone,
        do_not_disturb=dnd,
        consented=channel is None
        or may_offer_on(channel, allowed=allows, refused=refuses, do_not_disturb=False),
        arrears_fen=arrears,
        blacklisted=black,
        win_back_refused=stays_away,
        fault_open=fault,
        faults_at=faults_of([*(calls or ()), *(repairs or ())]),
        complaint_open=complains,
        complaint_closed_at=closed,
        served_today=served,
        sold_at=sold or [],
        taken_until=taken,
        order_pending=pending,
        ordered_here=ordered_here(here),
        outage=outage,
        leads={code: LeadTo(handed_to) for code, handed_to in (leads or {}).items()},
        silence=silence_of(said, today, limits),
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


_HOLDER = f"""
    SELECT coalesce(reservation.channel, 'visit'), contact_slot.held_until
    FROM contact_slot
    LEFT JOIN contact_reservation AS reservation ON reservation.id = contact_slot.reservation_id
    WHERE contact_slot.customer_id = %(customer_id)s AND {STILL_HELD}
"""  # noqa: S608 - text of our own


class Holder(NamedTuple):
    """Which channel holds a customer's slot, and until when."""

    channel: str
    held_until: datetime


async def slot_holder(session: AsyncSession, customer_id: UUID, now: datetime) -> Holder | None:
    """Say which channel holds a customer's slot, and until when."""
    rows = await fetched(session, _HOLDER, {"customer_id": customer_id, "now": now})
    return Holder(*rows[0]) if rows else None
