"""An app that grows old: told of its end, turned away, and its unsent steps still taken."""

from datetime import timedelta

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.technicians import make_technician

ADDRESS = "https://apps.example.org/yingwei"


@pytest.fixture
async def unit(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def admin(tx, app, unit):
    account = await make_account(tx, unit)
    return bearer(app, caller_for(Role.ADMIN, unit, account_id=account.id))


@pytest.fixture
async def phone(tx, app, unit):
    technician = await make_technician(tx, org_unit=unit)
    account = await make_account(tx, unit, role=Role.TECHNICIAN, technician_id=technician.id)
    caller = caller_for(Role.TECHNICIAN, unit, account_id=account.id, technician_id=technician.id)
    return {**bearer(app, caller), "x-app-version": "android/3.3.7"}


async def test_a_version_ends_in_sight_of_its_phones(
    http, app, database, clock, unit, admin, phone
):
    def say(**body):
        database.cache.pop("app_releases", None)
        return http.put(
            "/v1/app-releases/android", json={"get_it_at": ADDRESS} | body, headers=admin
        )

    day = "/v1/my/day"
    before = await http.get(day, headers=phone)
    assert before.status_code == 200 and "sunset" not in before.headers
    soon = clock.now() + timedelta(days=30)
    told = await say(lowest_version="3.4", valid_from=soon.isoformat())
    assert told.status_code == 200, told.text
    warned = await http.get(day, headers=phone)
    assert warned.headers["deprecation"] == f"@{int(clock.now().timestamp())}"
    assert warned.headers["sunset"] == "Wed, 01 Apr 2026 01:00:00 GMT"
    assert warned.headers["link"] == f'<{ADDRESS}>; rel="sunset"'
    newer = await http.get(day, headers={**phone, "x-app-version": "android/3.4.0"})
    assert "sunset" not in newer.headers

    clock.set(soon)
    database.cache.clear()
    gone = await http.get(day, headers=phone)
    assert gone.status_code == 426
    lowest = gone.json()["facts"]["lowest"]
    assert gone.headers["upgrade"] == f"yingwei-app/{lowest}"
    assert gone.headers["connection"] == "upgrade"
    assert gone.json()["type"] == "urn:yingwei:problem:app-too-old"
    assert gone.json()["facts"]["get_it_at"] == ADDRESS
    assert gone.headers["x-server-time"].startswith("2026-04-01T01:00")
    action = {
        "id": str(new_id()),
        "type": "visits_acknowledge",
        "payload": {"work_order_id": str(new_id())},
        "device_at": clock.now().isoformat(),
    }
    body = {
        "changes": {"actions": {"created": [action]}},
        "sent_at": (clock.now() + timedelta(minutes=42)).isoformat(),
    }
    pushed = await http.post("/v1/sync", json=body, headers=phone)
    assert pushed.status_code == 200, pushed.text
    assert pushed.json()["verdicts"][0]["code"] == "not-found"
    assert pushed.json()["clock"]["ahead_seconds"] == 42 * 60
    assert "42 minutes fast" in pushed.json()["clock"]["words_en"]
    right = {"changes": {}, "sent_at": clock.now().isoformat()}
    assert (await http.post("/v1/sync", json=right, headers=phone)).json()["clock"] is None

    clock.set(soon + timedelta(days=60))
    database.cache.clear()
    assert (await http.post("/v1/sync", json=body, headers=phone)).status_code == 426
    listed = await http.get("/v1/app-releases", headers=phone)
    assert [one["lowest"] for one in listed.json()["releases"]] == ["3.4"]


async def test_only_the_operator_itself_says_so_and_never_of_the_past(
    http, app, tx, clock, unit, admin
):
    body = {"lowest_version": "3.4", "get_it_at": ADDRESS}
    city = await make_org_unit(tx, parent=unit)
    below = bearer(app, caller_for(Role.ADMIN, city))
    past = (clock.now() - timedelta(seconds=1)).isoformat()
    for headers, more, status in (
        (below, {}, 404),
        (admin, {"valid_from": past}, 422),
        (admin, {"lowest_version": "v3"}, 422),
        (admin, {"get_it_at": "javascript:alert(1)"}, 422),
    ):
        answer = await http.put("/v1/app-releases/ios", json=body | more, headers=headers)
        assert answer.status_code == status
    assert (await http.get("/v1/app-releases", headers=admin)).json() == {"releases": []}


async def test_a_lowest_version_said_by_mistake_is_taken_back_by_saying_the_right_one(
    http, database, clock, admin, phone
):
    async def say(lowest):
        body = {"lowest_version": lowest, "get_it_at": ADDRESS}
        told = await http.put("/v1/app-releases/android", json=body, headers=admin)
        database.cache.pop("app_releases", None)
        assert (told.status_code, told.json()["lowest"]) == (200, lowest)

    await say("33.0")  # 3.3.0 was meant
    assert (await http.get("/v1/my/day", headers=phone)).status_code == 426
    clock.tick(timedelta(minutes=1))
    await say("3.3.0")
    assert (await http.get("/v1/my/day", headers=phone)).status_code == 200
