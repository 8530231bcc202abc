"""One day, compared over HTTP with the simulator as a process of its own."""

import asyncio
import io
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import new_id
from app.core.jobs import Worker
from app.core.settings import Settings
from app.ordering.courier.reaching import reserve
from app.ordering.delivery import SyncState
from app.ordering.rules import Cause, Refused
from app.reconciliation import command, jobs
from app.sales.models import SaleEvent
from app.sales.rules import SaleStep
from tests.conftest import assembled, http_on
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.ordering.conftest import Simulator
from tests.ordering.delivering import SHORT, finish, make_desk
from tests.ordering.waiting import until

TOKEN = "we-carry-this"


@pytest.fixture
def simulator(tmp_path):
    simulator = Simulator(tmp_path / "orders.db")
    simulator.start({"token": TOKEN}, seconds_to_start=0, seconds_to_complete=0.1)
    yield simulator
    simulator.stop()


@pytest.fixture
async def desk(real_database, clock, tmp_path, simulator):
    settings = Settings(
        database_url=real_database.engine.url.render_as_string(hide_password=False),
        signing_keys=tmp_path / "keys",
        log_level="ERROR",
        ordering_url=simulator.base_url,
        ordering_token=SecretStr(TOKEN),
        ordering_timeout_seconds=5,
    )
    desk = await make_desk(real_database, clock, settings, SHORT)
    yield desk
    await desk.worker.close()


@pytest.fixture
async def ask(desk, clock):
    """Ask as a supervisor of the branch, or as another caller."""
    app = assembled(desk.settings, clock=clock, database=desk.database)
    async with desk.database.begin() as tx:
        account = await make_account(tx, desk.door.branch, role=Role.SUPERVISOR)
        elsewhere = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    here = caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)
    async with app.router.lifespan_context(app), http_on(app) as http:

        async def send(method, path, json=None, *, by=here, **query):
            return await http.request(
                method, f"/v1{path}", json=json, params=query, headers=bearer(app, by)
            )

        send.elsewhere = elsewhere  # type: ignore[attr-defined]
        yield send


async def compared(desk, ask):
    """Have the day compared, and read what it came to."""
    body = {"id": str(new_id()), "day": "2026-03-02"}
    asked = await ask("POST", "/reconciliations", body)
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    assert (await ask("POST", "/reconciliations", body)).json() == asked.json()
    await jobs.asked(desk.worker, run_id=body["id"])
    run = (await ask("GET", f"/reconciliation-runs/{body['id']}")).json()
    assert (run["state"], run["last_error"]) == ("done", None), run
    assert run["orders_read"] == run["orders_expected"]
    day = (await ask("GET", "/reconciliations/2026-03-02")).json()
    assert day["unaccounted"] == 0
    assert day["sales"] == sum(day[name] for name in ("equal", "healed", "open", "explained"))
    return day


async def listed(ask, **query):
    return (await ask("GET", "/reconciliation-cases", **query)).json()["cases"]


