"""The lists of a grid: who could be won back, and whose contract ends. One statement each.

A list begins with the addresses of its grid, so that it costs the same in a province as in a town.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.grids.models import Grid
from app.lifecycle.rules import ChurnClass, Tier
from app.retention.queries.leavers import RUNS
from app.retention.rules import LeaveReason
from app.retention.rules.leavers import NEVER_ASKED


async def grid_within(session: AsyncSession, grid_id: UUID, caller: Caller) -> Grid:
    """Read a grid of the caller's subtree. Raises NotFound for any other."""
    grid = await session.scalar(
        select(Grid).where(Grid.id == grid_id, subtree(Grid.org_unit_id, caller))
    )
    if grid is None:
        raise NotFound()
    return grid


async def grids_of(session: AsyncSession, customer_id: UUID, caller: Caller) -> Sequence[UUID]:
    """Find the grids of the caller's subtree in which a customer has an address."""
    given = {"customer_id": customer_id, "path": caller.org_path}
    return list(dict.fromkeys(await session.scalars(_GRIDS_OF, given)))


_GRIDS_OF = text(
    """
    SELECT g.grid_id FROM service_address a JOIN address_grid g ON g.service_address_id = a.id
    JOIN grid ON grid.id = g.grid_id JOIN org_unit u ON u.id = grid.org_unit_id
    WHERE a.customer_id = :customer_id AND starts_with(u.path, :path)
    ORDER BY a.checked_at DESC NULLS LAST, a.id
    """
)

_HOMES = """
    WITH home AS (
        SELECT DISTINCT ON (a.customer_id) a.customer_id, a.locality, a.building
        FROM address_grid g JOIN service_address a ON a.id = g.service_address_id
        WHERE g.grid_id = :grid_id
            AND (CAST(:customer_id AS uuid) IS NULL OR a.customer_id = :customer_id)
        ORDER BY a.customer_id, a.checked_at DESC NULLS LAST, a.id
    )
"""
# Whoever wants no personal ranking stands where everybody stands of whom nothing is known, and is
# meant for the toolkit that is for everybody: neither tier, class, stage nor value is looked at.
_RANKED = "CASE WHEN c.personal_offers THEN {} END"
# Whom somebody is at, or was at lately, is on no list.
_FREE = """
    NOT c.do_not_disturb AND c.phone <> '' AND NOT EXISTS (
        SELECT FROM retention_case r WHERE r.customer_id = c.id
            AND (r.state = 'open' OR r.decided_at > :cool_since)
    )
"""
_WIN_BACK = text(
    f"""
    {_HOMES}
    SELECT f.customer_id, c.code, c.name, c.phone, c.preferred_channel,
        'phone' = ANY(c.channels_allowed) AS call_allowed, home.locality,
        home.building, f.left_on, CAST(:today AS date) - f.left_on AS days_gone, f.reason,
        f.competitor, f.reachable, known.tier, known.value_12m_fen,
        coalesce(known.value_12m_fen, -1) AS worth
    FROM home
    JOIN former_customer f ON f.customer_id = home.customer_id AND f.returned_on IS NULL
    JOIN customer c ON c.id = home.customer_id
    CROSS JOIN LATERAL (
        SELECT {_RANKED.format("f.tier")} AS tier,
            {_RANKED.format("f.value_12m_fen")} AS value_12m_fen
    ) AS known
    WHERE f.left_on BETWEEN :oldest AND :newest AND f.refused_at IS NULL
        AND f.reachable IS DISTINCT FROM false
        AND f.reason <> ALL(CAST(:never AS text[])) AND {_FREE}
        AND NOT EXISTS (
            SELECT FROM subscription s WHERE s.customer_id = c.id AND {RUNS}
        )
        AND (CAST(:reason AS text) IS NULL OR f.reason = :reason)
        AND (CAST(:tier AS text) IS NULL OR known.tier = :tier)
        AND (CAST(:after_worth AS bigint) IS NULL
            OR (-coalesce(known.value_12m_fen, -1), f.customer_id) > (-:after_worth, :after_id))
    ORDER BY worth DESC, f.customer_id LIMIT :size
    """  # noqa: S608 - text of our own
)
_RENEWAL = text(
    f"""
    {_HOMES}
    SELECT c.id AS customer_id, c.code, c.name, c.phone, c.preferred_channel,
        'phone' = ANY(c.channels_allowed) AS call_allowed, home.locality,
        home.building, line.ends_on, line.ends_on - CAST(:today AS date) AS days_left,
        line.monthly_price_fen, line.offerings, l.tier, l.churn_class, l.stage, l.value_12m_fen,
        coalesce(l.hidden_high_value, false) AS hidden,
        coalesce(l.tier, 'Z') AS place
    FROM home
    JOIN customer c ON c.id = home.customer_id
    CROSS JOIN LATERAL (
        SELECT coalesce(
                max(s.contract_ends_on) FILTER (WHERE s.speed_mbps IS NOT NULL),
                max(s.contract_ends_on)
            ) AS ends_on,
            sum(s.monthly_price_fen)::bigint AS monthly_price_fen,
            array_agg(s.offering_code ORDER BY s.offering_code) AS offerings
        FROM subscription s WHERE s.customer_id = c.id AND {RUNS}
            AND (s.service_address_id IS NULL OR EXISTS (
                SELECT FROM address_grid g
                WHERE g.service_address_id = s.service_address_id AND g.grid_id = :grid_id
            ))
    ) AS line
    LEFT JOIN customer_lifecycle l ON l.customer_id = c.id AND c.personal_offers
    WHERE line.ends_on BETWEEN :oldest AND :newest AND {_FREE}
        AND (CAST(:tier AS text) IS NULL OR l.tier = :tier)
        AND (CAST(:churn_class AS text) IS NULL OR l.churn_class = :churn_class)
        AND (CAST(:after_place AS text) IS NULL OR (coalesce(l.tier, 'Z'), line.ends_on, c.id)
            > (:after_place, CAST(:after_day AS date), CAST(:after_id AS uuid)))
    ORDER BY place, line.ends_on, c.id LIMIT :size
    """  # noqa: S608 - text of our own
)


