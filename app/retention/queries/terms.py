"""Reads of special terms, and the row locks under which they change."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Uuid,
    and_,
    cast,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller, Role
from app.core.errors import NotFound
from app.customers.models import Customer
from app.retention.models import SpecialTerms, TermsVerdict
from app.retention.rules import TermsState
from app.retention.rules.terms import OPEN
from app.workorders.queries import org_units


async def one(
    session: AsyncSession, terms_id: UUID, caller: Caller, *, for_change: bool = False
) -> SpecialTerms:
    """Read special terms, locked if they are to change.

    Raises NotFound outside the caller's subtree, and to a technician for those of others.
    """
    found = select(SpecialTerms).where(
        SpecialTerms.id == terms_id, subtree(SpecialTerms.org_unit_id, caller)
    )
    if caller.role is Role.TECHNICIAN:
        found = found.where(SpecialTerms.asked_by == caller.account_id)
    if for_change:
        found = found.with_for_update()
    terms = await session.scalar(found.execution_options(populate_existing=True))
    if terms is None:
        raise NotFound()
    return terms


async def by_code(session: AsyncSession, code_hash: bytes) -> SpecialTerms | None:
    """Find the special terms that a code was made for."""
    return await session.scalar(
        select(SpecialTerms)
        .where(SpecialTerms.code_hash == code_hash)
        .execution_options(populate_existing=True)
    )


async def for_change(tx: AsyncSession, terms_ids: Collection[UUID]) -> Sequence[SpecialTerms]:
    """Lock some special terms, by their ids, so that two who want the same do not dead-lock; nor
    do two that have put a sale together with the same code: the lock does not hinder rows that
    only refer to the terms."""
    found = await tx.scalars(
        select(SpecialTerms)
        .where(SpecialTerms.id.in_(terms_ids))
        .order_by(SpecialTerms.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def lock_customer(tx: AsyncSession, customer_id: UUID) -> None:
    """Let nobody ask for special terms for a customer until the transaction ends."""
    held = select(Customer.id).where(Customer.id == customer_id)
    await tx.execute(held.with_for_update(key_share=True))


async def open_of(tx: AsyncSession, customer_id: UUID, offering_code: str) -> SpecialTerms | None:
    """Find the open terms of a customer and offering."""
    return await tx.scalar(
        select(SpecialTerms).where(
            SpecialTerms.customer_id == customer_id,
            SpecialTerms.offering_code == offering_code,
            SpecialTerms.state.in_(OPEN),
        )
    )


async def followed(tx: AsyncSession, special: SpecialTerms, now: datetime) -> bool:
    """Tell whether others count in the place of some special terms: others for the same customer
    and offering are open, or were asked for later and used."""
    others = select(SpecialTerms.id).where(
        SpecialTerms.customer_id == special.customer_id,
        SpecialTerms.offering_code == special.offering_code,
        SpecialTerms.id != special.id,
        or_(
            and_(SpecialTerms.state.in_(OPEN), SpecialTerms.expires_at > now),
            and_(
                SpecialTerms.state == TermsState.REDEEMED,
                SpecialTerms.asked_at > special.asked_at,
            ),
        ),
    )
    return await tx.scalar(others.limit(1)) is not None


async def verdicts(session: AsyncSession, terms_ids: Sequence[UUID]) -> Sequence[TermsVerdict]:
    """Read the steps that were taken for some terms, in their order."""
    found = await session.scalars(
        select(TermsVerdict)
        .where(TermsVerdict.terms_id.in_(terms_ids))
        .order_by(TermsVerdict.terms_id, TermsVerdict.step)
    )
    return found.all()


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: UUID | None = None,
    state: TermsState | None = None,
    customer_id: UUID | None = None,
) -> Sequence[SpecialTerms]:
    """Read up to `size + 1` special terms, the newest first: a technician's own, or a subtree's."""
    wanted: list[Any] = []
    if state is not None:
        # In the words of the partial indexes, or PostgreSQL would not use them.
        wanted.append(SpecialTerms.state == literal_column(f"'{state.value}'"))
    if customer_id is not None:
        wanted.append(SpecialTerms.customer_id == customer_id)
    if after is not None:
        wanted.append(SpecialTerms.id < after)
    latest = SpecialTerms.id.desc()
    if caller.role is Role.TECHNICIAN:
        own = select(SpecialTerms).where(SpecialTerms.asked_by == caller.account_id, *wanted)
        return (await session.scalars(own.order_by(latest).limit(size + 1))).all()
    # One look into the index for each org unit: PostgreSQL does not merge their parts of it.
    units = (await org_units(session, ids=[caller.org_unit_id])).within(caller.org_path)
    unit = func.unnest(cast(units, ARRAY(Uuid))).table_valued("id").render_derived()
    ids = (
        select(SpecialTerms.id.label("terms_id"))
        .where(SpecialTerms.org_unit_id == unit.c.id, *wanted)
        .order_by(latest)
        .limit(size + 1)
        .correlate(unit)
        .lateral()
    )
    first = select(ids.c.terms_id).select_from(unit.join(ids, true())).scalar_subquery()
    found = select(SpecialTerms).where(SpecialTerms.id.in_(first))
    return (await session.scalars(found.order_by(latest).limit(size + 1))).all()


_EXPIRE = text(
    """
    UPDATE special_terms SET state = 'expired'
    WHERE state IN ('waiting', 'approved') AND expires_at <= :now
        AND (CAST(:customer_id AS uuid) IS NULL OR customer_id = :customer_id)
    """
)


async def expire(tx: AsyncSession, now: datetime, customer_id: UUID | None = None) -> int:
    """End open terms whose time is over, of one customer or of all; tell how many they were."""
    ended = await tx.execute(_EXPIRE, {"now": now, "customer_id": customer_id})
    number: int = ended.rowcount  # type: ignore[attr-defined]
    return number
