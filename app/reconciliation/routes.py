"""Doorways of reconciliation, for supervisors."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Day, Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.settings import Settings
from app.reconciliation import queries, service
from app.reconciliation.models import ReconciliationRun
from app.reconciliation.rules import DifferenceKind, DifferenceState, NoOrderingSystem
from app.reconciliation.schemas import (
    ReconciliationDayOut,
    ReconciliationIn,
    ReconciliationRunOut,
    ResolutionsOut,
    ResolveIn,
    SaleDifferenceOut,
    SaleDifferencePage,
)
from app.reconciliation.service import Choice

router = Router(prefix="/v1", tags=["reconciliation"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:read"))]
Resolver = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sync:resolve"))]


@router.post(
    "/reconciliations",
    response_model=ReconciliationRunOut,
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="reconciliations_ask",
)
async def ask(
    request: Request, body: ReconciliationIn, resolver: Resolver, tx: Tx, now: Now
) -> ReconciliationRun:
    """Ask for a day to be compared with the ordering system; it is done by a job."""
    settings: Settings = request.app.state.settings
    if not settings.ordering_url:
        raise NoOrderingSystem()
    return await service.ask(
        tx,
        run_id=body.id,
        day=body.day,
        org_unit_id=body.org_unit_id or resolver.org_unit_id,
        org_path=resolver.org_path,
        by=resolver.account_id,
        now=now,
    )


@router.get(
    "/reconciliation-runs/{run_id}",
    response_model=ReconciliationRunOut,
    operation_id="reconciliation_runs_one",
)
async def progress(run_id: UUID, reader: Reader, read: Read) -> ReconciliationRun:
    """Say how far a comparison is."""
    return await queries.run(read, run_id, reader)


@router.get("/reconciliations/{day}", operation_id="reconciliations_day")
async def summed(day: Day, reader: Reader, read: Read, lang: Language) -> ReconciliationDayOut:
    """Read what a day came to, unit by unit: equal, healed, open and explained."""
    return ReconciliationDayOut.of(day, await queries.sums(read, day, reader.org_path), lang)


@router.get("/reconciliation-resolutions", operation_id="reconciliation_resolutions")
async def resolutions(reader: Reader, lang: Language) -> ResolutionsOut:
    """Say what can be done about each kind of difference."""
    return ResolutionsOut.of(lang)


@router.get("/reconciliation-cases", operation_id="reconciliation_cases_list")
async def listed(
    reader: Reader,
    read: Read,
    lang: Language,
    day: Day | None = None,
    state: DifferenceState | None = None,
    kind: DifferenceKind | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> SaleDifferencePage:
    """List differences, the latest first; `state=open` are those that wait for a person."""
    after = key_of(token, datetime, UUID) if token else None
    found = await queries.cases(
        read, reader, size=size, after=after, day=day, state=state, kind=kind
    )
    rows, last = cut(found, size)
    return SaleDifferencePage(
        cases=[SaleDifferenceOut.of(row, lang) for row in rows],
        next_page_token=token_of(last.first_seen_at, last.id) if last else None,
    )


@router.post("/reconciliation-cases/{case_id}/resolve", operation_id="reconciliation_cases_resolve")
async def resolve(
    case_id: UUID, body: ResolveIn, resolver: Resolver, tx: Tx, now: Now, lang: Language
) -> SaleDifferenceOut:
    """Do something about a difference; what has to be told to the other side is done by a job."""
    choice = Choice(**body.model_dump())
    return SaleDifferenceOut.of(await service.resolve(tx, case_id, resolver, choice, now=now), lang)
