"""Where one customer stands, as other rooms read it."""

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.lifecycle.rules import ChurnClass, Signal, Stage, Tier


class Lifecycle(NamedTuple):
    """Where a customer stands; see `models.CustomerLifecycle` for what each field says.

    `checked_at` is when it was last found to be so, by a run over all customers or on an event.
    """

    customer_id: UUID
    org_unit_id: UUID
    stage: Stage
    stage_since: date
    stage_rule: str
    tier: Tier | None
    tier_before: Tier | None
    tier_since: date | None
    tier_forecast: Tier | None
    hidden_high_value: bool
    value_12m_fen: int | None
    churn_score: float | None
    churn_class: ChurnClass | None
    churn_reasons: list[dict[str, Any]]
    signals: list[Signal]
    last_signal_on: date | None
    card_version: str | None
    rules_version: str
    computed_at: datetime
    checked_at: datetime


_OF = f"""
    SELECT {", ".join(f"l.{name}" for name in Lifecycle._fields[:-1])},
        greatest(l.computed_at, (SELECT max(finished_at) FROM lifecycle_run))
    FROM customer_lifecycle l WHERE l.customer_id = %(customer_id)s
"""  # noqa: S608 - names of our own


async def of(session: AsyncSession, customer_id: UUID) -> Lifecycle | None:
    """Read where a customer stands; None before it was ever worked out.

    Who may see whom is for the caller to say.
    """
    rows = await fetched(session, _OF, {"customer_id": customer_id})
    if not rows:
        return None
    known = Lifecycle(*rows[0])
    return known._replace(
        stage=Stage(known.stage),
        tier=known.tier and Tier(known.tier),
        tier_before=known.tier_before and Tier(known.tier_before),
        tier_forecast=known.tier_forecast and Tier(known.tier_forecast),
        churn_class=known.churn_class and ChurnClass(known.churn_class),
        signals=[Signal(each) for each in known.signals],
    )
