"""Opening and closing accounts, and setting passwords."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit, passwords, queries
from app.auth.models import Account, LoginGuard, OrgUnit
from app.auth.rules import (
    Caller,
    NotYourself,
    OrgCodeTaken,
    OrgLevel,
    Role,
    TechnicianHasAccount,
    UsernameTaken,
    check_account,
    check_handing_on,
    check_password,
    effective,
    username_of,
)
from app.auth.service.sign_in import revoke_all
from app.core.db import is_broken
from app.core.errors import NotFound, SameIdOtherContent

# Any number that no other advisory lock of ours has.
FIRST_ADMIN_LOCK = 0x61646D696E


async def create_account(
    tx: AsyncSession,
    caller: Caller,
    *,
    account_id: UUID,
    username: str,
    password: str,
    role: Role,
    org_unit_id: UUID,
    technician_id: UUID | None = None,
    scopes: list[str] | None = None,
) -> Account:
    """Open an account in the caller's subtree; sent again with the same content, it is the same.

    `scopes` None means all that the role may do. Raises NotFound for a unit or technician outside
    the subtree, Invalid, ScopeRefused, UsernameTaken, TechnicianHasAccount, SameIdOtherContent.
    """
    check_account(role, technician_id, scopes)
    check_handing_on(caller, effective(role, scopes))
    # First of all, while no connection is held: it takes a while on purpose.
    password_hash = await passwords.hashed(password)
    unit = await queries.org_unit_within(tx, org_unit_id, caller)
    if technician_id and not await queries.technician_works_in(tx, technician_id, unit.path):
        raise NotFound()
    wanted = Account(
        id=account_id,
        username=username_of(username),
        password_hash=password_hash,
        role=role,
        scopes=sorted(set(scopes)) if scopes is not None else None,
        org_unit_id=unit.id,
        technician_id=technician_id,
        active=True,
    )
    known = await tx.get(Account, account_id)
    if known is not None:
        return await _same(known, wanted, password)
    try:
        async with tx.begin_nested():
            tx.add(wanted)
    except IntegrityError as error:
        if is_broken("uq_account_username", error):
            raise UsernameTaken(username=wanted.username) from error
        if is_broken("uq_account_technician_id", error):
            raise TechnicianHasAccount(technician_id=technician_id) from error
        if is_broken("pk_account", error):
            # The same request came twice at once, and the other one was first.
            first = await tx.get_one(Account, account_id)
            return await _same(first, wanted, password)
        raise
    return wanted


async def _same(known: Account, wanted: Account, password: str) -> Account:
    names = ("username", "role", "scopes", "org_unit_id", "technician_id")
    same = all(getattr(known, name) == getattr(wanted, name) for name in names)
    if not same or not await passwords.fits(password, known.password_hash):
        raise SameIdOtherContent(id=known.id)
    return known


async def set_password(
    tx: AsyncSession, caller: Caller, account_id: UUID, *, password: str, now: datetime
) -> Account:
    """Give an account a new password, sign it out everywhere, and lift its lock.

    Raises NotFound outside the subtree, ScopeRefused when the account may do what the caller,
    having the right role, may not: a password would be a way to borrow that.
    """
    # First of all, while no connection is held: it takes a while on purpose.
    password_hash = await passwords.hashed(password)
    account = await queries.account_within(tx, account_id, caller, for_change=True)
    check_handing_on(caller, effective(account.role, account.scopes))
    account.password_hash = password_hash
    await revoke_all(tx, account.id, now)
    await tx.execute(delete(LoginGuard).where(LoginGuard.key == f"account:{account.username}"))
    return account


async def set_active(
    tx: AsyncSession, caller: Caller, account_id: UUID, *, active: bool, now: datetime
) -> Account:
    """Close an account, signing it out everywhere, or open it again.

    An access token that is out already stays good until it expires, at most a quarter of an hour.
    Raises NotFound outside the subtree, NotYourself, ScopeRefused as `set_password`.
    """
    account = await queries.account_within(tx, account_id, caller, for_change=True)
    if active:
        check_handing_on(caller, effective(account.role, account.scopes))
    elif account.id == caller.account_id:
        raise NotYourself()
    account.active = active
    if not active:
        await revoke_all(tx, account.id, now)
    await tx.flush()
    return account


async def first_admin(
    tx: AsyncSession,
    *,
    username: str,
    password: str,
    org_code: str,
    org_name_zh: str,
    org_name_en: str,
    level: OrgLevel = OrgLevel.PROVINCE,
) -> Account:
    """Make the top unit and its first administrator, with whom everything else can be made.

    Run again, it changes nothing and returns the account. Raises OrgCodeTaken when another unit is
    at the top already, UsernameTaken when the name is somebody else's, Invalid for a password that
    is too short.
    """
    check_password(password)
    audit.acting(tx, "first_admin")
    # There is no row yet that two could wait for each other on.
    await tx.execute(select(func.pg_advisory_xact_lock(FIRST_ADMIN_LOCK)))
    top = await tx.scalar(select(OrgUnit).where(OrgUnit.parent_id.is_(None)))
    if top is None:
        top = OrgUnit(
            code=org_code,
            name_zh=org_name_zh,
            name_en=org_name_en,
            level=level,
            path=f"{org_code}.",
        )
        tx.add(top)
        await tx.flush()
    elif top.code != org_code:
        raise OrgCodeTaken(code=top.code)
    name = username_of(username)
    known = await tx.scalar(select(Account).where(Account.username == name))
    if known is not None:
        if known.role is not Role.ADMIN or known.org_unit_id != top.id:
            raise UsernameTaken(username=name)
        return known
    admin = Account(
        username=name,
        password_hash=await passwords.hashed(password),
        role=Role.ADMIN,
        org_unit_id=top.id,
    )
    tx.add(admin)
    await tx.flush()
    return admin
