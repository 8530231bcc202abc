"""Doorways of grids."""

import asyncio
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import shapely
from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.queries import technician_works_in
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import NotFound
from app.core.geo import CoordSys
from app.core.http import Day, Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.grids import directory, layers, service
from app.grids.directory import KnownBoundary, KnownGrid, MembershipSearch
from app.grids.layers import Coverage
from app.grids.layers.writing import coordinates
from app.grids.models import GridMembership
from app.grids.rules import reported
from app.grids.schemas import (
    BackupsIn,
    BoundaryOut,
    BoundaryPage,
    CoverageOut,
    EndIn,
    Geometry,
    GridDetailOut,
    GridOut,
    GridPage,
    HoleOut,
    MembershipIn,
    MembershipList,
    MembershipOut,
    MembershipPage,
    NamedMembershipOut,
    OverlapOut,
)

router = Router(prefix="/v1", tags=["grids"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]
GridSupervisor = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:assign"))
]
Wanted = Annotated[CoordSys, Query(description="The coordinate system of the answer.")]
AsOf = Annotated[Moment | None, Query(description="As it was at this moment.")]


def coverage_out(found: Coverage) -> CoverageOut:
    """Shape overlaps and holes for the wire."""
    return CoverageOut(
        overlaps=[OverlapOut.model_validate(overlap) for overlap in found.overlaps],
        holes=[HoleOut(beside=list(hole.beside), area_m2=hole.area_m2) for hole in found.holes],
    )


@router.get("/grids/coverage", operation_id="grids_coverage")
async def coverage_now(reader: Reader, read: Read, now: Now) -> CoverageOut:
    """Report where the grids of the caller's part of the organisation overlap or leave gaps.

    From which size on is set by `grids.overlap_reported_m2` and `grids.gap_reported_m2`.
    """
    wkbs = await directory.all_boundaries(read, reader)
    sizes = reported((await parameters_in_force(read)), now, reader.org_path)

    def compare() -> Coverage:
        shapes: dict[str, Any] = {code: shapely.from_wkb(wkb) for code, wkb in wkbs.items()}
        return layers.coverage(shapes, **sizes)

    return coverage_out(await asyncio.to_thread(compare))


def _shown(grid: KnownGrid, coordsys: CoordSys) -> GridOut:
    fields = grid._asdict()
    wkb = fields.pop("wkb")
    boundary = None if wkb is None else _geometry(wkb, coordsys)
    return GridOut(**fields, coordsys=coordsys, boundary=boundary)


def _geometry(wkb: bytes, coordsys: CoordSys) -> Geometry:
    return Geometry(type="MultiPolygon", coordinates=coordinates(shapely.from_wkb(wkb), coordsys))


@router.get("/grids", operation_id="grids_list")
async def listed(
    reader: Reader,
    read: Read,
    now: Now,
    boundaries: Annotated[bool, Query(description="Give the shapes too.")] = False,
    at: AsOf = None,
    coordsys: Wanted = CoordSys.GCJ02,
    size: PageSize = 50,
    token: PageToken = None,
) -> GridPage:
    """List the grids of the caller's part of the organisation by code."""
    after = key_of(token, str)[0] if token else None
    found = await directory.grid_page(
        read, reader, now=now, size=size, after=after, shaped=boundaries, at=at
    )
    rows, last = cut(found, size)
    return GridPage(
        grids=[_shown(row, coordsys) for row in rows],
        next_page_token=token_of(last.code) if last else None,
    )


@router.get("/grids/{grid_id}", operation_id="grids_one")
async def one(
    grid_id: UUID,
    reader: Reader,
    read: Read,
    now: Now,
    at: AsOf = None,
    coordsys: Wanted = CoordSys.GCJ02,
) -> GridDetailOut:
    """Read a grid with its boundary and who looks after it, now or at a moment of the past.

    An order's `grid_id` with `at` its `received_at` says which grid it was, and whose, years later.
    """
    known = await directory.one_grid(read, grid_id, reader, now=now, at=at)
    members = await directory.memberships_of_grid(read, grid_id, at=at or now)
    return GridDetailOut(
        **_shown(known, coordsys).__dict__,
        members=[NamedMembershipOut.model_validate(one) for one in members],
    )


