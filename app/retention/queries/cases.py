"""Reads of cases, and the row locks under which they change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Row,
    Uuid,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.auth.callers import subtree
from app.auth.rules import Caller, Role
from app.core.errors import NotFound
from app.customers.models import Customer
from app.retention.models import RetentionCase
from app.retention.rules import CaseState, Cause, Handling
from app.retention.rules.cases import BY_PROFILE
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units

_SHOWN = (
    *RetentionCase.__table__.columns,
    Customer.code.label("customer_code"),
    Customer.name.label("customer_name"),
    Customer.phone.label("customer_phone"),
    WorkOrder.state.label("order_state"),
    WorkOrder.holder_id,
    WorkOrder.planned_day,
)


def _within(caller: Caller) -> Any:
    """Make the condition that a case is the caller's: in their subtree, and a technician's own."""
    inside = subtree(RetentionCase.org_unit_id, caller)
    if caller.role is not Role.TECHNICIAN:
        return inside
    order = aliased(WorkOrder)  # beside the one that is shown
    held = exists().where(
        order.id == RetentionCase.work_order_id, order.holder_id == caller.technician_id
    )
    return inside & or_(RetentionCase.technician_id == caller.technician_id, held)


async def for_change(tx: AsyncSession, case_id: UUID, caller: Caller) -> RetentionCase:
    """Lock a case. Raises NotFound outside the caller's subtree, and to technicians whose it is
    not."""
    case = await tx.scalar(
        select(RetentionCase)
        .where(RetentionCase.id == case_id, _within(caller))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if case is None:
        raise NotFound()
    return case


def _shown() -> Any:
    return (
        select(*_SHOWN)
        .select_from(RetentionCase)
        .join(Customer, Customer.id == RetentionCase.customer_id)
        .outerjoin(WorkOrder, WorkOrder.id == RetentionCase.work_order_id)
    )


async def one(session: AsyncSession, case_id: UUID, caller: Caller) -> Row[Any]:
    """Read a case with its customer and order. Raises NotFound like `for_change`."""
    found = await session.execute(_shown().where(RetentionCase.id == case_id, _within(caller)))
    row: Row[Any] | None = found.one_or_none()
    if row is None:
        raise NotFound()
    return row


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    state: CaseState | None = None,
    cause: Cause | None = None,
    handling: Handling | None = None,
    grid_id: UUID | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` cases of the caller's part, those decided last first."""
    wanted: list[Any] = []
    if state is not None:
        wanted.append(RetentionCase.state == literal_column(f"'{state.value}'"))
    if cause is not None:
        wanted.append(RetentionCase.cause == cause)
    if handling is not None:
        wanted.append(RetentionCase.handling == handling)
    if grid_id is not None:
        wanted.append(RetentionCase.grid_id == grid_id)
    if after is not None:
        wanted.append(tuple_(RetentionCase.decided_at, RetentionCase.id) < tuple_(*after))
    latest = (RetentionCase.decided_at.desc(), RetentionCase.id.desc())
    # One look into the index for each org unit: PostgreSQL does not merge their parts of it.
    units = (await org_units(session, ids=[caller.org_unit_id])).within(caller.org_path)
    unit = func.unnest(cast(units, ARRAY(Uuid))).table_valued("id").render_derived()
    ids = (
        select(RetentionCase.id.label("case_id"))
        .where(RetentionCase.org_unit_id == unit.c.id, *wanted)
        .order_by(*latest)
        .limit(size + 1)
        .correlate(unit)
        .lateral()
    )
    first = select(ids.c.case_id).select_from(unit.join(ids, true())).scalar_subquery()
    found = _shown().where(RetentionCase.id.in_(first)).order_by(*latest).limit(size + 1)
    return (await session.execute(found)).all()


async def mine(session: AsyncSession, technician_id: UUID, *, most: int) -> Sequence[Row[Any]]:
    """Read a technician's open cases: calls given to them, and visits whose order they hold."""
    held = (
        select(WorkOrder.id)
        .where(
            WorkOrder.holder_id == technician_id,
            WorkOrder.state.in_(["assigned", "acknowledged", "en_route", "on_site", "suspended"]),
        )
        .scalar_subquery()
    )
    found = (
        _shown()
        .where(
            RetentionCase.state == CaseState.OPEN,
            or_(
                RetentionCase.technician_id == technician_id,
                RetentionCase.work_order_id.in_(held),
            ),
        )
        .order_by(RetentionCase.ask_at, RetentionCase.id)
        .limit(most)
    )
    return (await session.execute(found)).all()


async def open_of(tx: AsyncSession, customer_id: UUID) -> RetentionCase | None:
    """Find a customer's open case."""
    return await tx.scalar(
        select(RetentionCase).where(
            RetentionCase.customer_id == customer_id, RetentionCase.state == CaseState.OPEN
        )
    )


async def of_order(tx: AsyncSession, order_id: UUID) -> RetentionCase | None:
    """Lock the open case whose visit a work order is."""
    return await tx.scalar(
        select(RetentionCase)
        .where(RetentionCase.work_order_id == order_id, RetentionCase.state == CaseState.OPEN)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


# A visit's case ends with its order; what nobody has done in time lapses. Who has chosen to have no
# personal ranking since is not called because of one.
_TIDY = text(
    """
    WITH over AS (
        SELECT r.id, CASE WHEN o.state = 'cancelled' OR ranked.no THEN 'dropped'
            WHEN o.state IN ('completed', 'archived') THEN 'done' ELSE 'lapsed' END AS became
        FROM retention_case r LEFT JOIN work_order o ON o.id = r.work_order_id
        CROSS JOIN LATERAL (
            SELECT r.handling = 'call' AND r.cause = ANY(CAST(:by_profile AS text[]))
                AND NOT c.personal_offers AS no
            FROM customer c WHERE c.id = r.customer_id
        ) AS ranked
        WHERE r.state = 'open' AND (
            ranked.no
            OR o.state IN ('cancelled', 'completed', 'archived')
            OR (r.ends_at <= :now AND (o.id IS NULL OR o.state IN ('received', 'located',
                'unplaced')))
        )
        ORDER BY r.id FOR UPDATE OF r SKIP LOCKED
    )
    UPDATE retention_case r SET state = over.became, closed_at = :now,
        claimed_by = NULL, claimed_until = NULL
    FROM over WHERE r.id = over.id
    RETURNING r.id, r.work_order_id, over.became
    """
)


class Over(NamedTuple):
    """A case that has ended by itself, and what it became."""

    id: UUID
    work_order_id: UUID | None
    became: str


async def tidy(tx: AsyncSession, now: datetime) -> list[Over]:
    """End cases whose order is closed, those that nobody has begun in time, and calls because of
    the profile of somebody who wants no personal ranking."""
    given = {"now": now, "by_profile": [cause.value for cause in BY_PROFILE]}
    return [Over(*row) for row in await tx.execute(_TIDY, given)]


async def drop_of(tx: AsyncSession, customer_id: UUID, now: datetime) -> None:
    """End a customer's cases: nobody speaks to them any more, or writes down what they said."""
    await tx.execute(_DROP, {"customer_id": customer_id, "now": now})


_DROP = text(
    """
    UPDATE retention_case SET state = 'dropped', closed_at = coalesce(closed_at, :now),
        claimed_by = NULL, claimed_until = NULL
    WHERE customer_id = :customer_id
        AND (state = 'open' OR state = 'done' AND handling = 'visit' AND outcome IS NULL)
    """
)
