"""A branch that works by the demo city's work types, with a technician, a customer and a worker."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.activation.simulator import BASE_PATH, Dials, create_simulator
from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.db import Database, database_of, new_id
from app.core.jobs import Worker
from app.core.settings import Settings
from app.customers.models import Customer
from app.terminals.models import Terminal
from app.worker import HANDLERS
from app.workorders.models import WorkOrder
from app.worktypes.loading import load_work_types
from app.worktypes.queries import forget
from tests.make.auth import bearer, caller_for, make_account
from tests.make.customers import make_address, make_customer
from tests.make.dispatch import Territory, make_territory, order
from tests.make.evidence import Upload, photo
from tests.make.followups import PAGE
from tests.make.platforms import served
from tests.make.visits import Phone, taken

TOKEN = "we-carry-this"
WORK_TYPES = Path(__file__).parents[2] / "seed" / "work_types.yaml"


@dataclass
class Town:
    """A branch whose work types ask for all they do in the demo city, its one technician with a
    phone, a customer, and a worker who does what was told when it is asked to."""

    tx: AsyncSession
    app: FastAPI
    worker: Worker
    land: Territory
    phone: Phone
    customer: Customer

    @property
    def place(self) -> dict[str, Any]:
        """Where the customer lives."""
        return self.land.point_in(self.land.grids[0])

    async def take_in(self, work_type: str) -> WorkOrder:
        """Let an order for the customer come in from upstream; the technician has it at once."""
        upstream = bearer(self.app, caller_for(Role.INTEGRATION, self.land.org_unit))
        sent = order(
            f"{work_type}-{new_id().hex[-6:]}",
            work_type=work_type,
            point=self.place,
            customer_code=self.customer.code,
            service_number="07318881234",
            estimated_minutes=None,
        )
        answer = await self.phone.http.post("/v1/work-orders", json=sent, headers=upstream)
        assert answer.status_code == 201, answer.text
        placed = answer.json()
        assert placed["holder_id"] == str(self.phone.technician.id)
        return await self.tx.get_one(WorkOrder, UUID(placed["id"]))

    async def arrive(self, order: WorkOrder) -> UUID:
        """Take it on, set out, and check in at its point."""
        visit_id = await self.phone.set_out(order)
        taken(await self.phone.post(f"/visits/{visit_id}/check-in", point=self.place))
        return visit_id

    async def scan(self, visit_id: UUID, action: str, serial: str, **more: Any) -> None:
        """Scan a terminal."""
        body = {"id": str(new_id()), "action": action, "serial_number": serial, **more}
        taken(await self.phone.post(f"/visits/{visit_id}/terminals", **body))

    async def photograph(self, order: WorkOrder, requirement: str, *, seed: int) -> None:
        """Take a photo and send all of it."""
        await Upload(self.phone, order, photo(seed=seed)).whole(requirement=requirement)

    async def announce(self, order: WorkOrder, requirement: str, *, seed: int) -> None:
        """Take a photo whose bytes follow when the signal is better."""
        going = await Upload(self.phone, order, photo(seed=seed)).announce(requirement=requirement)
        assert going.status_code == 201, going.text

    async def tick(self, visit_id: UUID, *checked: str, **measurements: float) -> None:
        """Tick lines of the checklist, and keep what was measured."""
        body = {
            "checked": list(checked),
            "measurements": measurements,
            "device_at": self.phone.clock.now().isoformat(),
        }
        answer = await self.phone.http.put(
            f"/v1/visits/{visit_id}/progress", json=body, headers=self.phone.headers
        )
        assert answer.status_code == 200, answer.text

    async def missing(self, visit_id: UUID, outcome_code: str) -> set[str]:
        """Try to complete too early, and hear what is missing, by its kind."""
        answer = await self.phone.post(f"/visits/{visit_id}/complete", outcome_code=outcome_code)
        assert answer.status_code == 409, answer.text
        assert answer.json()["type"] == "urn:yingwei:problem:not-complete"
        return {one["wanting"] for one in answer.json()["facts"]["missing"]}

    async def complete(self, visit_id: UUID, outcome_code: str, **more: Any) -> dict[str, Any]:
        """Complete, and let the worker do what follows."""
        url = f"/visits/{visit_id}/complete"
        done = taken(await self.phone.post(url, outcome_code=outcome_code, **more))
        assert done["state"] == "completed"
        await self.work()
        return done

    async def work(self) -> None:
        """Do the worker's jobs, until nothing is left."""
        while True:
            found = await self.tx.execute(
                text(
                    "DELETE FROM procrastinate_jobs WHERE id ="
                    " (SELECT min(id) FROM procrastinate_jobs) RETURNING task_name, args"
                )
            )
            row = found.one_or_none()
            await self.tx.commit()
            if row is None:
                return
            for handler in HANDLERS[row.task_name]:
                await handler(self.worker, **row.args)

    async def open_line(self, visit_id: UUID, serial: str) -> None:
        """Have the line opened by the platform."""
        activation_id = str(new_id())
        asked = await self.phone.post(
            f"/visits/{visit_id}/activations", id=activation_id, loid="SZ01", serial_number=serial
        )
        assert asked.status_code == 202, asked.text
        await self.work()
        answer = await self.phone.get(f"/activations/{activation_id}")
        assert answer.json()["state"] == "provisioned"

    async def pool(self, serial: str) -> str:
        """Say where a terminal is."""
        found = select(Terminal.pool).where(Terminal.serial_number == serial)
        return str(await self.tx.scalar(found))


@asynccontextmanager
async def make_town(
    tx: AsyncSession,
    app: FastAPI,
    http: httpx.AsyncClient,
    clock: FixedClock,
    settings: Settings,
    database: Database,
) -> AsyncIterator[Town]:
    """Make the branch and its people; at the end the worker closes what it has opened."""
    land = await make_territory(tx)
    document = WORK_TYPES.read_text("utf-8").replace("org_path: yj.", 'org_path: ""')
    await load_work_types(tx, document)
    forget(database_of(tx))
    technician = await land.add_technician(land.grids[0], skills={"fibre": 3})
    unit = land.org_unit
    account = await make_account(tx, unit, role=Role.TECHNICIAN, technician_id=technician.id)
    caller = caller_for(Role.TECHNICIAN, unit, account_id=account.id, technician_id=technician.id)
    phone = Phone(http, bearer(app, caller), clock, technician)
    customer = await make_customer(tx, org_unit=unit)
    await make_address(tx, customer)
    worker = Worker(settings, clock, database)
    try:
        yield Town(tx, app, worker, land, phone, customer)
    finally:
        await worker._ends.aclose()


@contextmanager
def served_platform(folder: Path) -> Iterator[str]:
    """Serve a faultless activation platform, and give the address of its API."""
    simulated = create_simulator(folder / "activation.db", Dials(), token=TOKEN)
    with served(simulated) as origin:
        yield origin + BASE_PATH


def town_settings(settings: Settings, folder: Path, platform: str) -> Settings:
    """Give settings under which pictures are kept in `folder` and lines opened by `platform`."""
    given = {
        "evidence_folder": folder / "evidence",
        "activation_url": platform,
        "activation_token": SecretStr(TOKEN),
        "survey_url": PAGE,
    }
    return settings.model_copy(update=given)
