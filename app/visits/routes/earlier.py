"""The doorway to what was done for an order before."""

from uuid import UUID

from app.core.db import Read
from app.core.doorways import Router
from app.visits.routes.callers import Reader
from app.visits.schemas.earlier import EarlierVisitsOut
from app.visits.service.earlier import visits_of

router = Router(prefix="/v1", tags=["visits"])


@router.get("/work-orders/{work_order_id}/visits", operation_id="visits_of_order")
async def visits_of_order(work_order_id: UUID, reader: Reader, read: Read) -> EarlierVisitsOut:
    """List the visits for an order so far: what was found, done and measured, by whom, and why it
    ended. For the technician who has the order, and for supervisors."""
    return EarlierVisitsOut.of(*await visits_of(read, work_order_id, reader))