async def test_a_day_with_every_difference_comes_to_nothing_unexplained(
    desk, ask, simulator, monkeypatch
):
    monkeypatch.setattr("app.ordering.client.api.PAGE", 3)
    dials = {"seconds_to_start": 0, "seconds_to_complete": 0.1}
    equal = await desk.sell()
    await desk.send(equal)
    await finish(desk, [equal])
    simulator.dial(**dials, price_changed=1)
    dearer = await desk.sell()
    await desk.send(dearer)
    simulator.dial(**dials, forgotten=1)
    forgotten = await desk.sell()
    await desk.send(forgotten)
    simulator.dial(**dials, unasked=1)
    behind = await desk.sell()
    await desk.send(behind)
    simulator.dial(seconds_to_start=3600, seconds_to_complete=3600)
    doubled = await desk.sell()
    await desk.send(doubled)
    body = (await desk.sync(doubled)).body
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as there:
        await there.post(f"{simulator.base_url}/productOrder", json=body)
    simulator.dial(**dials)
    lost = await desk.sell()
    await desk.send(lost)
    async with desk.database.begin() as tx:
        await tx.execute(
            text(
                "UPDATE order_sync SET state = 'parked', last_cause = 'cut', remote_id = NULL,"
                " remote_state = NULL WHERE sale_id = :id"
            ),
            {"id": lost},
        )
    never_sent = await desk.sell()
    parked = await desk.sell()
    await desk.settle(await desk.claimed(parked), Refused(Cause.REFUSED, said="no"))
    await until(lambda: simulator.counts()["by_state"]["completed"] >= 5, "completion")

    day = await compared(desk, ask)
    assert (day["sales"], day["equal"], day["healed"], day["open"]) == (8, 1, 3, 4)
    assert (day["orders"], day["orders_open"]) == (1, 1)
    assert day["reconcile_mismatch"]["numerator"] == 5
    cases = await listed(ask, state="open")
    kinds = Counter(case["kind"] for case in cases)
    assert kinds == Counter(["price_differs", "forgotten", "doubled", "not_there", "nobodys"])
    assert (await desk.sale(behind)).state == "completed"
    assert (await desk.sync(lost)).state is SyncState.FINISHED
    async with desk.database.read() as read:
        steps = select(SaleEvent.step).where(SaleEvent.sale_id == lost)
        assert SaleStep.RECONCILED in (await read.scalars(steps)).all()
    # The same differences the next time are the same cases, and what was woken is sent.
    await desk.send(never_sent)
    await finish(desk, [never_sent])
    again = await compared(desk, ask)
    assert {name: again[name] for name in day if name != "units"} == {
        name: day[name] for name in day if name != "units"
    }
    by_kind = {case["kind"]: case for case in await listed(ask, state="open")}
    assert {case["id"] for case in by_kind.values()} == {case["id"] for case in cases}
    assert {case["times_seen"] for case in by_kind.values()} == {2}

    def path(kind):
        return f"/reconciliation-cases/{by_kind[kind]['id']}/resolve"

    # Nobody else sees them, and not everything can be done about each.
    assert await listed(lambda *a, **q: ask(*a, by=ask.elsewhere, **q), day="2026-03-02") == []
    explain = {"resolution": "explain", "explanation": "known_fault"}
    hidden = await ask("POST", path("price_differs"), explain, by=ask.elsewhere)
    assert hidden.status_code == 404
    wrong = await ask("POST", path("price_differs"), {"resolution": "send_again"})
    assert wrong.json()["type"].endswith("not-for-this-case")
    wrong = await ask("POST", path("price_differs"), {"resolution": "explain"})
    assert wrong.json()["type"].endswith("invalid")

    for _ in range(2):
        answer = await ask("POST", path("price_differs"), explain)
        assert answer.json()["state"] == "explained"
    other = await ask("POST", path("price_differs"), {**explain, "explanation": "other"})
    assert other.json()["type"].endswith("reconciliation-case-closed")
    for kind in ("doubled", "nobodys"):
        answer = await ask("POST", path(kind), {"resolution": "cancel_theirs"})
        assert answer.json()["state"] == "resolving"
        # What was done already is not done again.
        for _ in range(2):
            await jobs.chosen(desk.worker, case_id=by_kind[kind]["id"])
    # The order nobody sent has completed, so it is refused; somebody then explains it.
    states = {case["kind"]: case["state"] for case in await listed(ask)}
    assert (states["doubled"], states["nobodys"]) == ("resolved", "open")
    answer = await ask("POST", path("nobodys"), {"resolution": "explain", "explanation": "other"})
    assert answer.json()["state"] == "explained"
    await ask("POST", path("forgotten"), {"resolution": "send_again"})
    await ask("POST", path("not_there"), {"resolution": "give_up", "note": "客户已退"})
    assert (await desk.sale(parked)).state == "cancelled"
    await until(lambda: simulator.counts()["by_state"].get("cancelled", 0) == 1, "cancelling")
    await finish(desk, [forgotten])

    day = await compared(desk, ask)
    assert (day["sales"], day["open"], day["explained"]) == (8, 0, 1)
    assert (day["equal"], day["healed"]) == (4, 3)
    assert (day["orders_open"], day["orders_explained"]) == (0, 1)
    assert day["reconcile_mismatch"]["share"] == 0
    # The command line compares a day too: by the real clock the sales lie in another one.
    told = Console(file=io.StringIO())
    found = await command.compare(desk.settings, wall().date(), "", told)
    assert found is not None and sum(each.sales for each in found) == 0


async def test_a_day_is_compared_while_others_take_every_turn(desk, ask, monkeypatch):
    """Nobody stands before a comparison: it waits until its turn comes, page by page."""
    sale_ids = [await desk.sell() for _ in range(3)]
    for sale_id in sale_ids:
        await desk.send(sale_id)
    await finish(desk, sale_ids)
    monkeypatch.setattr("app.ordering.client.api.PAGE", 1)
    numbers = {"ordering_requests_per_second": 4, "ordering_timeout_seconds": 2}
    settings = desk.settings.model_copy(update=numbers)
    patient = replace(desk, worker=Worker(settings, desk.clock, desk.database))

    async def backlog():
        while True:
            await reserve(desk.database, settings.ordering_url, 0.25, 1.0)
            await asyncio.sleep(0.005)

    others = asyncio.create_task(backlog())
    try:
        day = await compared(patient, ask)
    finally:
        others.cancel()
        # It gives its connection back before the database is closed.
        with suppress(asyncio.CancelledError):
            await others
        await patient.worker.close()
    assert (day["sales"], day["equal"]) == (3, 3)
