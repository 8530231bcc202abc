"""What was done for an order before: its visits, for whoever has it now and for supervisors."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.auth.rules import Role
from app.core.errors import NotFound
from app.visits import queries
from app.visits.queries import Earlier
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units


async def visits_of(
    read: AsyncSession, order_id: UUID, caller: Caller
) -> tuple[Sequence[Earlier], int]:
    """Read an order's visits, and how often nobody was at home: for the technician who has it, and
    for supervisors of its unit.

    Raises NotFound for everybody else.
    """
    order = await read.get(WorkOrder, order_id)
    if order is None or not (
        await seen_by(read, order, caller)
        or (caller.technician_id and await queries.assisted(read, caller.technician_id, [order_id]))
    ):
        raise NotFound()
    return await queries.visits_for(read, order_id), order.absences


async def seen_by(read: AsyncSession, order: WorkOrder, caller: Caller) -> bool:
    """Tell whether an order is a technician's own, or of a supervisor's subtree."""
    if caller.role is Role.TECHNICIAN:
        return caller.technician_id is not None and order.holder_id == caller.technician_id
    units = await org_units(read, ids=[order.org_unit_id])
    return units.by_id[order.org_unit_id].path.startswith(caller.org_path)
