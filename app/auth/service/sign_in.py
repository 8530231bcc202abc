"""Signing in: tries are counted before they are judged, and refresh tokens turn over."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit, queries, refresh_tokens
from app.auth.models import LoginGuard, RefreshToken
from app.auth.rules import (
    ADDRESS_FREE_TRIES,
    FAILURES_FORGOTTEN,
    GRANTS,
    LONGEST_LOCK,
    REFRESH_GRACE,
    Caller,
    GrantRefused,
    SignInLocked,
    SignInRefused,
    granted,
    guard_keys,
    lock_after,
    network_of,
)
from app.core.db import new_id
from app.core.errors import TooMany
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter


@dataclass(frozen=True)
class Granted:
    """Who signed in, with the scopes granted; people also get a refresh token."""

    caller: Caller
    refresh_token: str | None


async def count_try(tx: AsyncSession, *, username: str, address: str | None, now: datetime) -> None:
    """Count a try to sign in as failed, before it is known whether it will.

    So no number of tries at the same moment gets past the count; `forgive_try` takes it back.
    Raises SignInLocked while the name or the address is locked; then nothing is counted.
    """
    locked = await _count(tx, guard_keys(username, address), now)
    if locked is not None:
        raise SignInLocked(retry_after=locked)


async def count_miss(
    tx: AsyncSession, what: str, free_tries: Parameter, *, address: str | None, now: datetime
) -> None:
    """Count that a client address has asked for something by a secret that opens nothing.

    `what` names the kind of secret, so that each is counted by itself. Raises TooMany while the
    address is locked; then nothing is counted.
    """
    locked = await _count(tx, {f"{what}:{network_of(address or '')}": free_tries}, now)
    if locked is not None:
        raise TooMany(retry_after=locked)


async def _count(tx: AsyncSession, free: Mapping[str, Parameter], now: datetime) -> int | None:
    """Count a failure under each key, unless one is locked: then return the seconds to wait."""
    numbers = await parameters_in_force(tx)
    guards = await queries.guards_for_change(tx, free, now)
    locked: list[datetime] = [guard.locked_until for guard in guards if guard.locked_until]
    if locked and max(locked) > now:
        return math.ceil((max(locked) - now).total_seconds())
    forgotten = now - timedelta(hours=numbers.number(FAILURES_FORGOTTEN, now))
    counted = []
    for guard in guards:
        failures = 1 if guard.last_try_at < forgotten else guard.failures + 1
        until = lock_after(
            failures,
            now,
            free_tries=numbers.whole(free[guard.key], now),
            longest_seconds=numbers.number(LONGEST_LOCK, now),
        )
        counted.append(
            {"key": guard.key, "failures": failures, "last_try_at": now, "locked_until": until}
        )
    await tx.execute(update(LoginGuard), counted)
    return None


async def forgive_try(
    tx: AsyncSession, *, username: str, address: str | None, now: datetime
) -> None:
    """Take a counted try back, since it was right: the name is clear, the address has one less.

    The address is not cleared, or one good account would let its owner guess at all the others.
    """
    numbers = await parameters_in_force(tx)
    free = numbers.whole(ADDRESS_FREE_TRIES, now)
    less = func.greatest(LoginGuard.failures - 1, 0)
    for key, allowance in sorted(guard_keys(username, address).items()):
        if allowance is ADDRESS_FREE_TRIES:
            lock = case((less <= free, None), else_=LoginGuard.locked_until)
            one = update(LoginGuard).where(LoginGuard.key == key)
            await tx.execute(one.values(failures=less, locked_until=lock))
        else:
            await tx.execute(delete(LoginGuard).where(LoginGuard.key == key))


async def open_family(
    tx: AsyncSession,
    *,
    account_id: UUID,
    password_hash: str,
    grant: str,
    scope: str | None,
    now: datetime,
    refresh_token_days: int,
) -> Granted:
    """Let an account in whose password was right; people get the first token of a new family.

    Raises SignInRefused when the account was closed or its password changed while the hash was
    computed, GrantRefused for the wrong kind of grant, ScopeRefused.
    """
    found = await queries.signing_in(tx, account_id)
    if found is None or not found[0].active or found[0].password_hash != password_hash:
        raise SignInRefused(error="invalid_grant")
    account, whole = found
    if GRANTS[account.role] != grant:
        raise GrantRefused(error="unauthorized_client", use=GRANTS[account.role])
    caller = narrowed(whole, granted(whole.scopes, scope))
    audit.acting(tx, "sign_in", caller)
    audit.note(tx, table="account", operation="signed-in", ids=[account.id])
    if grant != "password":
        return Granted(caller, None)
    token = refresh_tokens.make()
    caller = replace(caller, session_id=new_id())
    await _add(tx, token, caller, sorted(caller.scopes), now, refresh_token_days)
    return Granted(caller, token)


async def turn_refresh(
    tx: AsyncSession, *, token: str, scope: str | None, now: datetime, refresh_token_days: int
) -> Granted | None:
    """Exchange a refresh token for its successor; None means refused, and must be committed.

    A token used twice is in two hands, so its whole family is revoked. One exception is safe: for
    some seconds after its use, and while its successor is unused, a token gets the very same
    successor again, so a phone that lost the answer stays signed in. A thief gains nothing by it:
    thief and owner then hold one and the same token, and the second of them to use it ends the
    family. Raises ScopeRefused.
    """
    digest = refresh_tokens.digest(token)
    owner = await queries.refresh_token_owner(tx, digest) if digest else None
    found = await queries.signing_in(tx, owner) if owner else None
    if digest is None or found is None:
        return None
    account, whole = found
    held = await queries.refresh_token_for_change(tx, digest)
    if held.revoked_at is not None or held.expires_at <= now or not account.active:
        return None
    family_scopes = whole.scopes & frozenset(held.scopes)
    caller = replace(narrowed(whole, granted(family_scopes, scope)), session_id=held.family_id)
    if held.used_at is None:
        successor = refresh_tokens.make()
        held.used_at = now
        held.sealed_next = refresh_tokens.seal(successor, token)
        await _add(tx, successor, caller, held.scopes, now, refresh_token_days)
        return Granted(caller, successor)
    again = await _lost_answer(tx, held, token, now)
    if again is not None:
        return Granted(caller, again)
    await _revoke(tx, held.family_id, now)
    audit.acting(tx, "refresh_token_reused", whole)
    audit.note(tx, table="account", operation="signed-out", ids=[account.id])
    log.warning("refresh token used twice, family revoked", account_id=str(account.id))
    return None


async def _lost_answer(
    tx: AsyncSession, held: RefreshToken, token: str, now: datetime
) -> str | None:
    numbers = await parameters_in_force(tx)
    grace = timedelta(seconds=numbers.number(REFRESH_GRACE, now))
    if held.used_at is None or held.sealed_next is None or now - held.used_at >= grace:
        return None
    successor = refresh_tokens.unseal(held.sealed_next, token)
    digest = refresh_tokens.digest(successor)
    assert digest is not None
    following = await queries.refresh_token_for_change(tx, digest)
    unused = following.used_at is None and following.revoked_at is None
    return successor if unused else None


async def revoke_family(tx: AsyncSession, token: str, now: datetime) -> None:
    """Sign out: revoke a refresh token's family. An unknown token has nothing to revoke."""
    digest = refresh_tokens.digest(token)
    owner = await queries.refresh_token_owner(tx, digest) if digest else None
    found = await queries.signing_in(tx, owner) if owner else None
    if digest is None or found is None:
        return
    held = await queries.refresh_token_for_change(tx, digest)
    await _revoke(tx, held.family_id, now)
    audit.acting(tx, "sign_out", found[1])
    audit.note(tx, table="account", operation="signed-out", ids=[found[0].id])


async def _revoke(tx: AsyncSession, family_id: UUID, now: datetime) -> None:
    await tx.execute(
        update(RefreshToken)
        .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def end_session(tx: AsyncSession, session_id: UUID, now: datetime) -> None:
    """End one sign-in of an account, whose refresh tokens are one family."""
    await _revoke(tx, session_id, now)


async def revoke_all(tx: AsyncSession, account_id: UUID, now: datetime) -> None:
    """Revoke every refresh token of an account; the account must be locked for change."""
    await tx.execute(
        update(RefreshToken)
        .where(RefreshToken.account_id == account_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def narrowed(caller: Caller, scopes: frozenset[str]) -> Caller:
    """Return the same caller with fewer scopes."""
    return replace(caller, scopes=scopes)


async def _add(
    tx: AsyncSession,
    token: str,
    caller: Caller,
    scopes: list[str],
    now: datetime,
    days: int,
) -> None:
    digest = refresh_tokens.digest(token)
    assert digest is not None and caller.session_id is not None
    tx.add(
        RefreshToken(
            account_id=caller.account_id,
            family_id=caller.session_id,
            token_hash=digest,
            scopes=scopes,
            expires_at=now + timedelta(days=days),
        )
    )
    await tx.flush()
