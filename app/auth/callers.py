"""Callers: a token proved becomes a Caller, and who may is said in a route's signature."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy import ColumnElement, select

from app.auth import tokens
from app.auth.models import OrgUnit
from app.auth.rules import Caller, Role, WipeAsked
from app.core import clock
from app.core.errors import Forbidden, Unauthorized

__all__ = ["ANYBODY", "Caller", "GoodUntil", "caller", "subtree"]

ANYBODY = (Role.TECHNICIAN, Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN)

_bearer = OAuth2PasswordBearer(
    tokenUrl="/v1/auth/token",
    refreshUrl="/v1/auth/token",
    description=(
        "A JSON Web Token after RFC8725: one algorithm, the issuer, the audience and the kind are "
        "checked, and it ends after a quarter of an hour at most; a refresh token brings the next."
    ),
    auto_error=False,
)


async def _good_until(token: Annotated[str | None, Depends(_bearer)] = None) -> datetime:
    if not token:
        raise Unauthorized()
    return tokens.good_until(token)


GoodUntil = Annotated[datetime, Depends(_good_until)]
"""Until when a caller's token is accepted, for an answer that goes on; stands after the caller in a
signature, since that proves the token."""


def technician_of(caller: Caller) -> UUID:
    """Return the technician a caller is. Raises Forbidden for an account that is nobody's."""
    if caller.technician_id is None:
        raise Forbidden(needs="an account that belongs to a technician")
    return caller.technician_id


def at_door_of(caller: Caller, org_path: str) -> Caller:
    """See a caller as of the branch at whose door they were found to stand.

    Where they are lent it is not their own, and they do there what its people do. It is for asking
    on about that one door, after it was proved: nothing is looked up here.
    """
    return replace(caller, org_path=org_path)


def subtree(column: Any, caller: Caller) -> ColumnElement[bool]:
    """Make the condition that a row's org unit lies in the caller's subtree.

    `column` holds the org unit's id. Every query over rows that belong to an org unit carries it;
    what it leaves out is answered as not found.
    """
    inside = select(OrgUnit.id).where(OrgUnit.path.startswith(caller.org_path, autoescape=True))
    return column.in_(inside)  # type: ignore[no-any-return]


def caller(*roles: Role, scope: str, emptying: bool = False) -> Callable[..., Caller]:
    """Make the dependency that admits callers of these roles with this scope.

    `emptying` is for what a phone needs that is to be emptied: to hear of it, to bring what is
    unsent, and to say that it is done. Raises Unauthorized without a valid token, Forbidden when
    role or scope is missing, and WipeAsked for such a phone at all other doorways.
    """
    admitted = frozenset(roles)
    needs = f"{' / '.join(sorted(admitted))} + {scope}"

    # A plain function would be run in a thread; this one only reads memory.
    async def prove(
        request: Request, token: Annotated[str | None, Depends(_bearer)] = None
    ) -> Caller:
        if not token:
            raise Unauthorized()
        state = request.app.state
        known = tokens.proved(state.keys, state.settings, token, clock.wall())
        if known.role not in admitted or scope not in known.scopes:
            raise Forbidden(needs=needs)
        # What is pushed goes through its own doorways, in the request that was let in with it.
        if known.to_empty is not None and not (emptying or request.scope.get("caller") == known):
            raise WipeAsked(**known.to_empty._asdict())
        # The audit trail reads it just before the commit.
        request.scope["caller"] = known
        return known

    return prove  # type: ignore[return-value]
