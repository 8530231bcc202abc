"""Doorways of redrawing grids."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Body, Depends, Query, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.geo import CoordSys
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.grids.layers.writing import coordinates
from app.grids.models import GridChange
from app.territory.queries import redraw as queries
from app.territory.rules.commands import Asked
from app.territory.schemas.commands import CommandIn
from app.territory.schemas.redraw import (
    AreaOut,
    ChangeDetailOut,
    ChangeOut,
    ChangePage,
    PreviewOut,
    RedrawnOut,
    RelocationOut,
    fields_of,
)
from app.territory.service import redraw as service

router = Router(prefix="/grid-changes")

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]
GridSupervisor = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:assign"))
]
Wanted = Annotated[CoordSys, Query(description="The coordinate system of the answer's shapes.")]


async def _asked(body: Annotated[CommandIn, Body()]) -> Asked:
    # Reading what is drawn computes; others of the process get their turn meanwhile.
    return await asyncio.to_thread(body.asked)


Given = Annotated[Asked, Depends(_asked)]


@router.post("/preview", operation_id="grid_changes_preview")
async def preview(
    asked: Given,
    supervisor: GridSupervisor,
    read: Read,
    now: Now,
    coordsys: Wanted = CoordSys.GCJ02,
) -> PreviewOut:
    """Say what a command would do to ground, addresses, orders and members; nothing is written."""
    ahead = await service.preview(read, asked, supervisor, now=now)
    codes = {one["grid_id"]: one["code"] for one in ahead.told["grids"]}
    shapes = [
        RedrawnOut(
            grid_id=grid_id,
            code=codes[str(grid_id)],
            boundary=AreaOut(type="MultiPolygon", coordinates=coordinates(shape, coordsys)),
        )
        for grid_id, shape in ahead.plan.after.items()
    ]
    return PreviewOut(
        **ahead.told,
        kind=asked.kind,
        needs_accept_overlap=any(one["code"] == "overlap" for one in ahead.told["warnings"]),
        coordsys=coordsys,
        shapes=shapes,
    )


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="grid_changes_make")
async def make(asked: Given, supervisor: GridSupervisor, tx: Tx, now: Now) -> ChangeDetailOut:
    """Redraw grids with all that lies in them; the same again is answered like the first time."""
    change = await service.carry_out(tx, asked, supervisor, now=now)
    return await _detail(tx, change)


@router.get("", operation_id="grid_changes_list")
async def listed(
    reader: Reader,
    read: Read,
    grid_id: Annotated[UUID | None, Query(description="Only those of this grid.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> ChangePage:
    """List the changes of the map in the caller's part of the organisation, the latest first."""
    after = key_of(token, datetime, UUID) if token else None
    found = await queries.change_page(read, reader, size=size, after=after, grid_id=grid_id)
    rows, last = cut(found, size)
    progress = await queries.progress(read, [row.id for row in rows])
    at = wall()
    return ChangePage(
        changes=[
            ChangeOut(**fields_of(row), relocation=RelocationOut.of(progress[row.id], at))
            for row in rows
        ],
        next_page_token=token_of(last.at, last.id) if last else None,
    )


@router.get("/{change_id}", operation_id="grid_changes_one")
async def one(change_id: UUID, reader: Reader, read: Read) -> ChangeDetailOut:
    """Read a change, what was told of it, and how far the addresses have followed."""
    return await _detail(read, await queries.one_change(read, change_id, reader))


async def _detail(session: AsyncSession, change: GridChange) -> ChangeDetailOut:
    progress = await queries.progress(session, [change.id])
    relocation = RelocationOut.of(progress[change.id], wall())
    return ChangeDetailOut(**fields_of(change), told=change.told, relocation=relocation)
