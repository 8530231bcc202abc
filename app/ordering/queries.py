"""Reads and locks of deliveries, and the sale as the ordering system will see it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Row,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.auth.callers import Caller, subtree
from app.catalog.models import ProductOffering
from app.core.db import new_id
from app.core.errors import NotFound
from app.customers.models import Customer
from app.customers.queries import served_at
from app.dispatch.models import AppointmentChange, AppointmentHold
from app.dispatch.rules import HoldState
from app.feasibility.models import SameVisitInstall
from app.ordering import correcting
from app.ordering.delivery import ChangeKind, ChangeState, SyncState
from app.ordering.models import (
    CHANGE_OPEN,
    STILL_OPEN,
    OrderChange,
    OrderingListener,
    OrderSync,
)
from app.ordering.order import (
    BY_THE_SELLER,
    INSTALL_ORDER,
    INSTALLED_BY,
    Channel,
    Characteristic,
    Item,
    ItemAction,
    OrderToPlace,
    OrderUnfit,
    Party,
    Place,
    Price,
    PriceKind,
)
from app.sales.models import Sale, SaleItem
from app.sales.rules import Discount, SaleState
from app.technicians.models import Technician
from app.workorders.models import WorkOrder

CATEGORY = "visit_sale"
CHANNEL = Channel(id="field-visit", name="装维随销")


async def for_change(tx: AsyncSession, sale_id: UUID) -> OrderSync | None:
    """Lock the delivery of a sale until the transaction ends; None when it has none yet."""
    return (await tx.scalars(_FOR_CHANGE, {"sale_id": sale_id})).one_or_none()


_FOR_CHANGE = select(OrderSync).where(OrderSync.sale_id == bindparam("sale_id")).with_for_update()


async def begin_delivery(tx: AsyncSession, sale_id: UUID) -> OrderSync | None:
    """Make the delivery of a confirmed sale, locked; None when there is one, or no such sale."""
    confirmed = select(
        literal(new_id(), OrderSync.id.type),
        Sale.id,
        Sale.org_unit_id,
        literal(SyncState.WAITING, OrderSync.state.type),
    ).where(Sale.id == sale_id, Sale.confirmed_at.is_not(None))
    return (
        await tx.scalars(
            upsert(OrderSync)
            .from_select(["id", "sale_id", "org_unit_id", "state"], confirmed)
            .on_conflict_do_nothing(index_elements=[OrderSync.sale_id])
            .returning(OrderSync)
        )
    ).one_or_none()


async def for_change_by_remote(tx: AsyncSession, remote_id: str) -> OrderSync | None:
    """Lock the delivery that the other side knows by an id of its own; None when it is not ours."""
    return (
        await tx.scalars(
            select(OrderSync).where(OrderSync.remote_id == remote_id).with_for_update().limit(1)
        )
    ).one_or_none()


async def for_change_by_caller(tx: AsyncSession, sync_id: UUID, caller: Caller) -> OrderSync:
    """Lock a delivery in the caller's part of the organisation. Raises NotFound."""
    sync = (
        await tx.scalars(
            select(OrderSync)
            .where(OrderSync.id == sync_id, subtree(OrderSync.org_unit_id, caller))
            .with_for_update()
        )
    ).one_or_none()
    if sync is None:
        raise NotFound(order_sync_id=sync_id)
    return sync


async def due(session: AsyncSession, state: SyncState, limit: int) -> Sequence[UUID]:
    """List the sales whose delivery is in a state and has something to do now, longest due
    first."""
    return (await session.scalars(_DUE, {"state": state, "limit": limit})).all()


_DUE = (
    select(OrderSync.sale_id)
    .where(
        STILL_OPEN,
        OrderSync.state == bindparam("state", type_=OrderSync.state.type),
        # Of the statement and not of the moment, or no index could serve.
        OrderSync.next_try_at <= func.statement_timestamp(),
    )
    .order_by(OrderSync.next_try_at)
    .limit(bindparam("limit"))
)


