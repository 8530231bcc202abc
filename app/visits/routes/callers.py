"""Who may come in at the doorways of visits."""

from typing import Annotated

from fastapi import Depends

from app.auth.callers import Caller, caller
from app.auth.rules import Role

Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]
Adviser = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="suggestions:use"))]
Viewer = Annotated[
    Caller, Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="catalog:read"))
]
Reader = Annotated[
    Caller,
    Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="customers:read")),
]
