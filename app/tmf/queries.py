"""Reads for recommendations: a decision as another system may see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select, true
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
    """A stored decision with what it shows; the customer is a number, and nothing else.

    `valid_until` null was not said yet in decisions of then.
    """

    id: UUID
    customer_id: UUID
    at: datetime
    valid_until: datetime | None
    policy: str
    offers: Sequence[Offered]


async def recommendation(session: AsyncSession, decision_id: UUID, caller: Caller) -> Recommended:
    """Read a decision about a customer of the caller's units. Raises NotFound."""
    return _only(await _read(session, caller, SuggestionDecision.id == decision_id, size=1))


async def newest_recommendation(
    session: AsyncSession, customer_id: UUID, caller: Caller
) -> Recommended:
    """Read the newest decision of a visit to a customer. Raises NotFound, also where there is
    none."""
    about = SuggestionDecision.customer_id == customer_id
    return _only(await _read(session, caller, about, size=1))


async def recommendations(
    session: AsyncSession,
    caller: Caller,
    *,
    customer_id: UUID | None,
    size: int,
    offset: int,
) -> Sequence[Recommended]:
    """List decisions of visits to customers of the caller's units, the newest first."""
    about = true() if customer_id is None else SuggestionDecision.customer_id == customer_id
    return await _read(session, caller, about, size=size, offset=offset)


def _only(found: Sequence[Recommended]) -> Recommended:
    if not found:
        raise NotFound()
    return found[0]


async def _read(
    session: AsyncSession,
    caller: Caller,
    which: ColumnElement[bool],
    *,
    size: int,
    offset: int = 0,
) -> Sequence[Recommended]:
    """What was taken ahead of a visit is left out: nobody knows yet whether it will be shown."""
    decisions = (
        await session.scalars(
            select(SuggestionDecision)
            .join(Customer, Customer.id == SuggestionDecision.customer_id)
            .where(
                subtree(Customer.org_unit_id, caller),
                SuggestionDecision.visit_id.is_not(None),
                which,
            )
            .order_by(SuggestionDecision.id.desc())
            .limit(size)
            .offset(offset)
        )
    ).all()
    rows = await session.execute(
        select(
            Suggestion.decision_id,
            Suggestion.id,
            Suggestion.rank,
            Suggestion.offering_code,
            ProductOffering.name_zh,
        )
        .join(ProductOffering, ProductOffering.id == Suggestion.offering_id)
        .where(
            Suggestion.decision_id.in_([decision.id for decision in decisions]),
            Suggestion.rank.is_not(None),
        )
        .order_by(Suggestion.rank)
    )
    offers: dict[UUID, list[Offered]] = {decision.id: [] for decision in decisions}
    for decision_id, one, rank, code, name in rows:
        offers[decision_id].append(Offered(one, rank or 0, code, name))
    return [
        Recommended(
            decision.id,
            decision.customer_id,
            decision.at,
            decision.valid_until,
            decision.policy,
            offers[decision.id],
        )
        for decision in decisions
    ]
