"""Doorways of technicians."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Code, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.technicians import directory, service
from app.technicians.schemas import (
    LeaveIn,
    LeaveOut,
    ShiftOut,
    SkillOut,
    TechnicianOut,
    TechnicianPage,
    TechnicianProfile,
)

router = Router(prefix="/v1/technicians", tags=["technicians"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="technicians:read"))]
Planner = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="leave:write"))]


def _skills(skills: dict[str, int]) -> list[SkillOut]:
    return [SkillOut(skill=skill, level=level) for skill, level in skills.items()]


@router.get("", operation_id="technicians_list")
async def listed(
    reader: Reader,
    read: Read,
    org_unit_id: Annotated[
        UUID | None, Query(description="Only this org unit and what is under it.")
    ] = None,
    skill: Annotated[Code | None, Query(description="Only who has this skill.")] = None,
    active: bool | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> TechnicianPage:
    """List the technicians of the caller's part of the organisation, by code."""
    unit = await org_unit_within(read, org_unit_id, reader) if org_unit_id else None
    rows, last = cut(
        await directory.page(
            read,
            reader,
            size=size,
            after=key_of(token, str)[0] if token else None,
            org_path=unit.path if unit else None,
            skill=skill,
            active=active,
        ),
        size,
    )
    skills = await directory.skills_of(read, [row.id for row in rows])
    return TechnicianPage(
        technicians=[TechnicianOut(**row._mapping, skills=_skills(skills[row.id])) for row in rows],
        next_page_token=token_of(last.code) if last else None,
    )


@router.get("/{technician_id}", operation_id="technicians_one")
async def one(technician_id: UUID, reader: Reader, read: Read, now: Now) -> TechnicianProfile:
    """Read a technician with skills, shifts and the leave ahead."""
    profile = await directory.profile(read, reader, technician_id, now)
    return TechnicianProfile(
        **profile.technician._mapping,
        skills=_skills(profile.skills),
        shifts=[ShiftOut(**shift._asdict()) for shift in profile.shifts],
        leave=[LeaveOut.model_validate(leave) for leave in profile.leave],
    )


@router.post(
    "/{technician_id}/leave",
    status_code=status.HTTP_201_CREATED,
    operation_id="technicians_grant_leave",
)
async def grant_leave(technician_id: UUID, body: LeaveIn, planner: Planner, tx: Tx) -> LeaveOut:
    """Write down a leave; sending it again is answered like the first time."""
    leave = await service.grant_leave(
        tx,
        leave_id=body.id,
        technician_id=technician_id,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        cause=body.cause,
        caller=planner,
    )
    return LeaveOut.model_validate(leave)


@router.delete(
    "/{technician_id}/leave/{leave_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="technicians_revoke_leave",
)
async def revoke_leave(technician_id: UUID, leave_id: UUID, planner: Planner, tx: Tx) -> None:
    """Take a leave back, so that the technician is counted on again."""
    await service.revoke_leave(tx, leave_id=leave_id, technician_id=technician_id, caller=planner)
