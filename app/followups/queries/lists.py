"""Lists of follow-ups for supervisors: answers, and calls that are to be made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Result, Row, func, or_, select, text, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.customers.models import Customer
from app.followups.models import FollowUp
from app.followups.rules import FollowUpChannel, FollowUpState
from app.technicians.models import Technician
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units

_SHOWN = (
    *(
        each
        for each in FollowUp.__table__.columns
        if each.name not in ("token_hash", "answer_hash", "created_at", "rule_id")
    ),
    WorkOrder.work_type,
    WorkOrder.external_id,
    WorkOrder.contact_name,
    Technician.name.label("technician_name"),
)


def _shown(ids: Any) -> Any:
    """Begin the statement that reads the rows of some ids with what is shown beside them."""
    return (
        select(*_SHOWN)
        .select_from(ids)
        .join(FollowUp, FollowUp.id == ids.c.follow_up_id)
        .join(WorkOrder, WorkOrder.id == FollowUp.work_order_id)
        .join(Technician, Technician.id == FollowUp.technician_id)
    )


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    state: FollowUpState | None = None,
    channel: FollowUpChannel | None = None,
    technician_id: UUID | None = None,
    mark_at_most: int | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` follow-ups of the caller's subtree, by completion, the latest first.

    `after` is the key (completed_at, id) of the last row of the page before.
    """
    wanted: list[Any] = []
    if state is not None:
        wanted.append(FollowUp.state == state)
    if channel is not None:
        wanted.append(FollowUp.channel == channel)
    if mark_at_most is not None:
        wanted.append(FollowUp.mark <= mark_at_most)
    if after is not None:
        wanted.append(tuple_(FollowUp.completed_at, FollowUp.id) < tuple_(*after))
    latest = (FollowUp.completed_at.desc(), FollowUp.id.desc())
    units = (await org_units(session, ids=[caller.org_unit_id])).within(caller.org_path)
    if technician_id is not None:
        # One person's follow-ups have an index of their own.
        wanted += [FollowUp.technician_id == technician_id, FollowUp.org_unit_id.in_(units)]
        one = select(FollowUp.id.label("follow_up_id")).where(*wanted).order_by(*latest)
        found = _shown(one.limit(size + 1).subquery()).order_by(*latest)
        return (await session.execute(found)).all()
    return await _of_units(session, units, wanted, FollowUp.completed_at, latest=True, size=size)


_WAITING_CALL = text("follow_up.state = 'waiting' AND follow_up.channel = 'call'")


async def calls(
    session: AsyncSession,
    caller: Caller,
    now: datetime,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` calls that the caller could make now, the one waiting longest first.

    What others have claimed is left out. `after` is the key (ask_at, id) of the page before.
    """
    free = or_(
        FollowUp.claimed_until.is_(None),
        FollowUp.claimed_until <= now,
        FollowUp.claimed_by == caller.account_id,
    )
    wanted: list[Any] = [_WAITING_CALL, FollowUp.ask_at <= now, FollowUp.expires_at > now, free]
    if after is not None:
        wanted.append(tuple_(FollowUp.ask_at, FollowUp.id) > tuple_(*after))
    units = (await org_units(session, ids=[caller.org_unit_id])).within(caller.org_path)
    return await _of_units(session, units, wanted, FollowUp.ask_at, latest=False, size=size)


async def _of_units(
    session: AsyncSession,
    units: list[UUID],
    wanted: list[Any],
    key: Any,
    *,
    latest: bool,
    size: int,
) -> Sequence[Row[Any]]:
    """Read the first rows of all units by a key and the id, the latest or the earliest first."""
    order = (key.desc(), FollowUp.id.desc()) if latest else (key, FollowUp.id)
    # One look into the index for each org unit: PostgreSQL does not merge their parts of it.
    unit = func.unnest(units).table_valued("id").render_derived()
    ids = (
        select(FollowUp.id.label("follow_up_id"), key.label("key"))
        .where(FollowUp.org_unit_id == unit.c.id, *wanted)
        .order_by(*order)
        .limit(size + 1)
        .correlate(unit)
        .lateral()
    )
    # The page is cut before its rows are read in full.
    edge = (ids.c.key, ids.c.follow_up_id)
    first = tuple(each.desc() for each in edge) if latest else edge
    cut = select(ids.c.follow_up_id).select_from(unit.join(ids, true()))
    found = _shown(cut.order_by(*first).limit(size + 1).subquery()).order_by(*order)
    return (await session.execute(found)).all()


async def phone_of(session: AsyncSession, work_order_id: UUID) -> Row[Any]:
    """Read name and number of whom an order's follow-up calls, unmasked."""
    found: Result[Any] = await session.execute(
        select(
            func.coalesce(WorkOrder.contact_name, Customer.name).label("name"),
            func.coalesce(WorkOrder.contact_phone, Customer.phone).label("phone"),
        )
        .outerjoin(Customer, Customer.id == WorkOrder.customer_id)
        .where(WorkOrder.id == work_order_id)
    )
    return found.one()
