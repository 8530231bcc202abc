"""Who may come in at the doorways of retention."""

from typing import Annotated

from fastapi import Depends, Query, Request

from app.auth.callers import Caller, caller
from app.auth.keys import KeyRing
from app.auth.rules import Role

PEOPLE = (Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN)
# Whoever looks after customers: a right that technicians and supervisors have in common.
Attendant = Annotated[Caller, Depends(caller(*PEOPLE, scope="customers:write"))]
Viewer = Annotated[Caller, Depends(caller(*PEOPLE, scope="customers:read"))]
Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="customers:write"))]
Overseer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:read"))]
Leader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:write"))]
Setter = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]

OrgUnitCode = Annotated[
    str | None,
    Query(max_length=64, description="Of this unit with all under it; left out, the caller's own."),
]


# A plain function would be run in a thread; this one only reads memory.
async def _keys(request: Request) -> KeyRing:
    keys: KeyRing = request.app.state.keys
    return keys


Keys = Annotated[KeyRing, Depends(_keys)]
"""The process's keys, for what is kept as a keyed hash."""