@router.get("/grids/{grid_id}/boundaries", operation_id="grid_boundaries_list")
async def history(
    grid_id: UUID,
    reader: Reader,
    read: Read,
    coordsys: Wanted = CoordSys.GCJ02,
    size: PageSize = 50,
    token: PageToken = None,
) -> BoundaryPage:
    """List the shapes that a grid has and had, newest first."""
    await directory.must_know(read, grid_id, reader, retired=True)
    after = key_of(token, datetime, UUID) if token else None
    found = await directory.boundary_page(read, grid_id, size=size, after=after)
    rows, last = cut(found, size)
    return BoundaryPage(
        boundaries=[_shown_boundary(row, coordsys) for row in rows],
        next_page_token=token_of(last.valid_from, last.id) if last else None,
    )


def _shown_boundary(known: KnownBoundary, coordsys: CoordSys) -> BoundaryOut:
    fields = known._asdict()
    boundary = _geometry(fields.pop("wkb"), coordsys)
    return BoundaryOut(**fields, coordsys=coordsys, boundary=boundary)


@router.get("/grids/{grid_id}/memberships", operation_id="grid_memberships_list")
async def memberships(grid_id: UUID, reader: Reader, read: Read) -> MembershipList:
    """List who looked, looks and will look after a grid."""
    await directory.must_know(read, grid_id, reader, retired=True)
    rows = await directory.memberships_of_grid(read, grid_id)
    return MembershipList(memberships=[NamedMembershipOut.model_validate(row) for row in rows])


@router.put("/grids/{grid_id}/backups", operation_id="grid_backups_order")
async def order_backups(
    grid_id: UUID, body: BackupsIn, supervisor: GridSupervisor, tx: Tx
) -> MembershipList:
    """Let a grid's backups be asked in this order from a day on; the same again changes nothing."""
    await service.order_backups(
        tx, grid_id, body.technician_ids, day=body.valid_from, caller=supervisor
    )
    rows = await directory.memberships_of_grid(tx, grid_id)
    return MembershipList(memberships=[NamedMembershipOut.model_validate(row) for row in rows])


@router.get("/memberships", operation_id="memberships_list")
async def memberships_of_technician(
    technician_id: UUID,
    reader: Reader,
    read: Read,
    on: Annotated[Day | None, Query(description="Only what is in force on this local day.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> MembershipPage:
    """List which grids a technician looks after, has looked and will look after."""
    if not await technician_works_in(read, technician_id, reader.org_path):
        raise NotFound(technician_id=technician_id)
    search = MembershipSearch(
        technician_id=technician_id, on=on, after=key_of(token, date, UUID) if token else None
    )
    found = await directory.memberships_of_technician(read, reader, search, size=size)
    rows, last = cut(found, size)
    return MembershipPage(
        memberships=[NamedMembershipOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.valid_from, last.id) if last else None,
    )


@router.post(
    "/grids/{grid_id}/memberships",
    response_model=MembershipOut,
    status_code=status.HTTP_201_CREATED,
    operation_id="grid_memberships_assign",
)
async def assign(
    grid_id: UUID, body: MembershipIn, supervisor: GridSupervisor, tx: Tx
) -> GridMembership:
    """Give a grid to a technician; a second primary at one time is refused."""
    given = body.model_dump()
    return await service.assign(
        tx, membership_id=given.pop("id"), grid_id=grid_id, caller=supervisor, **given
    )


@router.post(
    "/memberships/{membership_id}/end",
    response_model=MembershipOut,
    operation_id="grid_memberships_end",
)
async def end(
    membership_id: UUID, body: EndIn, supervisor: GridSupervisor, tx: Tx
) -> GridMembership:
    """End a technician's time with a grid."""
    return await service.end(
        tx, membership_id=membership_id, last_excluded=body.valid_to, caller=supervisor
    )
