"""Loans between org units: asked for, agreed to, declined, ended, and listed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller, district_of
from app.core.db import is_broken
from app.core.errors import Forbidden, NotFound, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.technicians import lending
from app.technicians.lending import LoanState
from app.technicians.models import TechnicianLoan


class _Sides(NamedTuple):
    """Lender and borrower of a loan: their paths, and what the caller covers of them."""

    home_path: str
    path: str
    zone: str
    active: bool

    def lends(self, caller: Caller) -> bool:
        return self.home_path.startswith(caller.org_path)

    def borrows(self, caller: Caller) -> bool:
        return self.path.startswith(caller.org_path)


# The technician's row is the lock under which their loans change, so that two at once are told.
_SIDES = text(
    """
    SELECT home.path AS home_path, unit.path, home.time_zone, t.active
    FROM technician t JOIN org_unit home ON home.id = t.org_unit_id
        JOIN org_unit unit ON unit.id = :org_unit_id
    WHERE t.id = :technician_id FOR NO KEY UPDATE OF t
    """
)


async def _sides(
    tx: AsyncSession, technician_id: UUID, org_unit_id: UUID, caller: Caller
) -> _Sides:
    """Lock the technician and read both sides. Raises NotFound for who covers neither."""
    row = (
        await tx.execute(_SIDES, {"technician_id": technician_id, "org_unit_id": org_unit_id})
    ).one_or_none()
    sides = _Sides(*row) if row else None
    if sides is None or not (sides.lends(caller) or sides.borrows(caller)):
        raise NotFound()
    return sides


async def ask(
    tx: AsyncSession,
    caller: Caller,
    *,
    loan_id: UUID,
    technician_id: UUID,
    org_unit_id: UUID,
    valid_from: date,
    valid_to: date,
    reason: str,
    now: datetime,
) -> tuple[TechnicianLoan, bool]:
    """Lend somebody whom the caller covers, at once; else ask for them, for a unit they cover.

    Lender and borrower are of one district, unless the caller covers both. The same sent again is
    answered like the first time; the second value says whether it was new. Raises NotFound,
    Invalid, LentAlready or SameIdOtherContent.
    """
    sides = await _sides(tx, technician_id, org_unit_id, caller)
    both = sides.lends(caller) and sides.borrows(caller)
    if not both and district_of(sides.home_path) != district_of(sides.path):
        raise NotFound()
    known = await tx.get(TechnicianLoan, loan_id)
    if known is not None:
        same = (known.technician_id, known.org_unit_id, known.valid_from, known.valid_to)
        wanted = (technician_id, org_unit_id, valid_from, valid_to)
        if same != wanted or known.reason != reason:
            raise SameIdOtherContent(id=loan_id)
        return known, False
    numbers = await parameters_in_force(tx)
    lending.check_loan(
        valid_from=valid_from,
        valid_to=valid_to,
        today=now.astimezone(ZoneInfo(sides.zone)).date(),
        longest=numbers.whole(lending.LONGEST, now, sides.path),
        active=sides.active,
        theirs=sides.home_path.startswith(sides.path),
    )
    loan = TechnicianLoan(
        id=loan_id,
        technician_id=technician_id,
        org_unit_id=org_unit_id,
        valid_from=valid_from,
        valid_to=valid_to,
        reason=reason,
        asked_at=now,
        asked_by=caller.account_id,
    )
    tx.add(loan)
    try:
        async with tx.begin_nested():
            await tx.flush()
    except IntegrityError as error:
        raise SameIdOtherContent(id=loan_id) from error
    if sides.lends(caller):
        await _agree(tx, loan, caller, now)
    return loan, True


async def agree(
    tx: AsyncSession, loan_id: UUID, caller: Caller, *, now: datetime
) -> TechnicianLoan:
    """Agree to a loan; again changes nothing. Raises NotFound, Forbidden for who does not cover
    the technician, LoanOver or LentAlready."""
    loan, sides = await _taken(tx, loan_id, caller)
    _check_lender(sides, caller)
    state = _state(loan)
    if state is LoanState.ASKED:
        await _agree(tx, loan, caller, now)
    elif state is not LoanState.AGREED:
        raise lending.LoanOver(state=state)
    return loan


async def decline(
    tx: AsyncSession, loan_id: UUID, caller: Caller, *, now: datetime
) -> TechnicianLoan:
    """Say no to a loan that is asked for; again changes nothing. Raises NotFound, Forbidden for
    who does not cover the technician, or LoanOver once it was agreed."""
    loan, sides = await _taken(tx, loan_id, caller)
    _check_lender(sides, caller)
    state = _state(loan)
    if state in (LoanState.AGREED, LoanState.ENDED):
        raise lending.LoanOver(state=state)
    return await _end(tx, loan, caller, now)


async def end(tx: AsyncSession, loan_id: UUID, caller: Caller, *, now: datetime) -> TechnicianLoan:
    """End a loan from now on, or take back that it was asked for; either side may, and again
    changes nothing. Raises NotFound."""
    loan, _ = await _taken(tx, loan_id, caller)
    return await _end(tx, loan, caller, now)


def _state(loan: TechnicianLoan) -> LoanState:
    return lending.state_of(agreed=loan.agreed_at is not None, ended=loan.ended_at is not None)


def _check_lender(sides: _Sides, caller: Caller) -> None:
    if not sides.lends(caller):
        raise Forbidden(needs="a supervisor of the technician's own unit")


async def _taken(tx: AsyncSession, loan_id: UUID, caller: Caller) -> tuple[TechnicianLoan, _Sides]:
    known = await tx.get(TechnicianLoan, loan_id)
    if known is None:
        raise NotFound()
    sides = await _sides(tx, known.technician_id, known.org_unit_id, caller)
    await tx.refresh(known)
    return known, sides


async def _end(
    tx: AsyncSession, loan: TechnicianLoan, caller: Caller, now: datetime
) -> TechnicianLoan:
    if loan.ended_at is None:
        loan.ended_at, loan.ended_by = now, caller.account_id
        await tx.flush()
    return loan


_OTHER = text(
    """
    SELECT l.valid_from, l.valid_to, u.code FROM technician_loan l
    JOIN org_unit u ON u.id = l.org_unit_id
    WHERE l.technician_id = :technician_id AND l.id <> :id
        AND l.agreed_at IS NOT NULL AND l.ended_at IS NULL
        AND daterange(l.valid_from, l.valid_to) && daterange(:valid_from, :valid_to)
    ORDER BY l.valid_from LIMIT 1
    """
)


async def _agree(tx: AsyncSession, loan: TechnicianLoan, caller: Caller, now: datetime) -> None:
    """Raises LentAlready, with the loan that stands in the way."""
    try:
        async with tx.begin_nested():
            loan.agreed_at, loan.agreed_by = now, caller.account_id
            await tx.flush()
    except IntegrityError as error:
        if not is_broken("ex_technician_loan_one_at_a_time", error):
            raise
        await tx.refresh(loan)
        given = {
            "id": loan.id,
            "technician_id": loan.technician_id,
            "valid_from": loan.valid_from,
            "valid_to": loan.valid_to,
        }
        other = (await tx.execute(_OTHER, given)).one()
        raise lending.LentAlready(
            valid_from=other.valid_from, valid_to=other.valid_to, org_unit_code=other.code
        ) from error


# --- reading --------------------------------------------------------------------------------------

_LISTED = """
    SELECT l.id, l.technician_id, t.code AS technician_code, t.name AS technician_name,
        t.org_unit_id AS home_org_unit_id, home.code AS home_org_unit_code,
        l.org_unit_id, unit.code AS org_unit_code, l.valid_from, l.valid_to, l.reason,
        l.asked_at, l.asked_by, l.agreed_at, l.agreed_by, l.ended_at, l.ended_by,
        starts_with(home.path, :org_path) AS may_agree
    FROM technician_loan l JOIN technician t ON t.id = l.technician_id
        JOIN org_unit home ON home.id = t.org_unit_id
        JOIN org_unit unit ON unit.id = l.org_unit_id
    WHERE (starts_with(home.path, :org_path) OR starts_with(unit.path, :org_path))
