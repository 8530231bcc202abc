"""Technicians for tests: the smallest honest ones."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.technicians.models import Shift, Technician, TechnicianLoan, TechnicianSkill
from tests.make.auth import make_org_unit

EVERY_DAY = range(7)


async def make_technician(
    tx: AsyncSession,
    *,
    org_unit: OrgUnit | None = None,
    skills: Mapping[str, int] | None = None,
    weekdays: range = EVERY_DAY,
    starts_at: time = time(8, 0),
    ends_at: time = time(18, 0),
    **fields: Any,
) -> Technician:
    """Add a technician of `org_unit`, or of a branch of their own, who works 8 to 18 every day."""
    unit = org_unit or await make_org_unit(tx)
    technician_id = new_id()
    given: dict[str, Any] = {
        "id": technician_id,
        "org_unit_id": unit.id,
        "code": f"T{technician_id.hex[-8:]}",
        "name": "李师傅",
    }
    technician = Technician(**{**given, **fields})
    tx.add(technician)
    await tx.flush()
    tx.add_all(
        TechnicianSkill(technician_id=technician.id, skill=skill, level=level)
        for skill, level in (skills or {}).items()
    )
    tx.add_all(
        Shift(technician_id=technician.id, weekday=weekday, starts_at=starts_at, ends_at=ends_at)
        for weekday in weekdays
    )
    await tx.flush()
    return technician


async def make_loan(
    tx: AsyncSession, technician: Technician, unit: OrgUnit, *, first: date, now: datetime
) -> TechnicianLoan:
    """Lend a technician to another branch for a week, as both have agreed."""
    loan = TechnicianLoan(
        technician_id=technician.id,
        org_unit_id=unit.id,
        valid_from=first,
        valid_to=first + timedelta(days=7),
        reason="人手不足",
        asked_at=now,
        agreed_at=now,
    )
    tx.add(loan)
    await tx.flush()
    return loan
