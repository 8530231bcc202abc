"""What is known of customers on a day, gathered from the tables of neighbours in one statement.

The same text serves one customer and a slice of a million: only the choice of customers differs.
Each table is read by the customers' ids, which stand close together in its index.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.core.parameter_values import parameters_in_force
from app.lifecycle.rules import Facts, Numbers, numbers_in_force, plus_months, rules_version

# How customers are chosen, as a condition on a column with a customer's id.
THESE = "{id} = ANY(%(ids)s::uuid[])"
BETWEEN = "{id} > %(after)s AND {id} <= %(upto)s"


class Unit(NamedTuple):
    """An org unit's day: its local date, the months that are over, and the numbers in force.

    `contacts_from` is the moment from which contacts count, `month_1` the last month that is over,
    `month_2` to `month_5` those before it, and `year_from` the first of the twelve.
    """

    org_unit_id: UUID
    zone: str
    day: date
    contacts_from: datetime
    month_1: date
    month_2: date
    month_3: date
    month_4: date
    month_5: date
    year_from: date
    version: str
    numbers: Numbers


_TYPES = ("uuid", "text", "date", "timestamptz", *["date"] * 6, "text")
_COLUMNS = (*Unit._fields[:-1], *Numbers._fields)
_GIVEN = ", ".join(
    f"%(n_{name})s::{kind}[]"
    for name, kind in zip(_COLUMNS, (*_TYPES, *["float8"] * len(Numbers._fields)), strict=True)
)
UNITS = f"SELECT * FROM unnest({_GIVEN}) AS n ({', '.join(_COLUMNS)})"  # noqa: S608

_UNITS = """
    SELECT id, path, time_zone, (%(now)s AT TIME ZONE time_zone)::date FROM org_unit
    WHERE %(ids)s::uuid[] IS NULL
        OR id IN (SELECT org_unit_id FROM customer WHERE id = ANY(%(ids)s::uuid[]))
