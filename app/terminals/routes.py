"""Doorways of terminals."""

from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.http import Code
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.terminals import queries
from app.terminals.rules import Pool, TerminalKind
from app.terminals.schemas import StockOut, TerminalOut, TerminalPage, VanOut

router = APIRouter(prefix="/v1", tags=["terminals"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="technicians:read"))]
Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]


@router.get("/terminals", operation_id="terminals_list")
async def listed(
    reader: Reader,
    read: Read,
    serial_number: Annotated[Code | None, Query(description="Exactly this one.")] = None,
    technician_id: Annotated[UUID | None, Query(description="In this van.")] = None,
    customer_id: Annotated[UUID | None, Query(description="At this customer's.")] = None,
    kind: TerminalKind | None = None,
    pool: Pool | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> TerminalPage:
    """List the terminals of the caller's part of the organisation, by serial number."""
    rows, last = cut(
        await queries.page(
            read,
            reader,
            size=size,
            after=key_of(token, str)[0] if token else None,
            serial_number=serial_number,
            technician_id=technician_id,
            customer_id=customer_id,
            kind=kind,
            pool=pool,
        ),
        size,
    )
    return TerminalPage(
        terminals=[TerminalOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.serial_number) if last else None,
    )


@router.get("/my/van", operation_id="terminals_my_van")
async def my_van(technician: Technician, read: Read) -> VanOut:
    """Read what is in the caller's own van."""
    held = await queries.in_van(read, technician.technician_id) if technician.technician_id else []
    counted = Counter(terminal.kind for terminal in held)
    return VanOut(
        terminals=[TerminalOut.model_validate(terminal) for terminal in held],
        stock=[StockOut(kind=kind, count=counted[kind]) for kind in TerminalKind],
    )
