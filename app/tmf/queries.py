"""Reads for recommendations: a decision as another system may see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.catalog.models import ProductOffering
from app.core.errors import NotFound
from app.customers.models import Customer
from app.suggestions.models import Suggestion, SuggestionDecision


@dataclass(frozen=True)
class Offered:
    """One offer of a decision: its place, and what the catalogue calls it."""

    suggestion_id: UUID
    rank: int
    offering_code: str
    name: str


@dataclass(frozen=True)
class Recommended:
    """A stored decision with what it shows; the customer is a number, and nothing else."""

    id: UUID
    customer_id: UUID
    at: datetime
    policy: str
    offers: Sequence[Offered]


async def recommendation(session: AsyncSession, decision_id: UUID, caller: Caller) -> Recommended:
    """Read a decision about a customer of the caller's units. Raises NotFound."""
    return await _read(session, caller, decision_id=decision_id)


async def newest_recommendation(
    session: AsyncSession, customer_id: UUID, caller: Caller
) -> Recommended:
    """Read the newest decision about a customer. Raises NotFound, also where there is none."""
    return await _read(session, caller, customer_id=customer_id)


async def _read(
    session: AsyncSession,
    caller: Caller,
    *,
    decision_id: UUID | None = None,
    customer_id: UUID | None = None,
) -> Recommended:
    statement = (
        select(SuggestionDecision)
        .join(Customer, Customer.id == SuggestionDecision.customer_id)
        .where(subtree(Customer.org_unit_id, caller))
        .order_by(SuggestionDecision.id.desc())
        .limit(1)
    )
    if decision_id is not None:
        statement = statement.where(SuggestionDecision.id == decision_id)
    if customer_id is not None:
        statement = statement.where(SuggestionDecision.customer_id == customer_id)
    decision = await session.scalar(statement)
    if decision is None:
        raise NotFound()
    rows = await session.execute(
        select(
            Suggestion.id,
            Suggestion.rank,
            Suggestion.offering_code,
            ProductOffering.name_zh,
        )
        .join(ProductOffering, ProductOffering.id == Suggestion.offering_id)
        .where(Suggestion.decision_id == decision.id, Suggestion.rank.is_not(None))
        .order_by(Suggestion.rank)
    )
    return Recommended(
        decision.id,
        decision.customer_id,
        decision.at,
        decision.policy,
        [Offered(one, rank or 0, code, name) for one, rank, code, name in rows],
    )
