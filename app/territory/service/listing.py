"""Grids list addresses: a list is set as a whole, with history and for all who lie by it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core import jobs
from app.core.errors import SameIdOtherContent
from app.grids import boundaries
from app.grids.models import Grid, GridChange
from app.grids.queries import grid_for_change
from app.grids.rules import ChangeKind, district_of
from app.territory.queries import listing as queries
from app.territory.queries.listing import Claim
from app.territory.rules.listing import Line, ListedElsewhere, ListWanted
from app.territory.service.as_seen import must_be_as_seen
from app.workorders import queries as workorders

# A refusal names so many of the lines that others have.
CLAIMS_NAMED = 20


async def set_list(
    tx: AsyncSession, wanted: ListWanted, caller: Caller, *, now: datetime
) -> GridChange:
    """Make a grid's list what it shall be: lines come and go from `now` on, the others stay.

    The caller makes the change's id; the same again is answered like the first time. Addresses
    and open orders follow after the commit. Raises NotFound for a grid outside the caller's part
    of the organisation, SameIdOtherContent, GridRetired, GridChangedMeanwhile, and ListedElsewhere;
    then nothing is changed.
    """
    await boundaries.alone(tx)
    grid = await grid_for_change(tx, wanted.grid_id, caller)
    known = await tx.get(GridChange, wanted.change_id)
    if known is not None:
        if known.content_hash != wanted.content_hash or known.account_id != caller.account_id:
            raise SameIdOtherContent(id=wanted.change_id)
        return known
    await must_be_as_seen(tx, grid, wanted.version)
    units = await workorders.org_units(tx, ids=[grid.org_unit_id])
    district = district_of(units.by_id[grid.org_unit_id].path)
    has = await queries.in_force(tx, grid.id)
    added = [line for line in wanted.lines if line not in has]
    removed = [line for line in has if line not in set(wanted.lines)]
    claims = await queries.claimed(tx, added, grid_id=grid.id, district=district, caller=caller)
    if claims:
        raise ListedElsewhere(claims=_named(claims), lines=[_plain(one) for one in claims[:200]])
    named = await queries.addresses_named(tx, [*added, *removed], district=district)
    told = {"added": len(added), "removed": len(removed), "kept": len(has) - len(removed)}
    change = GridChange(
        id=wanted.change_id,
        org_unit_id=grid.org_unit_id,
        kind=ChangeKind.LIST,
        at=now,
        account_id=caller.account_id,
        reason=wanted.reason,
        grid_ids=[grid.id],
        content_hash=wanted.content_hash,
        asked={"version": wanted.version, "lines": len(wanted.lines)},
        told=told,
        addresses=named,
    )
    tx.add(change)
    await tx.flush()
    if added or removed:
        await _write(tx, grid, district, added, [has[line] for line in removed], change, now=now)
    return change


async def _write(
    tx: AsyncSession,
    grid: Grid,
    district: str,
    added: Sequence[Line],
    ended: Sequence[UUID],
    change: GridChange,
    *,
    now: datetime,
) -> None:
    if ended:
        await queries.end(tx, ended, now=now)
        audit.note(tx, table="grid_list_entry", operation="update", ids=ended, columns=["valid_to"])
    if added:
        begun = await queries.begin(
            tx, added, grid_id=grid.id, district=district, change_id=change.id, now=now
        )
        audit.note(tx, table="grid_list_entry", operation="insert", ids=begun)
    # Whoever still sees the list as it was is told so by the grid's version.
    grid.version += 1
    await boundaries.new_edition(tx)
    await jobs.tell(tx, "map.changed", change_id=change.id)


def _named(claims: Sequence[Claim]) -> str:
    said = [f"{one.line.name}{one.line.building} ({one.grid_code or '—'})" for one in claims]
    more = len(said) - CLAIMS_NAMED
    return ", ".join(said[:CLAIMS_NAMED]) + (f" + {more}" if more > 0 else "")


def _plain(claim: Claim) -> dict[str, Any]:
    return {**claim.line._asdict(), "grid_code": claim.grid_code}
