"""Reads of accounts, org units, tokens, parameters and the audit trail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Uuid,
    and_,
    bindparam,
    column,
    or_,
    select,
    table,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import array, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.models import Account, AuditEntry, LoginGuard, OrgUnit, RefreshToken
from app.auth.rules import Caller, Role, effective, is_top
from app.core.errors import NotFound
from app.core.parameter_values import ParameterValue

# A room above: named by table, as foreign keys are.
_technician = table("technician", column("id", Uuid()), column("org_unit_id", Uuid()))


# --- org units ------------------------------------------------------------------------------------


async def org_unit_within(session: AsyncSession, org_unit_id: UUID, caller: Caller) -> OrgUnit:
    """Return an org unit of the caller's subtree. Raises NotFound for any other."""
    unit = await session.scalar(
        select(OrgUnit).where(OrgUnit.id == org_unit_id, subtree(OrgUnit.id, caller))
    )
    if unit is None:
        raise NotFound()
    return unit


async def org_unit_coded(session: AsyncSession, code: str | None, caller: Caller) -> OrgUnit:
    """Return an org unit of the caller's subtree by its code; without one, the caller's own.

    Raises NotFound for any other.
    """
    wanted = OrgUnit.id == caller.org_unit_id if code is None else OrgUnit.code == code
    unit = await session.scalar(select(OrgUnit).where(wanted, subtree(OrgUnit.id, caller)))
    if unit is None:
        raise NotFound(org_unit_code=code)
    return unit


async def org_units(
    session: AsyncSession, caller: Caller, *, after: str | None, limit: int
) -> Sequence[OrgUnit]:
    """List the caller's subtree from the top down, each unit before those under it."""
    found = select(OrgUnit).where(OrgUnit.path.startswith(caller.org_path, autoescape=True))
    if after is not None:
        found = found.where(OrgUnit.path > after)
    return (await session.scalars(found.order_by(OrgUnit.path).limit(limit))).all()


async def technician_works_in(session: AsyncSession, technician_id: UUID, path: str) -> bool:
    """Tell whether a technician belongs to the subtree of a unit, given by the unit's path."""
    found = await session.scalar(
        select(_technician.c.id)
        .join(OrgUnit, OrgUnit.id == _technician.c.org_unit_id)
        .where(_technician.c.id == technician_id, OrgUnit.path.startswith(path, autoescape=True))
    )
    return found is not None


# --- accounts -------------------------------------------------------------------------------------

_TO_PROVE = select(Account.id, Account.password_hash, Account.active).where(
    Account.username == bindparam("username")
)


async def account_to_prove(session: AsyncSession, username: str) -> Row[UUID, str, bool] | None:
    """Return id, password hash and whether it is active, of the account of a user name."""
    return (await session.execute(_TO_PROVE, {"username": username})).one_or_none()


async def account_within(
    session: AsyncSession, account_id: UUID, caller: Caller, *, for_change: bool = False
) -> Account:
    """Return an account of the caller's subtree, locked if it is to change. Raises NotFound."""
    found = select(Account).where(Account.id == account_id, subtree(Account.org_unit_id, caller))
    if for_change:
        found = found.with_for_update().execution_options(populate_existing=True)
    account = await session.scalar(found)
    if account is None:
        raise NotFound()
    return account


async def accounts(
    session: AsyncSession,
    caller: Caller,
    *,
    role: Role | None = None,
    org_unit_id: UUID | None = None,
    active: bool | None = None,
    after: str | None = None,
    limit: int,
) -> Sequence[Account]:
    """List accounts of the caller's subtree by user name."""
    found = select(Account).where(subtree(Account.org_unit_id, caller))
    if role is not None:
        found = found.where(Account.role == role)
    if org_unit_id is not None:
        found = found.where(Account.org_unit_id == org_unit_id)
    if active is not None:
        found = found.where(Account.active.is_(active))
    if after is not None:
        found = found.where(Account.username > after)
    return (await session.scalars(found.order_by(Account.username).limit(limit))).all()


_SIGNING_IN = select(Account, OrgUnit.path).join(OrgUnit, OrgUnit.id == Account.org_unit_id)


async def signing_in(tx: AsyncSession, account_id: UUID) -> tuple[Account, Caller] | None:
    """Return an account and the caller it makes, held so that nobody closes it meanwhile.

    Whoever changes a password or closes an account locks the account first and then revokes its
    refresh tokens; the shared lock here lets no token be born in between.
    """
    found = await tx.execute(
        _SIGNING_IN.where(Account.id == account_id).with_for_update(read=True, of=Account),
        execution_options={"populate_existing": True},
    )
    row = found.one_or_none()
    return None if row is None else (row[0], caller_of(row[0], row[1]))


