"""Who works here: the technicians a caller may see, as a list and one with all particulars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.technicians.models import Leave, Shift, Technician, TechnicianSkill
from app.technicians.rules import WorkingTime

_LISTED = (
    Technician.id,
    Technician.code,
    Technician.name,
    Technician.phone,
    Technician.contractor,
    Technician.org_unit_id,
    Technician.daily_minutes,
    Technician.active,
    Technician.version,
)


@dataclass(frozen=True)
class Profile:
    """One technician: the row, skills by level, the week's shifts and the leave ahead."""

    technician: Any
    skills: dict[str, int]
    shifts: Sequence[WorkingTime]
    leave: Sequence[Leave]


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: str | None = None,
    org_path: str | None = None,
    skill: str | None = None,
    active: bool | None = None,
) -> Sequence[Any]:
    """Read one page of the caller's technicians by code, and one row more if there are others.

    `after` is the code the page before ended with; `org_path` narrows to a unit's subtree.
    """
    statement = select(*_LISTED).where(subtree(Technician.org_unit_id, caller))
    if after is not None:
        statement = statement.where(Technician.code > after)
    if org_path is not None:
        inside = select(OrgUnit.id).where(OrgUnit.path.startswith(org_path, autoescape=True))
        statement = statement.where(Technician.org_unit_id.in_(inside))
    if skill is not None:
        able = select(TechnicianSkill.technician_id).where(TechnicianSkill.skill == skill)
        statement = statement.where(Technician.id.in_(able))
    if active is not None:
        statement = statement.where(Technician.active == active)
    return (await session.execute(statement.order_by(Technician.code).limit(size + 1))).all()


async def skills_of(
    session: AsyncSession, technician_ids: Sequence[UUID]
) -> dict[UUID, dict[str, int]]:
    """Read the skills of some technicians with their levels, by name."""
    found: dict[UUID, dict[str, int]] = {technician_id: {} for technician_id in technician_ids}
    rows = await session.execute(
        select(TechnicianSkill.technician_id, TechnicianSkill.skill, TechnicianSkill.level)
        .where(TechnicianSkill.technician_id.in_(technician_ids))
        .order_by(TechnicianSkill.skill)
    )
    for technician_id, skill, level in rows:
        found[technician_id][skill] = level
    return found


async def profile(
    session: AsyncSession, caller: Caller, technician_id: UUID, now: datetime
) -> Profile:
    """Read one technician. Raises NotFound, also outside the caller's part of the organisation."""
    technician = (
        await session.execute(
            select(*_LISTED).where(
                Technician.id == technician_id, subtree(Technician.org_unit_id, caller)
            )
        )
    ).one_or_none()
    if technician is None:
        raise NotFound()
    shifts = await session.execute(
        select(Shift.weekday, Shift.starts_at, Shift.ends_at)
        .where(Shift.technician_id == technician_id)
        .order_by(Shift.weekday, Shift.starts_at)
    )
    leave = await session.scalars(
        select(Leave)
        .where(Leave.technician_id == technician_id, Leave.ends_at > now)
        .order_by(Leave.starts_at)
    )
    return Profile(
        technician=technician,
        skills=(await skills_of(session, [technician_id]))[technician_id],
        shifts=[WorkingTime(*row) for row in shifts],
        leave=leave.all(),
    )


async def for_change(tx: AsyncSession, caller: Caller, technician_id: UUID) -> Technician:
    """Take a technician under the row lock. Raises NotFound, also outside the caller's part."""
    technician = await tx.scalar(
        select(Technician)
        .where(Technician.id == technician_id, subtree(Technician.org_unit_id, caller))
        .with_for_update()
    )
    if technician is None:
        raise NotFound()
    return technician
