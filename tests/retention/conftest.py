"""Callers of a branch with a manager above it, and what they ask over HTTP."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.jobs import Worker
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.dispatch import Territory
from tests.make.technicians import make_technician


@dataclass
class Office:
    """A district with one branch, a grid in it, and whoever asks."""

    tx: AsyncSession
    app: FastAPI
    http: httpx.AsyncClient
    district: OrgUnit
    land: Territory
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    accounts: dict[str, Any] = field(default_factory=dict)

    @property
    def branch(self) -> OrgUnit:
        return self.land.org_unit

    async def admit(self, name: str, role: Role, unit: OrgUnit, technician: Any = None) -> None:
        """Let somebody ask by a name."""
        technician_id = technician.id if technician else None
        account = await make_account(self.tx, unit, role=role, technician_id=technician_id)
        caller = caller_for(role, unit, account_id=account.id, technician_id=technician_id)
        self.accounts[name] = caller
        self.headers[name] = bearer(self.app, caller)

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, **query: Any
    ) -> httpx.Response:
        """Ask as somebody."""
        return await self.http.request(
            method, f"/v1{path}", json=body, headers=self.headers[who], params=query
        )

    async def ok(self, who: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Ask for what must be answered well, and read the answer."""
        answer = await self.ask(who, method, path, body, **query)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


def slug(answer: httpx.Response) -> tuple[int, str]:
    """Read a refusal's status and name."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:yingwei:problem:")


@pytest.fixture
async def office(tx: AsyncSession, app: FastAPI, http: httpx.AsyncClient) -> Office:
    """A technician, a supervisor and the district's manager; `stranger` is of another branch."""
    unit: OrgUnit | None = None
    for _ in range(3):
        unit = await make_org_unit(tx, parent=unit)
    assert unit is not None
    branch = await make_org_unit(tx, parent=unit)
    land = Territory(tx, branch)
    await land.add_grid()
    made = Office(tx, app, http, unit, land)
    technician = await land.add_technician(land.grids[0], skills={"fibre": 3})
    await made.admit("technician", Role.TECHNICIAN, branch, technician)
    other = await make_technician(tx, org_unit=branch)
    await made.admit("colleague", Role.TECHNICIAN, branch, other)
    await made.admit("supervisor", Role.SUPERVISOR, branch)
    await made.admit("manager", Role.SUPERVISOR, unit)
    await made.admit("admin", Role.ADMIN, unit)
    await made.admit("stranger", Role.SUPERVISOR, await make_org_unit(tx, parent=unit))
    return made


@pytest.fixture
def worker(settings: Any, clock: Any, database: Any) -> Worker:
    """A worker that does what it is asked to."""
    return Worker(settings, clock, database)
