"""What changes rarely is read now and then, and remembered by the process in between."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import database_of

# A change is in force everywhere after so many seconds.
STALE_AFTER_SECONDS = 5.0

T = TypeVar("T")


async def lately(
    session: AsyncSession,
    name: str,
    read: Callable[[AsyncSession], Awaitable[T]],
    *,
    seconds: float = STALE_AFTER_SECONDS,
) -> T:
    """Give what this process read at most so many seconds ago under a name, or read it now."""
    cache = database_of(session).cache
    held: tuple[datetime, T] | None = cache.get(name)
    if held is not None and (wall() - held[0]).total_seconds() < seconds:
        return held[1]
    found = await read(session)
    cache[name] = (wall(), found)
    return found


def remembered(session: AsyncSession, name: str) -> Any:
    """Give what was read under a name before, however long ago; None where nothing was."""
    held = database_of(session).cache.get(name)
    return held and held[1]
