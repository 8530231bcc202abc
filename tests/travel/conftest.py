"""What the tests of travel share: three squares to drive between, and who works at night."""

import pytest

from app.core.jobs import Worker
from tests.make.auth import make_org_unit
from tests.make.dispatch import Territory, make_territory


@pytest.fixture
async def land(tx) -> Territory:
    """Three squares in a row, of a branch in a city."""
    territory = await make_territory(tx, grids=3)
    territory.org_unit = await make_org_unit(tx, parent=territory.org_unit)
    return territory


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    """The worker's process, on the rolled-back database."""
    return Worker(settings, clock, database)
