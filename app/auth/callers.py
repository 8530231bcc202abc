"""Callers: a token proved becomes a Caller, and who may is said in a route's signature."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy import ColumnElement, select

from app.auth import tokens
from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.clock import wall
from app.core.errors import Forbidden, Unauthorized

_bearer = OAuth2PasswordBearer(tokenUrl="/v1/auth/token", auto_error=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the token says: nothing here costs a look into the database."""

    account_id: UUID
    role: Role
    org_unit_id: UUID
    org_path: str
    technician_id: UUID | None
    scopes: frozenset[str]


def subtree(column: Any, caller: Caller) -> ColumnElement[bool]:
    """Make the condition that a row's org unit lies in the caller's subtree.

    Every query over rows that belong to an org unit carries it; what it leaves out is answered as
    not found.
    """
    inside = select(OrgUnit.id).where(OrgUnit.path.startswith(caller.org_path, autoescape=True))
    return column.in_(inside)  # type: ignore[no-any-return]


def caller(*roles: Role, scope: str) -> Callable[..., Caller]:
    """Make the dependency that admits callers of these roles with this scope.

    Raises Unauthorized without a valid token and Forbidden when role or scope is missing.
    """
    admitted = frozenset(roles)

    # A plain function would be run in a thread; this one only reads memory.
    async def prove(
        request: Request, token: Annotated[str | None, Depends(_bearer)] = None
    ) -> Caller:
        if not token:
            raise Unauthorized()
        known = tokens.proved(request.app.state.keys, request.app.state.settings, token, wall())
        if known.role not in admitted or scope not in known.scopes:
            raise Forbidden(needs=f"{'/'.join(sorted(admitted))} + {scope}")
        request.scope["caller"] = known
        return known

    return prove  # type: ignore[return-value]


ANYBODY = (Role.TECHNICIAN, Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN)
