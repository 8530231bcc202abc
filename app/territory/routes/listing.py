"""Doorways of grids' lists of addresses."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.customers.rules import masked_address
from app.grids import directory
from app.territory.queries import listing as queries
from app.territory.schemas.listing import (
    DisagreeingBuildingOut,
    DisagreeingBuildings,
    DisagreeingGridOut,
    DisagreeingGrids,
    LineOut,
    ListChangeOut,
    ListIn,
    ListPage,
)
from app.territory.service import listing as service

router = Router()

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]
GridSupervisor = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:assign"))
]


@router.get("/grids/{grid_id}/list", operation_id="grid_list_read")
async def read_list(
    grid_id: UUID,
    reader: Reader,
    read: Read,
    at: Annotated[Moment | None, Query(description="As of this moment; else as it is now.")] = None,
    size: PageSize = 200,
    token: PageToken = None,
) -> ListPage:
    """Read the addresses that a grid lists; they are its own wherever its boundary runs."""
    version = await queries.version_of(read, grid_id, reader)
    after = key_of(token, str, str, str) if token else None
    rows, last = cut(await queries.page(read, grid_id, at=at, size=size, after=after), size)
    return ListPage(
        version=version,
        lines=[LineOut(**{**row._mapping, "building": row.building or None}) for row in rows],
        next_page_token=token_of(last.kind.value, last.name, last.building) if last else None,
    )


@router.put("/grids/{grid_id}/list", operation_id="grid_list_set")
async def set_list(
    grid_id: UUID, body: ListIn, supervisor: GridSupervisor, tx: Tx, now: Now
) -> ListChangeOut:
    """Make a grid's list what it shall be, all of it or nothing.

    A list wins over every boundary, and among lists the narrowest line: the longest beginning of a
    standard address, then a building, then a compound. It speaks for addresses of the grid's own
    district. No two grids list the same.
    """
    return ListChangeOut.of(await service.set_list(tx, body.wanted(grid_id), supervisor, now=now))


@router.get("/list-conflicts", operation_id="list_conflicts")
async def disagreeing(
    reader: Reader, read: Read, size: PageSize = 50, token: PageToken = None
) -> DisagreeingGrids:
    """Count by grid the customers' addresses that it lists while their points lie elsewhere."""
    after = key_of(token, str)[0] if token else None
    rows, last = cut(await queries.disagreeing_grids(read, reader, size=size, after=after), size)
    return DisagreeingGrids(
        grids=[DisagreeingGridOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.grid_code) if last else None,
    )


@router.get("/grids/{grid_id}/list-conflicts", operation_id="grid_list_conflicts")
async def disagreeing_of_grid(
    grid_id: UUID, reader: Reader, read: Read, size: PageSize = 50, token: PageToken = None
) -> DisagreeingBuildings:
    """Count by building the addresses that a grid lists while their points lie elsewhere."""
    await directory.must_know(read, grid_id, reader)
    after = key_of(token, str, str, UUID) if token else None
    rows, last = cut(
        await queries.disagreeing_buildings(read, reader, grid_id, size=size, after=after), size
    )
    return DisagreeingBuildings(
        buildings=[
            DisagreeingBuildingOut(
                place=masked_address(row.locality, row.building),
                drawn_grid_id=row.drawn_grid_id if row.drawn_grid_code else None,
                drawn_grid_code=row.drawn_grid_code,
                addresses=row.addresses,
            )
            for row in rows
        ],
        next_page_token=token_of(last.locality, last.building, last.drawn_key) if last else None,
    )
