"""What the lifecycle warns of, how much of its week each grid has had, and the rules for both."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.lately import lately
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.models import CareRule as CareRuleRow
from app.retention.models import RetentionCase
from app.retention.rules import Cause
from app.retention.rules.cases import WARNED
from app.retention.rules.warnings import CareRule, Warned

_HELD_AS = "retention.care_rules"


async def care_rules(session: AsyncSession) -> list[CareRule]:
    """Return the dated rules, read at most a few seconds ago by this process."""
    return await lately(session, _HELD_AS, _care_rules)


def forget_care_rules(database: Database) -> None:
    """Let this process read again which rules there are, since it has changed them."""
    database.cache.pop(_HELD_AS, None)


async def _care_rules(session: AsyncSession) -> list[CareRule]:
    rows = await session.scalars(select(CareRuleRow))
    return [
        CareRule(
            id=row.id,
            code=row.code,
            org_path=row.org_path,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            place=row.place,
            causes=tuple(map(Cause, row.causes)),
            tiers=tuple(map(Tier, row.tiers)),
            churn_classes=tuple(map(ChurnClass, row.churn_classes)),
            handling=row.handling,
            priority=row.priority,
            hidden=row.hidden,
        )
        for row in rows
    ]


_UNITS = text(
    """
    SELECT u.id FROM org_unit u
    WHERE EXISTS (
        SELECT FROM lifecycle_change l WHERE l.org_unit_id = u.id AND l.at > :since
            AND (l.warns OR (l.kind = 'stage' AND 'exit' IN (l.before, l.after)))
    ) OR EXISTS (
        SELECT FROM customer_lifecycle y WHERE y.org_unit_id = u.id AND y.stage = 'exit'
            AND y.computed_at > :since
    )
    ORDER BY u.path
    """
)


async def units_told_of(session: AsyncSession, since: datetime) -> Sequence[UUID]:
    """List the org units of whose customers something was told since a moment."""
    return (await session.scalars(_UNITS, {"since": since})).all()


_UNITS_OF_RUN = text(
    "SELECT DISTINCT org_unit_id FROM lifecycle_change WHERE run_id = :run_id AND warns"
    " ORDER BY org_unit_id"
)


async def units_warned_by(session: AsyncSession, run_id: UUID) -> Sequence[UUID]:
    """List the org units of whose customers one run of the lifecycle has warned."""
    return (await session.scalars(_UNITS_OF_RUN, {"run_id": run_id})).all()


_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('retention:' || :unit, 0))")

# A warning counts while it still holds. Of who wants no personal ranking nothing counts that was
# told of their profile, only what they complained about or asked themselves, and neither tier,
# class nor value is looked at. Who has an order open is met anyway, and who was taken care of
# lately is left in peace; both wait, as far as the warning is young enough.
_WARNED = text(
    """
    WITH told AS (
        SELECT l.customer_id, max(l.at) AS at,
            (array_agg(l.id ORDER BY l.at DESC, l.id))[1] AS change_id,
            array_agg(DISTINCT CASE WHEN NOT c.personal_offers THEN 'complained'
                WHEN l.kind = 'churn_class' THEN 'churn_high'
                WHEN l.kind = 'stage' THEN 'stage_decline'
                WHEN l.kind = 'tier' THEN 'tier_fell' ELSE 'tier_forecast' END) AS causes
        FROM lifecycle_change l JOIN customer_lifecycle y ON y.customer_id = l.customer_id
        JOIN customer c ON c.id = l.customer_id
        WHERE l.org_unit_id = :unit AND l.at > :since AND l.at <= :now AND l.warns
            AND (l.kind <> 'churn_class' OR y.churn_class = 'high')
            AND (l.kind <> 'stage' OR y.stage = 'decline')
            AND (l.kind <> 'tier' OR y.tier >= l.after)
            AND (l.kind <> 'tier_forecast' OR y.tier_forecast > y.tier)
            AND (c.personal_offers
                OR (l.kind = 'stage' AND y.signals && ARRAY['complaints', 'asked_to_leave']))
        GROUP BY l.customer_id
    )
    SELECT t.customer_id, t.change_id, t.causes, y.stage,
        CASE WHEN c.personal_offers THEN y.tier END AS tier,
        CASE WHEN c.personal_offers THEN y.churn_class END AS churn_class,
        c.personal_offers AND y.hidden_high_value AS hidden_high_value,
        CASE WHEN c.personal_offers THEN y.value_12m_fen END AS value_12m_fen,
        home.grid_id, home.id IS NOT NULL AS has_address
    FROM told t
    JOIN customer c ON c.id = t.customer_id
    JOIN customer_lifecycle y ON y.customer_id = t.customer_id
    LEFT JOIN LATERAL (
        SELECT a.id, g.grid_id FROM service_address a
        LEFT JOIN address_grid g ON g.service_address_id = a.id
        WHERE a.customer_id = c.id ORDER BY a.checked_at DESC NULLS LAST, a.id LIMIT 1
    ) AS home ON true
    WHERE c.org_unit_id = :unit AND NOT c.do_not_disturb AND y.stage <> 'exit'
        AND NOT EXISTS (
            SELECT FROM retention_case r WHERE r.customer_id = c.id
                AND (r.state = 'open' OR r.decided_at > :cool_since OR r.decided_at >= t.at)
        )
        AND NOT EXISTS (
            SELECT FROM work_order o WHERE o.customer_id = c.id
                AND o.state NOT IN ('completed', 'archived', 'cancelled')
        )
    """
)


async def warned(
    tx: AsyncSession, unit: UUID, *, since: datetime, cool_since: datetime, now: datetime
) -> list[Warned]:
    """Read the customers of an org unit of whom was warned since a moment, as they stand now.

    Whoever looks has the org unit to themselves until the transaction ends. Left out is who was
    taken care of after `cool_since`, does not want to be disturbed, or is being met anyway. Who
    wants no personal ranking is there for `Cause.COMPLAINED` alone, without tier, class and value.
    """
    await tx.execute(_ALONE, {"unit": str(unit)})
    given = {"unit": unit, "since": since, "cool_since": cool_since, "now": now}
    return [
        Warned(
            row.customer_id,
            row.change_id,
            frozenset(map(Cause, row.causes)),
            Stage(row.stage),
            Tier(row.tier) if row.tier else None,
            ChurnClass(row.churn_class) if row.churn_class else None,
            row.hidden_high_value,
            row.value_12m_fen,
            row.grid_id,
            row.has_address,
        )
        for row in await tx.execute(_WARNED, given)
    ]


_TAKEN = text(
    """
    SELECT grid_id, count(*) AS taken FROM retention_case
    WHERE org_unit_id = :unit AND decided_at >= :since AND arm = 'treated'
        AND cause = ANY(CAST(:warned AS text[]))
    GROUP BY grid_id
    """
)


async def taken_since(tx: AsyncSession, unit: UUID, since: datetime) -> dict[UUID | None, int]:
    """Count the warned customers that each grid of a unit was given since a moment."""
    warned = [cause.value for cause in WARNED]
    rows = await tx.execute(_TAKEN, {"unit": unit, "since": since, "warned": warned})
    return {row.grid_id: row.taken for row in rows}


class Home(NamedTuple):
    """Whom an order goes to and where; the point is WGS-84 degrees."""

    customer_id: UUID
    code: str
    name: str
    phone: str
    service_number: str | None
    address: str | None
    locality: str | None
    lon: float | None
    lat: float | None


_HOMES = text(
    """
    SELECT c.id, c.code, c.name, c.phone, line.service_number,
        home.standard_address, home.locality, ST_X(home.point), ST_Y(home.point)
    FROM unnest(CAST(:customers AS uuid[]), CAST(:grids AS uuid[])) AS meant (customer_id, grid_id)
    JOIN customer c ON c.id = meant.customer_id
    LEFT JOIN LATERAL (
        SELECT a.* FROM service_address a
        LEFT JOIN address_grid g ON g.service_address_id = a.id AND g.grid_id = meant.grid_id
        WHERE a.customer_id = c.id
        ORDER BY g.grid_id IS NULL, a.checked_at DESC NULLS LAST, a.id LIMIT 1
    ) AS home ON true
    LEFT JOIN LATERAL (
        SELECT s.service_number FROM subscription s
        WHERE s.customer_id = c.id AND s.ended_on IS NULL
        ORDER BY s.service_address_id IS DISTINCT FROM home.id, s.speed_mbps DESC NULLS LAST,
            s.service_number LIMIT 1
    ) AS line ON true
    """
)


async def homes(tx: AsyncSession, cases: Sequence[RetentionCase]) -> dict[UUID, Home]:
    """Read where the customers of some cases live and how they are reached; for orders, not for
    screens. Of several homes it is the one in the case's grid, and the line there."""
    given = {
        "customers": [case.customer_id for case in cases],
        "grids": [case.grid_id for case in cases],
    }
    return {row[0]: Home(*row) for row in await tx.execute(_HOMES, given)}