@dataclass(frozen=True)
class Asked:
    """Which part of a list is asked for; days are local, `cool_since` is when cases count from."""

    grid_id: UUID
    today: date
    cool_since: datetime
    size: int
    customer_id: UUID | None = None
    tier: Tier | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Write it as both statements take it."""
        return {
            "grid_id": self.grid_id,
            "customer_id": self.customer_id,
            "today": self.today,
            "cool_since": self.cool_since,
            "tier": self.tier and self.tier.value,
            "size": self.size + 1,
        }


async def win_back(
    session: AsyncSession,
    asked: Asked,
    *,
    from_days: int,
    until_days: int,
    reason: LeaveReason | None = None,
    after: tuple[int, UUID] | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` customers who left between so many days ago, the most valuable first.

    Who wants no personal ranking has no value here. Left out is who has refused, cannot be reached,
    does not want to be disturbed, has died, or has a service that runs.
    """
    given = {
        **asked.given,
        "oldest": asked.today - timedelta(days=until_days),
        "newest": asked.today - timedelta(days=from_days),
        "never": [one.value for one in NEVER_ASKED],
        "reason": reason and reason.value,
        "after_worth": after[0] if after else None,
        "after_id": after[1] if after else None,
    }
    return (await session.execute(_WIN_BACK, given)).all()


async def renewal(
    session: AsyncSession,
    asked: Asked,
    *,
    days: int,
    churn_class: ChurnClass | None = None,
    after: tuple[str, date, UUID] | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` customers whose contract ends within so many days, or has ended no
    longer ago, the best tier first and then whose contract ends first.

    Who wants no personal ranking has no tier here, nor class, stage and value.
    """
    given = {
        **asked.given,
        "oldest": asked.today - timedelta(days=days),
        "newest": asked.today + timedelta(days=days),
        "churn_class": churn_class and churn_class.value,
        "after_place": after[0] if after else None,
        "after_day": after[1] if after else None,
        "after_id": after[2] if after else None,
    }
    return (await session.execute(_RENEWAL, given)).all()
