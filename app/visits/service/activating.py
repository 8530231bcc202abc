"""Opening the customer's line from the door: asking for it, going without, and testing the line."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.activation import queries as activations
from app.activation import service as activation
from app.activation.models import Activation, ActivationOverride
from app.activation.rules import LineNotKnown, Stated, Wanted
from app.auth.callers import Caller, technician_of
from app.visits import queries
from app.visits.service.steps import at_the_door
from app.workorders.models import WorkOrder


async def activate(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    activation_id: UUID,
    wanted: Wanted,
    device_at: datetime,
    now: datetime,
) -> Activation:
    """Ask for the line of a visit's order to be opened with a terminal; the answer comes later.

    The same ask again is answered as it stands by then. Raises NotFound, VisitEnded, NotAtTheDoor,
    Invalid without a line, ActivationUnderWay, and SameIdOtherContent for a used id.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    if known := await activation.repeated(tx, activation_id, visit_id=visit_id, wanted=wanted):
        return known
    order = await at_the_door(tx, visit, caller)
    # The order's lock is held now: the same ask may have been waited for.
    if known := await activation.repeated(tx, activation_id, visit_id=visit_id, wanted=wanted):
        return known
    return await activation.ask(
        tx,
        order,
        activation_id=activation_id,
        visit_id=visit_id,
        technician_id=visit.technician_id,
        wanted=wanted,
        device_at=device_at,
        now=now,
    )


async def go_without(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    override_id: UUID,
    stated: Stated,
    device_at: datetime,
    now: datetime,
) -> ActivationOverride:
    """Let a visit's order go without activation, for a cause that supervisors see.

    Raises NotFound, VisitEnded, NotAtTheDoor, Invalid when a note is needed, and
    SameIdOtherContent for a used id.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    if known := await activation.overridden_before(
        tx, override_id, visit_id=visit_id, stated=stated
    ):
        return known
    order = await at_the_door(tx, visit, caller)
    if known := await activation.overridden_before(
        tx, override_id, visit_id=visit_id, stated=stated
    ):
        return known
    return await activation.override(
        tx,
        order,
        override_id=override_id,
        visit_id=visit_id,
        technician_id=visit.technician_id,
        stated=stated,
        device_at=device_at,
        now=now,
    )


class LineNamed(NamedTuple):
    """How the platform is to find a line."""

    loid: str | None
    service_number: str | None


async def line_to_test(
    session: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    loid: str | None,
    service_number: str | None,
) -> LineNamed:
    """Say which line a technician means: the one named, else the one last asked for, else the
    order's. Raises NotFound for others' visits and LineNotKnown when there is none."""
    visit = await queries.own(session, visit_id, technician_of(caller))
    if loid or service_number:
        return LineNamed(loid, service_number)
    for asked in await activations.of_order(session, visit.work_order_id, caller):
        return LineNamed(asked.loid, asked.service_number)
    order = await session.get_one(WorkOrder, visit.work_order_id)
    if not order.service_number:
        raise LineNotKnown()
    return LineNamed(None, order.service_number)
