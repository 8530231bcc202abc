"""A worker killed while the platform is at it: the line is opened once, and the answer comes."""

import asyncio
import os
import signal
import sys

from pydantic import SecretStr
from sqlalchemy import text

from app.activation import jobs
from app.core.db import new_id
from app.core.jobs import Worker
from tests.activation.conftest import TOKEN
from tests.make.auth import make_org_unit
from tests.make.visits import make_assigned_order, make_phone
from tests.ordering.waiting import until

# What the worker does of an activation, in a process of its own.
PUTTING = """
import asyncio, sys
from app import tables
from app.activation import jobs
from app.core.clock import SystemClock
from app.core.db import open_database
from app.core.jobs import Worker
from app.core.settings import Settings
settings = Settings()
worker = Worker(settings, SystemClock(), open_database(settings))
asyncio.run(jobs.put(worker, activation_id=sys.argv[1]))
"""


async def test_a_killed_worker_leaves_one_activation_and_the_next_one_hears_of_it(
    real_database, real_app, real_http, clock, settings, platform
):
    async with real_database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock, org_unit=await make_org_unit(tx))
        order = await make_assigned_order(tx, phone.technician, now=clock.now())
    visit_id = await phone.arrive(order)
    body = {"id": str(new_id()), "loid": "SZ01", "serial_number": "HWTC-1"}
    assert (await phone.post(f"/visits/{visit_id}/activations", **body)).status_code == 202

    platform.dial(delay_seconds=1)
    url = real_database.engine.url.set(drivername="postgresql")
    environment = {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "YINGWEI_ACTIVATION_URL": platform.url,
        "YINGWEI_ACTIVATION_TOKEN": TOKEN,
        "YINGWEI_ACTIVATION_TIMEOUT_SECONDS": "30",
    }
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PUTTING, body["id"], env={**os.environ, **environment}
    )
    await until(lambda: platform.posts() == 1, "the ask", seconds=60)
    victim.send_signal(signal.SIGKILL)
    assert await victim.wait() == -signal.SIGKILL
    platform.dial()
    await until(lambda: platform.asks() == [("HWTC-1", None, 1)], "its effect")

    knowing = {"activation_url": platform.url, "activation_token": SecretStr(TOKEN)}
    worker = Worker(settings.model_copy(update=knowing), clock, real_database)
    await jobs.sweep(worker)
    answer = await phone.get(f"/activations/{body['id']}")
    assert answer.json()["state"] == "under_way", "the dead one's time is not over yet"
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE activation SET next_try_at = now()"))
    await jobs.sweep(worker)
    answer = await phone.get(f"/activations/{body['id']}")
    assert (answer.json()["state"], answer.json()["attempts"]) == ("provisioned", 2)
    assert platform.asks() == [("HWTC-1", None, 1)]
    assert platform.posts() == 1
    await worker._ends.aclose()
