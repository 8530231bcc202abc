"""Fixtures of the grids' tests."""

from pathlib import Path

import pytest

from app.auth.rules import Role
from tests.make.auth import bearer, caller_for, make_account, make_org_unit


@pytest.fixture(scope="session")
def geo(shared_dir: Path) -> Path:
    """The folder of real geographic data."""
    return shared_dir / "data/geo"


@pytest.fixture
async def branch(tx):
    """The branch whose grids are imported."""
    return await make_org_unit(tx, code="east")


@pytest.fixture
async def supervisor(app, tx, branch):
    """The headers of the branch's supervisor."""
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    return bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))


@pytest.fixture
def import_layer(http, supervisor):
    """Import a layer as the branch's supervisor would, named by `name` in WGS-84 unless told."""

    async def send(data, **parameters):
        given = {"coordsys": "wgs84", "name_field": "name"} | parameters
        return await http.post(
            "/v1/grids/import", params=given, content=data, headers=supervisor, timeout=60
        )

    return send


@pytest.fixture
async def boston(geo, import_layer):
    """The answer to importing Boston's 255 precincts."""
    data = (geo / "boston/precincts.geojson").read_bytes()
    return await import_layer(data, name_field="precinct")
