"""Asking over HTTP for a sale's order to be cancelled or amended."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.ordering.models import OrderChange
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.sales import make_draft
from tests.ordering.delivering import make_desk, remote


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
def ask(app, http, desk):
    """Ask as the technician who sold it, or as another caller."""

    async def send(sale_id, by=None, **changes):
        body = {"id": str(new_id()), "kind": "cancel", "reason": "客户改变主意"} | changes
        given = {name: value for name, value in body.items() if value is not None}
        headers = bearer(app, by or desk.door.seller)
        return await http.post(f"/v1/sales/{sale_id}/order-changes", json=given, headers=headers)

    return send


@pytest.fixture
def listed(app, http, desk):
    async def read(sale_id, by=None):
        headers = bearer(app, by or desk.door.seller)
        return await http.get(f"/v1/sales/{sale_id}/order-changes", headers=headers)

    return read


@pytest.fixture
async def sold(desk):
    """A sale whose order the other side has."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote(external_id=str(sale_id))])
    return sale_id


async def kept(desk):
    async with desk.database.read() as read:
        return await read.scalar(select(func.count(OrderChange.id)))


async def test_a_cancellation_is_taken_once_and_shown_until_it_has_ended(ask, listed, desk, sold):
    change_id = str(new_id())
    first = await ask(sold, id=change_id)
    assert first.status_code == 202
    told = first.json()
    assert told == {
        "id": change_id,
        "sale_id": str(sold),
        "kind": "cancel",
        "sale_item_id": None,
        "appointment_hold_id": None,
        "state": "waiting",
        "reason": "客户改变主意",
        "note": None,
        "requested_start": None,
        "asked_at": told["asked_at"],
        "attempts": 0,
        "next_try_at": told["next_try_at"],
        "last_error": None,
        "remote_state": None,
        "ended_at": None,
        "closed_at": None,
        "closed_reason": None,
        "closed_note": None,
        "replaced_by": None,
    }
    assert await desk.states([sold]) == ["cancelling"]
    # A phone that heard no answer sends it again, be it hours later.
    desk.clock.tick(timedelta(hours=2))
    assert (await ask(sold, id=change_id)).json() == told
    other = await ask(sold, id=change_id, reason="别的原因")
    assert (other.status_code, other.json()["type"]) == (
        409,
        "urn:yingwei:problem:same-id-other-content",
    )
    second = await ask(sold)
    assert (second.status_code, second.json()["type"]) == (
        409,
        "urn:yingwei:problem:order-change-under-way",
    )
    assert second.json()["facts"] == {"kind": "cancel", "state": "waiting"}
    assert (await listed(sold)).json() == {"changes": [told]}
    assert await kept(desk) == 1


async def test_an_amendment_says_what_is_to_be_different(ask, listed, desk, sold):
    start = (desk.clock.now() + timedelta(days=2)).isoformat()
    answer = await ask(sold, kind="amend", note="改约周末", requested_start=start)
    assert answer.status_code == 202
    assert (answer.json()["note"], answer.json()["state"]) == ("改约周末", "waiting")
    assert await desk.states([sold]) == ["acknowledged"]
    (row,) = (await listed(sold, caller_for(Role.SUPERVISOR, desk.door.branch))).json()["changes"]
    assert row == answer.json()


@pytest.mark.parametrize(
    ("wish", "status", "slug"),
    [
        ({"kind": "amend"}, 422, "order-change-empty"),
        ({"note": "x"}, 422, "order-change-empty"),
        ({"kind": "refund"}, 422, "invalid"),
        ({"reason": ""}, 422, "invalid"),
        ({"reason": None}, 422, "invalid"),
        ({"id": "7"}, 422, "invalid"),
        ({"state": "done"}, 422, "invalid"),
        ({"kind": "amend", "note": "x" * 501}, 422, "invalid"),
        ({"kind": "amend", "requested_start": "2026-03-04T10:00:00"}, 422, "invalid"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_and_forgotten(ask, desk, sold, wish, status, slug):
    answer = await ask(sold, **wish)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:yingwei:problem:{slug}")
    assert await kept(desk) == 0
    assert await desk.states([sold]) == ["acknowledged"]


async def test_only_who_may_see_the_sale_can_ask(ask, listed, http, desk, sold):
    async with desk.database.begin() as tx:
        elsewhere = await make_org_unit(tx)
        draft = await make_draft(tx, desk.door, now=desk.clock.now())
    for stranger in (
        caller_for(Role.TECHNICIAN, desk.door.branch, technician_id=new_id()),
        caller_for(Role.SUPERVISOR, elsewhere),
    ):
        absent = await ask(new_id(), by=stranger)
        for answer in (await ask(sold, by=stranger), await listed(sold, stranger)):
            assert (answer.status_code, answer.json()["title"]) == (404, absent.json()["title"])
    assert (await http.post(f"/v1/sales/{sold}/order-changes", json={})).status_code == 401
    not_yet = await ask(draft.id, kind="amend", note="x")
    assert (not_yet.status_code, not_yet.json()["type"]) == (
        409,
        "urn:yingwei:problem:sale-step-refused",
    )
    assert await kept(desk) == 0


async def test_an_order_that_has_ended_is_not_changed(ask, desk):
    sale_id = await desk.sell()
    first = await ask(sale_id)  # never sent: cancelled at once, without the other side
    assert (first.status_code, first.json()["state"]) == (202, "done")
    for wish in ({}, {"kind": "amend", "note": "x"}):
        again = await ask(sale_id, **wish)
        assert again.json()["type"] == "urn:yingwei:problem:sale-step-refused"
        assert again.json()["facts"]["state"] == "cancelled"
