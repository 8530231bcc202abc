"""Loans between branches: whom others may count on, and for whom nobody else may."""

from datetime import date, timedelta
from typing import Any

import pytest

from app.technicians import queries
from app.technicians.models import TechnicianLoan
from tests.make.auth import make_org_unit
from tests.make.technicians import make_technician

TODAY = date(2026, 3, 2)


@pytest.fixture
async def district(tx):
    """A district of a city of a province."""
    unit = await make_org_unit(tx)
    for _ in range(2):
        unit = await make_org_unit(tx, parent=unit)
    return unit


def lent(technician, unit, now, *, first=TODAY, days=2, **fields):
    """A loan of some days that was agreed at once."""
    given = {"agreed_at": now, **fields}
    return TechnicianLoan(
        technician_id=technician.id,
        org_unit_id=unit.id,
        valid_from=first,
        valid_to=first + timedelta(days=days),
        reason="many installs",
        asked_at=now,
        **given,
    )


async def test_loans_are_found_by_the_person_and_by_the_unit(tx, district, clock):
    lending = await make_org_unit(tx, parent=district)
    borrowing = await make_org_unit(tx, parent=district)
    crew = await make_org_unit(tx, parent=borrowing)
    now = clock.now()
    here, gone, ended, asked = [await make_technician(tx, org_unit=lending) for _ in range(4)]
    tx.add_all(
        [
            lent(here, borrowing, now),
            lent(gone, borrowing, now, first=TODAY - timedelta(days=2)),
            lent(ended, borrowing, now, ended_at=now),
            lent(asked, borrowing, now, agreed_at=None),
        ]
    )
    await tx.flush()
    everybody = [here.id, gone.id, ended.id, asked.id]
    days: Any = {"first_day": TODAY, "last_day": TODAY}
    [loan] = await queries.loans_on(tx, technician_ids=everybody, **days)
    assert (loan.technician_id, loan.org_unit_id) == (here.id, borrowing.id)
    assert [loan.on(TODAY + timedelta(days=n)) for n in (-1, 0, 1, 2)] == [False, True, True, False]
    assert loan.serves(borrowing.path) and loan.serves(crew.path)
    assert not loan.serves(lending.path)
    for unit in (borrowing, crew, district):
        assert await queries.loans_on(tx, org_paths=[unit.path], **days) == [loan]
    assert await queries.loans_on(tx, org_paths=[lending.path], **days) == []
    assert await queries.loans_on(tx, **days) == []
