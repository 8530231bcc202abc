"""How a decision chooses: by which model, for which group, with how much trying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.models import ProductOffering
from app.catalog.queries import Offering
from app.core.parameter_values import parameters_in_force
from app.suggestions import queries
from app.suggestions.rules import Group
from app.suggestions.rules.campaigns import Campaign, push_of
from app.suggestions.rules.exploring import (
    LATE_FROM,
    RULES_ONLY,
    challenged,
    group_of,
    shares_in_force,
    trying_in_force,
)
from app.suggestions.rules.facts import Offer
from app.suggestions.rules.gates import Off
from app.suggestions.rules.gating import switched_off
from app.suggestions.rules.levers import (
    Levers,
    levers_in_force,
    manager_tiers_of,
    preferred_tiers_of,
    stages_of,
)
from app.suggestions.rules.limits import Limits, limits_in_force
from app.suggestions.rules.model import Model, PolicyState, Trying
from app.suggestions.rules.ranking import RULES_ALONE, Way


@dataclass(frozen=True)
class Terms:
    """What holds for an org unit at a moment: numbers, gates, campaigns, levers, models, shares.

    `way` is that of the customer's group, still without its seed. `shadows` are models that note
    what they would have chosen.
    """

    limits: Limits
    off: Off
    campaigns: Sequence[Campaign]
    levers: Levers
    way: Way
    shadows: Sequence[Way]

    def seeded(self, seed: int) -> "Terms":
        """Give the same with a seed for all that is left to chance."""
        return replace(
            self,
            way=replace(self.way, seed=seed),
            shadows=[replace(shadow, seed=seed) for shadow in self.shadows],
        )

    def offer(self, row: Offering) -> Offer:
        """See an offering of the catalogue as it may be offered."""
        offer = offer_of(row)
        return replace(
            offer,
            push=push_of(offer, self.campaigns),
            stages=stages_of(row.levers, self.levers),
            manager_tiers=manager_tiers_of(row.levers, self.levers),
            preferred_tiers=preferred_tiers_of(row.levers, self.levers),
        )

    def rests_on(self) -> Mapping[str, object]:
        """Say what a ranking rests on beside facts and offers, as plain values."""
        return {
            "limits": self.limits._asdict(),
            "off": sorted(self.off),
            "campaigns": [str(one.id) for one in self.campaigns],
            "levers": sorted(one.code for one in self.levers.values()),
        }


def offer_of(row: Offering | ProductOffering) -> Offer:
    """See an offering of the catalogue as the ranking sees it, without what holds for a day."""
    return Offer(
        code=row.code,
        category=row.category,
        business_type=row.business_type,
        margin_12m_fen=row.margin_12m_fen,
        expert_rate=row.expert_rate,
        speed_mbps=row.speed_mbps,
        requires=frozenset(row.requires),
        excludes=frozenset(row.excludes),
        levers=frozenset(row.levers),
        install_minutes=row.install_minutes,
        least_usage_gb=row.least_usage_gb,
        most_usage_gb=row.most_usage_gb,
        prepaid=row.prepaid,
        terminal_kind=row.terminal_kind,
    )


async def terms_for(
    session: AsyncSession, customer_id: UUID, *, org_path: str, zone: ZoneInfo, now: datetime
) -> Terms:
    """Read what holds for a customer's decision now.

    The group is told by the shares of the month's first moment, so that it stays for the month,
    also when rules take the model's place. Without a model in force there are no groups.
    """
    numbers = await parameters_in_force(session)
    today = now.astimezone(zone).date()
    way, shadows = RULES_ALONE, []
    models = await queries.models_at_work(session)
    live = _first(models, PolicyState.LIVE)
    if live is not None:
        first = datetime.combine(today.replace(day=1), time(), zone)
        way = await _way(session, customer_id, today, now, first, org_path, live, models)
    if models:
        trying = await _trying(session, now, org_path)
        shadows = [
            Way(model=one.model, trying=trying) for one in models if one.state is PolicyState.SHADOW
        ]
    return Terms(
        limits=limits_in_force(numbers, now, org_path),
        off=switched_off(await queries.gates(session), org_path, today),
        campaigns=[one for one in await queries.campaigns(session) if one.runs(org_path, today)],
        levers=levers_in_force(await queries.levers(session), org_path, today),
        way=way,
        shadows=shadows,
    )


async def _way(
    session: AsyncSession,
    customer_id: UUID,
    today: date,
    now: datetime,
    month_began: datetime,
    org_path: str,
    live: Model,
    models: Sequence[queries.Standing],
) -> Way:
    numbers = await parameters_in_force(session)
    shares = shares_in_force(numbers, month_began, org_path)
    group = group_of(customer_id, today, shares)
    if numbers.number(RULES_ONLY, now, org_path):
        # The groups were promised for the month: the switch takes the place of the model alone, so
        # that what rules bring is told by the same comparison.
        return Way(group)
    model = live
    challenger = _first(models, PolicyState.CHALLENGER)
    if challenger is not None and group is Group.POLICY and challenged(customer_id, today, shares):
        model = challenger
    return Way(group, model, await _trying(session, now, org_path))


async def _trying(session: AsyncSession, now: datetime, org_path: str) -> Trying:
    numbers = await parameters_in_force(session)
    decisions = await queries.logged(session, numbers.whole(LATE_FROM, now, org_path))
    return trying_in_force(numbers, now, org_path, decisions)


def _first(models: Sequence[queries.Standing], state: PolicyState) -> Model | None:
    return next((one.model for one in models if one.state is state), None)
