"""What certainly cannot be had at the door of a visit, so that nobody signs for it."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering
from app.feasibility import queries, rules
from app.feasibility.rules import No
from app.feasibility.service.asking import line_known, piece_of, told_of
from app.serviceability.rules import LineAt, Source
from app.suggestions.service import may_have
from app.visits.models import Visit
from app.visits.service.offers import door_behind
from app.workorders.models import WorkOrder


async def cannot_be_had(
    session: AsyncSession,
    visit_id: UUID,
    customer_id: UUID,
    offerings: Sequence[Offering],
    *,
    on_terms: Set[str],
    org_path: str,
    now: datetime,
) -> Mapping[str, Sequence[No]]:
    """Say which of some offerings, wanted together, a visit's customer certainly cannot have, and
    why, by their codes; also after the visit has ended.

    It goes by the rules by which the door is told what is feasible, and asks nobody. What is not
    known of a line, or was said of it too long ago, stands in the way of nothing: whoever takes the
    order finds out. `on_terms` has the codes of those that are sold on an approval code alone, and
    `org_path` is whose numbers are in force.
    """
    visit = await session.get_one(Visit, visit_id)
    door = await door_behind(session, visit, customer_id, org_path=org_path, now=now)
    line = None
    if any(one.speed_mbps is not None for one in offerings):
        line = await _line_for_certain(session, visit, customer_id, org_path, now)
    may = await may_have(
        session, door, offerings, told_of(line), now=now, together=True, on_terms=on_terms
    )
    found = {
        one.code: rules.cannot_be_had(
            piece_of(one), may.against[one.code], may.facts[one.code], line
        )
        for one in offerings
    }
    return {code: noes for code, noes in found.items() if noes}


async def _line_for_certain(
    session: AsyncSession, visit: Visit, customer_id: UUID, org_path: str, now: datetime
) -> LineAt | None:
    """Say what is known of a visit's line, but for what was said so long ago that it is over."""
    order = await session.get_one(WorkOrder, visit.work_order_id)
    address_id = await queries.address_of(
        session, customer_id, service_number=order.service_number, address=order.address
    )
    line = await line_known(session, address_id, org_path, now)
    return None if line is None or line.source is Source.STALE else line
