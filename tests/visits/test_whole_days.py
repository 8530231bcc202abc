"""Whole orders over HTTP, with all that the demo city's work types ask for at the door.

From intake to the customer's answer: what is missing is told, terminals are scanned, photos go up,
the line is opened by a simulated platform, the customer accepts, and the worker does what follows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.activation.simulator import BASE_PATH, Dials, create_simulator
from app.auth.rules import Role
from app.core.db import database_of, new_id
from app.core.jobs import Worker
from app.customers.models import Customer
from app.followups import jobs as followups
from app.followups.models import FollowUp
from app.terminals.models import Terminal
from app.visits.models import Visit
from app.worker import HANDLERS
from app.workorders.models import WorkOrder
from app.worktypes.loading import load_work_types
from app.worktypes.queries import forget
from tests.make.acceptance import code_on_telephone
from tests.make.auth import bearer, caller_for, make_account
from tests.make.customers import make_address, make_customer
from tests.make.dispatch import Territory, make_territory, order
from tests.make.evidence import Upload, photo, signature
from tests.make.followups import PAGE, make_rule, token_on_telephone
from tests.make.platforms import served
from tests.make.terminals import make_terminal
from tests.make.visits import Phone, taken

TOKEN = "we-carry-this"
WORK_TYPES = Path(__file__).parents[2] / "seed" / "work_types.yaml"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    simulated = create_simulator(
        tmp_path_factory.mktemp("platform") / "activation.db", Dials(), token=TOKEN
    )
    with served(simulated) as origin:
        yield origin + BASE_PATH


@pytest.fixture
def settings(settings, tmp_path, platform):
    given = {
        "evidence_folder": tmp_path / "evidence",
        "activation_url": platform,
        "activation_token": SecretStr(TOKEN),
        "survey_url": PAGE,
    }
    return settings.model_copy(update=given)


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


@pytest.fixture
async def town(tx, app, http, clock, settings, database):
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
    yield Town(tx, app, worker, land, phone, customer)
    await worker._ends.aclose()


INSTALL_CHECKS = (
    "identity_shown",
    "cabling_tidy",
    "label_on",
    "speed_shown",
    "wifi_explained",
    "site_clean",
)
RELOCATE_CHECKS = (
    "identity_shown",
    "old_line_out",
    "cabling_tidy",
    "label_on",
    "speed_shown",
    "site_clean",
)


async def test_an_install_from_intake_to_the_customers_answer(town, tx, http):
    await make_rule(tx, work_type="install")
    await make_terminal(
        tx, town.land.org_unit, technician_id=town.phone.technician.id, serial_number="NEW1"
    )
    order = await town.take_in("install")
    visit = await town.arrive(order)
    assert await town.missing(visit, "installed") == {
        "check",
        "evidence",
        "measurement",
        "terminal_fitted",
        "activation",
        "acceptance",
    }
    await town.scan(visit, "fitted", "NEW1")
    await town.open_line(visit, "NEW1")
    await town.tick(visit, *INSTALL_CHECKS, optical_rx_power_dbm=-29.0, download_mbps=940)
    await town.photograph(order, "ont_installed", seed=1)
    await town.photograph(order, "ont_label", seed=2)
    await town.announce(order, "fibre_entry", seed=3)
    await town.announce(order, "splitter_port", seed=4)
    assert await town.missing(visit, "installed") == {"acceptance", "out_of_limits"}
    await town.tick(visit, *INSTALL_CHECKS, optical_rx_power_dbm=-19.4, download_mbps=940)
    asked = await town.phone.http.post(
        f"/v1/visits/{visit}/acceptance-code",
        json={"id": str(new_id())},
        headers=town.phone.headers,
    )
    assert asked.status_code == 201, asked.text
    await town.complete(visit, "installed", acceptance_code=await code_on_telephone(tx, visit))
    assert await town.pool("NEW1") == "customer"

    await followups.send_due(town.worker)
    follow_up = (await tx.scalars(select(FollowUp))).one()
    url = f"/v1/surveys/{await token_on_telephone(tx, follow_up)}"
    assert (await http.get(url)).json()["work_type"] == "install"
    answered = await http.post(url, json={"mark": 5, "reasons": ["on_time"]})
    assert answered.status_code == 200, answered.text
    await town.work()
    assert (await tx.scalars(select(WorkOrder.id))).all() == [order.id]


async def test_a_repair_that_swaps_the_gateway(town, tx):
    unit = town.land.org_unit
    await make_terminal(tx, unit, technician_id=town.phone.technician.id, serial_number="NEW1")
    await make_terminal(tx, unit, customer_id=town.customer.id, serial_number="OLD1")
    order = await town.take_in("repair")
    visit = await town.arrive(order)
    assert await town.missing(visit, "fixed") == {"check", "evidence", "measurement"}
    await town.scan(visit, "swapped", "NEW1", replaced_serial_number="OLD1", reason="faulty")
    taken(await town.phone.post(f"/visits/{visit}/restored"))
    await town.tick(visit, "cause_told", "works_shown", "site_clean", optical_rx_power_dbm=-28.3)
    await town.announce(order, "after_repair", seed=1)
    done = await town.complete(visit, "fixed")
    # The light is weak, which may lie with the network: it is pointed out and refused to nobody.
    assert [one["code"] for one in done["warnings"]] == ["optical_rx_power_dbm"]
    assert await town.pool("NEW1") == "customer"
    assert await town.pool("OLD1") != "customer"
    row = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    assert row.restored_at is not None and row.outcome_code == "fixed"


async def test_a_relocation_that_the_customer_signs_for(town, tx):
    await make_terminal(tx, town.land.org_unit, customer_id=town.customer.id, serial_number="HERE1")
    order = await town.take_in("relocate")
    visit = await town.arrive(order)
    await town.tick(visit, *RELOCATE_CHECKS, optical_rx_power_dbm=-20.0, download_mbps=500)
    await town.photograph(order, "ont_installed", seed=1)
    await town.announce(order, "splitter_port", seed=2)
    await town.open_line(visit, "HERE1")
    assert await town.missing(visit, "relocated") == {"acceptance"}
    await Upload(town.phone, order, signature()).whole(kind="signature")
    await town.complete(visit, "relocated")
    kept = await tx.get_one(Visit, visit, populate_existing=True)
    assert kept.accepted_at is None  # by a signature, not by a code


async def test_a_removal_takes_home_what_was_lent(town, tx):
    unit = town.land.org_unit
    for serial in ("LENT1", "LENT2"):
        await make_terminal(tx, unit, customer_id=town.customer.id, serial_number=serial)
    order = await town.take_in("remove")
    visit = await town.arrive(order)
    await town.tick(visit, "identity_shown", "port_released", "site_clean")
    await town.announce(order, "terminals_taken", seed=1)
    answer = await town.phone.post(f"/visits/{visit}/complete", outcome_code="removed")
    lent = [one["code"] for one in answer.json()["facts"]["missing"]]
    assert sorted(lent) == ["LENT1", "LENT2"]
    for serial in lent:
        await town.scan(visit, "taken_away", serial)
    await town.complete(visit, "removed")
    assert "customer" not in {await town.pool("LENT1"), await town.pool("LENT2")}
