"""What every commission needs: a catalogue that pays, somebody at a door, and acknowledgement."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import FixedClock
from app.sales import service
from app.sales.models import Sale
from app.sales.rules import Line, SaleState
from app.sales.service import News
from tests.make.catalog import make_offering
from tests.make.sales import Door, make_confirmed, make_door

# Sixty of a hundred of it is no whole number of fen.
COMMISSION = 3_333
Sell = Callable[..., Awaitable[Sale]]


@pytest.fixture
async def door(tx: AsyncSession, clock: FixedClock) -> Door:
    """A technician who checked in ten minutes ago, and an offering that earns something."""
    await make_offering(tx, commission_fen=COMMISSION)
    return await make_door(tx, now=clock.now())


@pytest.fixture
def sell(tx: AsyncSession, clock: FixedClock, door: Door) -> Sell:
    """Sell something that the ordering system acknowledges at once."""

    async def sold(*, at: Door = door, quantity: int = 1, lines: Sequence[Line] = ()) -> Sale:
        lines = lines or (Line("SPEED-1000", quantity),)
        sale = await make_confirmed(tx, at, now=clock.now(), lines=lines)
        await service.follow_many(tx, {sale.id: News(SaleState.ACKNOWLEDGED)}, at=clock.now())
        await tx.refresh(sale)
        return sale

    return sold
