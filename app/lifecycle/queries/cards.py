"""The versions of the churn card, and the one in force."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.lately import lately
from app.lifecycle.models import ChurnCard
from app.lifecycle.rules import Card, CardSource


class Version(NamedTuple):
    """A card with the version it is known by, how it came to be and from when on it is in force."""

    version: str
    source: CardSource
    valid_from: date
    card: Card


async def versions(session: AsyncSession) -> list[Version]:
    """Return all versions, the one in force longest first; read at most a few seconds ago."""
    return await lately(session, "lifecycle.cards", _versions)


async def _versions(session: AsyncSession) -> list[Version]:
    rows = await session.execute(
        select(
            ChurnCard.version, ChurnCard.source, ChurnCard.valid_from, ChurnCard.document
        ).order_by(ChurnCard.valid_from, ChurnCard.id)
    )
    return [Version(row.version, row.source, row.valid_from, Card.of(row.document)) for row in rows]


async def in_force(session: AsyncSession, day: date) -> Version | None:
    """Return the card in force on a day, the latest made where several begin alike."""
    known = [one for one in await versions(session) if one.valid_from <= day]
    return known[-1] if known else None


async def listed(session: AsyncSession, *, most: int) -> list[ChurnCard]:
    """Read the latest versions with all that is kept of them, the latest first."""
    found = await session.scalars(
        select(ChurnCard).order_by(ChurnCard.valid_from.desc(), ChurnCard.id.desc()).limit(most)
    )
    return list(found)
