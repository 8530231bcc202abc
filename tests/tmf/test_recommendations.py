"""What systems are told in the shape of TMF680: what was decided, as its schema has it."""

import json

import pytest
from jsonschema import Draft4Validator

from app.auth.rules import Role
from app.core.db import new_id
from app.tmf.schemas import BASE
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.visits import make_assigned_order, make_phone


@pytest.fixture(scope="session")
def tmf680(shared_dir):
    """The published description of TMF680 v4.0.0."""
    found = sorted((shared_dir / "tmf" / "TMF680").glob("*.json"))
    if not found:
        pytest.skip("the TMF680 specification is not in the folder of public data")
    return json.loads(found[0].read_text())


async def test_a_system_asks_and_reads_again(tx, app, http, clock, tmf680):
    branch = await make_org_unit(tx)
    customer = await make_customer(tx, org_unit=branch)
    await make_address(tx, customer)
    await make_subscription(tx, customer)
    await make_offering(tx, code="TV-4K", category="tv", margin_12m_fen=20_000, expert_rate=0.2)
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type="care"
    )
    headers = bearer(app, caller_for(Role.INTEGRATION, branch))
    body = {"relatedParty": {"id": str(customer.id), "@referredType": "Customer"}, "name": "any"}
    before = await http.post(BASE, json=body, headers=headers)
    assert before.status_code == 404
    decided = (await phone.post(f"/visits/{await phone.arrive(order)}/suggestions")).json()
    answer = await http.post(BASE, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    resolved = {**tmf680, "$ref": "#/definitions/QueryProductRecommendation"}
    assert list(Draft4Validator(resolved).iter_errors(told)) == []
    assert told["id"] == decided["decision_id"]
    (item,) = told["recommendationItem"]
    assert item["id"] == decided["offers"][0]["suggestion_id"]
    assert (item["priority"], item["productOffering"]["id"]) == (1, "TV-4K")
    assert told["@type"] == "QueryProductRecommendation"
    assert (await http.get(told["href"], headers=headers)).json() == told
    listed = await http.get(BASE, params={"relatedParty.id": str(customer.id)}, headers=headers)
    assert (listed.json(), listed.headers["x-result-count"]) == ([told], "1")
    assert (await http.get(BASE, params={"offset": 1}, headers=headers)).json() == []
    stranger = bearer(app, caller_for(Role.INTEGRATION, await make_org_unit(tx)))
    assert (await http.get(BASE, headers=stranger)).json() == []
    for refused in (
        await http.get(told["href"], headers=stranger),
        await http.post(BASE, json=body, headers=stranger),
        await http.get(f"{BASE}/{new_id()}", headers=headers),
    ):
        assert refused.status_code == 404
    assert (await http.get(told["href"], headers=phone.headers)).status_code == 403
