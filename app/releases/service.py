"""Verbs of releases."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.auth.rules import is_top
from app.core.errors import Invalid, NotFound
from app.releases.models import AppRelease
from app.releases.rules import Release


async def announce(
    tx: AsyncSession,
    caller: Caller,
    platform: str,
    *,
    lowest_version: str,
    valid_from: datetime | None,
    get_it_at: str,
    now: datetime,
) -> Release:
    """Say which version of a platform is the lowest that is served from a moment on (now, if None).

    What was said for that very moment is replaced. The app is the whole operator's: raises NotFound
    for whoever is not of its top unit, and Invalid for a moment that has passed.
    """
    if not is_top(caller.org_path):
        raise NotFound()
    since = valid_from or now
    if since < now:
        raise Invalid(errors=[{"field": "valid_from", "message": "has passed"}])
    which = (AppRelease.platform == platform) & (AppRelease.valid_from == since)
    row = await tx.scalar(select(AppRelease).where(which).with_for_update())
    if row is None:
        row = AppRelease(platform=platform, valid_from=since, announced_at=now)
        tx.add(row)
    row.lowest_version, row.get_it_at, row.set_by = lowest_version, get_it_at, caller.account_id
    await tx.flush()
    return Release(platform, lowest_version, since, get_it_at, row.announced_at)
