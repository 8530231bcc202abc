"""A branch of two grids, and the nights in which what happened is added up."""

import pytest

from app.core.jobs import Worker
from app.planning import jobs as planning
from app.travel import jobs as travel
from tests.make.dispatch import Territory, make_territory
from tests.make.planning import home_in


@pytest.fixture
async def land(tx) -> Territory:
    """Two grids, each with a primary who lives in it."""
    land = await make_territory(tx, grids=2)
    for grid in land.grids:
        await land.add_technician(grid, home_point=home_in(land, grid), daily_minutes=600)
    return land


@pytest.fixture
def nights(settings, clock, database):
    """What the worker does in the nights that are over."""
    worker = Worker(settings, clock, database)

    async def pass_by():
        await travel.learn(worker)
        await planning.add_up(worker)

    return pass_by
