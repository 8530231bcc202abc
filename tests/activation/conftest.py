"""A platform that is simulated in this process, a technician at a door, and a worker."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette

from app.activation import jobs
from app.activation.simulator import BASE_PATH, Dials, create_simulator
from app.core.clock import FixedClock
from app.core.db import Database, new_id
from app.core.jobs import Worker
from app.core.settings import Settings
from tests.make.auth import make_org_unit
from tests.make.platforms import served
from tests.make.visits import Phone, make_assigned_order, make_phone

TOKEN = "we-carry-this"


@dataclass
class Platform:
    """The simulated platform."""

    app: Starlette
    url: str

    def dial(self, **dials: Any) -> None:
        """Set all dials: those named, and the others to their defaults."""
        self.app.state.dials = Dials(**dials)

    def asks(self) -> list[tuple[str, str | None, int]]:
        """List what it was asked for: serial number, code of the end, how often carried out."""
        rows = self.app.state.memory.db.execute(
            "SELECT serial, code, effects FROM asks ORDER BY rowid"
        )
        return list(rows)

    def posts(self) -> int:
        """Count the POSTs that came."""
        counted = self.app.state.memory.db.execute("SELECT coalesce(sum(times), 0) FROM posts")
        return int(counted.fetchone()[0])


@pytest.fixture(scope="module")
def shared_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    store = tmp_path_factory.mktemp("platform") / "activation.db"
    app = create_simulator(store, Dials(), token=TOKEN)
    with served(app) as origin:
        yield Platform(app, origin + BASE_PATH)


@pytest.fixture
def platform(shared_platform: Platform) -> Platform:
    """A platform that is fast and faultless until it is dialled otherwise, and knows of nothing."""
    shared_platform.dial()
    for table in ("asks", "lines", "posts"):
        shared_platform.app.state.memory.db.execute(f"DELETE FROM {table}")
    return shared_platform


@pytest.fixture
async def worker(
    settings: Settings, clock: FixedClock, database: Database, platform: Platform
) -> AsyncIterator[Worker]:
    """A worker that knows the platform; it waits half a second for an answer."""
    knowing = settings.model_copy(
        update={
            "activation_url": platform.url,
            "activation_token": SecretStr(TOKEN),
            "activation_timeout_seconds": 0.5,
        }
    )
    working = Worker(knowing, clock, database)
    yield working
    await working._ends.aclose()


@dataclass
class Door:
    """A technician at a customer's door."""

    tx: AsyncSession
    worker: Worker
    phone: Phone
    order_id: UUID
    visit_id: UUID

    async def ask(self, **given: Any) -> dict[str, Any]:
        """Ask for the line to be opened, and read how it stands then."""
        answer = await self.post(**given)
        assert answer.status_code == 202, answer.text
        return await self.read(answer.json()["id"])

    async def post(self, **given: Any) -> Any:
        """Ask for the line to be opened."""
        body = {"id": str(new_id()), "loid": "SZ01", "serial_number": "HWTC-1", **given}
        return await self.phone.post(f"/visits/{self.visit_id}/activations", **body)

    async def work(self, activation_id: str, *, later: bool = False) -> dict[str, Any]:
        """Do what the job does; `later` lets the wait pass first. Reads how it stands then."""
        if later:
            await self.tx.execute(
                text("UPDATE activation SET next_try_at = now() - interval '1 s'")
            )
        await self.tx.commit()
        await jobs.put(self.worker, activation_id=activation_id)
        return await self.read(activation_id)

    async def read(self, activation_id: str) -> dict[str, Any]:
        """Read how it stands."""
        answer = await self.phone.get(f"/activations/{activation_id}", **{"accept-language": "en"})
        assert answer.status_code == 200, answer.text
        read: dict[str, Any] = answer.json()
        return read


@pytest.fixture
async def door(
    tx: AsyncSession, app: FastAPI, http: Any, clock: FixedClock, worker: Worker
) -> Door:
    """A technician who has checked in for an order."""
    phone = await make_phone(tx, app, http, clock, org_unit=await make_org_unit(tx))
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    return Door(tx, worker, phone, order.id, await phone.arrive(order))
