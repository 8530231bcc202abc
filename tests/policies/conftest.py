"""What the tests of policies share: two administrators of a province, and a worker."""

import pytest

from app.auth.rules import Role
from app.core.jobs import Worker
from tests.make.auth import bearer, caller_for, make_account, make_org_unit


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    """The worker's process, on the rolled-back database."""
    return Worker(settings, clock, database)


@pytest.fixture
async def province(tx):
    return await make_org_unit(tx, code="gd")


@pytest.fixture
async def admins(tx, province):
    """Two people who may let a policy decide, as callers."""
    accounts = [await make_account(tx, province) for _ in range(2)]
    return [caller_for(Role.ADMIN, province, account_id=account.id) for account in accounts]


@pytest.fixture
def as_admin(app, http, admins):
    """Ask the API as one of the two."""

    async def ask(method, path, *, who=0, status=200, **body):
        answer = await http.request(
            method,
            f"/v1/policies{path}",
            json=body if method != "GET" else None,
            headers=bearer(app, admins[who]),
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    return ask
