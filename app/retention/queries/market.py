"""What the figures of a month are counted from: three statements over an org unit's customers.

They are for a report, like those of the levers: their cost grows with the customers of the unit.
"""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.lifecycle.rules import Tier
from app.retention.queries.levers import Period
from app.retention.rules.market import Market

# The tier on the first day is the one before the first change since, or the one there is now.
_KEPT = text(
    """
    WITH changed AS (
        SELECT DISTINCT ON (customer_id) customer_id, before FROM lifecycle_change
        WHERE org_unit_id = ANY(CAST(:units AS uuid[])) AND at >= :begins AND kind = 'tier'
        ORDER BY customer_id, at, id
    ), held AS (
        SELECT DISTINCT s.customer_id FROM customer c JOIN subscription s ON s.customer_id = c.id
        WHERE c.org_unit_id = ANY(CAST(:units AS uuid[])) AND s.started_on <= :first_day
            AND (s.ended_on IS NULL OR s.ended_on > :first_day)
    ), at_first AS (
        SELECT CASE WHEN changed.customer_id IS NULL THEN l.tier ELSE changed.before END AS tier,
            EXISTS (
                SELECT FROM subscription s WHERE s.customer_id = held.customer_id
                    AND s.started_on <= :until_day
                    AND (s.ended_on IS NULL OR s.ended_on > :until_day)
            ) AS stays
        FROM held
        LEFT JOIN changed ON changed.customer_id = held.customer_id
        LEFT JOIN customer_lifecycle l ON l.customer_id = held.customer_id
    )
    SELECT count(*) FILTER (WHERE tier = ANY(CAST(:tiers AS text[]))) AS target,
        count(*) FILTER (WHERE tier = ANY(CAST(:tiers AS text[])) AND stays) AS kept,
        count(*) FILTER (WHERE tier IS NULL) AS tier_unknown
    FROM at_first
    """
)

# What a visit did is a contact of service on the channel `visit`; nobody is at the other end of an
# app or a message, which cost next to nothing.
_PAYING = """
    WITH paying AS (
        SELECT c.id, m.income_fen, m.new_service_income_fen, m.arrears_fen
        FROM customer c JOIN customer_month m ON m.customer_id = c.id AND m.month = :first_day
        WHERE c.org_unit_id = ANY(CAST(:units AS uuid[])) AND m.income_fen IS NOT NULL
    )
"""
_MONEY = text(
    f"""{_PAYING}
    SELECT count(*) AS paying, coalesce(sum(income_fen), 0)::bigint AS income_fen,
        (
            SELECT count(*) FROM customer c
            WHERE c.org_unit_id = ANY(CAST(:units AS uuid[]))
                AND EXISTS (
                    SELECT FROM subscription s WHERE s.customer_id = c.id
                        AND s.started_on < :until_day
                        AND (s.ended_on IS NULL OR s.ended_on > :first_day)
                )
                AND NOT EXISTS (SELECT FROM paying p WHERE p.id = c.id)
        ) AS income_unknown,
        count(new_service_income_fen) AS new_known,
        coalesce(sum(new_service_income_fen), 0)::bigint AS new_fen,
        coalesce(sum(income_fen) FILTER (WHERE new_service_income_fen IS NOT NULL), 0)::bigint
            AS new_of_fen,
        count(*) FILTER (WHERE new_service_income_fen IS NOT NULL AND arrears_fen IS NOT NULL)
            AS owing_known,
        count(*) FILTER (WHERE new_service_income_fen IS NOT NULL AND arrears_fen IS NULL)
            AS owing_unknown,
        coalesce(sum(new_service_income_fen) FILTER (WHERE arrears_fen = 0), 0)::bigint
            AS collected_fen
    FROM paying
    """  # noqa: S608 - text of our own
)
_SERVED = text(
    f"""{_PAYING}, served AS (
        SELECT count(*) FILTER (WHERE i.kind <> 'sales' AND i.channel = 'visit') AS visits,
            count(*) FILTER (WHERE i.kind <> 'sales' AND i.channel IN ('phone', 'shop')) AS talks,
            count(*) FILTER (WHERE i.kind = 'sales') AS sales_contacts
        FROM paying p JOIN interaction i ON i.customer_id = p.id
        WHERE i.at >= :begins AND i.at < :ends
    ), sold AS (
        SELECT coalesce(sum(item.quantity) FILTER (WHERE o.business_type = 'retention'), 0)::bigint
                AS gifts,
            coalesce(sum(item.commission_fen * item.quantity), 0)::bigint AS commissions_fen
        FROM paying p
        JOIN sale ON sale.customer_id = p.id AND sale.confirmed_at >= :begins
            AND sale.confirmed_at < :ends AND sale.state NOT IN ('cancelled', 'rejected')
            AND sale.reversed_at IS NULL
        JOIN sale_item item ON item.sale_id = sale.id AND item.reversed_at IS NULL
            AND item.removed_at IS NULL
        JOIN product_offering o ON o.id = item.offering_id
    )
    SELECT * FROM served, sold
    """  # noqa: S608 - text of our own
)


async def counted(session: AsyncSession, period: Period, *, target_tiers: int) -> Market:
    """Count a calendar month of an org unit; the target market are so many tiers from the best."""
    found: dict[str, Any] = {}
    given = period.given | {"tiers": [tier.value for tier in list(Tier)[:target_tiers]]}
    for statement, names in (
        (_KEPT, "units begins first_day until_day tiers"),
        (_MONEY, "units first_day until_day"),
        (_SERVED, "units begins ends first_day"),
    ):
        asked = {name: given[name] for name in names.split()}
        found |= (await session.execute(statement, asked)).mappings().one()
    return Market(**found)
