"""Who may come to the doorways of sales."""

from typing import Annotated

from fastapi import Depends

from app.auth.callers import Caller, caller
from app.auth.rules import Role

Seller = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="sales:make"))]
Reader = Annotated[
    Caller, Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="sales:read"))
]
# Who writes down second confirmations, and reads what proves consent: never the technician who has
# sold.
Confirmer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="sales:change"))]
