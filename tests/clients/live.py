"""A server that runs, with one order for one technician, for a generated client to work with."""

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx

from app.auth.rules import Role
from app.core.clock import SystemClock
from app.core.cluster import Cluster
from app.core.db import open_database
from app.core.settings import Settings
from app.demo.processes import Process, free_port
from app.migrating import upgrade
from app.phone.drawings import signature
from tests.make.auth import PASSWORD, make_account, make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order

READY_SECONDS = 120.0
USERNAME = "generated-client"


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """Serve until the block ends, on a database that is gone then; give what a client is told.

    Raises PostgresMissing and ClusterFailed, and RuntimeError when the server does not answer.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    picture = folder / "signature.png"
    picture.write_bytes(signature(USERNAME))
    with Cluster.throw_away() as cluster:
        url = cluster.create_database("clients")
        upgrade(url)
        asyncio.run(_fill(Settings(database_url=url)))
        port = free_port()
        process = Process(
            "api",
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
            {
                "DATABASE_URL": url,
                "YINGWEI_SIGNING_KEYS": str(folder / "keys"),
                "YINGWEI_EVIDENCE_FOLDER": str(folder / "evidence"),
            },
            folder / "api.log",
        )
        process.start()
        try:
            _await(process, port)
            yield {
                "YINGWEI_URL": f"http://127.0.0.1:{port}",
                "YINGWEI_USER": USERNAME,
                "YINGWEI_PASSWORD": PASSWORD,
                "YINGWEI_SIGNATURE": str(picture),
            }
        finally:
            process.stop()


def _await(process: Process, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2.0).is_success:
                return
        if not process.alive() or time.monotonic() > deadline:
            raise RuntimeError(f"the server does not answer:\n{process.tail()}")
        time.sleep(0.1)


async def _fill(settings: Settings) -> None:
    """Add a technician with an account, something to sell, and a repair that they have today."""
    now = SystemClock().now()
    database = open_database(settings)
    async with database.begin() as tx:
        branch = await make_org_unit(tx)
        technician = await make_technician(tx, org_unit=branch)
        role = Role.TECHNICIAN
        await make_account(tx, branch, role=role, username=USERNAME, technician_id=technician.id)
        customer = await make_customer(tx, org_unit=branch)
        await make_address(tx, customer)
        await make_offering(tx)
        today = now.astimezone(ZoneInfo(branch.time_zone)).date()
        await make_assigned_order(tx, technician, customer, now=now, planned_day=today)
    await database.close()
