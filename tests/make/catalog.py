"""Offerings for tests: the smallest honest ones."""

from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog import service
from app.catalog.models import ProductOffering
from app.catalog.rules import BusinessType


async def make_offering(
    tx: AsyncSession, *, valid_from: date = date(2025, 1, 1), **fields: Any
) -> ProductOffering:
    """Add a version of an offering that is in force since 2025, and mark the catalogue changed."""
    given: dict[str, Any] = {
        "code": "SPEED-1000",
        "name_zh": "宽带提速至1000M",
        "name_en": "Broadband at 1,000 Mbit/s",
        "category": "broadband",
        "business_type": BusinessType.SALES,
        "monthly_price_fen": 12900,
        "talk_track_zh": "您家的宽带可以提速到千兆。",
        "talk_track_en": "Your line can do a gigabit.",
    }
    offering = ProductOffering(**{**given, "valid_from": valid_from, **fields})
    tx.add(offering)
    await tx.flush()
    await service.changed(tx)
    return offering