async def me(session: AsyncSession, account_id: UUID) -> tuple[Account, OrgUnit] | None:
    """Return an account and its org unit, or None when it is closed."""
    found = await session.execute(
        select(Account, OrgUnit)
        .join(OrgUnit, OrgUnit.id == Account.org_unit_id)
        .where(Account.id == account_id, Account.active)
    )
    row = found.one_or_none()
    return None if row is None else (row[0], row[1])


async def caller_by_username(session: AsyncSession, username: str) -> Caller:
    """Return the caller an active account makes. Raises NotFound."""
    found = await session.execute(_SIGNING_IN.where(Account.username == username, Account.active))
    row = found.one_or_none()
    if row is None:
        raise NotFound()
    return caller_of(row[0], row[1])


async def caller_of_technician(session: AsyncSession, technician_id: UUID) -> Caller | None:
    """Return the caller a technician's active account makes; None without one."""
    found = await session.execute(
        _SIGNING_IN.where(Account.technician_id == technician_id, Account.active)
    )
    row = found.one_or_none()
    return None if row is None else caller_of(row[0], row[1])


def caller_of(account: Account, org_path: str) -> Caller:
    """Make the caller that an account is, with all the scopes it holds."""
    return Caller(
        account_id=account.id,
        role=account.role,
        org_unit_id=account.org_unit_id,
        org_path=org_path,
        technician_id=account.technician_id,
        scopes=effective(account.role, account.scopes),
    )


# --- tries and refresh tokens ---------------------------------------------------------------------


async def guards_for_change(
    tx: AsyncSession, keys: Iterable[str], now: datetime
) -> Sequence[Row[str, int, datetime, datetime | None]]:
    """Return key, failures, last try and lock of each key, locked; missing ones are made."""
    # All who lock several do it in the order of their keys, so they never wait in a circle.
    fresh = insert(LoginGuard).values(
        [{"key": key, "failures": 0, "last_try_at": now} for key in sorted(keys)]
    )
    held = fresh.on_conflict_do_update(
        index_elements=[LoginGuard.key], set_={"key": fresh.excluded.key}
    ).returning(
        LoginGuard.key, LoginGuard.failures, LoginGuard.last_try_at, LoginGuard.locked_until
    )
    return (await tx.execute(held)).all()


async def refresh_token_owner(tx: AsyncSession, digest: bytes) -> UUID | None:
    """Return whose refresh token this is."""
    return await tx.scalar(select(RefreshToken.account_id).where(RefreshToken.token_hash == digest))


