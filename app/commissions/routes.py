"""Doorways of commissions: one's own statement, those of one's people, and what is flagged."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, caller, technician_of
from app.auth.rules import Role
from app.commissions import queries
from app.commissions.models import CommissionFlag
from app.commissions.rules import EntryKind, FlagKind, FlagState, reckoning
from app.commissions.schemas import (
    CommissionEntryOut,
    CommissionFlagOut,
    CommissionFlagPage,
    CommissionsOut,
    ReviewIn,
    StatementOut,
    TechnicianMonthOut,
)
from app.commissions.service import reviewing
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import NotFound
from app.core.http import Language, Now
from app.core.i18n import Lang
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.workorders.queries import org_units

router = Router(prefix="/v1", tags=["commissions"])

Mine = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="sales:read"))]
Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sales:read"))]
Reviewer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sales:change"))]
Month = Annotated[
    str | None,
    Query(
        pattern=r"^20\d\d-(0[1-9]|1[0-2])$",
        max_length=7,
        examples=["2026-03"],
        description="Year and month; left out, the one that goes on.",
    ),
]


async def _month(session: AsyncSession, month: str | None, unit_id: UUID, now: datetime) -> date:
    if month is not None:
        return date.fromisoformat(f"{month}-01")
    units = await org_units(session, ids=[unit_id])
    return reckoning.month_of(now, units.by_id[unit_id].zone)


async def _statement(session: AsyncSession, technician_id: UUID, month: date) -> StatementOut:
    lines = await queries.lines_of(session, technician_id, month)

    def of(kind: EntryKind) -> int:
        return sum(one.fen for one in lines if one.kind == kind)

    return StatementOut(
        technician_id=technician_id,
        month=month,
        earned_fen=of(EntryKind.EARNED),
        kept_fen=of(EntryKind.KEPT),
        taken_back_fen=of(EntryKind.TAKEN_BACK),
        given_back_fen=of(EntryKind.GIVEN_BACK),
        total_fen=sum(one.fen for one in lines),
        cut_fen=sum(one.cut_fen for one in lines),
        to_come_fen=await queries.to_come(session, technician_id),
        entries=[CommissionEntryOut.model_validate(one) for one in lines],
    )


@router.get("/my/commission", operation_id="my_commission")
async def mine(me: Mine, read: Read, now: Now, month: Month = None) -> StatementOut:
    """Read one's own statement of a month: each entry, and what they add up to."""
    asked = await _month(read, month, me.org_unit_id, now)
    return await _statement(read, technician_of(me), asked)


@router.get("/commissions", operation_id="commissions_list")
async def months(
    reader: Reader,
    read: Read,
    now: Now,
    month: Month = None,
    org_unit_id: UUID | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> CommissionsOut:
    """List what a month comes to for whoever sold in a part of the organisation, by technician."""
    unit_id = org_unit_id or reader.org_unit_id
    units = await org_units(read, ids=[unit_id])
    unit = units.in_reach(unit_id, reader.org_path)
    if unit is None:
        raise NotFound(org_unit_id=unit_id)
    asked = await _month(read, month, unit_id, now)
    rows, total = await queries.sums_of_units(
        read,
        units.within(unit.path),
        asked,
        size=size,
        after=key_of(token, UUID)[0] if token else None,
    )
    shown, last = cut(rows, size)
    return CommissionsOut(
        month=asked,
        total_fen=total,
        technicians=[TechnicianMonthOut.model_validate(one) for one in shown],
        next_page_token=token_of(last.technician_id) if last else None,
    )


@router.get("/commissions/{technician_id}", operation_id="commissions_one")
async def one(
    technician_id: UUID, reader: Reader, read: Read, now: Now, month: Month = None
) -> StatementOut:
    """Read the statement of one of one's people."""
    _, unit_id = await queries.technician_within(read, technician_id, reader)
    return await _statement(read, technician_id, await _month(read, month, unit_id, now))


def _shown(flag: CommissionFlag, lang: Lang) -> CommissionFlagOut:
    fields = CommissionFlagOut.model_fields.keys() - {"words"}
    return CommissionFlagOut(
        **{name: getattr(flag, name) for name in fields}, words=flag.kind.words.say(lang)
    )


@router.get("/commission-flags", operation_id="commission_flags_list")
async def flags(
    reader: Reader,
    read: Read,
    lang: Language,
    state: FlagState = FlagState.OPEN,
    kind: FlagKind | None = None,
    technician_id: UUID | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> CommissionFlagPage:
    """List what somebody should look at, the latest first; nothing was cut by it."""
    rows, last = cut(
        await queries.flags_page(
            read,
            reader,
            size=size,
            after=key_of(token, datetime, UUID) if token else None,
            state=state,
            kind=kind,
            technician_id=technician_id,
        ),
        size,
    )
    return CommissionFlagPage(
        flags=[_shown(flag, lang) for flag in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )


@router.post("/commission-flags/{flag_id}/review", operation_id="commission_flags_review")
async def review(
    flag_id: UUID, body: ReviewIn, reviewer: Reviewer, tx: Tx, now: Now, lang: Language
) -> CommissionFlagOut:
    """Say what was found: the flag is cleared or upheld, with a reason; no money moves by it."""
    flag = await reviewing.review(
        tx, flag_id, reviewer, verdict=body.verdict, reason=body.reason, now=now
    )
    return _shown(flag, lang)
