"""Doorways of stages and contracts."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Day, Name, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.grids import directory
from app.grids.models import GridContract
from app.grids.rules import GridStage
from app.territory.queries import contracts as queries
from app.territory.queries.contracts import ContractSearch
from app.territory.rules.stages import Terms
from app.territory.schemas.contracts import (
    BeginIn,
    BeginManyIn,
    ContractOut,
    ContractPage,
    ContractsOut,
    EndContractIn,
    NamedContractOut,
)
from app.territory.service import contracts as service

router = Router()

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]
GridSupervisor = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:assign"))
]


async def _page(read: Read, reader: Reader, search: ContractSearch, size: int) -> ContractPage:
    rows, last = cut(await queries.page(read, reader, search, size=size), size)
    return ContractPage(
        contracts=[NamedContractOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.valid_from, last.id) if last else None,
    )


@router.get("/grids/{grid_id}/contracts", operation_id="grid_contracts_list")
async def history(
    grid_id: UUID, reader: Reader, read: Read, size: PageSize = 50, token: PageToken = None
) -> ContractPage:
    """List the stages that a grid has, had and will have, the latest begun first."""
    await directory.must_know(read, grid_id, reader)
    after = key_of(token, date, UUID) if token else None
    return await _page(read, reader, ContractSearch(grid_id=grid_id, after=after), size)


@router.get("/contracts", operation_id="contracts_list")
async def listed(
    reader: Reader,
    read: Read,
    on: Annotated[Day | None, Query(description="In force on this local day.")] = None,
    stage: GridStage | None = None,
    technician_id: UUID | None = None,
    contractor: Annotated[Name | None, Query()] = None,
    ending_before: Annotated[
        Day | None, Query(description="With an end before this day; use it together with `on`.")
    ] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> ContractPage:
    """List stages of all grids of the caller's part of the organisation, the latest begun first."""
    search = ContractSearch(
        on=on,
        stage=stage,
        technician_id=technician_id,
        contractor=contractor,
        ending_before=ending_before,
        after=key_of(token, date, UUID) if token else None,
    )
    return await _page(read, reader, search, size)


@router.post(
    "/grids/{grid_id}/contracts",
    response_model=ContractOut,
    status_code=status.HTTP_201_CREATED,
    operation_id="grid_contracts_begin",
)
async def begin(
    grid_id: UUID, body: BeginIn, supervisor: GridSupervisor, tx: Tx, now: Now
) -> GridContract:
    """Let a grid enter a stage from a day on; what is in force on that day ends there."""
    given = body.model_dump()
    retroactive = given.pop("retroactive")
    terms = Terms(grid_id=grid_id, **given)
    return await service.begin(tx, terms, retroactive=retroactive, caller=supervisor, now=now)


@router.post(
    "/contracts/bulk", status_code=status.HTTP_201_CREATED, operation_id="contracts_begin_many"
)
async def begin_many(
    body: BeginManyIn, supervisor: GridSupervisor, tx: Tx, now: Now
) -> ContractsOut:
    """Let many grids enter stages, all of them or none; each refusal is named."""
    rows = await service.begin_many(
        tx,
        [Terms(**one.model_dump()) for one in body.contracts],
        retroactive=body.retroactive,
        caller=supervisor,
        now=now,
    )
    return ContractsOut(contracts=[ContractOut.model_validate(row) for row in rows])


@router.post(
    "/contracts/{contract_id}/end", response_model=ContractOut, operation_id="contracts_end"
)
async def end(
    contract_id: UUID, body: EndContractIn, supervisor: GridSupervisor, tx: Tx, now: Now
) -> GridContract:
    """End a grid's stage on a day with nothing after it; on the day it begins, take it back."""
    return await service.end(
        tx,
        contract_id=contract_id,
        last_excluded=body.valid_to,
        reason=body.reason,
        retroactive=body.retroactive,
        caller=supervisor,
        now=now,
    )
