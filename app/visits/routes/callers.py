"""Who may come in at the doorways of visits."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth.callers import ANYBODY, Caller, caller
from app.auth.keys import KeyRing
from app.auth.rules import Role

Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]
Adviser = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="suggestions:use"))]
Viewer = Annotated[
    Caller, Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="catalog:read"))
]
# Whoever looks after customers: a right that technicians and supervisors have in common.
Attendant = Annotated[
    Caller,
    Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="customers:write")),
]
# The same, and the systems by which customers say what they want.
Wisher = Annotated[
    Caller,
    Depends(caller(*ANYBODY, scope="customers:write")),
]
Overseer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]
Reader = Annotated[
    Caller,
    Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="customers:read")),
]


# A plain function would be run in a thread; this one only reads memory.
async def _keys(request: Request) -> KeyRing:
    keys: KeyRing = request.app.state.keys
    return keys


Keys = Annotated[KeyRing, Depends(_keys)]
"""The process's keys, for what is kept as a keyed hash."""
