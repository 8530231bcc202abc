"""Two that wait for each other: PostgreSQL undoes one of them, and nobody sees any of it."""

import asyncio
from datetime import date

import pytest
from fastapi import Request
from sqlalchemy import select, text, update

from app.auth.rules import Role
from app.core import colliding
from app.core.db import Tx
from app.core.doorways import Router
from app.core.http import body_up_to
from app.technicians import availability
from app.technicians.availability import Promised
from app.technicians.models import TechnicianDay
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_account
from tests.make.dispatch import make_territory
from tests.make.races import until_waiting
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)
# A word of PostgreSQL's, said by the database itself.
COLLIDES = text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")


@pytest.fixture
async def given(real_database, real_app, real_http, clock):
    """An order that its supervisor is about to give to somebody: the request, and what it locks."""
    async with real_database.begin() as tx:
        land = await make_territory(tx)
        someone = await land.add_technician(land.grids[0])
        account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
        supervisor = caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id)
        order = await make_work_order(
            tx, now=clock.now(), org_unit=land.org_unit, state=State.LOCATED
        )
        await availability.change(tx, {(someone.id, TODAY): Promised(60, 1)})
    hand = {"technician_id": str(someone.id), "day": "2026-03-02", "reason": "near", "version": 1}

    async def assign(**headers):
        path = f"/v1/work-orders/{order.id}/assign"
        headers = {**bearer(real_app, supervisor), **headers}
        return await real_http.post(path, json=hand, headers=headers)

    return assign, order, someone


async def steps_of(database, order):
    async with database.read() as read:
        found = await read.scalars(
            select(WorkOrderEvent.step).where(WorkOrderEvent.work_order_id == order.id)
        )
        return list(found)


@pytest.fixture
def tries(monkeypatch):
    """After how many tries each collision was met; nobody waits long."""
    met = []

    async def breathed(tries):
        met.append(tries)

    monkeypatch.setattr(colliding, "breathe", breathed)
    return met


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "a-key-of-some-length"}])
async def test_of_two_that_wait_for_each_other_both_get_through(real_database, given, tries, key):
    assign, order, someone = given
    async with real_database.begin() as tx:
        # Somebody holds the technician's day, as a phone's push does; the supervisor's request has
        # the order and waits for the day, and now the order is wanted here.
        day = (someone.id, TODAY)
        await tx.get_one(TechnicianDay, day, with_for_update=True)
        asking = asyncio.create_task(assign(**key))
        await until_waiting(real_database)
        await tx.execute(update(WorkOrder).where(WorkOrder.id == order.id).values(nudges=1))
    answer = await asking
    assert (answer.status_code, tries) == (200, [1])
    assert await steps_of(real_database, order) == ["assign"]
    if key:
        again = await assign(**key)
        assert again.json() == answer.json()
        assert again.headers["idempotent-replayed"] == "true"
        assert await steps_of(real_database, order) == ["assign"]


async def test_collisions_without_end_are_put_off_and_nothing_is_recorded(
    real_database, given, tries, monkeypatch
):
    assign, order, _ = given

    async def collides(tx, *_):
        await tx.execute(COLLIDES)

    with monkeypatch.context() as patch:
        patch.setattr(availability, "change", collides)
        answer = await assign()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"] == "urn:yingwei:problem:unavailable"
    assert tries == [1, 2, 3, 4]
    assert await steps_of(real_database, order) == []
    assert (await assign()).status_code == 200


async def test_what_was_read_piece_by_piece_is_not_tried_once_more(
    real_app, real_http, tries, monkeypatch
):
    """A body that was not kept is gone."""
    router = Router()

    @router.post("/pieces")
    async def pieces(request: Request, tx: Tx) -> str:
        assert await body_up_to(request, 10) == b"{}"
        await tx.execute(COLLIDES)
        return "never"

    monkeypatch.setattr(real_app.router, "routes", [*real_app.router.routes, *router.routes])
    answer = await real_http.post("/pieces", content=b"{}")
    assert (answer.status_code, tries) == (503, [])
