"""Doorways of late orders, escalations and compensations."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller, technician_of
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.overdue import queries, rules, service
from app.overdue.rules import CompensationState, Decision
from app.overdue.schemas import (
    AcknowledgeIn,
    CompensationOut,
    CompensationPage,
    DecideIn,
    EscalationOut,
    EscalationPage,
    EscalationsOut,
    LateCountOut,
    LateCountsOut,
    LateOrderOut,
    LateOrderPage,
)
from app.promises.rules import Level
from app.worktypes.rules import WorkType

router = Router(prefix="/v1", tags=["promises"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]
Keeper = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))]
Exporter = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="orders:read")),
]
Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]
OrgUnitId = Annotated[
    UUID | None, Query(description="With all units under it; left out, the caller's own.")
]


@router.get("/promises/overdue", operation_id="promises_overdue")
async def overdue(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: OrgUnitId = None,
    work_type: WorkType | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> LateOrderPage:
    """List open orders whose promise is broken, those due first first.

    Time in which an order's clock stood still is taken into account.
    """
    rows = await queries.late(
        read,
        reader,
        since=None,
        until=now,
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        org_unit_id=org_unit_id,
        work_type=work_type,
    )
    return _page(rows, size, now)


@router.get("/promises/at-risk", operation_id="promises_at_risk")
async def at_risk(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: OrgUnitId = None,
    work_type: WorkType | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> LateOrderPage:
    """List open orders whose promise is about to be broken, those due first first.

    With how little left an order is at risk is the parameter `promises.at_risk_minutes`.
    """
    minutes = (await parameters_in_force(read)).number(rules.AT_RISK_MINUTES, now, reader.org_path)
    rows = await queries.late(
        read,
        reader,
        since=now,
        until=now + timedelta(minutes=minutes),
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        org_unit_id=org_unit_id,
        work_type=work_type,
    )
    return _page(rows, size, now)


def _page(rows: Sequence[Any], size: int, now: datetime) -> LateOrderPage:
    shown, last = cut(rows, size)
    return LateOrderPage(
        orders=[LateOrderOut.of(row, now) for row in shown],
        next_page_token=token_of(last.due_at, last.id) if last else None,
    )


@router.get("/promises/counts", operation_id="promises_counts")
async def counts(reader: Reader, read: Read, now: Now) -> LateCountsOut:
    """Count overdue orders and those at risk by org unit; a unit that has none is left out."""
    minutes = (await parameters_in_force(read)).number(rules.AT_RISK_MINUTES, now, reader.org_path)
    found = await queries.counts(read, reader, now=now, soon=now + timedelta(minutes=minutes))
    units = [LateCountOut.model_validate(row) for row in found]
    return LateCountsOut(at=now, at_risk_minutes=minutes, units=units)


# --- escalations ----------------------------------------------------------------------------------


@router.get("/escalations", operation_id="escalations_list")
async def escalations(
    reader: Reader,
    read: Read,
    lang: Language,
    level: Level | None = None,
    acknowledged: Annotated[
        bool, Query(description="Those somebody has taken up, instead of those that still matter.")
    ] = False,
    org_unit_id: OrgUnitId = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> EscalationPage:
    """List what a level was told of orders that are late or about to be, the latest first."""
    found = await queries.escalations(
        read,
        reader,
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        level=level,
        acknowledged=acknowledged,
        org_unit_id=org_unit_id,
    )
    rows, last = cut(found, size)
    return EscalationPage(
        escalations=[EscalationOut.of(row, lang) for row in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )


@router.get("/escalations/mine", operation_id="escalations_mine")
async def mine(technician: Technician, read: Read, lang: Language) -> EscalationsOut:
    """List the technician's own orders that are about to be late, those due first first."""
    found = await queries.escalations_of(read, technician_of(technician))
    return EscalationsOut(escalations=[EscalationOut.of(row, lang) for row in found])


@router.post("/escalations/mine/{escalation_id}/acknowledge", operation_id="escalations_take_mine")
async def acknowledge_mine(
    escalation_id: UUID,
    body: AcknowledgeIn,
    technician: Technician,
    tx: Tx,
    now: Now,
    lang: Language,
) -> EscalationOut:
    """Say what the technician does about an order that is about to be late."""
    technician_of(technician)
    await service.acknowledge(tx, escalation_id, technician, note=body.note, now=now)
    return EscalationOut.of(await queries.escalation(tx, escalation_id), lang)


@router.post("/escalations/{escalation_id}/acknowledge", operation_id="escalations_acknowledge")
async def acknowledge(
    escalation_id: UUID,
    body: AcknowledgeIn,
    keeper: Keeper,
    tx: Tx,
    now: Now,
    lang: Language,
) -> EscalationOut:
    """Take an escalation up with a word on what is done; whoever was first stays."""
    await service.acknowledge(tx, escalation_id, keeper, note=body.note, now=now)
    return EscalationOut.of(await queries.escalation(tx, escalation_id), lang)


# --- compensations --------------------------------------------------------------------------------


@router.get("/compensations", operation_id="compensations_list")
async def compensations(
    reader: Exporter,
    read: Read,
    lang: Language,
    since: Annotated[
        Moment | None,
        Query(description="Changed at or after this moment, for systems that follow."),
    ] = None,
    state: CompensationState | None = None,
    org_unit_id: OrgUnitId = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> CompensationPage:
    """List what is paid for late orders, and what is not and why; those that changed first first.

    A system that follows asks with `since` from a few minutes before its last answer, and takes a
    row it has met by its id and `changed_at`.
    """
    found = await queries.compensations(
        read,
        reader,
        size=size,
        since=since,
        after=key_of(token, datetime, UUID) if token else None,
        state=state,
        org_unit_id=org_unit_id,
    )
    rows, last = cut(found, size)
    return CompensationPage(
        compensations=[CompensationOut.of(row, lang) for row in rows],
        next_page_token=token_of(last.changed_at, last.id) if last else None,
    )


@router.post("/compensations/{compensation_id}/confirm", operation_id="compensations_confirm")
async def confirm(
    compensation_id: UUID, body: DecideIn, keeper: Keeper, tx: Tx, now: Now, lang: Language
) -> CompensationOut:
    """Confirm a proposed compensation; from here on its amount never changes."""
    return await _decide(tx, compensation_id, keeper, Decision.CONFIRM, body, now, lang)


@router.post("/compensations/{compensation_id}/refuse", operation_id="compensations_refuse")
async def refuse(
    compensation_id: UUID, body: DecideIn, keeper: Keeper, tx: Tx, now: Now, lang: Language
) -> CompensationOut:
    """Refuse a proposed compensation, with a reason."""
    return await _decide(tx, compensation_id, keeper, Decision.REFUSE, body, now, lang)


@router.post("/compensations/{compensation_id}/reverse", operation_id="compensations_reverse")
async def reverse(
    compensation_id: UUID, body: DecideIn, keeper: Keeper, tx: Tx, now: Now, lang: Language
) -> CompensationOut:
    """Reverse a confirmed compensation: a row of its own takes the amount back."""
    return await _decide(tx, compensation_id, keeper, Decision.REVERSE, body, now, lang)


async def _decide(
    tx: Tx,
    compensation_id: UUID,
    keeper: Caller,
    decision: Decision,
    body: DecideIn,
    now: datetime,
    lang: Language,
) -> CompensationOut:
    one = await service.decide(tx, compensation_id, keeper, decision, reason=body.reason, now=now)
    return CompensationOut.of(await queries.compensation(tx, one.id), lang)
