"""The card for the door: what the CRM and this house know of a customer, block by block."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Date, Row, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.customers.rules import (
    FROM_CRM,
    FROM_HERE,
    Channel,
    InteractionKind,
    Segment,
    change_percent,
    mostly_at,
)


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
    area_zh: str
    area_en: str


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
    """What is owed, and whether the CRM has them on its list of bad debts; not known is null."""

    known: Known
    arrears_fen: int | None
    blacklisted: bool | None


class UsedInMonth(NamedTuple):
    """What was used in one month, named by its first day."""

    month: date
    usage_gb: int


@dataclass(frozen=True)
class Usage:
    """What is used a month, and the months of it that are known, the newest first.

    `change_percent` is the newest month against the mean of up to three before it.
    """

    known: Known
    monthly_usage_gb: int | None
    months: Sequence[UsedInMonth]
    change_percent: int | None


@dataclass(frozen=True)
class Rivals:
    """Whose line is known to be there beside ours, as whoever was there last wrote it down."""

    known: Known
    competitor: str | None


class Hours(NamedTuple):
    """Hours of the local day, from one to another, and how many contacts of a year lie in them."""

    from_hour: int
    until_hour: int
    contacts: int


@dataclass(frozen=True)
class Preference:
    """By which channel they want to be spoken to, and when they mostly were."""

    known: Known
    channel: Channel | None
    hours: Hours | None


@dataclass(frozen=True)
class Consent:
    """On which channels something may be offered, and whether offers may be made for them alone."""

    known: Known
    allowed: Sequence[Channel]
    refused: Sequence[Channel]
    personal_offers: bool


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
    complaints_in_90_days: int
    complaint_closed_on: date | None


class LastContact(NamedTuple):
    """One contact: the local day, where, about what, and how it ended."""

    on: date
    channel: Channel
    kind: InteractionKind
    outcome: str | None


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
    last: Sequence[LastContact]


@dataclass(frozen=True)
class Card:
    """What a technician should know at the door, block by block."""

    customer_id: UUID
    identity: Identity
    services: Services
    tenure: Tenure
    payment: Payment
    usage: Usage
    rivals: Rivals
    preference: Preference
    consent: Consent
    do_not_disturb: DoNotDisturb
    faults: Faults
    contacts: Contacts


# A contact counts by its local day; "in N days" is the N days before today, and today.
_CUSTOMER = text(
    """
    SELECT c.id, c.code, c.name, c.phone, c.segment, c.elderly, c.preferred_channel,
        c.activated_on, c.arrears_fen, c.monthly_usage_gb, c.do_not_disturb,
        c.do_not_disturb_since, c.as_of, c.blacklisted, c.competitor, c.channels_allowed,
        c.channels_refused, c.personal_offers, o.name_zh AS area_zh, o.name_en AS area_en,
        (
            SELECT jsonb_agg(jsonb_build_object('month', m.month, 'usage_gb', m.usage_gb,
                'as_of', m.as_of) ORDER BY m.month DESC)
            FROM (
                SELECT month, usage_gb, as_of FROM customer_month
                WHERE customer_id = c.id AND usage_gb IS NOT NULL AND month < :today
                ORDER BY month DESC LIMIT 4
            ) AS m
        ) AS months,
        (
            SELECT max(said_at) FROM contact_consent WHERE customer_id = c.id
        ) AS consent_since,
        (extract(year FROM a.tenure) * 12 + extract(month FROM a.tenure))::int AS tenure_months,
        l.*
    FROM customer c JOIN org_unit o ON o.id = c.org_unit_id
    CROSS JOIN LATERAL (SELECT age(:today, c.activated_on) AS tenure) AS a
    CROSS JOIN LATERAL (
        SELECT max(i.created_at) AS recorded_at,
            count(*) FILTER (WHERE i.kind = 'fault' AND i.day >= :today - 90) AS faults_90,
            max(i.day) FILTER (WHERE i.kind = 'fault') AS last_fault_on,
            count(*) FILTER (WHERE i.kind = 'complaint' AND i.closed_at IS NULL)
                AS complaints_open,
            count(*) FILTER (WHERE i.kind = 'complaint' AND i.day >= :today - 90)
                AS complaints_90,
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
            max(i.day) FILTER (WHERE i.kind = 'follow_up') AS last_mark_on,
            (jsonb_agg(jsonb_build_object('on', i.day, 'channel', i.channel, 'kind', i.kind,
                'outcome', i.outcome) ORDER BY i.at DESC) FILTER (WHERE i.newest <= 5)) AS last,
            array_agg(i.hour) FILTER (WHERE i.day >= :today - 365) AS hours
        FROM (
            SELECT *, (at AT TIME ZONE o.time_zone)::date AS day,
                extract(hour FROM at AT TIME ZONE o.time_zone)::int AS hour,
                row_number() OVER (
                    ORDER BY (at AT TIME ZONE o.time_zone)::date > :today, at DESC
                ) AS newest
            FROM interaction
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
            area_zh=row.area_zh,
            area_en=row.area_en,
        ),
        # The oldest of what is shown, for that is how old the whole may be.
        services=Services(
            known=Known(min((s.as_of for s in services), default=row.as_of), FROM_CRM),
            held=[_service(service) for service in services],
        ),
        tenure=Tenure(known=crm, activated_on=row.activated_on, months=row.tenure_months),
        payment=Payment(known=crm, arrears_fen=row.arrears_fen, blacklisted=row.blacklisted),
        usage=_usage(row, crm),
        rivals=Rivals(known=crm, competitor=row.competitor),
        preference=Preference(
            known=crm,
            channel=Channel(row.preferred_channel) if row.preferred_channel else None,
            hours=_hours(row.hours or ()),
        ),
        consent=Consent(
            known=Known(row.consent_since, FROM_HERE) if row.consent_since else crm,
            allowed=[Channel(name) for name in row.channels_allowed],
            refused=[Channel(name) for name in row.channels_refused],
            personal_offers=row.personal_offers,
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
            complaints_in_90_days=row.complaints_90,
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
            last=[
                LastContact(
                    on=date.fromisoformat(one["on"]),
                    channel=Channel(one["channel"]),
                    kind=InteractionKind(one["kind"]),
                    outcome=one["outcome"],
                )
                for one in row.last or ()
            ],
        ),
    )


def _service(row: Row[Any]) -> Service:
    return Service(**{name: row._mapping[name] for name in Service.__dataclass_fields__})


def _usage(row: Row[Any], crm: Known) -> Usage:
    months = [
        UsedInMonth(date.fromisoformat(one["month"]), one["usage_gb"]) for one in row.months or ()
    ]
    since = [datetime.fromisoformat(one["as_of"]) for one in row.months or ()]
    return Usage(
        known=Known(max(since, default=crm.as_of), FROM_CRM),
        monthly_usage_gb=row.monthly_usage_gb,
        months=months,
        change_percent=change_percent([one.usage_gb for one in months]),
    )


def _hours(hours: Sequence[int]) -> Hours | None:
    found = mostly_at(hours)
    return Hours(*found) if found else None
