"""Reads of customers: found by number, shown masked, and the card for the door."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Date, Row, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.customers.models import ContactConsent, Customer, ServiceAddress, Subscription
from app.customers.rules import FROM_CRM, FROM_HERE, Channel, Segment

# --- found by number, as a caller may see them ----------------------------------------------------


async def find(
    session: AsyncSession,
    caller: Caller,
    *,
    code: str | None = None,
    service_number: str | None = None,
) -> Sequence[UUID]:
    """Find customers of the caller's part of the organisation by code or service number, exactly.

    There is no search by name or place on purpose: it would make a telephone directory.
    """
    statement = select(Customer.id).where(subtree(Customer.org_unit_id, caller))
    if code is not None:
        statement = statement.where(Customer.code == code)
    if service_number is not None:
        held = select(Subscription.customer_id).where(Subscription.service_number == service_number)
        statement = statement.where(Customer.id.in_(held))
    return (await session.scalars(statement.order_by(Customer.code).limit(50))).all()


async def one(session: AsyncSession, caller: Caller, customer_id: UUID) -> Customer:
    """Read a customer. Raises NotFound, also outside the caller's part of the organisation."""
    return await _one(session, caller, customer_id, lock=False)


async def for_change(tx: AsyncSession, caller: Caller, customer_id: UUID) -> Customer:
    """Take a customer under the row lock. Raises NotFound like `one`."""
    return await _one(tx, caller, customer_id, lock=True)


