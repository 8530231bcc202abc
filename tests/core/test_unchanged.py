"""Whatever is read and replaced under one address is not overwritten by who has not seen it."""

import json

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from tests.house.pages import ROOT
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.grids import make_grid
from tests.make.visits import TODAY, make_assigned_order, make_phone, taken

OPENAPI = ROOT / "api_docs" / "openapi.json"


async def test_nothing_is_replaced_by_who_has_seen_another_one(tx, app, http, clock):
    unit = await make_org_unit(tx)
    phone = await make_phone(tx, app, http, clock, org_unit=unit)
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    grid = await make_grid(tx, org_unit=unit)
    headers = {Role.TECHNICIAN: phone.headers}
    for role in (Role.SUPERVISOR, Role.ADMIN):
        account = await make_account(tx, unit, role=role)
        headers[role] = bearer(app, caller_for(role, unit, account_id=account.id))
    await tx.commit()
    visit_id = await phone.arrive(order)
    hook = {"name": "值班群", "url": "https://hooks.example.org/yingwei"}
    made = await http.post(
        "/v1/alert-webhooks", json={"id": str(new_id()), **hook}, headers=headers[Role.ADMIN]
    )

    # By operation: who, at which address, and what is put in place of what was read.
    def route(read):
        return {"order_ids": [str(order.id)], "seen": read["seen"], "reason": "顺路"}

    figures = [{"figure": "covered_grids", "due_on": "2026-12-31", "target": 7}]
    cases = {
        "visits_keep_progress": (
            Role.TECHNICIAN,
            f"/visits/{visit_id}/progress",
            lambda _: {"note": "三楼", "device_at": clock.now().isoformat()},
        ),
        "technicians_set_route": (
            Role.SUPERVISOR,
            f"/technicians/{phone.technician.id}/route?day={TODAY}",
            route,
        ),
        "alert_webhooks_change": (
            Role.ADMIN,
            f"/alert-webhooks/{taken(made)['id']}",
            lambda _: {**hook, "kinds": None, "active": False},
        ),
        "grid_list_set": (
            Role.SUPERVISOR,
            f"/grids/{grid.id}/list",
            lambda _: {"id": str(new_id()), "version": 1, "reason": "三期交付", "lines": []},
        ),
        "territory_road_map_set": (
            Role.SUPERVISOR,
            "/territory/road-map",
            lambda _: {"figures": figures},
        ),
    }
    asks_for_it = {
        operation["operationId"]
        for path in json.loads(OPENAPI.read_text())["paths"].values()
        for operation in path.values()
        if {"$ref": "#/components/parameters/IfMatch"} in operation.get("parameters", ())
    }
    assert asks_for_it == cases.keys()
    for name, (role, place, body) in cases.items():
        read = await http.get(f"/v1{place}", headers=headers[role])
        assert read.status_code == 200, f"{name}: {read.text}"
        tag, put = read.headers["etag"], body(read.json())
        for seen, status in (('"another"', 412), (tag, 200)):
            known = {**headers[role], "if-match": seen}
            answer = await http.put(f"/v1{place}", json=put, headers=known)
            assert answer.status_code == status, f"{name}: {answer.text}"
            if status == 412:
                again = await http.get(f"/v1{place}", headers=headers[role])
                assert again.headers["etag"] == tag, name


@pytest.mark.parametrize("seen", ['"a-tag"', 'W/"a-tag"', "*"])
async def test_what_has_no_tag_is_not_changed_by_who_sends_one(tx, app, http, clock, seen):
    """Nobody shall believe that it was minded."""
    unit = await make_org_unit(tx)
    account = await make_account(tx, unit)
    headers = bearer(app, caller_for(Role.ADMIN, unit, account_id=account.id))
    customer = await make_customer(tx, org_unit=unit)
    await tx.commit()
    changes = [
        ("PUT", f"/v1/customers/{customer.id}/personal-offers", {"on": False}),
        ("PATCH", f"/v1/campaigns/{new_id()}", {"ends_on": "2026-03-31"}),
        ("DELETE", f"/v1/alert-webhooks/{new_id()}", None),
    ]
    for method, place, body in changes:
        given = {**headers, "if-match": seen, "idempotency-key": f'"{new_id()}"'}
        answer = await http.request(method, place, json=body, headers=given)
        assert answer.status_code == 412, method
        assert answer.json()["type"] == "urn:yingwei:problem:nothing-to-match"
        # Without it the same goes through, under the same key.
        del given["if-match"]
        assert (await http.request(method, place, json=body, headers=given)).status_code != 412
    await tx.refresh(customer)
    assert not customer.personal_offers
