"""What a customer who asks for something may have: the gates without those against pestering."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering
from app.catalog.rules import OnSite
from app.suggestions import queries
from app.suggestions.rules import HeldBack
from app.suggestions.rules.ahead import Door
from app.suggestions.rules.asking import beside, stand_against
from app.suggestions.rules.facts import Facts
from app.suggestions.rules.levers import levers_in_force, manager_tiers_of, on_site
from app.suggestions.service.choosing import terms_for
from app.suggestions.service.deciding import facts_at


@dataclass(frozen=True)
class Line:
    """What is known of the line to the door; None is "not known"."""

    max_speed_mbps: int | None
    port_free: bool | None


@dataclass(frozen=True)
class MayHave:
    """What is known at the door as each offering finds it, what stands against it, and what a
    technician may do with it there, by its code."""

    facts: Mapping[str, Facts]
    against: Mapping[str, Sequence[HeldBack]]
    on_site: Mapping[str, OnSite]


async def may_have(
    session: AsyncSession,
    door: Door,
    offerings: Iterable[Offering],
    line: Line,
    *,
    now: datetime,
    together: bool = False,
    on_terms: Set[str] | None = None,
) -> MayHave:
    """Say what stands against selling offerings at a door, in as many statements for many as for
    one; nothing is locked and nothing written.

    They are judged each for itself, or `together`: then one may bring what another requires, and
    exclude it. `on_terms` has the codes of those that are sold on an approval code; where nothing
    is sold yet (None), what special terms are approved for counts. Raises NotFound for an unknown
    customer.
    """
    terms = await terms_for(
        session, door.customer_id, org_path=door.org_path, zone=door.zone, now=now
    )
    known = await facts_at(session, [door], terms.limits, now)
    before = known[door.work_order_id]
    facts = replace(
        before,
        line_max_mbps=line.max_speed_mbps,
        port_free=line.port_free,
        # A code that a sale has used is approved no more, and one that it does not name opens
        # nothing for it.
        agreed=before.agreed if on_terms is None else frozenset(on_terms),
    )
    offers = [terms.offer(one) for one in offerings]
    found = {one.code: beside(facts, one, offers) if together else facts for one in offers}
    return MayHave(
        found,
        {one.code: stand_against(found[one.code], one, terms.limits, terms.off) for one in offers},
        {one.code: on_site(facts, one) for one in offers},
    )


async def for_the_manager(
    session: AsyncSession,
    customer_id: UUID,
    offerings: Iterable[Offering],
    *,
    org_unit_id: UUID,
    now: datetime,
) -> frozenset[str]:
    """Name the offerings that are the account manager's to sell to this customer, by their tier:
    others sell them by an approval code alone."""
    rules = await queries.levers(session)
    of_levers = {rule.lever for rule in rules if rule.manager_tiers}
    asked = [one for one in offerings if of_levers & set(one.levers)]
    if not asked:
        return frozenset()
    buyer = await queries.buyer_in_unit(session, customer_id, org_unit_id)
    levers = levers_in_force(rules, buyer.path, now.astimezone(ZoneInfo(buyer.zone)).date())
    return frozenset(
        one.code for one in asked if buyer.tier in manager_tiers_of(one.levers, levers)
    )