"""


async def units(
    session: AsyncSession, now: datetime, *, customers: list[UUID] | None = None
) -> list[Unit]:
    """Read the day and the numbers of all org units, or of those of some customers."""
    parameters = await parameters_in_force(session)
    rows = await fetched(session, _UNITS, {"now": now, "ids": customers})
    return [
        _unit(each, zone, day, now, numbers_in_force(parameters, now, path))
        for each, path, zone, day in rows
    ]


def _unit(org_unit_id: UUID, zone: str, day: date, now: datetime, numbers: Numbers) -> Unit:
    first = day.replace(day=1)
    opens = datetime.combine(
        day - timedelta(days=int(numbers.contact_days)), time(), ZoneInfo(zone)
    )
    return Unit(
        org_unit_id=org_unit_id,
        zone=zone,
        day=day,
        contacts_from=opens.astimezone(UTC),
        month_1=plus_months(first, -1),
        month_2=plus_months(first, -2),
        month_3=plus_months(first, -3),
        month_4=plus_months(first, -4),
        month_5=plus_months(first, -5),
        year_from=plus_months(first, -12),
        version=rules_version(numbers),
        numbers=numbers,
    )


def given(units: list[Unit], now: datetime, **choice: Any) -> dict[str, Any]:
    """Make what the statements here are given: the units as columns, and who is chosen."""
    rows = [(*unit[:-1], *unit.numbers) for unit in units]
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in _COLUMNS]
    told = {f"n_{name}": list(column) for name, column in zip(_COLUMNS, columns, strict=True)}
    return {**told, "now": now, **choice}


# Every service, month and contact is counted as it was known by the day. Repeat faults and orders
# to remove are read off an index that holds them alone, beside millions of other orders; the
# condition is the index's own. So are answers of who is not satisfied, of which the newest to an
# offer counts: that is asked of each, as a join would read all answers there are.
FACTS = """
    n AS MATERIALIZED ({units}),
    chosen AS MATERIALIZED (
        SELECT c.id AS customer_id, n.*,
            CASE WHEN c.activated_on <= n.day THEN c.activated_on END AS activated_on,
            CASE WHEN c.disconnected_on <= n.day THEN c.disconnected_on END AS disconnected_on,
            c.arrears_fen::float8 AS arrears_fen, c.blacklisted
        FROM customer c JOIN n ON n.org_unit_id = c.org_unit_id
        WHERE {chosen} AND c.erased_at IS NULL
    ),
    months AS (
        SELECT m.customer_id,
            count(m.income_fen) AS months_known,
            sum(m.income_fen::float8) / nullif(count(m.income_fen), 0) AS year_income_fen,
            count(m.income_fen) FILTER (WHERE m.month >= c.month_3) AS recent_known,
            sum(m.income_fen::float8) FILTER (WHERE m.month >= c.month_3)
                / nullif(count(m.income_fen) FILTER (WHERE m.month >= c.month_3), 0)
                AS recent_income_fen,
            (max(m.usage_gb) FILTER (WHERE m.month = c.month_1))::float8 AS u1,
            (max(m.usage_gb) FILTER (WHERE m.month = c.month_2))::float8 AS u2,
            (max(m.usage_gb) FILTER (WHERE m.month = c.month_3))::float8 AS u3,
            (max(m.usage_gb) FILTER (WHERE m.month = c.month_4))::float8 AS u4,
            (max(m.usage_gb) FILTER (WHERE m.month = c.month_5))::float8 AS u5
        FROM customer_month m JOIN chosen c ON c.customer_id = m.customer_id
        WHERE {of_months} AND m.month >= c.year_from AND m.month <= c.month_1
        GROUP BY m.customer_id
    ),
    services AS (
        SELECT s.customer_id,
            count(*) FILTER (WHERE s.runs)::float8 AS services,
            (count(*) FILTER (WHERE s.runs AND s.offering_code = ANY(%(new_services)s)))::float8
                AS new_services,
            min(s.started_on) AS first_started,
            min(s.started_on) FILTER (WHERE s.runs) AS running_since,
            min(s.started_on) FILTER (WHERE s.started_on >= s.disconnected_on) AS started_after,
            max(s.ended_on) FILTER (WHERE NOT s.runs) AS ended_last,
            min(s.contract_ends_on) FILTER (WHERE s.runs AND s.contract_ends_on >= s.day)
                AS contract_ends_on,
            (max(s.speed_mbps) FILTER (WHERE s.runs))::float8 AS speed_mbps
        FROM (
            SELECT s.*, c.day, c.disconnected_on, s.ended_on IS NULL OR s.ended_on > c.day AS runs
            FROM subscription s JOIN chosen c ON c.customer_id = s.customer_id
            WHERE {of_services} AND s.started_on <= c.day
        ) AS s
        GROUP BY s.customer_id
    ),
    contacts AS (
        SELECT i.customer_id,
            (count(*) FILTER (WHERE i.kind = 'complaint'))::float8 AS complaints,
            (count(*) FILTER (WHERE i.kind = 'fault'))::float8 AS faults,
            max((i.at AT TIME ZONE c.zone)::date) FILTER (WHERE i.kind = 'cancellation')
                AS asked_on
        FROM interaction i JOIN chosen c ON c.customer_id = i.customer_id
        WHERE {of_contacts} AND i.kind IN ('complaint', 'fault', 'cancellation')
            AND i.at >= c.contacts_from AND i.at <= %(now)s
        GROUP BY i.customer_id
    ),
    orders AS (
        SELECT o.customer_id,
            (count(*) FILTER (
                WHERE o.repeat_of_id IS NOT NULL AND o.received_at >= c.contacts_from
            ))::float8 AS repeat_faults,
            count(DISTINCT o.service_number) FILTER (
                WHERE o.work_type = 'remove' AND NOT EXISTS (
                    SELECT FROM subscription s
                    WHERE s.service_number = o.service_number AND s.ended_on <= c.day)
            )::float8 AS removing,
            coalesce(bool_or(o.work_type = 'remove' AND o.service_number IS NULL
                AND o.completed_at IS NULL), false) AS removing_all
        FROM work_order o JOIN chosen c ON c.customer_id = o.customer_id
        WHERE {of_orders} AND (o.work_type = 'remove' OR o.repeat_of_id IS NOT NULL)
            AND o.state <> 'cancelled' AND o.received_at <= %(now)s
            AND o.received_at >= %(now)s - interval '180 days'
        GROUP BY o.customer_id
    ),
    unhappy AS (
        SELECT a.customer_id,
            count(DISTINCT (a.at AT TIME ZONE c.zone)::date)::float8 AS dissatisfied
        FROM suggestion_answer a JOIN chosen c ON c.customer_id = a.customer_id
        WHERE {of_answers} AND a.reason = 'dissatisfied'
            AND a.at >= c.contacts_from AND a.at <= %(now)s
            AND (SELECT newest.reason = 'dissatisfied' FROM suggestion_answer newest
                WHERE newest.suggestion_id = a.suggestion_id
                ORDER BY newest.answer IS NULL, newest.created_at DESC, newest.id DESC LIMIT 1)
        GROUP BY a.customer_id
    ),
    put AS (
        SELECT c.*, m.months_known, m.year_income_fen, m.recent_known, m.recent_income_fen,
            coalesce(m.u1, m.u2) AS usage_gb,
            CASE WHEN m.u1 IS NOT NULL THEN num_nonnulls(m.u2, m.u3, m.u4)
                WHEN m.u2 IS NOT NULL THEN num_nonnulls(m.u3, m.u4, m.u5) END AS base_known,
            CASE WHEN m.u1 IS NOT NULL
                THEN coalesce(m.u2, 0) + coalesce(m.u3, 0) + coalesce(m.u4, 0)
                ELSE coalesce(m.u3, 0) + coalesce(m.u4, 0) + coalesce(m.u5, 0) END AS base_gb,
            coalesce(s.services, 0) AS services, coalesce(s.new_services, 0) AS new_services,
            s.first_started, s.running_since, s.started_after, s.contract_ends_on, s.speed_mbps,
            greatest(
                c.disconnected_on,
                CASE WHEN coalesce(s.services, 0) = 0 OR s.ended_last < s.running_since
                    THEN s.ended_last END
            ) AS left_on,
            i.asked_on, coalesce(i.complaints, 0) AS complaints, coalesce(i.faults, 0) AS faults,
            coalesce(o.repeat_faults, 0) AS repeat_faults,
            coalesce(u.dissatisfied, 0) AS dissatisfied,
            coalesce(
                s.services > 0 AND (o.removing_all OR o.removing >= s.services), false
            ) AS removing
        FROM chosen c
        LEFT JOIN months m ON m.customer_id = c.customer_id
        LEFT JOIN services s ON s.customer_id = c.customer_id
        LEFT JOIN contacts i ON i.customer_id = c.customer_id
        LEFT JOIN orders o ON o.customer_id = c.customer_id
        LEFT JOIN unhappy u ON u.customer_id = c.customer_id
        OFFSET 0
    ),
    returned AS (
        SELECT put.*,
            CASE WHEN left_on IS NULL OR services = 0 THEN NULL
                WHEN left_on = disconnected_on THEN started_after
                ELSE running_since END AS back_on
        FROM put OFFSET 0
    ),
    began AS (
        SELECT returned.*, coalesce(back_on, activated_on, first_started) AS began_on
        FROM returned
    ),
    facts AS (
        SELECT customer_id, org_unit_id, version, {numbers},
            day, left_on, back_on, began_on, removing,
            CASE WHEN back_on IS NULL OR asked_on >= back_on THEN asked_on END AS asked_on,
            coalesce(months_known, 0) AS months_known, coalesce(recent_known, 0) AS recent_known,
            year_income_fen, recent_income_fen, blacklisted,
            floor((day - began_on) / 30.4375::float8) AS tenure_months,
            (contract_ends_on - day)::float8 AS contract_days_left,
            usage_gb,
            CASE WHEN base_known >= 2 AND base_gb > 0
                THEN floor(usage_gb * 100 * base_known / base_gb) END AS usage_percent,
            year_income_fen AS income_fen,
            CASE WHEN recent_known >= 2 AND year_income_fen > 0
                THEN floor(recent_income_fen * 100 / year_income_fen) END AS income_percent,
            services, new_services, speed_mbps, complaints, faults, repeat_faults, dissatisfied,
            CASE WHEN asked_on IS NULL OR asked_on < back_on THEN 0 ELSE 1 END::float8
                AS asked_to_leave,
            arrears_fen
        FROM began OFFSET 0
    )
