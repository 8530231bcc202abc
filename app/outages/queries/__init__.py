"""Reads of outages that have a name: one to change it, those that are open, what is found where."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.outages.models import Outage
from app.outages.rules import OPEN, Known, OutageState, Place
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units

# --- one, to change it ----------------------------------------------------------------------------


async def for_change(tx: AsyncSession, outage_id: UUID, caller: Caller | None = None) -> Outage:
    """Take an outage under its row lock until the transaction ends.

    Raises NotFound when it does not exist or lies outside the caller's subtree.
    """
    outage = await tx.get(Outage, outage_id, with_for_update=True, populate_existing=True)
    if outage is None or not (caller is None or await within(tx, outage.org_unit_id, caller)):
        raise NotFound()
    return outage


async def within(session: AsyncSession, org_unit_id: UUID, caller: Caller) -> bool:
    """Tell whether an org unit lies in a caller's subtree."""
    units = await org_units(session, ids=[org_unit_id])
    return units.by_id[org_unit_id].path.startswith(caller.org_path)


async def open_at(session: AsyncSession, place: Place) -> Outage | None:
    """Find the open outage of a place."""
    found: Outage | None = await session.scalar(
        select(Outage).where(
            Outage.place_kind == place.kind,
            Outage.place_key == place.key,
            Outage.state.in_(OPEN),
        )
    )
    return found


async def of_parent(session: AsyncSession, order_id: UUID) -> UUID | None:
    """Say which outage an order is worked on for in place of many; None: it is an order like any
    other."""
    found: UUID | None = await session.scalar(
        select(Outage.id).where(Outage.parent_order_id == order_id)
    )
    return found


# --- what is open ---------------------------------------------------------------------------------


async def proposed_in(tx: AsyncSession, district_path: str) -> list[Known]:
    """Read the proposals of a district and their orders, under their row locks."""
    rows = (
        await tx.execute(
            select(Outage.id, Outage.place_kind, Outage.place_key, Outage.since, Outage.surprise)
            .join(OrgUnit, OrgUnit.id == Outage.org_unit_id)
            .where(
                Outage.ended_at.is_(None),
                Outage.state == OutageState.PROPOSED,
                OrgUnit.path.startswith(district_path, autoescape=True),
            )
            .order_by(Outage.id)
            .with_for_update(of=Outage)
        )
    ).all()
    orders: dict[UUID | None, set[UUID]] = {row.id: set() for row in rows}
    if rows:
        theirs = select(WorkOrder.outage_id, WorkOrder.id).where(WorkOrder.outage_id.in_(orders))
        for outage_id, order_id in await tx.execute(theirs):
            orders[outage_id].add(order_id)
    return [
        Known(
            row.id,
            Place(row.place_kind, row.place_key),
            row.since,
            row.surprise or 0.0,
            frozenset(orders[row.id]),
        )
        for row in rows
    ]


async def undecided(tx: AsyncSession) -> Sequence[Outage]:
    """Take the proposals that nobody has decided on under their row locks."""
    found = await tx.scalars(
        select(Outage)
        .where(Outage.ended_at.is_(None), Outage.state == OutageState.PROPOSED)
        .order_by(Outage.id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def left_held(session: AsyncSession, before: datetime) -> Sequence[UUID]:
    """List the outages that were over before a moment and still hold orders."""
    found = await session.scalars(_LEFT_HELD, {"before": before})
    return found.all()


_LEFT_HELD = text(
    """
    SELECT DISTINCT u.id FROM work_order o JOIN outage u ON u.id = o.outage_id
    WHERE o.state = 'unplaced' AND o.unplaced_reason = 'outage' AND u.ended_at < :before
    """
)


async def quiet_places(session: AsyncSession, now: datetime) -> set[Place]:
    """Read the places that are not proposed for now, since a proposal was dismissed."""
    rows = await session.execute(
        select(Outage.place_kind, Outage.place_key).where(
            Outage.quiet_until.is_not(None), Outage.quiet_until > now
        )
    )
    return {Place(kind, key) for kind, key in rows}


async def confirmed(session: AsyncSession) -> dict[Place, UUID]:
    """Read the confirmed outages by their places, as they are at this moment."""
    rows = await session.execute(
        select(Outage.place_kind, Outage.place_key, Outage.id).where(
            Outage.ended_at.is_(None), Outage.state == OutageState.CONFIRMED
        )
    )
    return {Place(kind, key): outage_id for kind, key, outage_id in rows}


async def holding(session: AsyncSession, outage_ids: Collection[UUID]) -> set[UUID]:
    """Say which of these outages hold their orders: those that are confirmed and not over."""
    if not outage_ids:
        return set()
    rows = await session.scalars(
        select(Outage.id).where(Outage.id.in_(outage_ids), Outage.state == OutageState.CONFIRMED)
    )
    return set(rows)
