"""Whom a technician meets and what is done there: orders, visits, customers, pictures."""

# ruff: noqa: S608 - every statement is text of our own
from collections.abc import Collection
from uuid import UUID

from app.core.db import Ask
from app.sync.queries.rows.whose import ON_THE_PHONE, SHOWN, Table, Whose, mine, of, table
from app.visits.queries.day import BESIDE, COLUMNS, DayRow


def work_orders(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read orders as `visits.queries.DayRow`, and after it template, skills and terminals."""
    statement = f"""
        SELECT {COLUMNS}, NULL, mine.assist_id, mine.assists_since,
            o.template_id, array_to_json(o.skills)::text, array_to_json(o.terminals)::text
        FROM ({mine("o.id", ids)}) AS mine JOIN work_order AS o ON o.id = mine.id
        {BESIDE}
    """
    names = (*DayRow._fields, "template_id", "skills", "terminals")
    return Table(Ask(statement, whose.given(ids)), names)


def visits(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read the technician's own visits for the orders on their phone."""
    return table(
        "v.id; v.work_order_id; v.travel_started_at; v.checked_in_at; v.far_reason;"
        "v.suspend_cause; v.resume_at; v.restored_at; v.accepted_at; v.ended_at; v.outcome;"
        "v.outcome_code; array_to_json(v.checked)::text AS checked;"
        "v.measurements::text AS measurements; v.note; v.progress_at",
        f"FROM visit AS v WHERE v.technician_id = %(technician_id)s {of('v.id', ids)}"
        f" AND v.work_order_id IN ({ON_THE_PHONE})",
        whose,
        ids,
    )


def customers(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read in full whom the technician meets (`visits.rules.sees_contact`), and for which order.

    `completed_at` is when the last order for which they are shown was completed; null while one
    goes on.
    """
    only = of("o.customer_id", ids)
    met = f"""
        SELECT o.customer_id, o.id, NULL::timestamptz AS completed_at FROM work_order AS o
        WHERE o.holder_id = %(technician_id)s AND o.state IN {SHOWN}
            AND o.customer_id IS NOT NULL {only}
        UNION ALL
        SELECT o.customer_id, o.id, o.completed_at FROM work_order AS o
        WHERE o.holder_id = %(technician_id)s AND o.planned_day >= %(closed_day)s
            AND o.state IN ('completed', 'archived') AND o.completed_at >= %(shown_since)s
            AND o.customer_id IS NOT NULL {only}
        UNION ALL
        SELECT o.customer_id, o.id, NULL
        FROM work_assist AS a JOIN work_order AS o ON o.id = a.work_order_id
        WHERE a.technician_id = %(technician_id)s AND a.ended_at IS NULL
            AND a.joined_at IS NOT NULL AND o.state IN {SHOWN}
            AND o.customer_id IS NOT NULL {only}
    """
    return table(
        "c.id; m.work_order_id; m.completed_at; c.name; c.phone; c.segment; c.elderly;"
        "c.do_not_disturb; c.personal_offers; c.preferred_channel; c.arrears_fen;"
        "c.monthly_usage_gb; c.activated_on; place.standard_address; place.olt_port;"
        "place.max_speed_mbps; held.services; there.terminals; c.as_of",
        f"""
        FROM (
            SELECT met.customer_id, min(met.id::text)::uuid AS work_order_id,
                CASE WHEN count(*) = count(met.completed_at) THEN max(met.completed_at) END
                    AS completed_at
            FROM ({met}) AS met GROUP BY met.customer_id
        ) AS m
        JOIN customer AS c ON c.id = m.customer_id
        LEFT JOIN LATERAL (
            SELECT standard_address, olt_port, max_speed_mbps FROM service_address
            WHERE customer_id = c.id ORDER BY id LIMIT 1
        ) AS place ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(json_agg(json_build_object(
                'service_number', service_number, 'offering_code', offering_code,
                'category', category, 'monthly_price_fen', monthly_price_fen,
                'speed_mbps', speed_mbps, 'contract_ends_on', contract_ends_on
            ) ORDER BY service_number), '[]')::text AS services
            FROM subscription WHERE customer_id = c.id AND started_on <= %(today)s
                AND (ended_on IS NULL OR ended_on > %(today)s)
        ) AS held
        CROSS JOIN LATERAL (
            SELECT coalesce(json_agg(json_build_object(
                'serial_number', serial_number, 'kind', kind, 'model', model,
                'service_number', service_number
            ) ORDER BY serial_number), '[]')::text AS terminals
            FROM terminal WHERE customer_id = c.id
        ) AS there
        """,
        whose,
        ids,
    )


def photos(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read what is known of the technician's pictures of the orders on their phone; the pictures
    themselves go and come by other doorways."""
    return table(
        "e.id; e.work_order_id; e.visit_id; e.requirement; e.kind; e.state; e.sha256; e.bytes;"
        "e.filename; e.taken_at; e.announced_at; e.expires_at; e.stored_at; e.far; e.old;"
        "e.reused; e.refusal::text AS refusal",
        f"FROM evidence AS e WHERE e.technician_id = %(technician_id)s {of('e.id', ids)}"
        f" AND e.state <> 'withdrawn' AND e.forgotten_at IS NULL"
        f" AND e.work_order_id IN ({ON_THE_PHONE})",
        whose,
        ids,
    )


def hanging_on(whose: Whose, came: Collection[UUID], orders: Collection[UUID]) -> Ask:
    """Ask for what has to be looked at with orders, as (kind, id): the technician's own visits and
    pictures of those that came or went, and what was done too late for any, which goes to whoever
    has to do with it."""
    given = {
        "technician_id": whose.technician_id,
        "came": list(came),
        "orders": list(orders),
    }
    return Ask(_HANGING, given)


_HANGING = """
    SELECT 'action', id FROM sync_action
    WHERE work_order_id = ANY(%(orders)s) AND verdict = 'conflict' AND judgement IS NOT NULL
    UNION ALL
    SELECT 'visit', id FROM visit
    WHERE work_order_id = ANY(%(came)s) AND technician_id = %(technician_id)s
    UNION ALL
    SELECT 'photo', id FROM evidence
    WHERE work_order_id = ANY(%(came)s) AND technician_id = %(technician_id)s
"""
