"""Grids of a part of the organisation with all their memberships, as warnings look at them."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.auth.models import OrgUnit
from app.core.errors import NotFound
from app.grids.models import Grid
from app.grids.rules import MembershipKind
from app.grids.rules.terms import Term


class Kept(NamedTuple):
    """A grid, and its memberships that end on a day or later."""

    id: UUID
    code: str
    name: str
    org_unit_id: UUID
    terms: list[Term]


async def zone_of(session: AsyncSession, grid_id: UUID, caller: Caller) -> str:
    """Read the time zone of a grid of the caller's, unless it is retired. Raises NotFound."""
    found = await session.scalar(
        select(OrgUnit.time_zone)
        .join(Grid, Grid.org_unit_id == OrgUnit.id)
        .where(Grid.id == grid_id, Grid.retired_at.is_(None), subtree(Grid.org_unit_id, caller))
    )
    if found is None:
        raise NotFound(grid_id=grid_id)
    return found


def today(now: datetime, time_zone: str) -> date:
    """Say which local day a moment (UTC) is in."""
    return now.astimezone(ZoneInfo(time_zone)).date()


_GRIDS = text(
    """
    SELECT g.id, g.code, g.name, g.org_unit_id
    FROM grid g JOIN org_unit o ON o.id = g.org_unit_id
    WHERE starts_with(o.path, :org_path) AND g.retired_at IS NULL
    """
)
_TERMS = text(
    """
    SELECT m.id, m.grid_id, m.technician_id, m.kind, m.rank, m.valid_from, m.valid_to,
        m.weekdays, m.ratio
    FROM grid_membership m JOIN grid g ON g.id = m.grid_id JOIN org_unit o ON o.id = g.org_unit_id
    WHERE starts_with(o.path, :org_path) AND g.retired_at IS NULL
        AND (m.valid_to IS NULL OR m.valid_to >= :first_day)
    """
)


async def kept(session: AsyncSession, org_path: str, *, first_day: date) -> list[Kept]:
    """Read the grids of an org unit's subtree, given by its path, with their memberships."""
    rows = await session.execute(_GRIDS, {"org_path": org_path})
    grids = {row.id: Kept(**row._mapping, terms=[]) for row in rows}
    for row in await session.execute(_TERMS, {"org_path": org_path, "first_day": first_day}):
        term = Term(**{**row._mapping, "kind": MembershipKind(row.kind)})
        if term.grid_id in grids:
            grids[term.grid_id].terms.append(term)
    return list(grids.values())
