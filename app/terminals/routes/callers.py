"""Who may come in at the doorways of terminals."""

from typing import Annotated

from fastapi import Depends

from app.auth.callers import Caller, caller
from app.auth.rules import Role

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="technicians:read"))]
Depot = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="terminals:move"))]
Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]
Counter = Annotated[
    Caller,
    Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="terminals:count")),
]
