"""Two that wait for each other: PostgreSQL undoes one of them, and nobody sees any of it."""

import asyncio
from datetime import date
from typing import Annotated

import pytest
from fastapi import Body, Request
from sqlalchemy import select, text, update

from app.auth import service as auth
from app.auth.rules import Role
from app.core import colliding
from app.core.db import Database, Tx
from app.core.doorways import Router
from app.core.http import body_up_to, streamed
from app.technicians import availability
from app.technicians.availability import Promised
from app.technicians.models import TechnicianDay
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State
from tests.make.auth import PASSWORD, bearer, caller_for, make_account, make_org_unit
from tests.make.dispatch import make_territory
from tests.make.races import COLLIDES, last_to_see_a_deadlock, until_waiting
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


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
    nudged = update(WorkOrder).where(WorkOrder.id == order.id).values(nudges=1)
    async with real_database.begin() as gate, real_database.begin() as tx:
        # Somebody holds the technician's day, as a phone's push does, and wants the order; the
        # supervisor's request has come to that before, and closes the ring as it wants the day.
        await last_to_see_a_deadlock(tx)
        await gate.get_one(WorkOrder, order.id, with_for_update=True)
        await tx.get_one(TechnicianDay, (someone.id, TODAY), with_for_update=True)
        asking = asyncio.create_task(assign(**key))
        await until_waiting(real_database)
        going_on = asyncio.create_task(tx.execute(nudged))
        await until_waiting(real_database, number=2)
        await gate.rollback()
        await going_on
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


@pytest.fixture
def doorway(real_app, monkeypatch):
    """Put one more doorway among those that are served."""

    def put(method, endpoint):
        router = Router()
        router.add_api_route("/one-more", endpoint, methods=[method])
        monkeypatch.setattr(real_app.router, "routes", [*real_app.router.routes, *router.routes])

    return put


def collisions(times):
    """Make what collides so many times, and then no more."""
    left = [True] * times

    async def collide(tx):
        if left:
            left.pop()
            await tx.execute(COLLIDES)

    return collide


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_whoever_opens_a_transaction_of_their_own_gets_through_as_well(
    doorway, real_http, tries, method
):
    """The second of two collides; what the first has done is there, and done once more."""
    collide, did = collisions(2), []

    async def two(request: Request, said: Annotated[dict[str, int], Body()]) -> dict[str, int]:
        database: Database = request.app.state.database
        async with database.begin(request) as tx:
            did.append(await tx.scalar(text("SELECT 1")))
        async with database.begin(request) as tx:
            await collide(tx)
        return said

    doorway(method, two)
    answer = await real_http.request(method, "/one-more", json={"said": 7})
    assert (answer.json(), tries, did) == ({"said": 7}, [1, 2], [1, 1, 1])


async def test_a_body_that_was_read_as_a_whole_is_heard_again(doorway, real_http, tries):
    collide = collisions(1)

    async def file(request: Request, tx: Tx) -> str:
        body = await body_up_to(request, 10)
        await collide(tx)
        return body.decode()

    doorway("POST", file)
    answer = await real_http.post("/one-more", content=parts(b"{", b"}"))
    assert (answer.json(), tries) == ("{}", [1])


async def test_what_was_read_piece_by_piece_is_not_tried_once_more(doorway, real_http, tries):
    """A body that was not kept is gone."""

    async def pieces(request: Request, tx: Tx) -> str:
        assert [each async for each in streamed(request) if each] == [b"{", b"}"]
        await tx.execute(COLLIDES)
        return "never"

    doorway("POST", pieces)
    answer = await real_http.post("/one-more", content=parts(b"{", b"}"))
    assert (answer.status_code, tries) == (503, [])


async def parts(*said):
    for one in said:
        yield one


async def test_who_signs_in_gets_through(real_database, real_http, tries, monkeypatch):
    async with real_database.begin() as tx:
        account = await make_account(tx, await make_org_unit(tx))
    collide, open_family = collisions(1), auth.open_family

    async def once(tx, **given):
        await collide(tx)
        return await open_family(tx, **given)

    monkeypatch.setattr(auth, "open_family", once)
    form = {"grant_type": "password", "username": account.username, "password": PASSWORD}
    answer = await real_http.post("/v1/auth/token", data=form)
    assert (answer.status_code, tries) == (200, [1])
