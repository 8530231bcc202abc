"""Loading versions of the churn card from YAML."""

from datetime import date
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.files import Faults
from app.core.http import Code
from app.core.i18n import Words
from app.core.loading import Report
from app.lifecycle.models import ChurnCard
from app.lifecycle.rules import CardSource, CardVersionTaken
from app.lifecycle.schemas import CardIn
from app.lifecycle.service import cards
from seed.dated import entries_read, told


class ChurnCardIn(CardIn):
    """One version of a file: see `lifecycle.rules.Card`."""

    version: Code
    valid_from: date
    source: Annotated[CardSource, Field()] = CardSource.HAND


async def load_churn_cards(
    tx: AsyncSession, document: str, *, skip_refused: bool = False
) -> Report:
    """Load churn cards from YAML: `churn_cards`, each a `ChurnCardIn`, by version.

    A version is not rewritten. Raises FileRefused when an entry is wrong, unless `skip_refused`.
    """
    faults = Faults()
    good = entries_read("churn-cards", "churn_cards", ChurnCardIn, document, faults)
    held = set(await tx.scalars(select(ChurnCard.version)))
    inserted = 0
    async with tx.begin_nested() as savepoint:
        for line, entry in good:
            try:
                await cards.add(
                    tx,
                    entry.version,
                    entry.card(),
                    valid_from=entry.valid_from,
                    source=entry.source,
                )
            except CardVersionTaken as taken:
                words = Words(zh=taken.detail("zh"), en=taken.detail("en"))
                faults.note(line, "version", entry.version, words)
                continue
            inserted += entry.version not in held
            held.add(entry.version)
        if faults.lines and not skip_refused:
            await savepoint.rollback()
            faults.refuse("churn-cards")
    return told("churn-cards", good, faults, inserted, 0)
