"""Stages and contracts of grids: their rows for a change, and as lists show them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.auth.models import OrgUnit
from app.core.errors import NotFound
from app.grids.models import Grid, GridContract
from app.grids.rules import GridStage
from app.technicians.models import Technician


async def grids_for_change(
    tx: AsyncSession, grid_ids: Collection[UUID], caller: Caller, now: datetime
) -> dict[UUID, date]:
    """Lock grids of the caller's part of the organisation; give the local day of each.

    Those retired or of others are left out. All who lock several do it in the order of their ids,
    so they never wait in a circle; orders may still be placed in the grids meanwhile.
    """
    rows = await tx.execute(
        select(Grid.id, OrgUnit.time_zone)
        .join(OrgUnit, OrgUnit.id == Grid.org_unit_id)
        .where(Grid.id.in_(grid_ids), Grid.retired_at.is_(None), subtree(Grid.org_unit_id, caller))
        .order_by(Grid.id)
        .with_for_update(of=Grid, key_share=True)
    )
    return {row.id: now.astimezone(ZoneInfo(row.time_zone)).date() for row in rows}


async def rows_since(
    tx: AsyncSession, grid_ids: Collection[UUID], day: date
) -> Sequence[GridContract]:
    """Read the rows of grids that hold on a local day or later, as they are now."""
    found = await tx.scalars(
        select(GridContract)
        .where(
            GridContract.grid_id.in_(grid_ids),
            or_(GridContract.valid_to.is_(None), GridContract.valid_to > day),
        )
        .execution_options(populate_existing=True)
    )
    return found.all()


async def known(tx: AsyncSession, ids: Collection[UUID]) -> dict[UUID, GridContract]:
    """Read rows by their ids, whosever they are."""
    found = await tx.scalars(select(GridContract).where(GridContract.id.in_(ids)))
    return {one.id: one for one in found}


async def grid_of(session: AsyncSession, contract_id: UUID, caller: Caller) -> UUID:
    """Tell which grid of the caller's part of the organisation a row is of. Raises NotFound."""
    grid_id = await session.scalar(
        select(Grid.id)
        .join(GridContract, GridContract.grid_id == Grid.id)
        .where(GridContract.id == contract_id, subtree(Grid.org_unit_id, caller))
    )
    if grid_id is None:
        raise NotFound(contract_id=contract_id)
    return grid_id


async def holders(
    session: AsyncSession, technician_ids: Collection[UUID], caller: Caller
) -> dict[UUID, bool]:
    """Tell of technicians of the caller's part of the organisation whether they are active."""
    rows = await session.execute(
        select(Technician.id, Technician.active).where(
            Technician.id.in_(technician_ids), subtree(Technician.org_unit_id, caller)
        )
    )
    return {row.id: row.active for row in rows}


async def contractors(session: AsyncSession, caller: Caller) -> list[str]:
    """List the contractors that active technicians of the caller's part work for, by name."""
    found = await session.scalars(
        select(Technician.contractor)
        .where(
            Technician.contractor.is_not(None),
            Technician.active,
            subtree(Technician.org_unit_id, caller),
        )
        .distinct()
        .order_by(Technician.contractor)
    )
    return [name for name in found if name is not None]


class KnownContract(NamedTuple):
    """A row with what grid and holder are called, as lists show it."""

    id: UUID
    grid_id: UUID
    grid_code: str
    grid_name: str
    stage: GridStage
    valid_from: date
    valid_to: date | None
    technician_id: UUID | None
    technician_code: str | None
    technician_name: str | None
    contractor: str | None
    target_customers: int | None
    target_monthly_sales: int | None
    target_on: date | None
    note: str
    end_reason: str | None


_LISTED = (
    select(
        GridContract.id,
        GridContract.grid_id,
        Grid.code.label("grid_code"),
        Grid.name.label("grid_name"),
        GridContract.stage,
        GridContract.valid_from,
        GridContract.valid_to,
        GridContract.technician_id,
        Technician.code.label("technician_code"),
        Technician.name.label("technician_name"),
        GridContract.contractor,
        GridContract.target_customers,
        GridContract.target_monthly_sales,
        GridContract.target_on,
        GridContract.note,
        GridContract.end_reason,
    )
    .join(Grid, Grid.id == GridContract.grid_id)
    .outerjoin(Technician, Technician.id == GridContract.technician_id)
)


@dataclass(frozen=True, kw_only=True)
class ContractSearch:
    """Which rows to list; `on` and `ending_before` are local days, None does not narrow it.

    `ending_before` finds what is in force or to come and has its end before that day.
    """

    grid_id: UUID | None = None
    on: date | None = None
    stage: GridStage | None = None
    technician_id: UUID | None = None
    contractor: str | None = None
    ending_before: date | None = None
    after: tuple[date, UUID] | None = None


async def page(
    session: AsyncSession, caller: Caller, search: ContractSearch, *, size: int
) -> list[KnownContract]:
    """Read a page of the rows of the caller's part of the organisation, the latest begun first.

    There is one row more if there is a next page.
    """
    statement = (
        _LISTED.where(subtree(Grid.org_unit_id, caller))
        .order_by(GridContract.valid_from.desc(), GridContract.id.desc())
        .limit(size + 1)
    )
    if search.grid_id is not None:
        statement = statement.where(GridContract.grid_id == search.grid_id)
    if search.on is not None:
        statement = statement.where(
            GridContract.valid_from <= search.on,
            or_(GridContract.valid_to.is_(None), GridContract.valid_to > search.on),
        )
    if search.stage is not None:
        statement = statement.where(GridContract.stage == search.stage)
    if search.technician_id is not None:
        statement = statement.where(GridContract.technician_id == search.technician_id)
    if search.contractor is not None:
        statement = statement.where(GridContract.contractor == search.contractor)
    if search.ending_before is not None:
        statement = statement.where(GridContract.valid_to < search.ending_before)
    if search.after is not None:
        statement = statement.where(tuple_(GridContract.valid_from, GridContract.id) < search.after)
    return [KnownContract(**row._mapping) for row in await session.execute(statement)]
