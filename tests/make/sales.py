"""A technician at a customer's door, and sales made there: the smallest honest ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import Caller, Role
from app.core.db import new_id
from app.customers.models import Customer
from app.sales import queries, service
from app.sales.models import Sale, SaleItem
from app.sales.rules import ConsentKind, Line, SaleState, shown_hash
from app.sales.service.agreed import shown_of
from app.suggestions.queries.outcomes import CAME_BACK
from app.technicians.models import Technician
from app.visits.models import Visit
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import caller_for, make_account, make_org_unit
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.technicians import make_technician

SIGNATURE = {"image_sha256": "9f" * 32, "stroke_sha256": "5c" * 32, "stroke_count": 14}


@dataclass(frozen=True)
class Door:
    """Who stands at whose door, and in which visit."""

    branch: OrgUnit
    technician: Technician
    seller: Caller
    customer: Customer
    order: WorkOrder
    visit: Visit


async def make_door(
    tx: AsyncSession,
    *,
    now: datetime,
    branch: OrgUnit | None = None,
    checked_in: timedelta | None = timedelta(minutes=-10),
    ended: timedelta | None = None,
) -> Door:
    """Add a technician in a visit that was checked in and has ended so long from `now`, if so."""
    branch = branch or await make_org_unit(tx)
    technician = await make_technician(tx, org_unit=branch)
    account = await make_account(tx, branch, role=Role.TECHNICIAN, technician_id=technician.id)
    customer, order = await _make_repair(tx, branch, technician, now=now, ended=ended is not None)
    visit = Visit(
        work_order_id=order.id,
        technician_id=technician.id,
        travel_started_at=now - timedelta(minutes=30),
        checked_in_at=None if checked_in is None else now + checked_in,
        ended_at=None if ended is None else now + ended,
    )
    tx.add(visit)
    await tx.flush()
    seller = caller_for(Role.TECHNICIAN, branch, account_id=account.id, technician_id=technician.id)
    return Door(branch, technician, seller, customer, order, visit)


async def _make_repair(
    tx: AsyncSession, branch: OrgUnit, technician: Technician, *, now: datetime, ended: bool
) -> tuple[Customer, WorkOrder]:
    customer = await make_customer(tx, org_unit=branch)
    await make_address(tx, customer)
    # What is out of order is a line that they hold.
    await make_subscription(tx, customer)
    order = WorkOrder(
        org_unit_id=branch.id,
        source="test",
        external_id=new_id().hex,
        content_hash="",
        work_type=WorkType.REPAIR,
        state=State.COMPLETED if ended else State.ON_SITE,
        customer_id=customer.id,
        address="碧波园3栋2单元1203室",
        summary="宽带断网",
        estimated_minutes=60,
        reported_at=now - timedelta(hours=2),
        received_at=now - timedelta(hours=2),
        holder_id=technician.id,
    )
    tx.add(order)
    await tx.flush()
    return customer, order


async def make_door_beside(tx: AsyncSession, door: Door, *, now: datetime) -> Door:
    """Add the door of another customer, at which the same technician was until just now."""
    customer, order = await _make_repair(tx, door.branch, door.technician, now=now, ended=True)
    beside = replace(door, customer=customer, order=order)
    return replace(beside, visit=await make_another_visit(tx, beside, now=now))


async def make_another_visit(tx: AsyncSession, door: Door, *, now: datetime) -> Visit:
    """Add a visit to the same door that has just ended, so that a sale of it arrives late."""
    visit = Visit(
        work_order_id=door.order.id,
        technician_id=door.technician.id,
        travel_started_at=now - timedelta(minutes=30),
        checked_in_at=now - timedelta(minutes=10),
        ended_at=now,
    )
    tx.add(visit)
    await tx.flush()
    return visit


async def make_colleague(tx: AsyncSession, door: Door, *, now: datetime) -> Door:
    """Add another technician who is at the same customer for another order."""
    theirs = await make_door(tx, now=now, branch=door.branch)
    theirs.order.customer_id = door.customer.id
    await tx.flush()
    return replace(theirs, customer=door.customer)


async def make_draft(
    tx: AsyncSession,
    door: Door,
    *,
    now: datetime,
    sale_id: UUID | None = None,
    lines: Sequence[Line] = (Line("SPEED-1000", 1),),
) -> Sale:
    """Put a sale together as the phone does; its offerings must be in the catalogue.

    What the customer has bought already is sold to a neighbour, since nobody is sold a thing twice;
    anything else that is sold after another sale is made in a visit of its own.
    """
    agreed = (Sale.state != SaleState.DRAFT, Sale.customer_id == door.customer.id)
    stands = select(Sale.id).join(SaleItem, SaleItem.sale_id == Sale.id)
    stands = stands.where(
        *agreed,
        text(f"NOT {CAME_BACK}"),
        SaleItem.offering_code.in_([line.offering_code for line in lines]),
    )
    if await tx.scalar(stands.limit(1)):
        door = await make_door_beside(tx, door, now=now)
    elif await tx.scalar(select(Sale.id).where(*agreed, Sale.visit_id == door.visit.id).limit(1)):
        door = replace(door, visit=await make_another_visit(tx, door, now=now))
    return await service.put_together(
        tx,
        sale_id=sale_id or new_id(),
        visit_id=door.visit.id,
        lines=lines,
        caller=door.seller,
        now=now,
    )


async def agree(tx: AsyncSession, door: Door, sale_id: UUID, *, now: datetime) -> Sale:
    """Confirm a sale with the customer's signature as the phone does."""
    return await service.confirm(
        tx,
        sale_id=sale_id,
        kind=ConsentKind.SIGNATURE,
        given_at=now,
        evidence={**SIGNATURE, "shown_sha256": await shown(tx, sale_id)},
        caller=door.seller,
        now=now,
    )


async def make_confirmed(
    tx: AsyncSession,
    door: Door,
    *,
    now: datetime,
    lines: Sequence[Line] = (Line("SPEED-1000", 1),),
) -> Sale:
    """Put a sale together and confirm it; its job is told in the same transaction."""
    draft = await make_draft(tx, door, now=now, lines=lines)
    return await agree(tx, door, draft.id, now=now)


def sale_body(door: Door, *items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Write what a phone posts to /v1/sales; one SPEED-1000 unless told otherwise."""
    return {
        "id": str(new_id()),
        "visit_id": str(door.visit.id),
        "items": list(items) or [{"offering_code": "SPEED-1000"}],
        **fields,
    }


async def shown(session: AsyncSession, sale_id: UUID) -> str:
    """Hash what the customer of a sale is shown, as the phone does."""
    sale = await session.get_one(Sale, sale_id)
    items = (await queries.items_of(session, [sale_id]))[sale_id]
    return shown_hash(sale_id, sale.customer_id, shown_of(sale, items))


def consent_body(given_at: datetime, shown_sha256: str, **fields: Any) -> dict[str, Any]:
    """Write what a phone posts to confirm a sale with a signature under what was shown."""
    consent = {"kind": "signature", "given_at": given_at.isoformat(), **SIGNATURE, **fields}
    return {"consent": {**consent, "shown_sha256": shown_sha256}}


async def jobs_of(
    session: AsyncSession, event: str = "sale.confirmed", named: str = "sale_id"
) -> list[str]:
    """List the sales, or what else is named, that jobs of an event are waiting for, in the order
    they were told."""
    rows = await session.scalars(
        text(
            "SELECT args ->> :named FROM procrastinate_jobs"
            " WHERE task_name = :event AND status = 'todo' ORDER BY id"
        ),
        {"event": event, "named": named},
    )
    return list(rows)