"""


def facts(choice: str) -> str:
    """Write the common table expressions that end in `facts`, for a choice of customers."""
    return FACTS.format(
        units=UNITS,
        chosen=choice.format(id="c.id"),
        of_months=choice.format(id="m.customer_id"),
        of_services=choice.format(id="s.customer_id"),
        of_contacts=choice.format(id="i.customer_id"),
        of_orders=choice.format(id="o.customer_id"),
        of_answers=choice.format(id="a.customer_id"),
        numbers=", ".join(Numbers._fields),
    )


_FACTS_OF = f"WITH {facts(THESE)} SELECT customer_id, {', '.join(Facts._fields)} FROM facts"  # noqa: S608


async def facts_of(
    session: AsyncSession, customer_ids: list[UUID], now: datetime
) -> dict[UUID, Facts]:
    """Read what is known of some customers by now."""
    known = await units(session, now, customers=customer_ids)
    asked = given(known, now, ids=customer_ids, new_services=await new_services(session))
    rows = await fetched(session, _FACTS_OF, asked)
    return {row[0]: Facts(*row[1:]) for row in rows}


_NEW_SERVICES = "SELECT DISTINCT code FROM product_offering WHERE business_type = 'incentive'"


async def new_services(session: AsyncSession) -> list[str]:
    """Read the codes of offerings that are new services: those the catalogue has as incentives."""
    return [code for (code,) in await fetched(session, _NEW_SERVICES, {})]
