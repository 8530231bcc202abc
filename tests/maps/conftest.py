"""Fixtures of the maps' tests."""

import pytest

from app.auth.rules import Role
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.maps import draw_cells


@pytest.fixture
async def branch(tx):
    """The branch whose maps are read."""
    return await make_org_unit(tx, code="east")


@pytest.fixture
async def supervisor(app, tx, branch):
    """The headers of the branch's supervisor."""
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    return bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))


@pytest.fixture
async def cells(tx, branch, clock):
    """Sixteen grids G00 to G15 with wandering borders, in force, as shapes by code."""
    return await draw_cells(tx, branch, clock.now())


@pytest.fixture
def tile(http, supervisor):
    """Get a tile as the branch's supervisor, or with other headers."""

    async def get(layer, place, *, headers=None, **params):
        return await http.get(
            f"/v1/tiles/{layer}/{place.z}/{place.x}/{place.y}.mvt",
            params=params,
            headers={**supervisor, **(headers or {})},
        )

    return get