async def forgotten(session: AsyncSession, before: datetime, limit: int) -> Sequence[UUID]:
    """List confirmed sales without a delivery, confirmed before a moment (business time).

    There are none while the job queue works; this is the net under it.
    """
    return (
        await session.scalars(
            select(Sale.id)
            .where(
                Sale.state == SaleState.CONFIRMED,
                Sale.confirmed_at < before,
                ~exists().where(OrderSync.sale_id == Sale.id),
            )
            .order_by(Sale.confirmed_at)
            .limit(limit)
        )
    ).all()


async def order_to_place(session: AsyncSession, sale_id: UUID) -> OrderToPlace:
    """Read a sale as an order in our own words. Raises NotFound, OrderUnfit."""
    order = (await orders_to_place(session, [sale_id])).get(sale_id)
    if order is None:
        raise NotFound(sale_id=sale_id)
    if isinstance(order, OrderUnfit):
        raise order
    return order


async def orders_to_place(
    session: AsyncSession, sale_ids: Sequence[UUID]
) -> dict[UUID, OrderToPlace | OrderUnfit]:
    """Read confirmed sales as orders in our own words, each with its items, in two statements."""
    heads = (await session.execute(_HEADS, {"sale_ids": [*sale_ids]})).all()
    items: dict[UUID, list[Row[*tuple[Any, ...]]]] = {}
    for row in await session.execute(_ITEMS, {"sale_ids": [*sale_ids]}):
        items.setdefault(row.sale_id, []).append(row)
    found: dict[UUID, OrderToPlace | OrderUnfit] = {}
    for head in heads:
        try:
            found[head.id] = _order(head, items.get(head.id, ()))
        except OrderUnfit as unfit:
            found[head.id] = unfit
    return found


def _order(head: Row[*tuple[Any, ...]], items: Sequence[Row[*tuple[Any, ...]]]) -> OrderToPlace:
    """Write a sale as an order, with what a person has corrected. Raises OrderUnfit."""
    put = correcting.read(head.corrections or {})
    address = put.address_number or head.address_code
    place = Place(id=address, name=head.address) if address else None
    return OrderToPlace(
        external_id=str(head.id),
        category=CATEGORY,
        requested_start=put.requested_start or head.appointment_from or head.confirmed_at,
        customer=Party(id=put.customer_number or head.customer_code, name=head.customer_name),
        sales_agent=Party(
            id=put.technician_number or head.technician_code, name=head.technician_name
        ),
        channel=CHANNEL,
        items=tuple(_item(row, place, head.install_order_id, head.appointment_id) for row in items),
        note=put.note or head.note,
        requested_completion=head.install_due_at,
    )