async def refresh_token_for_change(tx: AsyncSession, digest: bytes) -> RefreshToken:
    """Return a refresh token, locked, as it is now. Raises NotFound."""
    token = await tx.scalar(
        select(RefreshToken)
        .where(RefreshToken.token_hash == digest)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if token is None:
        raise NotFound()
    return token


# --- parameters -----------------------------------------------------------------------------------


async def parameter_rows(session: AsyncSession, org_path: str) -> Sequence[ParameterValue]:
    """List the dated values that concern an org unit: its own, those above it, everybody's."""
    parts = org_path.split(".")[:-1]
    above = ["", *(".".join(parts[: depth + 1]) + "." for depth in range(len(parts)))]
    found = await session.scalars(
        select(ParameterValue)
        .where(ParameterValue.org_path.in_(above))
        .order_by(ParameterValue.name, ParameterValue.org_path, ParameterValue.valid_from)
    )
    return found.all()


# --- the audit trail ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AuditSearch:
    """What to look for in the trail: times from `since` (included) to `until` (excluded)."""

    since: datetime | None = None
    until: datetime | None = None
    account_id: UUID | None = None
    subject_id: UUID | None = None
    reads_only: bool = False
    after: tuple[datetime, UUID] | None = None


async def audit_entries(
    session: AsyncSession, caller: Caller, search: AuditSearch, *, limit: int
) -> Sequence[Row[AuditEntry, str]]:
    """List audit entries that accounts of the caller's subtree left, newest first, with user names.

    What the system did by itself is shown to callers of the top unit.
    """
    entries = await session.execute(audit_search(caller, search, limit=limit))
    return entries.all()


def audit_search(caller: Caller, search: AuditSearch, *, limit: int) -> Select[AuditEntry, str]:
    """Make the statement of `audit_entries`: each search runs along an index.

    By account and time, by subject, by changed row, or by time alone.
    """
    found = (
        select(AuditEntry, Account.username)
        .outerjoin(Account, Account.id == AuditEntry.account_id)
        .where(*_within(search, caller))
        .order_by(AuditEntry.created_at.desc(), AuditEntry.id.desc())
        .limit(limit)
    )
    if search.subject_id is None:
        return found
    # Both kinds of hits are few and have an index each; without the fence the planner may prefer
    # to walk through all times in search of them.
    seen = select(AuditEntry.id).where(AuditEntry.subject_id == search.subject_id)
    changed = select(AuditEntry.id).where(
        AuditEntry.changed_ids.contains(array([search.subject_id], type_=Uuid()))
    )
    hits = union_all(seen, changed).cte("hits").prefix_with("MATERIALIZED")
    return found.where(AuditEntry.id.in_(select(hits.c.id)))


_SEEN = """
    SELECT e.account_id, a.username, e.subject_kind, e.subject_id, count(*) AS looks,
        min(e.created_at) AS first_at, max(e.created_at) AS last_at,
        (SELECT array_agg(DISTINCT name ORDER BY name)
            FROM unnest(string_to_array(string_agg(array_to_string(e.fields, ','), ','), ','))
            AS name WHERE name <> '') AS fields,
        (array_agg(DISTINCT e.purpose) FILTER (WHERE e.purpose IS NOT NULL))[1:50] AS purposes,
        (array_agg(DISTINCT e.device) FILTER (WHERE e.device IS NOT NULL))[1:50] AS devices
    FROM audit_entry AS e LEFT JOIN account AS a ON a.id = e.account_id
    WHERE e.subject_id IS NOT NULL {whose}
        AND e.created_at >= :since AND e.created_at < :until
        AND (starts_with(e.org_path, :path) OR (:top AND e.org_path = ''))
    GROUP BY e.account_id, a.username, e.subject_kind, e.subject_id
    ORDER BY last_at DESC, e.subject_id, e.account_id LIMIT :most
"""
_OF_ACCOUNT, _OF_SUBJECT = "AND e.account_id = :account_id", "AND e.subject_id = :subject_id"
_SEEN_OF_ACCOUNT = text(_SEEN.format(whose=_OF_ACCOUNT))
_SEEN_OF_SUBJECT = text(_SEEN.format(whose=_OF_SUBJECT))
_SEEN_OF_BOTH = text(_SEEN.format(whose=f"{_OF_ACCOUNT} {_OF_SUBJECT}"))


async def seen_by(
    session: AsyncSession,
    caller: Caller,
    *,
    account_id: UUID | None,
    subject_id: UUID | None,
    since: datetime,
    until: datetime,
    most: int,
) -> Sequence[Row[Any]]:
    """Put together whose data an account saw, or who saw a subject's, the latest look first.

    Times from `since` (included) to `until` (excluded). At least one of account and subject is
    given, and each has an index that leads to it.
    """
    # What was not asked for is left out of the statement, so that its plan needs no guessing.
    statement = _SEEN_OF_ACCOUNT if subject_id is None else _SEEN_OF_SUBJECT
    if account_id is not None and subject_id is not None:
        statement = _SEEN_OF_BOTH
    asked = {
        "account_id": account_id,
        "subject_id": subject_id,
        "since": since,
        "until": until,
        "path": caller.org_path,
        "top": is_top(caller.org_path),
        "most": most,
    }
    wanted = {name: asked[name] for name in statement.compile().params}
    return (await session.execute(statement, wanted)).all()


def _within(search: AuditSearch, caller: Caller) -> list[ColumnElement[bool]]:
    theirs: ColumnElement[bool] = AuditEntry.org_path.startswith(caller.org_path, autoescape=True)
    if is_top(caller.org_path):
        theirs = or_(theirs, AuditEntry.org_path == "")
    conditions = [theirs]
    if search.since is not None:
        conditions.append(AuditEntry.created_at >= search.since)
    if search.until is not None:
        conditions.append(AuditEntry.created_at < search.until)
    if search.account_id is not None:
        conditions.append(AuditEntry.account_id == search.account_id)
    if search.reads_only:
        conditions.append(AuditEntry.subject_id.is_not(None))
    if search.after is not None:
        conditions.append(
            and_(
                # Said twice: the first is what an index on the time understands at once.
                AuditEntry.created_at <= search.after[0],
                tuple_(AuditEntry.created_at, AuditEntry.id) < search.after,
            )
        )
    return conditions
