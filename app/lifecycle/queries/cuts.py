"""From which income on the customers of each org unit are in a tier."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_connection
from app.lifecycle.queries.facts import UNITS, Unit, given

# A reading apart from the writing, because PostgreSQL lets only the former use several processors.
_INCOMES = f"""
    WITH n AS MATERIALIZED ({UNITS}),
    income AS (
        SELECT m.customer_id, avg(m.income_fen) AS mean_fen, count(m.income_fen) AS known,
            max(m.usage_gb) FILTER (WHERE m.month = %(month_1)s) AS usage_gb
        FROM customer_month m WHERE m.month >= %(year_from)s AND m.month <= %(month_1)s
        GROUP BY m.customer_id
    ),
    worth AS (
        SELECT n.org_unit_id, n.tier_a_percent, n.tier_b_percent, n.tier_c_percent, i.usage_gb,
            CASE WHEN i.known >= n.least_months
                THEN floor(i.mean_fen::float8 * 12 + 0.5)::bigint END AS value_fen
        FROM income i JOIN customer c ON c.id = i.customer_id
        JOIN n ON n.org_unit_id = c.org_unit_id
    ),
    cut AS (
        SELECT org_unit_id, tier_a_percent, tier_b_percent, tier_c_percent,
            array_agg(value_fen ORDER BY value_fen DESC) FILTER (WHERE value_fen IS NOT NULL)
                AS best,
            avg(value_fen) AS mean_fen,
            percentile_disc(0.8) WITHIN GROUP (ORDER BY usage_gb) AS usage_high_gb
        FROM worth GROUP BY 1, 2, 3, 4
    )
    SELECT org_unit_id,
        best[ceil(cardinality(best) * least(100, tier_a_percent) / 100)::int],
        best[ceil(cardinality(best) * least(100, tier_a_percent + tier_b_percent) / 100)::int],
        best[ceil(cardinality(best)
            * least(100, tier_a_percent + tier_b_percent + tier_c_percent) / 100)::int],
        mean_fen, usage_high_gb, cardinality(best)
    FROM cut
"""  # noqa: S608 - names of our own

_WRITE = """
    INSERT INTO lifecycle_cut (org_unit_id, a_from_fen, b_from_fen, c_from_fen, mean_fen,
        usage_high_gb, customers, computed_at)
    VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, 0), %s)
    ON CONFLICT (org_unit_id) DO UPDATE SET a_from_fen = excluded.a_from_fen,
        b_from_fen = excluded.b_from_fen, c_from_fen = excluded.c_from_fen,
        mean_fen = excluded.mean_fen, usage_high_gb = excluded.usage_high_gb,
        customers = excluded.customers, computed_at = excluded.computed_at
"""


async def cut_anew(tx: AsyncSession, units: list[Unit], now: datetime) -> None:
    """Tell from the incomes of the last twelve months where each unit's tiers begin.

    Units whose local days lie in other months are read apart.
    """
    driver = await driver_connection(tx)
    by_month: dict[tuple[object, object], list[Unit]] = {}
    for unit in units:
        by_month.setdefault((unit.year_from, unit.month_1), []).append(unit)
    for (year_from, month_1), alike in by_month.items():
        asked = given(alike, now, year_from=year_from, month_1=month_1)
        rows = await (await driver.execute(_INCOMES, asked)).fetchall()
        async with driver.cursor() as cursor:
            await cursor.executemany(_WRITE, [(*row, now) for row in rows])
