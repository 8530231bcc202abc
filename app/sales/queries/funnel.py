"""Counting what became of visits: by days that are over, and live for those that are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.sales.models import SaleFunnelDay
from app.sales.rules.funnel import REVERSED_WITHIN_DAYS
from app.worktypes.rules import WorkType

COUNTED = tuple(column.name for column in SaleFunnelDay.__table__.columns if not column.primary_key)


@dataclass(frozen=True)
class Days:
    """Local days of org units in one zone, the last excluded."""

    units: Sequence[UUID]
    zone: ZoneInfo
    first: date
    until: date

    def given(self) -> dict[str, object]:
        """Write them as the parameters of the statements."""

        def begins(day: date) -> datetime:
            return datetime.combine(day, datetime.min.time(), self.zone)

        return {
            "units": list(self.units),
            "zone": str(self.zone),
            "first": self.first,
            "until": self.until,
            "begins": begins(self.first),
            "ends": begins(self.until),
            "within": timedelta(days=REVERSED_WITHIN_DAYS),
        }


async def counted_live(
    session: AsyncSession, days: Days, work_type: WorkType | None
) -> dict[str, int]:
    """Count the visits of some days as they stand now, found by when their orders were done."""
    return await _summed(session, f"WITH counted AS ({_COUNT}) {_SUM}", days, work_type)


async def added_up(session: AsyncSession, days: Days, work_type: WorkType | None) -> dict[str, int]:
    """Add up days that a night has counted."""
    return await _summed(session, f"WITH counted AS ({_STORED}) {_SUM}", days, work_type)


async def _summed(
    session: AsyncSession, statement: str, days: Days, work_type: WorkType | None
) -> dict[str, int]:
    given = {**days.given(), "work_type": work_type.value if work_type else None}
    ((*sums,),) = await fetched(session, statement, given)
    return dict(zip(COUNTED, map(int, sums), strict=True))


async def count_days(tx: AsyncSession, days: Days) -> None:
    """Count some days anew and keep what they come to."""
    given = days.given()
    await fetched(tx, _FORGET, given)
    await fetched(tx, _KEEP, given)


def together(sums: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Add up sums of different days or units."""
    return {name: sum(each[name] for each in sums) for name in COUNTED}


