"""The operator's numbers: what is in force where and when, and who may set it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.auth.models import AuditEntry
from app.auth.rules import ACCOUNT_FREE_TRIES, Role
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter
from tests.make.auth import bearer, caller_for, make_account, make_org_unit

NAME = ACCOUNT_FREE_TRIES.name


@pytest.fixture
async def province(tx):
    return await make_org_unit(tx, code="gd")


@pytest.fixture
async def shenzhen(tx, province):
    return await make_org_unit(tx, code="sz", parent=province)


@pytest.fixture
async def admin(tx, app, province):
    account = await make_account(tx, province)
    return bearer(app, caller_for(Role.ADMIN, province, account_id=account.id))


async def put(http, headers, name=NAME, **body):
    return await http.put(f"/v1/parameters/{name}", json=body, headers=headers)


async def shown(http, headers, name=NAME, **query):
    answer = await http.get("/v1/parameters", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    (item,) = (item for item in answer.json()["items"] if item["name"] == name)
    return item


def slug(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def test_every_number_is_listed_with_its_meaning(http, admin):
    body = (await http.get("/v1/parameters", headers=admin)).json()
    assert [item["name"] for item in body["items"]] == sorted(Parameter.known)
    item = await shown(http, admin)
    assert item["default"] == item["value"] == 5
    assert item["unit"] == "tries"
    assert item["words"]["zh"]
    assert item["words"]["en"]
    assert (item["least"], item["most"]) == (1, 9)
    assert item["set"] == []


async def test_a_number_set_is_in_force_at_once(http, tx, admin, clock):
    answer = await put(http, admin, value=3)
    assert answer.status_code == 200, answer.text
    assert (await shown(http, admin))["value"] == 3
    numbers = await parameters_in_force(tx)
    assert numbers.whole(ACCOUNT_FREE_TRIES, clock.now()) == 3


async def test_a_number_set_for_later_waits(http, admin, clock):
    tomorrow = clock.now() + timedelta(days=1)
    await put(http, admin, value=3, valid_from=tomorrow.isoformat())
    item = await shown(http, admin)
    assert item["value"] == 5
    assert [row["value"] for row in item["set"]] == [3]
    clock.tick(timedelta(days=1))
    assert (await shown(http, admin))["value"] == 3


async def test_the_closest_unit_wins(http, app, tx, admin, province, shenzhen):
    guangzhou = await make_org_unit(tx, code="gz", parent=province)
    await put(http, admin, value=2)
    await put(http, admin, value=3, org_unit_id=str(shenzhen.id))
    assert (await shown(http, admin, org_unit_id=str(shenzhen.id)))["value"] == 3
    assert (await shown(http, admin, org_unit_id=str(guangzhou.id)))["value"] == 2
    assert (await shown(http, admin))["value"] == 2
    of_shenzhen = bearer(app, caller_for(Role.SUPERVISOR, shenzhen))
    item = await shown(http, of_shenzhen)
    assert [(row["org_path"], row["value"]) for row in item["set"]] == [("", 2), ("gd.sz.", 3)]


async def test_the_past_is_changed_only_on_purpose(http, admin, clock):
    yesterday = (clock.now() - timedelta(days=1)).isoformat()
    refused = await put(http, admin, value=3, valid_from=yesterday)
    assert (refused.status_code, slug(refused)) == (409, "retroactive")
    meant = await put(http, admin, value=3, valid_from=yesterday, retroactive=True)
    assert meant.status_code == 200


async def test_a_value_for_the_same_moment_is_replaced_and_the_trail_has_both(
    http, tx, admin, clock
):
    tomorrow = (clock.now() + timedelta(days=1)).isoformat()
    await put(http, admin, value=3, valid_from=tomorrow)
    await put(http, admin, value=4, valid_from=tomorrow)
    assert [row["value"] for row in (await shown(http, admin))["set"]] == [4]
    entries = await tx.scalars(
        select(AuditEntry).where(AuditEntry.action == "parameters_set").order_by(AuditEntry.id)
    )
    values = [entry.changes[0]["values"] for entry in entries]
    assert values == [{NAME: [None, 3]}, {NAME: [3, 4]}]


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"value": 0}, 422, "invalid"),
        ({"value": 10}, 422, "invalid"),
        ({"value": "many"}, 422, "invalid"),
        ({"value": 3, "valid_from": "2026-04-01T00:00:00"}, 422, "invalid"),
        ({"value": 3, "unit": "percent"}, 422, "invalid"),
        ({}, 422, "invalid"),
    ],
)
async def test_a_value_that_makes_no_sense_is_refused(http, admin, body, status, problem):
    answer = await put(http, admin, **body)
    assert (answer.status_code, slug(answer)) == (status, problem)


async def test_infinity_is_not_a_value(http, admin):
    headers = admin | {"content-type": "application/json"}
    answer = await http.put(f"/v1/parameters/{NAME}", content='{"value": 1e999}', headers=headers)
    assert (answer.status_code, slug(answer)) == (422, "invalid")


async def test_an_unknown_name_is_not_found(http, admin):
    assert (await put(http, admin, name="no.such.number", value=1)).status_code == 404


async def test_a_city_sets_numbers_for_itself_alone(http, app, tx, province, shenzhen):
    account = await make_account(tx, shenzhen)
    headers = bearer(app, caller_for(Role.ADMIN, shenzhen, account_id=account.id))
    for unit_id in (None, str(province.id)):
        answer = await put(http, headers, value=3, org_unit_id=unit_id)
        assert answer.status_code == 404
    assert (await put(http, headers, value=3, org_unit_id=str(shenzhen.id))).status_code == 200
    query = {"org_unit_id": str(province.id)}
    answer = await http.get("/v1/parameters", params=query, headers=headers)
    assert answer.status_code == 404


async def test_a_number_is_not_set_below_the_one_it_may_not_be_below(http, admin, shenzhen, clock):
    kept, consents = "evidence.kept_days", "privacy.sale_consents_days"
    below = await put(http, admin, kept, value=1094)
    assert (below.status_code, slug(below)) == (422, "invalid")
    assert consents in below.text
    # The other way round, for a part of the organisation, and by what is set for later.
    here = {"org_unit_id": str(shenzhen.id)}
    assert (await put(http, admin, consents, value=1100, **here)).status_code == 422
    later = (clock.now() + timedelta(days=9)).isoformat()
    assert (await put(http, admin, kept, value=1200)).status_code == 200
    assert (await put(http, admin, consents, value=1150, valid_from=later)).status_code == 200
    assert (await put(http, admin, kept, value=1100, **here)).status_code == 422
    assert (await shown(http, admin, kept))["value"] == 1200
