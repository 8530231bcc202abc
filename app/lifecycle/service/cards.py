"""New versions of the churn card."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of
from app.lifecycle.models import ChurnCard
from app.lifecycle.rules import Card, CardSource, CardVersionTaken


async def add(
    tx: AsyncSession,
    version: str,
    card: Card,
    *,
    valid_from: date,
    source: CardSource,
    figures: dict[str, Any] | None = None,
    set_by: UUID | None = None,
) -> ChurnCard:
    """Add a version of the card that is in force from a local day on; the same again is the same.

    Raises CardVersionTaken when the version is there and says otherwise.
    """
    held = await tx.scalar(select(ChurnCard).where(ChurnCard.version == version))
    if held is not None:
        if (Card.of(held.document), held.valid_from, held.source) != (card, valid_from, source):
            raise CardVersionTaken(version)
        return held
    made = ChurnCard(
        version=version,
        source=source,
        valid_from=valid_from,
        document=card.document(),
        figures=figures or {},
        set_by=set_by,
    )
    tx.add(made)
    await tx.flush()
    await tx.refresh(made)
    # This process at least goes by it at once.
    database_of(tx).cache.pop("lifecycle.cards", None)
    return made
