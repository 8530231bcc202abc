"""Where a customer stands, for tests of rooms that only read it."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.models import Customer
from app.lifecycle.models import CustomerLifecycle
from app.lifecycle.rules import ChurnClass, Stage, Tier
from tests.make.customers import AS_OF


async def make_lifecycle(tx: AsyncSession, customer: Customer, **fields: Any) -> CustomerLifecycle:
    """Add where a customer stands: in climax, of tier B, not likely to leave."""
    given: dict[str, Any] = {
        "customer_id": customer.id,
        "org_unit_id": customer.org_unit_id,
        "stage": Stage.CLIMAX,
        "stage_since": AS_OF.date(),
        "stage_rule": "climax.mature",
        "tier": Tier.B,
        "tier_since": AS_OF.date(),
        "tier_forecast": Tier.B,
        "hidden_high_value": False,
        "value_12m_fen": 118_800,
        "churn_score": 0.1,
        "churn_class": ChurnClass.LOW,
        "churn_reasons": [],
        "signals": [],
        "card_version": "hand-1",
        "rules_version": "hand-1",
        "computed_at": AS_OF,
    }
    known = CustomerLifecycle(**{**given, **fields})
    tx.add(known)
    await tx.flush()
    return known
