"""Doorways of commands that give many grids to people."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language
from app.grids.service import bulk
from app.territory.schemas.memberships import BulkIn, BulkOut, PreviewOut
from app.territory.service import memberships as service

router = Router()

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]
GridSupervisor = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:assign"))
]


@router.post("/memberships/bulk/preview", operation_id="memberships_bulk_preview")
async def preview(
    body: BulkIn, reader: Reader, read: Read, lang: Language, request: Request
) -> PreviewOut:
    """Say what a command of many rows would do: a verdict for each row, and loads before and after.

    Nothing is changed. The rows count as one command: ends first, then what begins.
    """
    found = await service.outlook(read, body.command(), reader)
    return PreviewOut.of(found, lang, request.scope.get("request_id", ""))


@router.post("/memberships/bulk", operation_id="memberships_bulk")
async def carry_out(body: BulkIn, supervisor: GridSupervisor, tx: Tx) -> BulkOut:
    """Give many grids to people, end that, or hand grids over: every row, or none.

    The same command again is answered alike. One row that cannot be done refuses all, and each
    such row is named with its reason.
    """
    return BulkOut.of(await bulk.carry_out(tx, body.command(), supervisor))
