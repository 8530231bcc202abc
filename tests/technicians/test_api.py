"""Technicians over HTTP: lists and pages, one's own part of the organisation, leave."""

import asyncio
from datetime import timedelta

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from tests.conftest import MONDAY_NINE
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.technicians import make_technician


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def supervisor(app, tx, branch):
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    return bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))


def leave(**fields):
    return {
        "id": str(new_id()),
        "starts_at": "2026-03-03T00:00:00+08:00",
        "ends_at": "2026-03-05T00:00:00+08:00",
        "cause": "training",
        **fields,
    }


async def test_the_list_is_of_ones_own_part_and_paged_by_code(http, tx, branch, supervisor):
    for code in ("T3", "T1", "T2"):
        await make_technician(tx, org_unit=branch, code=code, skills={"fibre": 2})
    await make_technician(tx, code="T0")  # of another branch
    first = (await http.get("/v1/technicians?size=2", headers=supervisor)).json()
    assert [one["code"] for one in first["technicians"]] == ["T1", "T2"]
    assert first["technicians"][0]["skills"] == [{"skill": "fibre", "level": 2}]
    rest = await http.get(
        "/v1/technicians",
        params={"size": 2, "page_token": first["next_page_token"]},
        headers=supervisor,
    )
    assert [one["code"] for one in rest.json()["technicians"]] == ["T3"]
    assert rest.json()["next_page_token"] is None


async def test_filters(http, tx, branch, supervisor):
    crew = await make_org_unit(tx, parent=branch)
    await make_technician(tx, org_unit=branch, code="T1", skills={"fibre": 1})
    await make_technician(tx, org_unit=crew, code="T2", skills={"copper": 1}, active=False)

    async def codes(**wanted):
        found = await http.get("/v1/technicians", params=wanted, headers=supervisor)
        return [one["code"] for one in found.json()["technicians"]]

    assert await codes() == ["T1", "T2"]
    assert await codes(skill="copper") == ["T2"]
    assert await codes(active=True) == ["T1"]
    assert await codes(org_unit_id=str(crew.id)) == ["T2"]


async def test_one_with_shifts_and_the_leave_ahead(http, tx, branch, supervisor):
    technician = await make_technician(tx, org_unit=branch, skills={"iptv": 3})
    url = f"/v1/technicians/{technician.id}"
    over = leave(
        starts_at=(MONDAY_NINE - timedelta(days=3)).isoformat(),
        ends_at=(MONDAY_NINE - timedelta(days=2)).isoformat(),
    )
    ahead = leave()
    for body in (over, ahead):
        assert (await http.post(f"{url}/leave", json=body, headers=supervisor)).status_code == 201
    profile = (await http.get(url, headers=supervisor)).json()
    assert [one["id"] for one in profile["leave"]] == [ahead["id"]]
    assert len(profile["shifts"]) == 7
    assert profile["skills"] == [{"skill": "iptv", "level": 3}]


async def test_the_same_leave_sent_twice_is_one_leave(http, tx, branch, supervisor):
    technician = await make_technician(tx, org_unit=branch)
    url, body = f"/v1/technicians/{technician.id}/leave", leave()
    first = await http.post(url, json=body, headers=supervisor)
    again = await http.post(url, json=body, headers=supervisor)
    assert first.json() == again.json()
    other = await http.post(url, json={**body, "cause": "illness"}, headers=supervisor)
    assert (other.status_code, other.json()["type"]) == (
        409,
        "urn:yingwei:problem:same-id-other-content",
    )


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "status"),
    [
        ("2026-03-04T00:00:00+08:00", "2026-03-06T00:00:00+08:00", 409),
        ("2026-03-05T00:00:00+08:00", "2026-03-06T00:00:00+08:00", 201),  # they only touch
        ("2026-03-06T00:00:00+08:00", "2026-03-06T00:00:00+08:00", 422),
        ("2026-03-06T00:00:00", "2026-03-07T00:00:00", 422),  # of which zone?
    ],
)
async def test_leave_beside_other_leave(http, tx, branch, supervisor, starts_at, ends_at, status):
    technician = await make_technician(tx, org_unit=branch)
    url = f"/v1/technicians/{technician.id}/leave"
    await http.post(url, json=leave(), headers=supervisor)
    second = leave(starts_at=starts_at, ends_at=ends_at)
    assert (await http.post(url, json=second, headers=supervisor)).status_code == status


async def test_leave_taken_back(http, tx, branch, supervisor):
    technician = await make_technician(tx, org_unit=branch)
    url, body = f"/v1/technicians/{technician.id}/leave", leave()
    await http.post(url, json=body, headers=supervisor)
    assert (await http.delete(f"{url}/{body['id']}", headers=supervisor)).status_code == 204
    assert (await http.delete(f"{url}/{body['id']}", headers=supervisor)).status_code == 404
    profile = await http.get(f"/v1/technicians/{technician.id}", headers=supervisor)
    assert profile.json()["leave"] == []


async def test_other_peoples_technicians_are_not_there(http, tx, supervisor):
    other = await make_technician(tx)
    absent = await http.get(f"/v1/technicians/{new_id()}", headers=supervisor)
    theirs = await http.get(f"/v1/technicians/{other.id}", headers=supervisor)
    assert theirs.status_code == absent.status_code == 404
    its_own = {"instance": "", "request_id": ""}
    assert {**theirs.json(), **its_own} == {**absent.json(), **its_own}
    url = f"/v1/technicians/{other.id}/leave"
    assert (await http.post(url, json=leave(), headers=supervisor)).status_code == 404


async def test_a_technician_does_not_list_colleagues(app, http, tx, branch):
    technician = await make_technician(tx, org_unit=branch)
    caller = caller_for(Role.TECHNICIAN, branch, technician_id=technician.id)
    answer = await http.get("/v1/technicians", headers=bearer(app, caller))
    assert answer.status_code == 403


async def test_two_leaves_for_the_same_days_at_once(real_app, real_http, real_database):
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
        technician = await make_technician(tx, org_unit=branch)
        account = await make_account(tx, branch, role=Role.SUPERVISOR)
    headers = bearer(real_app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))
    url = f"/v1/technicians/{technician.id}/leave"
    answers = await asyncio.gather(
        *(real_http.post(url, json=leave(), headers=headers) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
