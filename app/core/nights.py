"""What is done once a night: which nights are done, and one worker at a time at it.

A night's work takes in what has come until a certain hour of the night, its cut, and leaves a row;
so it knows what is new without looking at what it has had, goes on where it was when a worker is
stopped, and catches up night by night after a standstill.
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class Night(Base):
    """A night's work that is done: all that came before `until` (UTC) is taken into account."""

    __tablename__ = "night"

    work: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime] = mapped_column(primary_key=True)
    done_at: Mapped[datetime]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


def last_cut(now: datetime, zone: ZoneInfo, hour: int) -> datetime:
    """Return the latest moment that is that local hour of a day and not after `now`."""
    local = now.astimezone(zone)
    cut = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if cut > local:
        cut -= timedelta(days=1)
    return cut.astimezone(now.tzinfo)


def next_cut(after: datetime, zone: ZoneInfo, hour: int) -> datetime:
    """Return the first moment after another that is that local hour of a day."""
    local = after.astimezone(zone)
    cut = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if cut <= local:
        cut += timedelta(days=1)
    return cut.astimezone(after.tzinfo)


async def done_until(session: AsyncSession, work: str) -> datetime | None:
    """Return until when some nightly work is done; None when it never was."""
    return await session.scalar(select(func.max(Night.until)).where(Night.work == work))


# Where somebody else is at it already, there is nothing to wait for: it will be done.
_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended('night:' || :work, 0))")
# A night's statements may take long, and so may what is worked out between them on a busy machine.
_PATIENCE = text(
    "SELECT set_config('statement_timeout', '0', true),"
    " set_config('idle_in_transaction_session_timeout', '5min', true)"
)


async def alone(tx: AsyncSession, work: str) -> bool:
    """Tell whether this transaction is now the only one at some nightly work; it may take long."""
    if not await tx.scalar(_LOCK, {"work": work}):
        return False
    await patient(tx)
    return True


async def patient(tx: AsyncSession) -> None:
    """Let this transaction's statements take long, and what is worked out between them too."""
    await tx.execute(_PATIENCE)
