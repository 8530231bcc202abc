"""Org units, accounts and tokens for tests: the smallest honest ones."""

import functools
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import passwords, tokens
from app.auth.models import Account, OrgUnit
from app.auth.rules import SCOPES, Caller, OrgLevel, Role
from app.core.clock import wall
from app.core.db import new_id

PASSWORD = "correct horse battery"

# The level of a unit without a parent, and of one under each level.
_BELOW = {
    None: OrgLevel.PROVINCE,
    OrgLevel.PROVINCE: OrgLevel.CITY,
    OrgLevel.CITY: OrgLevel.DISTRICT,
    OrgLevel.DISTRICT: OrgLevel.BRANCH,
    OrgLevel.BRANCH: OrgLevel.CREW,
}


@functools.cache
def password_hash(password: str = PASSWORD) -> str:
    """Hash a password, once a test process, by what the product hashes with here."""
    return passwords._ARGON2.hash(password)


async def make_org_unit(
    tx: AsyncSession,
    *,
    code: str | None = None,
    parent: OrgUnit | None = None,
    name_zh: str = "测试支局",
    name_en: str = "Test branch",
    time_zone: str = "Asia/Shanghai",
) -> OrgUnit:
    """Add an org unit one level under `parent`, or a province."""
    code = code or f"u{new_id().hex[-8:]}"
    unit = OrgUnit(
        code=code,
        name_zh=name_zh,
        name_en=name_en,
        level=_BELOW[parent.level if parent else None],
        parent_id=parent.id if parent else None,
        path=f"{parent.path if parent else ''}{code}.",
        time_zone=time_zone,
    )
    tx.add(unit)
    await tx.flush()
    return unit


async def make_account(
    tx: AsyncSession,
    org_unit: OrgUnit,
    *,
    role: Role = Role.ADMIN,
    username: str | None = None,
    password: str = PASSWORD,
    technician_id: UUID | None = None,
    scopes: list[str] | None = None,
    active: bool = True,
) -> Account:
    """Add an account; `scopes` None means all that the role may do."""
    account = Account(
        username=username or f"{role.value}-{new_id().hex[-8:]}",
        password_hash=password_hash(password),
        role=role,
        scopes=scopes,
        org_unit_id=org_unit.id,
        technician_id=technician_id,
        active=active,
    )
    tx.add(account)
    await tx.flush()
    return account


def caller_for(
    role: Role,
    org_unit: OrgUnit,
    *,
    account_id: UUID | None = None,
    technician_id: UUID | None = None,
    scopes: frozenset[str] | None = None,
) -> Caller:
    """Make a caller of a role, with all its scopes unless told otherwise."""
    return Caller(
        account_id=account_id or new_id(),
        role=role,
        org_unit_id=org_unit.id,
        org_path=org_unit.path,
        technician_id=technician_id,
        scopes=SCOPES[role] if scopes is None else scopes,
    )


def bearer(app: FastAPI, caller: Caller) -> dict[str, str]:
    """Make the header that proves a caller to an application."""
    token = tokens.issue(app.state.keys, app.state.settings, caller, wall())
    return {"authorization": f"Bearer {token}"}
