"""One grid is given to one technician, and that ends again."""

from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.auth.queries import technician_works_in
from app.core.db import is_broken
from app.core.errors import Conflict, NotFound, SameIdOtherContent
from app.grids import directory, queries
from app.grids.models import Grid, GridMembership
from app.grids.rules import MembershipKind
from app.grids.rules.terms import PrimaryTaken, check_days, check_end


async def assign(
    tx: AsyncSession,
    *,
    membership_id: UUID,
    grid_id: UUID,
    technician_id: UUID,
    kind: MembershipKind,
    rank: int,
    valid_from: date,
    valid_to: date | None,
    weekdays: int,
    ratio: int,
    caller: Caller,
) -> GridMembership:
    """Give a grid to a technician from one local day to another (the last excluded).

    The caller makes the id; the same again is answered like the first time. Raises NotFound when
    grid or technician is not in the caller's part of the organisation, Invalid when the dates are
    not in order or a loan has no end, PrimaryTaken and SameIdOtherContent.
    """
    check_days(kind, valid_from, valid_to)
    # Whoever gives this grid to somebody at the same moment waits here.
    grid = await queries.grid_for_change(tx, grid_id, caller)
    if not await technician_works_in(tx, technician_id, caller.org_path):
        raise NotFound(technician_id=technician_id)
    wanted = {
        "grid_id": grid.id,
        "technician_id": technician_id,
        "kind": kind,
        "rank": rank,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "weekdays": weekdays,
        "ratio": ratio,
    }
    known = await tx.get(GridMembership, membership_id)
    if known is not None:
        if any(getattr(known, name) != value for name, value in wanted.items()):
            raise SameIdOtherContent(id=membership_id)
        return known
    membership = GridMembership(id=membership_id, **wanted)
    try:
        async with tx.begin_nested():
            tx.add(membership)
    except IntegrityError as error:
        if is_broken("pk_grid_membership", error):
            raise SameIdOtherContent(id=membership_id) from error
        if is_broken("ex_grid_membership_one_primary", error):
            raise await _taken(tx, grid.id, valid_from, valid_to) from error
        raise
    return membership


async def _taken(
    tx: AsyncSession, grid_id: UUID, valid_from: date, valid_to: date | None
) -> Conflict:
    row = await directory.primary_between(tx, grid_id, valid_from, valid_to)
    if row is None:  # their time was ended this very moment
        return Conflict()
    return PrimaryTaken(
        membership_id=row.id,
        technician_code=row.technician_code,
        technician_name=row.technician_name,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


async def end(
    tx: AsyncSession, *, membership_id: UUID, last_excluded: date, caller: Caller
) -> GridMembership:
    """End a membership on a local day, the first on which it no longer holds.

    Ended on the day it begins, it never held: so a mistake is taken back. Raises NotFound, and
    Invalid when that day lies before its beginning or after the end it has.
    """
    membership = (
        await tx.scalars(
            select(GridMembership)
            .join(Grid, Grid.id == GridMembership.grid_id)
            .where(GridMembership.id == membership_id, subtree(Grid.org_unit_id, caller))
            .with_for_update(of=GridMembership)
        )
    ).one_or_none()
    if membership is None:
        raise NotFound(membership_id=membership_id)
    check_end(membership.valid_from, membership.valid_to, last_excluded)
    membership.valid_to = last_excluded
    return membership
