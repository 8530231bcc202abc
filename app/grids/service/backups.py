"""In which order a grid's backups are asked."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.db import new_id
from app.core.errors import NotFound
from app.grids import memberships
from app.grids.rules import MembershipKind
from app.grids.rules.terms import reordered


async def order_backups(
    tx: AsyncSession,
    grid_id: UUID,
    technician_ids: Sequence[UUID],
    *,
    day: date,
    caller: Caller,
) -> None:
    """Let a grid's backups be asked in this order from a local day on.

    The same again changes nothing. Raises NotFound, and BackupsNotNamed unless each of the grid's
    backups on that day or later is named exactly once.
    """
    if not await memberships.grids_within(tx, [grid_id], caller, locking=True):
        raise NotFound(grid_id=grid_id)
    found = await memberships.terms(tx, [grid_id], first_day=day, locking=True)
    backups = [
        term
        for term in found
        if term.kind is MembershipKind.BACKUP
        and (term.valid_to is None or term.valid_to > max(day, term.valid_from))
    ]
    people = await memberships.people(tx, {term.technician_id for term in backups}, caller)
    change = reordered(
        backups,
        technician_ids,
        day,
        names={one.id: (one.code, one.name) for one in people.values()},
        new_id=new_id,
    )
    await memberships.write(tx, ends=change.ends, begins=change.begins, ranks=change.ranks)