# An offer counts once for a visit, however often it was ranked there; of its answers the newest
# counts. Sales are those of the visit, whenever their steps were; what a customer returned came
# back when they say so, however late it is told. Whoever installs at once what they have sold is
# still at the same door: the visit of such an install, and of what is sold in it again, is no other
# visit but belongs to the first one.
_COUNT = """
    SELECT v.org_unit_id, v.day, v.work_type, count(*) AS completed,
        count(*) FILTER (WHERE v.customer_id IS NULL) AS no_customer,
        count(*) FILTER (WHERE v.held_back) AS held_back,
        count(*) FILTER (WHERE v.eligible AND offers.shown > 0) AS visits_suggested,
        sum(offers.shown) FILTER (WHERE v.eligible) AS offers_shown,
        sum(offers.pitched) FILTER (WHERE v.eligible) AS offers_pitched,
        sum(offers.answered) FILTER (WHERE v.eligible) AS offers_answered,
        sum(offers.accepted) FILTER (WHERE v.eligible) AS offers_accepted,
        count(*) FILTER (WHERE v.eligible AND sold.confirmed > 0) AS visits_confirmed,
        sum(sold.put_together) FILTER (WHERE v.eligible) AS sales_put_together,
        sum(sold.consented) FILTER (WHERE v.eligible) AS sales_consented,
        sum(sold.confirmed) FILTER (WHERE v.eligible) AS sales_confirmed,
        sum(sold.installed) FILTER (WHERE v.eligible) AS sales_installed,
        sum(sold.acknowledged) FILTER (WHERE v.eligible) AS sales_acknowledged,
        sum(sold.activated) FILTER (WHERE v.eligible) AS sales_activated,
        sum(sold.reversed) FILTER (WHERE v.eligible) AS sales_reversed
    FROM (
        SELECT visit.id, o.org_unit_id, o.work_type, o.customer_id,
            (o.completed_at AT TIME ZONE %(zone)s)::date AS day,
            o.customer_id IS NOT NULL AND d.held_back IS NOT NULL AS held_back,
            o.customer_id IS NOT NULL AND d.held_back IS NULL AS eligible
        FROM work_order o
        JOIN visit ON visit.work_order_id = o.id AND visit.outcome = 'completed'
            AND NOT EXISTS (
                SELECT FROM same_visit_install i
                WHERE i.work_order_id = o.id AND i.technician_id = visit.technician_id)
        LEFT JOIN LATERAL (
            SELECT held_back FROM suggestion_decision
            WHERE visit_id = visit.id ORDER BY id DESC LIMIT 1
        ) AS d ON true
        WHERE o.org_unit_id = ANY(%(units)s)
            AND o.completed_at >= %(begins)s AND o.completed_at < %(ends)s
    ) AS v
    CROSS JOIN LATERAL (
        SELECT array_agg(id) AS visits FROM (
            WITH RECURSIVE here (id) AS (
                SELECT v.id
                UNION
                SELECT next.id FROM here JOIN sale s ON s.visit_id = here.id
                JOIN same_visit_install i ON i.sale_id = s.id
                JOIN visit next ON next.work_order_id = i.work_order_id
                    AND next.technician_id = i.technician_id
            ) SELECT id FROM here
        ) AS each_visit
    ) AS at_the_door
    CROSS JOIN LATERAL (
        SELECT count(*) AS shown, count(*) FILTER (WHERE pitched) AS pitched,
            count(*) FILTER (WHERE answered) AS answered,
            count(*) FILTER (WHERE accepted) AS accepted
        FROM (
            SELECT bool_or(a.pitched) AS pitched,
                bool_or(a.pitched AND a.answer IS NOT NULL) AS answered,
                bool_or(a.answer = 'accepted') AS accepted
            FROM suggestion_decision d JOIN suggestion g ON g.decision_id = d.id
            LEFT JOIN LATERAL (
                SELECT pitched, answer FROM suggestion_answer
                WHERE suggestion_id = g.id ORDER BY created_at DESC, id DESC LIMIT 1
            ) AS a ON true
            WHERE d.visit_id = ANY(at_the_door.visits) AND g.rank IS NOT NULL
            GROUP BY g.offering_code
        ) AS each_offer
    ) AS offers
    CROSS JOIN LATERAL (
        SELECT count(*) AS put_together,
            count(*) FILTER (WHERE 'consented' = ANY(steps)) AS consented,
            count(*) FILTER (WHERE confirmed_at IS NOT NULL) AS confirmed,
            count(*) FILTER (WHERE installed) AS installed,
            count(*) FILTER (WHERE acknowledged_at IS NOT NULL) AS acknowledged,
            count(*) FILTER (WHERE 'activated' = ANY(steps)) AS activated,
            count(*) FILTER (
                WHERE acknowledged_at IS NOT NULL AND came_back_at <= acknowledged_at + %(within)s
            ) AS reversed
        FROM (
            SELECT s.confirmed_at, s.acknowledged_at, array_agg(e.step::text) AS steps,
                CASE WHEN s.reversed_at IS NOT NULL THEN coalesce(
                    max((e.facts ->> 'returned_at')::timestamptz) FILTER (
                        WHERE e.step = 'reversed'), s.reversed_at) END AS came_back_at,
                bool_or(e.step = 'install_ordered' AND w.completed_at IS NOT NULL) AS installed
            FROM sale s JOIN sale_event e ON e.sale_id = s.id
            LEFT JOIN work_order w ON e.step = 'install_ordered'
                AND w.id = (e.facts ->> 'work_order_id')::uuid
            WHERE s.visit_id = ANY(at_the_door.visits) GROUP BY s.id
        ) AS each_sale
    ) AS sold
    GROUP BY v.org_unit_id, v.day, v.work_type
"""
_STORED = """
    SELECT * FROM sale_funnel_day
    WHERE org_unit_id = ANY(%(units)s) AND day >= %(first)s AND day < %(until)s
"""
_SUM = (
    "SELECT "  # noqa: S608 - text of our own
    + ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in COUNTED)
    + " FROM counted WHERE %(work_type)s::text IS NULL OR work_type = %(work_type)s"
)
_FORGET = """
DELETE FROM sale_funnel_day
 WHERE org_unit_id = ANY(%(units)s) AND day >= %(first)s AND day < %(until)s RETURNING day
"""
_KEEP = (
    f"INSERT INTO sale_funnel_day (org_unit_id, day, work_type, {', '.join(COUNTED)})"  # noqa: S608
    " SELECT org_unit_id, day, work_type, "
    + ", ".join(f"coalesce({name}, 0)" for name in COUNTED)
    + f" FROM ({_COUNT}) AS counted RETURNING day"
)
