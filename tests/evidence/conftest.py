"""A technician at a door, whose order asks for photos; and the worker's jobs, done when asked."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy import text

from app.core.jobs import Worker
from app.core.settings import Settings
from app.worker import HANDLERS
from tests.make.auth import make_org_unit
from tests.make.evidence import Upload, make_template, photo, router
from tests.make.visits import Phone, make_assigned_order, make_phone
from tests.ordering.delivering import set_numbers


@pytest.fixture
def settings(settings: Settings, tmp_path) -> Settings:
    """The settings, with a folder of the test's own for pictures."""
    return settings.model_copy(update={"evidence_folder": tmp_path / "evidence"})


@pytest.fixture
def folder(settings):
    """Where the pictures lie."""

    def files() -> list[str]:
        found = settings.evidence_folder.rglob("*")
        return sorted(each.name.partition("-")[0] for each in found if each.is_file())

    return files


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch) -> Phone:
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
def numbers(tx, database):
    """Put an operator's numbers in force at once."""

    async def put(given: dict[str, float]) -> None:
        await set_numbers(tx, given)
        database.cache.pop("parameters", None)

    return put


@dataclasses.dataclass
class Jobs:
    """The worker's jobs of evidence, done in the order they were told."""

    worker: Worker
    tx: Any

    async def work_off(self) -> list[str]:
        """Do what was told, until nothing is left; returns the events."""
        done: list[str] = []
        while True:
            found = await self.tx.execute(
                text(
                    "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM"
                    " procrastinate_jobs WHERE task_name LIKE 'evidence.%')"
                    " RETURNING task_name, args"
                )
            )
            row = found.one_or_none()
            if row is None:
                return done
            for handler in HANDLERS[row.task_name]:
                await handler(self.worker, **row.args)
            done.append(row.task_name.removeprefix("evidence."))


@pytest.fixture
def jobs(settings, clock, database, tx) -> Jobs:
    return Jobs(Worker(settings, clock, database), tx)


@pytest.fixture
async def order(tx, phone, clock):
    """An order that asks for one photo of the router, acknowledged and checked in at."""
    template = await make_template(tx, router())
    order = await make_assigned_order(
        tx, phone.technician, now=clock.now(), template_id=template.id
    )
    await phone.arrive(order)
    return order


@pytest.fixture
def upload(phone, order):
    """Make an upload of a picture for the order."""

    def make(data: bytes | None = None, **said: Any) -> Upload:
        return Upload(phone, order, photo() if data is None else data, said)

    return make
