"""What may be offered in a visit: the room of suggestions decides, this room says at which door."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.catalog.rules import ON_SITE
from app.dispatch.service.own_day import own_day
from app.outages.queries.open import Open, open_now
from app.outages.rules import Place, PlaceKind
from app.suggestions.service import Decided, Door, suggest
from app.visits import queries, rules
from app.visits.rules.installing import Hands, InstallNow, ToInstall, install_now
from app.workorders.models import WorkOrder
from app.workorders.rules import CLOSED, HELD
from app.worktypes.rules import WorkType

# Older orders of the customer say nothing about today.
LOOKING_BACK = timedelta(days=365)

# While one of these is open for the customer, what they hold is about to change.
CHANGES_SERVICES = frozenset({WorkType.INSTALL, WorkType.RELOCATE, WorkType.REMOVE})


@dataclass(frozen=True)
class AtTheDoor:
    """What was decided, the kind of work one has come for, and what can be installed in this visit,
    by the offering's code."""

    decided: Decided
    work_type: WorkType
    installs: Mapping[str, InstallNow]


async def suggestions_for(
    tx: AsyncSession, visit_id: UUID, caller: Caller, now: datetime
) -> AtTheDoor:
    """Decide what to offer in a technician's own visit, from setting out until it ends.

    Raises NotFound, VisitEnded, and CustomerNotKnown when the order names no customer.
    """
    technician_id = technician_of(caller)
    visit = await queries.own(tx, visit_id, technician_id)
    order = await tx.get_one(WorkOrder, visit.work_order_id)
    if visit.ended_at is not None or order.state not in HELD:
        raise rules.VisitEnded(
            ended_at=visit.ended_at or order.completed_at, outcome=visit.outcome or order.state
        )
    if order.customer_id is None:
        raise rules.CustomerNotKnown()
    known = await queries.behind_the_door(tx, order.customer_id, now - LOOKING_BACK, now)
    others = [other for other in known.orders if other.id != order.id]
    door = Door(
        visit_id=visit.id,
        work_order_id=order.id,
        customer_id=order.customer_id,
        technician_id=technician_id,
        began_at=visit.travel_started_at,
        work_type=order.work_type.value,
        reported_at=order.reported_at,
        restored=visit.restored_at is not None,
        order_pending=any(
            other.state not in CLOSED and other.work_type in CHANGES_SERVICES for other in others
        ),
        other_repairs_at=[
            other.reported_at for other in others if other.work_type is WorkType.REPAIR
        ],
        org_path=caller.org_path,
        zone=await queries.zone_of_unit(tx, order.org_unit_id),
        outage=any(_reaches(one, order) for one in await open_now(tx)),
    )
    decided = await suggest(tx, door, now)
    return AtTheDoor(decided, order.work_type, await _installs(tx, decided, caller, now))


async def _installs(
    tx: AsyncSession, decided: Decided, caller: Caller, now: datetime
) -> dict[str, InstallNow]:
    """Say of each offer that is shown whether it can be had with this visit.

    A line that runs has its port; only a new one needs another.
    """
    shown = [
        decided.catalogue[one.offering_code] for one in decided.candidates if one.rank is not None
    ]
    facts = decided.decision.facts
    hands = None
    if any(offering.install_minutes is not None for offering in shown):
        day = await own_day(tx, technician_of(caller), caller, now=now)
        hands = Hands(day.skills, day.free_minutes, day.in_van)
    return {
        offering.code: install_now(
            ToInstall(
                ON_SITE[offering.business_type],
                offering.skill,
                offering.install_minutes,
                offering.terminal_kind,
                needs_port=offering.speed_mbps is not None and facts.get("speed_mbps") is None,
            ),
            hands,
            port_free=facts.get("port_free"),
        )
        for offering in shown
    }


def _reaches(outage: Open, order: WorkOrder) -> bool:
    """Tell whether an outage that is open reaches the customer of an order, as far as is known."""
    return outage.id == order.outage_id or (
        order.customer_id in outage.behind
        or outage.place == Place(PlaceKind.GRID, str(order.grid_id))
    )
