"""Reads and locks of checks of real names."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.real_name.models import TO_LOOK_UP, RealNameCheck
from app.real_name.rules import RealName, RealNameState


async def state_of(session: AsyncSession, customer_id: UUID) -> RealName | None:
    """Read the check that counts for a customer: the last one with an outcome, else the last.

    None where nobody's document was ever checked.
    """
    check = (await session.scalars(_STATE, {"customer_id": customer_id})).one_or_none()
    return None if check is None else as_real_name(check)


_STATE = (
    select(RealNameCheck)
    .where(RealNameCheck.customer_id == bindparam("customer_id"))
    # What is not known undoes nothing that is.
    .order_by(
        RealNameCheck.state == RealNameState.UNKNOWN,
        RealNameCheck.asked_at.desc(),
        RealNameCheck.id.desc(),
    )
    .limit(1)
    .execution_options(populate_existing=True)
)


def as_real_name(check: RealNameCheck) -> RealName:
    """Give what a check says."""
    return RealName(
        check_id=check.id,
        customer_id=check.customer_id,
        visit_id=check.visit_id,
        state=check.state,
        code=check.code,
        document=check.document,
        last4=check.id_last4,
        asked_at=check.asked_at,
        checked_at=check.checked_at,
        valid_until=check.valid_until,
        age_group=check.age_group,
    )


async def for_change(tx: AsyncSession, check_id: UUID) -> RealNameCheck | None:
    """Lock a check until the transaction ends."""
    return (await tx.scalars(_FOR_CHANGE, {"check_id": check_id})).one_or_none()


_FOR_CHANGE = (
    select(RealNameCheck)
    .where(RealNameCheck.id == bindparam("check_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


async def made_in(session: AsyncSession, visit_id: UUID) -> int:
    """Count the checks of a visit."""
    counted = select(func.count()).where(RealNameCheck.visit_id == visit_id)
    return await session.scalar(counted) or 0


async def to_look_up(session: AsyncSession, limit: int) -> Sequence[UUID]:
    """List checks whose outcome is to be looked up now, longest due first."""
    return (await session.scalars(_DUE, {"limit": limit})).all()


_DUE = (
    select(RealNameCheck.id)
    # Of the statement and not of the moment, or no index could serve.
    .where(TO_LOOK_UP, RealNameCheck.next_look_at <= func.statement_timestamp())
    .order_by(RealNameCheck.next_look_at)
    .limit(bindparam("limit"))
)
