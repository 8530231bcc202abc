"""Changes of orders that came to nothing: listed, alerted to, asked for again, or closed."""

import pytest
from sqlalchemy import text

from app.auth.rules import Role
from app.core.db import new_id
from app.ordering import alerting, service
from app.ordering.delivery import ChangeKind
from app.ordering.order import Amendment
from app.ordering.rules import RemoteState
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.ordering.delivering import make_desk, remote


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
async def account(desk, tx):
    return await make_account(tx, desk.door.branch, role=Role.SUPERVISOR)


@pytest.fixture
async def ask(app, http, desk, account):
    async def send(method, path, json=None, *, by=None, **query):
        by = by or caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)
        headers = {**bearer(app, by), "accept-language": "en"}
        return await http.request(method, f"/v1{path}", params=query, json=json, headers=headers)

    return send


@pytest.fixture
async def failed(desk):
    """Have a change turned down that this system asked for by itself, or another one."""

    async def make(kind=None, state="refused"):
        sale_id = await desk.sell()
        order = remote(str(sale_id), RemoteState.IN_PROGRESS, str(sale_id))
        await desk.settle(await desk.claimed(sale_id), [order])
        async with desk.database.begin() as tx:
            if kind is None:
                # Nobody is asked to install what needs no installing.
                await tx.execute(text("UPDATE product_offering SET install_minutes = 40"))
                assert await service.tell_of_no_install(tx, sale_id, now=desk.clock.now())
            else:
                await service.ask_for_change(
                    tx,
                    change_id=new_id(),
                    sale_id=sale_id,
                    kind=kind,
                    reason="客户改变主意",
                    amendment=Amendment(),
                    caller=desk.door.seller,
                    now=desk.clock.now(),
                )
            given = {"sale": sale_id, "state": state}
            await tx.execute(text(_END), given)
            if kind is ChangeKind.CANCEL:
                # As it goes on after a refusal.
                await tx.execute(text("UPDATE sale SET state = 'acknowledged'"))
        return sale_id

    return make


_END = """
UPDATE order_change SET state = :state, ended_at = now(), next_try_at = NULL,
       last_error = 'refused: too late' WHERE sale_id = :sale
"""


async def listed(ask, **query):
    answer = await ask("GET", "/order-changes", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["order_changes"]


async def test_a_change_that_came_to_nothing_is_listed_and_alerted_to_until_it_is_closed(
    ask, desk, failed, clock
):
    async def look():
        async with desk.database.begin() as session:
            await alerting.look(session, clock.now())
        found = (await ask("GET", "/alerts")).json()["alerts"]
        return [(each["kind"], each["org_unit_code"], each["figure"]) for each in found]

    assert await look() == []
    sale_id = await failed()
    (change,) = await listed(ask, failed=True)
    assert (change["sale_id"], change["kind"], change["state"]) == (
        str(sale_id),
        "amend",
        "refused",
    )
    ((kind, _, figure),) = await look()
    assert (kind, figure) == ("order_changes_failed", 1)
    address = f"/order-changes/{change['id']}/give-up"
    body = {"reason": "arranged_by_hand", "note": "the hotline sends somebody"}
    for _ in range(2):
        told = await ask("POST", address, body)
        assert told.status_code == 200, told.text
    assert (told.json()["state"], told.json()["closed_reason"]) == ("refused", "arranged_by_hand")
    other = await ask("POST", address, {"reason": "other"})
    assert other.json()["type"].endswith("order-change-not-failed")
    assert await listed(ask, failed=True) == [] and await look() == []
    assert [each["id"] for each in await listed(ask, state="refused")] == [change["id"]]


@pytest.mark.parametrize(("kind", "state"), [(None, "given_up"), (ChangeKind.CANCEL, "refused")])
async def test_what_is_asked_for_again_is_a_new_change_that_closes_the_old(
    ask, desk, failed, kind, state
):
    sale_id = await failed(kind, state)
    (old,) = await listed(ask, failed=True)
    body = {"id": str(new_id())}
    for _ in range(2):
        told = await ask("POST", f"/order-changes/{old['id']}/retry", body)
        assert told.status_code == 202, told.text
    assert (told.json()["id"], told.json()["state"]) == (body["id"], "waiting")
    assert (told.json()["kind"], told.json()["note"]) == (old["kind"], old["note"])
    assert await listed(ask, failed=True) == []
    known = {each["id"]: each for each in await listed(ask)}
    assert known[old["id"]]["replaced_by"] == body["id"]
    if kind is ChangeKind.CANCEL:
        assert await desk.states([sale_id]) == ["cancelling"]
    for address in (f"/order-changes/{old['id']}/retry", f"/order-changes/{body['id']}/retry"):
        again = await ask("POST", address, {"id": str(new_id())})
        assert again.json()["type"].endswith("order-change-not-failed")


async def test_pages_follow_each_other_and_others_see_nothing(ask, app, failed, tx, desk):
    for _ in range(3):
        await failed()
    first = (await ask("GET", "/order-changes", failed=True, size=2)).json()
    rest = (await ask("GET", "/order-changes", page_token=first["next_page_token"])).json()
    ids = [each["id"] for each in [*first["order_changes"], *rest["order_changes"]]]
    assert ids == sorted(ids, reverse=True) and len(ids) == 3
    elsewhere = await make_org_unit(tx, parent=None, code="elsewhere")
    stranger = caller_for(Role.SUPERVISOR, elsewhere)
    assert (await ask("GET", "/order-changes", by=stranger)).json()["order_changes"] == []
    for action, body in (("retry", {"id": str(new_id())}), ("give-up", {"reason": "other"})):
        answer = await ask("POST", f"/order-changes/{ids[0]}/{action}", body, by=stranger)
        assert answer.status_code == 404
