"""Prospects of the caller's units, and those behind leads."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.suggestions.models import Prospect


async def prospect_of(
    tx: AsyncSession, caller: Caller, prospect_id: UUID, *, for_change: bool = False
) -> Prospect:
    """Find a prospect of the caller's units, under its row lock to change it. Raises NotFound."""
    statement = select(Prospect).where(
        Prospect.id == prospect_id, subtree(Prospect.org_unit_id, caller)
    )
    found = await tx.scalar(statement.with_for_update() if for_change else statement)
    if found is None:
        raise NotFound()
    return found


async def prospects_by_id(
    session: AsyncSession, ids: Iterable[UUID | None]
) -> Mapping[UUID | None, Prospect]:
    """Read the prospects behind leads in one statement, or none where there are none."""
    wanted = [one for one in ids if one is not None]
    if not wanted:
        return {}
    found = await session.scalars(select(Prospect).where(Prospect.id.in_(wanted)))
    return {one.id: one for one in found}
