"""What may be offered in a visit: the room of suggestions decides, this room says at which door."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.outages.queries.open import Open, open_now
from app.outages.rules import Place, PlaceKind
from app.suggestions.service import Decided, Door, suggest
from app.visits import queries, rules
from app.workorders.models import WorkOrder
from app.workorders.rules import CLOSED, HELD
from app.worktypes.rules import WorkType

# Older orders of the customer say nothing about today.
LOOKING_BACK = timedelta(days=365)

# While one of these is open for the customer, what they hold is about to change.
CHANGES_SERVICES = frozenset({WorkType.INSTALL, WorkType.RELOCATE, WorkType.REMOVE})


async def suggestions_for(
    tx: AsyncSession, visit_id: UUID, caller: Caller, now: datetime
) -> Decided:
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
    return await suggest(tx, door, now)


def _reaches(outage: Open, order: WorkOrder) -> bool:
    """Tell whether an outage that is open reaches the customer of an order, as far as is known."""
    return outage.id == order.outage_id or (
        order.customer_id in outage.behind
        or outage.place == Place(PlaceKind.GRID, str(order.grid_id))
    )