async def _one(session: AsyncSession, caller: Caller, customer_id: UUID, *, lock: bool) -> Customer:
    statement = select(Customer).where(
        Customer.id == customer_id, subtree(Customer.org_unit_id, caller)
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    customer = await session.scalar(statement)
    if customer is None:
        raise NotFound()
    return customer


async def addresses_of(session: AsyncSession, customer_id: UUID) -> Sequence[ServiceAddress]:
    """Read the addresses a customer is served at."""
    found = await session.scalars(
        select(ServiceAddress)
        .where(ServiceAddress.customer_id == customer_id)
        .order_by(ServiceAddress.code)
    )
    return found.all()


async def subscriptions_of(session: AsyncSession, customer_id: UUID) -> Sequence[Subscription]:
    """Read all services a customer holds or held, the newest first."""
    found = await session.scalars(
        select(Subscription)
        .where(Subscription.customer_id == customer_id)
        .order_by(Subscription.started_on.desc(), Subscription.service_number)
    )
    return found.all()


async def consents_said(session: AsyncSession, customer_id: UUID) -> Sequence[ContactConsent]:
    """Read what a customer said of being offered things, the newest first."""
    found = await session.scalars(
        select(ContactConsent)
        .where(ContactConsent.customer_id == customer_id)
        .order_by(ContactConsent.said_at.desc(), ContactConsent.id.desc())
    )
    return found.all()


# --- the card for the door ------------------------------------------------------------------------


class Known(NamedTuple):
    """Since when a block of the card holds, and who says so."""

    as_of: datetime
    source: str


@dataclass(frozen=True)
class Identity:
    """Who this is, unmasked: whoever shows it masks it or leaves an audit entry."""

    known: Known
    code: str
    name: str
    phone: str
    segment: Segment
    elderly: bool
    preferred_channel: Channel | None


@dataclass(frozen=True)
class Service:
    """One service that runs on the day; money in fen, speeds in Mbit/s."""

    service_number: str
    offering_code: str
    category: str
    monthly_price_fen: int
    speed_mbps: int | None
    started_on: date
    contract_ends_on: date | None
    contract_days_left: int | None
    standard_address: str | None
    line_max_mbps: int | None
    port_free: bool | None
    line_checked_at: datetime | None


@dataclass(frozen=True)
class Services:
    """The services that run, those whose contract ends first before the others."""

    known: Known
    held: Sequence[Service]


@dataclass(frozen=True)
class Tenure:
    """Whole months since the first activation; null when that day is not known."""

    known: Known
    activated_on: date | None
    months: int | None


@dataclass(frozen=True)
class Payment:
    """What is owed and used: zero owed is 0, not known is null."""

    known: Known
    arrears_fen: int | None
    monthly_usage_gb: int | None


@dataclass(frozen=True)
class DoNotDisturb:
    """Whether nothing may be offered, and since when the switch stands so if it was moved here."""

    known: Known
    on: bool
    since: datetime | None


@dataclass(frozen=True)
class Faults:
    """Faults reported in the 90 days before the day, and complaints that are not closed."""

    known: Known
    in_90_days: int
    last_on: date | None
    complaints_open: int
    complaint_closed_on: date | None


@dataclass(frozen=True)
class Contacts:
    """Contacts of all channels in the 30 and 365 days before the day, sales ones apart."""

    known: Known
    sales_in_30_days: int
    sales_in_365_days: int
    others_in_30_days: int
    others_in_365_days: int
    last_sales_on: date | None
    last_sales_outcome: str | None
    last_mark: int | None
    last_mark_on: date | None


@dataclass(frozen=True)
class Card:
    """What a technician should know at the door, block by block."""

    customer_id: UUID
    identity: Identity
    services: Services
    tenure: Tenure
    payment: Payment
    do_not_disturb: DoNotDisturb
    faults: Faults
    contacts: Contacts


# A contact counts by its local day; "in N days" is the N days before today, and today.
_CUSTOMER = text(
    """
    SELECT c.id, c.code, c.name, c.phone, c.segment, c.elderly, c.preferred_channel,
        c.activated_on, c.arrears_fen, c.monthly_usage_gb, c.do_not_disturb,
        c.do_not_disturb_since, c.as_of,
        (extract(year FROM a.tenure) * 12 + extract(month FROM a.tenure))::int AS months,
        l.*
    FROM customer c JOIN org_unit o ON o.id = c.org_unit_id
    CROSS JOIN LATERAL (SELECT age(:today, c.activated_on) AS tenure) AS a
    CROSS JOIN LATERAL (
        SELECT max(i.created_at) AS recorded_at,
            count(*) FILTER (WHERE i.kind = 'fault' AND i.day >= :today - 90) AS faults_90,
            max(i.day) FILTER (WHERE i.kind = 'fault') AS last_fault_on,
            count(*) FILTER (WHERE i.kind = 'complaint' AND i.closed_at IS NULL)
                AS complaints_open,
            max((i.closed_at AT TIME ZONE o.time_zone)::date)
                FILTER (WHERE i.kind = 'complaint') AS complaint_closed_on,
            count(*) FILTER (WHERE i.kind = 'sales' AND i.day >= :today - 30) AS sales_30,
            count(*) FILTER (WHERE i.kind = 'sales' AND i.day >= :today - 365) AS sales_365,
            count(*) FILTER (WHERE i.kind <> 'sales' AND i.day >= :today - 30) AS others_30,
            count(*) FILTER (WHERE i.kind <> 'sales' AND i.day >= :today - 365) AS others_365,
            max(i.day) FILTER (WHERE i.kind = 'sales') AS last_sales_on,
            (array_agg(i.outcome ORDER BY i.at DESC) FILTER (WHERE i.kind = 'sales'))[1]
                AS last_sales_outcome,
            (array_agg(i.outcome ORDER BY i.at DESC) FILTER (WHERE i.kind = 'follow_up'))[1]
                AS last_mark,
            max(i.day) FILTER (WHERE i.kind = 'follow_up') AS last_mark_on
        FROM (
            SELECT *, (at AT TIME ZONE o.time_zone)::date AS day FROM interaction
            WHERE customer_id = c.id
        ) AS i
        WHERE i.day <= :today
    ) AS l
    WHERE c.id = :customer_id
    """
).bindparams(bindparam("today", type_=Date()), bindparam("customer_id", type_=Uuid()))

_SERVICES = text(
    """
    SELECT s.service_number, s.offering_code, s.category, s.monthly_price_fen, s.speed_mbps,
        s.started_on, s.contract_ends_on, s.contract_ends_on - :today AS contract_days_left,
        a.standard_address, a.max_speed_mbps AS line_max_mbps, a.port_free,
        a.checked_at AS line_checked_at, s.as_of
    FROM subscription s LEFT JOIN service_address a ON a.id = s.service_address_id
    WHERE s.customer_id = :customer_id AND s.started_on <= :today
        AND (s.ended_on IS NULL OR s.ended_on > :today)
    ORDER BY s.contract_ends_on NULLS LAST, s.service_number
    """
).bindparams(bindparam("today", type_=Date()), bindparam("customer_id", type_=Uuid()))


async def card(read: AsyncSession, customer_id: UUID, today: date) -> Card:
    """Read the card of a customer in two statements; `today` is a local day of the org unit.

    Who may see whom is for the room above to say. Raises NotFound.
    """
    asked = {"customer_id": customer_id, "today": today}
    row = (await read.execute(_CUSTOMER, asked)).one_or_none()
    if row is None:
        raise NotFound()
    services = (await read.execute(_SERVICES, asked)).all()
    crm = Known(row.as_of, FROM_CRM)
    # Contacts of other channels are known as far as the CRM told, those from here at once.
    ledger = Known(max(filter(None, (row.as_of, row.recorded_at))), FROM_HERE)
    return Card(
        customer_id=row.id,
        identity=Identity(
            known=crm,
            code=row.code,
            name=row.name,
            phone=row.phone,
            segment=Segment(row.segment),
            elderly=row.elderly,
            preferred_channel=Channel(row.preferred_channel) if row.preferred_channel else None,
        ),
        # The oldest of what is shown, for that is how old the whole may be.
        services=Services(
            known=Known(min((s.as_of for s in services), default=row.as_of), FROM_CRM),
            held=[_service(service) for service in services],
        ),
        tenure=Tenure(known=crm, activated_on=row.activated_on, months=row.months),
        payment=Payment(
            known=crm, arrears_fen=row.arrears_fen, monthly_usage_gb=row.monthly_usage_gb
        ),
        do_not_disturb=DoNotDisturb(
            known=Known(row.do_not_disturb_since, FROM_HERE) if row.do_not_disturb_since else crm,
            on=row.do_not_disturb,
            since=row.do_not_disturb_since,
        ),
        faults=Faults(
            known=ledger,
            in_90_days=row.faults_90,
            last_on=row.last_fault_on,
            complaints_open=row.complaints_open,
            complaint_closed_on=row.complaint_closed_on,
        ),
        contacts=Contacts(
            known=ledger,
            sales_in_30_days=row.sales_30,
            sales_in_365_days=row.sales_365,
            others_in_30_days=row.others_30,
            others_in_365_days=row.others_365,
            last_sales_on=row.last_sales_on,
            last_sales_outcome=row.last_sales_outcome,
            # The CRM's own follow-ups may have ended otherwise than with a mark.
            last_mark=int(row.last_mark) if (row.last_mark or "").isdecimal() else None,
            last_mark_on=row.last_mark_on,
        ),
    )


def _service(row: Row[Any]) -> Service:
    return Service(**{name: row._mapping[name] for name in Service.__dataclass_fields__})
