"""A technician at a door of their grid, with a catalogue, slots, and a gateway in the van."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import FixedClock
from tests.make.feasibility import InstallDoor, make_install_door


@pytest.fixture
async def door(
    tx: AsyncSession, app: FastAPI, http: httpx.AsyncClient, clock: FixedClock
) -> InstallDoor:
    """A technician at a door, the fault of which is mended."""
    door = await make_install_door(tx, app, http, clock)
    await tx.commit()
    return await door.arrive()
