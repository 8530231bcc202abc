"""`yingwei first-admin` and `yingwei token`: the ways in for whoever runs the installation."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit, queries, service, tokens
from app.auth.keys import KeyRing
from app.auth.rules import granted, username_of
from app.core.clock import wall
from app.core.db import open_database
from app.core.settings import Settings

T = TypeVar("T")


def first_admin(
    settings: Settings,
    *,
    username: str,
    password: str,
    org_code: str,
    org_name_zh: str,
    org_name_en: str,
) -> str:
    """Make the top unit and its first administrator; the answer is the user name.

    Raises what `service.first_admin` raises.
    """

    async def make(tx: AsyncSession) -> str:
        account = await service.first_admin(
            tx,
            username=username,
            password=password,
            org_code=org_code,
            org_name_zh=org_name_zh,
            org_name_en=org_name_en,
        )
        return account.username

    return asyncio.run(_in_transaction(settings, make))


def token(settings: Settings, username: str, scope: str = "") -> str:
    """Sign an access token for an account, with all its scopes or those given (space-separated).

    Raises NotFound for an unknown or closed account, ScopeRefused.
    """
    keys = KeyRing.load(settings.signing_keys)

    async def make(tx: AsyncSession) -> str:
        whole = await queries.caller_by_username(tx, username_of(username))
        caller = replace(whole, scopes=granted(whole.scopes, scope))
        audit.acting(tx, "command_line_token", caller)
        audit.note(tx, table="account", operation="signed-in", ids=[caller.account_id])
        return tokens.issue(keys, settings, caller, wall())

    return asyncio.run(_in_transaction(settings, make))


async def _in_transaction(settings: Settings, make: Callable[[AsyncSession], Awaitable[T]]) -> T:
    database = open_database(settings)
    database.before_commit = audit.record
    try:
        async with database.begin() as tx:
            return await make(tx)
    finally:
        await database.close()
