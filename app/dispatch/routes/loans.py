"""Doorways of loans between branches: whom to borrow, asked for, agreed to, declined, ended."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response, status

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Code, Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.dispatch.queries import lending as queries
from app.dispatch.schemas.loans import (
    MOST_HELD,
    HelperOut,
    HelperSkillOut,
    HelpersOut,
    LentOut,
    LoanIn,
    LoanOut,
    LoanPage,
)
from app.dispatch.service import lending
from app.technicians import loans
from app.technicians.lending import LoanState
from app.workorders.queries import org_units

router = Router(prefix="/v1/loans", tags=["technicians"])

Dispatcher = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))
]


@router.get("/candidates", operation_id="loans_candidates")
async def candidates(
    dispatcher: Dispatcher,
    read: Read,
    now: Now,
    org_unit_id: Annotated[UUID, Query(description="The unit of yours that needs somebody.")],
    day: Annotated[Day, Query(description="A local day.")],
    skill: Annotated[Code | None, Query(description="Only who has this skill.")] = None,
    size: PageSize = 20,
) -> HelpersOut:
    """List who of the district's other branches has time on a day, the most useful first."""
    unit = await org_unit_within(read, org_unit_id, dispatcher)
    found = await lending.candidates(read, unit, day, skill=skill, size=size, now=now)
    return HelpersOut(
        candidates=[
            HelperOut(
                technician_id=one.person.id,
                code=one.person.code,
                name=one.person.name,
                org_unit_id=one.person.org_unit_id,
                org_unit_code=one.person.org_unit_code,
                skills=[
                    HelperSkillOut(skill=name, level=level) for name, level in one.skills.items()
                ],
                free_minutes=one.free,
                usable_minutes=one.usable,
                orders=one.orders,
                distance_m=one.distance_m,
                way_seconds=one.way_seconds,
            )
            for one in found
        ]
    )


@router.post(
    "",
    operation_id="loans_ask",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"description": "The same loan again.", "model": LentOut}},
)
async def ask(
    body: LoanIn, dispatcher: Dispatcher, tx: Tx, now: Now, response: Response
) -> LentOut:
    """Lend one of your technicians, at once, or ask another branch of the district for theirs."""
    given = body.model_dump(exclude={"id"})
    loan, made = await loans.ask(tx, dispatcher, loan_id=body.id, **given, now=now)
    if not made:
        response.status_code = status.HTTP_200_OK
    return await _shown(tx, loan.id, dispatcher)


@router.get("", operation_id="loans_list")
async def listed(
    dispatcher: Dispatcher,
    read: Read,
    state: LoanState | None = None,
    day: Annotated[Day | None, Query(description="Only those that have this local day.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> LoanPage:
    """List loans from or to your part of the organisation; `state=asked` wait for an answer."""
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(
        await loans.page(
            read,
            dispatcher,
            size=size,
            state=state,
            day=day,
            after=after and (after[0], after[1]),
        ),
        size,
    )
    return LoanPage(
        loans=[LoanOut.of(row) for row in rows],
        next_page_token=token_of(last.asked_at, last.id) if last else None,
    )


@router.post("/{loan_id}/agree", operation_id="loans_agree")
async def agree(loan_id: UUID, dispatcher: Dispatcher, tx: Tx, now: Now) -> LentOut:
    """Agree to lend one of your technicians; what they hold at home meanwhile is listed."""
    await loans.agree(tx, loan_id, dispatcher, now=now)
    return await _shown(tx, loan_id, dispatcher)


@router.post("/{loan_id}/decline", operation_id="loans_decline")
async def decline(loan_id: UUID, dispatcher: Dispatcher, tx: Tx, now: Now) -> LoanOut:
    """Say no to a loan that is asked for."""
    await loans.decline(tx, loan_id, dispatcher, now=now)
    return LoanOut.of(await loans.one(tx, loan_id, dispatcher))


@router.post("/{loan_id}/end", operation_id="loans_end")
async def end(loan_id: UUID, dispatcher: Dispatcher, tx: Tx, now: Now) -> LoanOut:
    """End a loan from now on, or take back what you asked for; either side may."""
    await loans.end(tx, loan_id, dispatcher, now=now)
    return LoanOut.of(await loans.one(tx, loan_id, dispatcher))


async def _shown(tx: Tx, loan_id: UUID, caller: Caller) -> LentOut:
    loan = await loans.one(tx, loan_id, caller)
    units = await org_units(tx, ids=[loan.org_unit_id])
    held = await queries.held_at_home(
        tx,
        caller,
        loan.technician_id,
        borrowing=units.by_id[loan.org_unit_id].path,
        valid_from=loan.valid_from,
        valid_to=loan.valid_to,
        size=MOST_HELD,
    )
    return LentOut.with_held(loan, held)
