"""OAuth2 grants: from a name and a password, or a refresh token, to an access token.

Each step is a transaction of its own, begun and committed here rather than by the route: a try
that fails must stay counted and a stolen family must stay revoked although the request is refused,
and no connection may be held while a password is checked.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from app.auth import passwords, queries, service, tokens
from app.auth.audit import address_of, device_of
from app.auth.keys import KeyRing
from app.auth.rules import Caller, RefreshRefused, SignInRefused, ToEmpty, username_of
from app.auth.service import Granted
from app.core.db import Database
from app.core.log import log
from app.core.settings import Settings

# Tells whether the phone of a sign-in is to be emptied, which may have said what it calls itself.
# Phones are of a room above, and the roof hands this over (`app.state.to_empty`).
AskedToEmpty = Callable[[AsyncSession, Caller, str | None], Awaitable[ToEmpty | None]]


@dataclass(frozen=True)
class Tokens:
    """What a grant gives: an access token, its seconds, its scopes, and perhaps a refresh token."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | None


async def sign_in(
    request: HTTPConnection,
    *,
    grant: str,
    name: str,
    secret: str,
    scope: str | None,
    now: datetime,
) -> Tokens:
    """Let a person (grant `password`) or a system (`client_credentials`) in.

    `now` is real time. Raises SignInRefused, SignInLocked, GrantRefused, ScopeRefused.
    """
    database: Database = request.app.state.database
    settings: Settings = request.app.state.settings
    address = address_of(request)
    async with database.begin(request) as tx:
        await service.count_try(tx, username=name, address=address, now=now)
        account = await queries.account_to_prove(tx, username_of(name))
    right = await passwords.fits(secret, account.password_hash if account else None)
    if not right or account is None or not account.active:
        log.warning("sign-in refused", address=address)
        raise SignInRefused(error="invalid_grant")
    async with database.begin(request) as tx:
        await service.forgive_try(tx, username=name, address=address, now=now)
    async with database.begin(request) as tx:
        granted = await service.open_family(
            tx,
            account_id=account.id,
            password_hash=account.password_hash,
            grant=grant,
            scope=scope,
            now=now,
            refresh_token_days=settings.refresh_token_days,
        )
        granted = await _for_the_phone(request, tx, granted)
    return _tokens(request, granted, now)


async def refresh(
    request: HTTPConnection, *, refresh_token: str, scope: str | None, now: datetime
) -> Tokens:
    """Exchange a refresh token for new tokens; it cannot be used again.

    A phone that is to be emptied is given such as open only what that takes. `now` is real time.
    Raises RefreshRefused, ScopeRefused.
    """
    database: Database = request.app.state.database
    settings: Settings = request.app.state.settings
    async with database.begin(request) as tx:
        granted = await service.turn_refresh(
            tx,
            token=refresh_token,
            scope=scope,
            now=now,
            refresh_token_days=settings.refresh_token_days,
        )
        if granted is not None:
            granted = await _for_the_phone(request, tx, granted)
    if granted is None:
        raise RefreshRefused(error="invalid_grant")
    return _tokens(request, granted, now)


async def _for_the_phone(request: HTTPConnection, tx: AsyncSession, granted: Granted) -> Granted:
    if granted.caller.session_id is None:
        return granted
    asked: AskedToEmpty = request.app.state.to_empty
    to_empty = await asked(tx, granted.caller, device_of(request.scope))
    return replace(granted, caller=replace(granted.caller, to_empty=to_empty))


def _tokens(request: HTTPConnection, granted: Granted, now: datetime) -> Tokens:
    keys: KeyRing = request.app.state.keys
    settings: Settings = request.app.state.settings
    return Tokens(
        access_token=tokens.issue(keys, settings, granted.caller, now),
        expires_in=settings.access_token_minutes * 60,
        scope=" ".join(sorted(granted.caller.scopes)),
        refresh_token=granted.refresh_token,
    )