# The order in whose visit it was sold says at which door the customer has it.
_VISITED = aliased(WorkOrder)
# Asked for only of sales that did not keep it when they were confirmed.
_ADDRESS = (
    served_at(Sale.customer_id, service_number=_VISITED.service_number, address=_VISITED.address)
    .where(Sale.place_code.is_(None))
    .lateral()
)
# The slot that the sale booked: one that nobody has used in time is no appointment any more. Where
# the install order that has taken its place was moved since, what it was moved to last counts.
_BOOKED, _APPOINTMENT = aliased(AppointmentHold), aliased(AppointmentHold)
_IS_BOOKED = and_(
    _BOOKED.id == Sale.appointment_hold_id,
    _BOOKED.state.in_((HoldState.HELD, HoldState.CONFIRMED)),
)
_MOVED = (
    select(AppointmentChange.hold_id)
    .where(AppointmentChange.work_order_id == _BOOKED.work_order_id)
    .order_by(AppointmentChange.id.desc())
    .limit(1)
    .lateral()
)
# As one array: a list of marks would be another statement for every number of sales.
_SALE_IDS = bindparam("sale_ids", type_=ARRAY(Uuid()))
_HEADS = (
    select(
        Sale.id,
        Sale.confirmed_at,
        Sale.note,
        OrderSync.corrections,
        Customer.code.label("customer_code"),
        Customer.name.label("customer_name"),
        Technician.code.label("technician_code"),
        Technician.name.label("technician_name"),
        func.coalesce(Sale.place_code, _ADDRESS.c.code).label("address_code"),
        func.coalesce(Sale.place_address, _ADDRESS.c.standard_address).label("address"),
        SameVisitInstall.work_order_id.label("install_order_id"),
        WorkOrder.due_at.label("install_due_at"),
        _APPOINTMENT.id.label("appointment_id"),
        _APPOINTMENT.begins_at.label("appointment_from"),
    )
    .join(Customer, Customer.id == Sale.customer_id)
    .join(Technician, Technician.id == Sale.technician_id)
    .join(_VISITED, _VISITED.id == Sale.work_order_id)
    .outerjoin(_ADDRESS, true())
    .outerjoin(OrderSync, OrderSync.sale_id == Sale.id)
    # One that was called off is the other side's to install again.
    .outerjoin(
        SameVisitInstall,
        and_(SameVisitInstall.sale_id == Sale.id, SameVisitInstall.gone_at.is_(None)),
    )
    .outerjoin(WorkOrder, WorkOrder.id == SameVisitInstall.work_order_id)
    .outerjoin(_BOOKED, _IS_BOOKED)
    .outerjoin(_MOVED, true())
    .outerjoin(_APPOINTMENT, _APPOINTMENT.id == func.coalesce(_MOVED.c.hold_id, _BOOKED.id))
    .where(Sale.id == func.any(_SALE_IDS), Sale.confirmed_at.is_not(None))
)
_ITEMS = (
    select(
        SaleItem.sale_id,
        SaleItem.position,
        SaleItem.offering_code,
        SaleItem.quantity,
        SaleItem.monthly_price_fen,
        SaleItem.one_off_price_fen,
        SaleItem.discount_percent,
        SaleItem.discount_months,
        SaleItem.reversed_at,
        ProductOffering.name_zh,
        ProductOffering.speed_mbps,
        ProductOffering.install_minutes,
    )
    .join(ProductOffering, ProductOffering.id == SaleItem.offering_id)
    .where(SaleItem.sale_id == func.any(_SALE_IDS))
    .order_by(SaleItem.sale_id, SaleItem.position)
)


def _item(
    row: Row[*tuple[Any, ...]],
    place: Place | None,
    install_order_id: UUID | None,
    appointment_id: UUID | None,
) -> Item:
    monthly_fen = row.monthly_price_fen * row.quantity
    discount = Discount.of(row.discount_percent, row.discount_months)
    prices = [Price(PriceKind.MONTHLY, monthly_fen, discount=discount)]
    if row.one_off_price_fen:
        prices.append(Price(PriceKind.ONE_TIME, row.one_off_price_fen * row.quantity))
    properties = [Characteristic("speed_mbps", row.speed_mbps)] if row.speed_mbps else []
    if install_order_id is not None and row.install_minutes is not None:
        properties += [
            Characteristic(INSTALLED_BY, BY_THE_SELLER),
            Characteristic(INSTALL_ORDER, str(install_order_id)),
        ]
    return Item(
        id=str(row.position),
        # What was taken back alone is told with every amendment from then on.
        action=ItemAction.ADD if row.reversed_at is None else ItemAction.DELETE,
        offering_code=row.offering_code,
        offering_name=row.name_zh,
        quantity=row.quantity,
        characteristics=tuple(properties),
        place=place,
        prices=tuple(prices),
        appointment_id=(
            str(appointment_id) if appointment_id and row.install_minutes is not None else None
        ),
    )


async def open_change(tx: AsyncSession, sale_id: UUID) -> OrderChange | None:
    """Lock the change of a sale's order that is under way; None when none is."""
    return (await tx.scalars(_OPEN_CHANGE, {"sale_id": sale_id})).one_or_none()


_OPEN_CHANGE = (
    select(OrderChange)
    .where(OrderChange.sale_id == bindparam("sale_id"), CHANGE_OPEN)
    .with_for_update()
)


async def notes_told(session: AsyncSession, sale_id: UUID) -> list[tuple[str, str]]:
    """List the notes that amendments of a sale's order have told, the first one first, by the ids
    they have on the other side."""
    rows = await session.execute(_NOTES_TOLD, {"sale_id": sale_id})
    return [(str(id_), note or "") for id_, note in rows]


_NOTES_TOLD = (
    select(OrderChange.id, OrderChange.note)
    .where(
        OrderChange.sale_id == bindparam("sale_id"),
        OrderChange.state == ChangeState.DONE,
        OrderChange.note.is_not(None),
    )
    .order_by(OrderChange.asked_at, OrderChange.id)
)