"""
_PAGE = text(
    f"""{_LISTED}
        AND (CAST(:on AS date) IS NULL OR (l.valid_from <= :on AND l.valid_to > :on))
        AND (CAST(:state AS text) IS NULL OR :state = CASE
            WHEN l.agreed_at IS NULL THEN
                CASE WHEN l.ended_at IS NULL THEN 'asked' ELSE 'declined' END
            WHEN l.ended_at IS NULL THEN 'agreed' ELSE 'ended' END)
        AND (CAST(:asked_at AS timestamptz) IS NULL
            OR (l.asked_at, l.id) < (:asked_at, CAST(:id AS uuid)))
    ORDER BY l.asked_at DESC, l.id DESC LIMIT :size
    """
)
_ONE = text(f"{_LISTED} AND l.id = :id")


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    state: LoanState | None = None,
    day: date | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` loans from or to the caller's part of the organisation, newest first.

    Of one state, or of those that have a local day; `after` is the key (asked_at, id) of the last
    of the page before.
    """
    asked_at, last_id = after or (None, None)
    given = {
        "org_path": caller.org_path,
        "on": day,
        "state": state and state.value,
        "asked_at": asked_at,
        "id": last_id,
        "size": size + 1,
    }
    return (await session.execute(_PAGE, given)).all()


async def one(session: AsyncSession, loan_id: UUID, caller: Caller) -> Row[Any]:
    """Read a loan from or to the caller's part of the organisation. Raises NotFound."""
    row = (await session.execute(_ONE, {"org_path": caller.org_path, "id": loan_id})).one_or_none()
    if row is None:
        raise NotFound()
    return row
