"""What every sale needs: a catalogue, a technician at a door, and their phone."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.catalog.rules import BusinessType
from app.core.clock import FixedClock
from tests.make.auth import bearer
from tests.make.catalog import make_offering
from tests.make.sales import Door, make_door

Post = Callable[..., Awaitable[httpx.Response]]


def slug(answer: httpx.Response) -> str:
    """Read which refusal an answer is."""
    kind: str = answer.json()["type"]
    return kind.rpartition(":")[2]


async def fill_catalogue(tx: AsyncSession) -> None:
    """Add what is sold in these tests, one offering a business type that matters."""
    await make_offering(tx, monthly_price_fen=12900, one_off_price_fen=5000, commission_fen=3000)
    await make_offering(tx, code="TV-4K", category="tv", monthly_price_fen=2000)
    await make_offering(tx, code="VPN-9", business_type=BusinessType.STRATEGIC)
    await make_offering(tx, code="KEEP-12", business_type=BusinessType.RETENTION)


@pytest.fixture
async def catalogue(tx: AsyncSession) -> None:
    """The catalogue of these tests."""
    await fill_catalogue(tx)


@pytest.fixture
async def door(tx: AsyncSession, clock: FixedClock, catalogue: None) -> Door:
    """A technician who checked in ten minutes ago."""
    return await make_door(tx, now=clock.now())


@pytest.fixture
def post(app: FastAPI, http: httpx.AsyncClient, door: Door) -> Post:
    """Post as the technician at the door, or as another caller, in English unless told."""

    async def send(
        path: str, body: dict[str, Any] | None = None, *, by: Caller | None = None, lang: str = "en"
    ) -> httpx.Response:
        headers = {**bearer(app, by or door.seller), "accept-language": lang}
        return await http.post(f"/v1/sales{path}", json=body, headers=headers)

    return send