class Appointment(NamedTuple):
    """When the install of a sale begins that was booked with it, by the hold that keeps it."""

    hold_id: UUID
    begins_at: datetime


async def booked_for(session: AsyncSession, work_order_id: UUID) -> UUID | None:
    """Find the sale whose booked slot an install order has taken the place of.

    Others may have had the slot before it: what was put together and never agreed to, and what was
    agreed to earlier and gave it back.
    """
    return (
        await session.scalars(
            select(Sale.id)
            .join(AppointmentHold, AppointmentHold.id == Sale.appointment_hold_id)
            .where(AppointmentHold.work_order_id == work_order_id, Sale.confirmed_at.is_not(None))
            .order_by(Sale.confirmed_at.desc())
            .limit(1)
        )
    ).first()


async def appointment_of(session: AsyncSession, sale_id: UUID) -> Appointment | None:
    """Read the appointment of a sale's install as it is now; None where it has none."""
    row = (await session.execute(_APPOINTMENT_OF, {"sale_id": sale_id})).one_or_none()
    return None if row is None else Appointment(*row)


_APPOINTMENT_OF = (
    select(_APPOINTMENT.id, _APPOINTMENT.begins_at)
    .select_from(Sale)
    .join(_BOOKED, _IS_BOOKED)
    .outerjoin(_MOVED, true())
    .join(_APPOINTMENT, _APPOINTMENT.id == func.coalesce(_MOVED.c.hold_id, _BOOKED.id))
    .where(Sale.id == bindparam("sale_id"))
)


async def asked_by_ourselves(
    tx: AsyncSession,
    sale_id: UUID,
    kind: ChangeKind,
    *,
    item_id: UUID | None = None,
    hold_id: UUID | None = None,
) -> bool:
    """Tell whether this system has asked for a change of a sale's order by itself, of one item, of
    the appointment or of the whole of it, however that ended."""
    asked = select(
        exists().where(
            OrderChange.sale_id == sale_id,
            OrderChange.kind == kind,
            OrderChange.asked_by.is_(None),
            OrderChange.sale_item_id.is_not_distinct_from(item_id),
            OrderChange.appointment_hold_id.is_not_distinct_from(hold_id),
        )
    )
    return bool(await tx.scalar(asked))


async def change_for_change(tx: AsyncSession, change_id: UUID) -> OrderChange | None:
    """Lock a change until the transaction ends; None when there is none with this id."""
    return await tx.get(OrderChange, change_id, with_for_update=True)


async def sale_of_remote_task(tx: AsyncSession, task_id: str, order_id: str | None) -> UUID | None:
    """Find the sale whose cancellation the other side knows by an id of its own."""
    by_task = select(OrderChange.sale_id).where(OrderChange.remote_id == task_id)
    found = (await tx.scalars(by_task.order_by(OrderChange.asked_at.desc()).limit(1))).first()
    if found is None and order_id is not None:
        by_order = select(OrderSync.sale_id).where(OrderSync.remote_id == order_id).limit(1)
        found = (await tx.scalars(by_order)).first()
    return found


async def due_changes(session: AsyncSession, limit: int) -> Sequence[UUID]:
    """List the changes that have something to do now, longest due first."""
    return (
        await session.scalars(
            select(OrderChange.id)
            .where(CHANGE_OPEN, OrderChange.next_try_at <= func.statement_timestamp())
            .order_by(OrderChange.next_try_at)
            .limit(limit)
        )
    ).all()


async def changes_of(session: AsyncSession, sale_id: UUID) -> Sequence[OrderChange]:
    """List what was asked of a sale's order, the latest first; at most a hundred."""
    return (
        await session.scalars(
            select(OrderChange)
            .where(OrderChange.sale_id == sale_id)
            .order_by(OrderChange.asked_at.desc())
            .limit(100)
        )
    ).all()


async def listeners(session: AsyncSession) -> Sequence[OrderingListener]:
    """List our listeners, one an ordering system."""
    return (
        await session.scalars(select(OrderingListener).order_by(OrderingListener.base_url))
    ).all()
