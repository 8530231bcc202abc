"""What a customer who asks for something may have: the gates without those against pestering."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering
from app.suggestions.rules import HeldBack
from app.suggestions.rules.ahead import Door
from app.suggestions.rules.asking import stand_against
from app.suggestions.rules.facts import Facts
from app.suggestions.service.choosing import terms_for
from app.suggestions.service.deciding import facts_at, offer_of


@dataclass(frozen=True)
class Line:
    """What is known of the line to the door; None is "not known"."""

    max_speed_mbps: int | None
    port_free: bool | None


@dataclass(frozen=True)
class MayHave:
    """What is known at the door, and what stands against each offering, by its code."""

    facts: Facts
    against: Mapping[str, Sequence[HeldBack]]


async def may_have(
    session: AsyncSession, door: Door, offerings: Iterable[Offering], line: Line, *, now: datetime
) -> MayHave:
    """Say what stands against selling offerings at a door, in as many statements for many as for
    one; nothing is locked and nothing written. Raises NotFound for an unknown customer."""
    terms = await terms_for(
        session, door.customer_id, org_path=door.org_path, zone=door.zone, now=now
    )
    known = await facts_at(session, [door], terms.limits, now)
    facts = replace(
        known[door.work_order_id],
        line_max_mbps=line.max_speed_mbps,
        port_free=line.port_free,
    )
    return MayHave(
        facts,
        {
            one.code: stand_against(facts, offer_of(one), terms.limits, terms.off)
            for one in offerings
        },
    )
