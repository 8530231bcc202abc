"""Reads of releases."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.releases.models import AppRelease
from app.releases.rules import Release

_ALL = select(
    AppRelease.platform,
    AppRelease.lowest_version,
    AppRelease.valid_from,
    AppRelease.get_it_at,
    AppRelease.announced_at,
).order_by(AppRelease.platform, AppRelease.valid_from)


async def releases(session: AsyncSession) -> list[Release]:
    """List them all, platform by platform, oldest first."""
    return [Release(*row) for row in await session.execute(_ALL)]
