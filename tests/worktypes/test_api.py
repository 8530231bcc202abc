"""Administrators set templates over HTTP, and read those in force and all versions."""

from datetime import date

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.worktypes.models import WorkTemplate
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.worktypes import content, make_template

URL = "/v1/work-templates"


@pytest.fixture
async def top(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def branch(tx, top):
    return await make_org_unit(tx, parent=top)


async def headers_of(tx, app, unit, role=Role.ADMIN):
    account = await make_account(tx, unit, role=role)
    return bearer(app, caller_for(role, unit, account_id=account.id))


def body(**fields):
    return {
        "id": str(new_id()),
        "code": "np-repair",
        "valid_from": "2026-03-02",
        **content(),
        **fields,
    }


async def count(tx):
    return await tx.scalar(select(func.count()).select_from(WorkTemplate))


async def test_a_template_is_set_read_and_succeeded(tx, app, http, top, branch):
    admin = await headers_of(tx, app, top)
    boss = await headers_of(tx, app, branch, Role.SUPERVISOR)
    first = body()
    answer = await http.post(URL, json=first, headers=admin)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["version"], made["org_path"], made["minutes"]) == (1, top.path, 55)
    assert made["measurements"][0] == {
        "measure": "optical_rx_power_dbm",
        "least": -27.0,
        "most": -8.0,
        "required": True,
        "outside": "warn",
    }
    # A lost answer is asked for again.
    again = await http.post(URL, json=first, headers=admin)
    assert (again.status_code, again.json()) == (201, made)
    later = body(minutes=50, valid_from="2026-04-01")
    assert (await http.post(URL, json=later, headers=admin)).json()["version"] == 2

    listed = (await http.get(URL, headers=boss)).json()["items"]
    assert [(one["work_type"], one["version"]) for one in listed] == [
        ("install", None),
        ("relocate", None),
        ("remove", None),
        ("repair", 1),
        ("care", None),
    ]
    assert listed[0]["closing_codes"][0]["code"] == "installed"
    listed = (await http.get(URL, params={"day": "2026-04-01"}, headers=boss)).json()["items"]
    assert [one["version"] for one in listed if one["work_type"] == "repair"] == [2]

    params = {"all_versions": True, "code": "np-repair", "size": 1}
    page = (await http.get(URL, params=params, headers=boss)).json()
    assert [one["version"] for one in page["items"]] == [2]
    params["page_token"] = page["next_page_token"]
    page = (await http.get(URL, params=params, headers=boss)).json()
    assert ([one["version"] for one in page["items"]], page["next_page_token"]) == ([1], None)
    answer = await http.get(f"{URL}/{made['id']}", headers=boss)
    assert answer.json() == made


async def test_a_template_that_cannot_be_set_is_refused_and_nothing_is_written(
    tx, app, http, top, branch
):
    admin, lower = await headers_of(tx, app, top), await headers_of(tx, app, branch)
    known = body()
    await http.post(URL, json=known, headers=admin)
    for headers, sent, status, slug in (
        (admin, {**known, "minutes": 20}, 409, "same-id-other-content"),
        (admin, body(valid_from="2026-03-01"), 422, "invalid"),
        (admin, body(checklist=[]), 422, "invalid"),
        (admin, body(org_unit_id=str(branch.id)), 409, "template-code-taken"),
        (admin, body(work_type="care", minutes=0), 422, "invalid"),
        (lower, body(), 409, "template-code-taken"),
        (lower, body(code="other", org_unit_id=str(top.id)), 404, "not-found"),
        (await headers_of(tx, app, top, Role.SUPERVISOR), body(), 403, "forbidden"),
    ):
        answer = await http.post(URL, json=sent, headers=headers)
        assert answer.status_code == status, answer.text
        assert answer.json()["type"].endswith(slug)
        assert await count(tx) == 1
    answer = await http.post(URL, json=body(checklist=[]), headers=admin)
    (error,) = answer.json()["facts"]["errors"]
    assert error["field"] == "closing_codes.1.waives.0"


async def test_templates_of_others_are_not_seen(tx, app, http, top):
    elsewhere = await make_org_unit(tx)
    strange = await make_template(tx, org_path=elsewhere.path, code="strange")
    admin = await headers_of(tx, app, top)
    assert (await http.get(f"{URL}/{strange.id}", headers=admin)).status_code == 404
    assert (await http.get(f"{URL}/{new_id()}", headers=admin)).status_code == 404
    params = {"all_versions": True}
    assert (await http.get(URL, params=params, headers=admin)).json()["items"] == []
    for_all = await make_template(tx, valid_from=date(2026, 1, 1))
    listed = (await http.get(URL, params=params, headers=admin)).json()["items"]
    assert [one["id"] for one in listed] == [str(for_all.id)]
