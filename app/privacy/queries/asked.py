"""Requests of an administrator's part of the organisation, and the customers they name."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.customers.models import Customer
from app.privacy.models import PrivacyRequest


async def listed(
    session: AsyncSession, caller: Caller, *, after: UUID | None, limit: int
) -> Sequence[PrivacyRequest]:
    """List requests of the caller's subtree, the newest first."""
    found = select(PrivacyRequest).where(subtree(PrivacyRequest.org_unit_id, caller))
    if after is not None:
        found = found.where(PrivacyRequest.id < after)
    return (await session.scalars(found.order_by(PrivacyRequest.id.desc()).limit(limit))).all()


async def one(session: AsyncSession, caller: Caller, request_id: UUID) -> PrivacyRequest:
    """Read a request of the caller's subtree. Raises NotFound."""
    return await _one(session, caller, request_id, lock=False)


async def for_change(tx: AsyncSession, caller: Caller, request_id: UUID) -> PrivacyRequest:
    """Take a request under the row lock. Raises NotFound like `one`."""
    return await _one(tx, caller, request_id, lock=True)


async def _one(
    session: AsyncSession, caller: Caller, request_id: UUID, *, lock: bool
) -> PrivacyRequest:
    found = select(PrivacyRequest).where(
        PrivacyRequest.id == request_id, subtree(PrivacyRequest.org_unit_id, caller)
    )
    if lock:
        found = found.with_for_update().execution_options(populate_existing=True)
    request = await session.scalar(found)
    if request is None:
        raise NotFound()
    return request


async def those_within(
    session: AsyncSession, caller: Caller, customer_ids: Sequence[UUID]
) -> set[UUID]:
    """Say which of some customers are of the caller's subtree."""
    found = await session.scalars(
        select(Customer.id).where(
            Customer.id.in_(customer_ids), subtree(Customer.org_unit_id, caller)
        )
    )
    return set(found)
