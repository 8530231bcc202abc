"""Whom a technician meets and what is done there: orders, visits, customers, pictures."""

# ruff: noqa: S608 - every statement is text of our own
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.sync.queries.rows.whose import SHOWN, Whose, dicts, mine, of
from app.sync.rules import Kind
from app.visits.queries.day import BESIDE, COLUMNS


async def orders(
    tx: AsyncSession, whose: Whose, ids: Collection[UUID] | None = None
) -> list[tuple[Any, ...]]:
    """Read orders as `visits.queries.DayRow`, and after it template, skills and terminals."""
    statement = f"""
        SELECT {COLUMNS}, NULL, mine.assist_id, mine.assists_since,
            o.template_id, array_to_json(o.skills)::text, array_to_json(o.terminals)::text
        FROM ({mine("o.id", ids)}) AS mine JOIN work_order AS o ON o.id = mine.id
        {BESIDE}
    """
    return await fetched(tx, statement, whose.given(ids))


async def visits(
    tx: AsyncSession,
    whose: Whose,
    ids: Collection[UUID] | None = None,
    *,
    by: str = "v.id",
) -> list[dict[str, Any]]:
    """Read the technician's own visits for the orders on their phone."""
    return await dicts(
        tx,
        "v.id; v.work_order_id; v.travel_started_at; v.checked_in_at; v.far_reason;"
        "v.suspend_cause; v.resume_at; v.restored_at; v.accepted_at; v.ended_at; v.outcome;"
        "v.outcome_code; array_to_json(v.checked)::text AS checked;"
        "v.measurements::text AS measurements; v.note; v.progress_at",
        f"FROM visit AS v WHERE v.technician_id = %(technician_id)s {of(by, ids)}"
        f" AND v.work_order_id IN (SELECT mine.id FROM ({mine()}) AS mine)",
        whose,
        ids,
    )


async def customers(
    tx: AsyncSession, whose: Whose, ids: Collection[UUID] | None = None
) -> list[dict[str, Any]]:
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
    return await dicts(
        tx,
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


async def photos(
    tx: AsyncSession, whose: Whose, ids: Collection[UUID] | None = None, *, by: str = "e.id"
) -> list[dict[str, Any]]:
    """Read what is known of the technician's pictures of the orders on their phone; the pictures
    themselves go and come by other doorways."""
    return await dicts(
        tx,
        "e.id; e.work_order_id; e.visit_id; e.requirement; e.kind; e.state; e.sha256; e.bytes;"
        "e.filename; e.taken_at; e.announced_at; e.expires_at; e.stored_at; e.far; e.old;"
        "e.reused; e.refusal::text AS refusal",
        f"FROM evidence AS e WHERE e.technician_id = %(technician_id)s {of(by, ids)}"
        f" AND e.state <> 'withdrawn' AND e.forgotten_at IS NULL"
        f" AND e.work_order_id IN (SELECT mine.id FROM ({mine()}) AS mine)",
        whose,
        ids,
    )


async def hanging_on(
    tx: AsyncSession, technician_id: UUID, order_ids: Collection[UUID]
) -> dict[Kind, set[UUID]]:
    """List the technician's visits and pictures of some orders, whoever has these by now."""
    rows = await fetched(
        tx,
        """
        SELECT 'visit', id FROM visit
        WHERE work_order_id = ANY(%(ids)s) AND technician_id = %(technician_id)s
        UNION ALL
        SELECT 'photo', id FROM evidence
        WHERE work_order_id = ANY(%(ids)s) AND technician_id = %(technician_id)s
        """,
        {"ids": list(order_ids), "technician_id": technician_id},
    )
    found: dict[Kind, set[UUID]] = {Kind.VISIT: set(), Kind.PHOTO: set()}
    for kind, row_id in rows:
        found[Kind(kind)].add(row_id)
    return found
