"""Fixtures of the territory's tests."""

import pytest

from app.auth.rules import Role
from tests.grids.conftest import boston, geo, import_layer
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.redraw import Land, make_land

__all__ = ["boston", "branch", "district", "geo", "import_layer", "supervisor"]


@pytest.fixture
async def district(tx):
    """The district above the branch."""
    return await make_org_unit(tx, code="ns")


@pytest.fixture
async def branch(tx, district):
    """The branch whose grids these are."""
    return await make_org_unit(tx, code="east", parent=district)


@pytest.fixture
async def supervisor(app, tx, branch):
    """The headers of the branch's supervisor."""
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    return bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))


@pytest.fixture
async def land(tx, app, http) -> Land:
    """Two square grids side by side, and their supervisor."""
    return await make_land(tx, app, http)
