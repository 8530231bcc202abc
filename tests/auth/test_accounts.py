"""Accounts and org units: who may open, close and see which."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.auth import service
from app.auth.models import Account, AuditEntry, OrgUnit
from app.auth.rules import SCOPES, OrgCodeTaken, Role, UsernameTaken
from app.core.clock import wall
from app.core.db import new_id
from app.technicians.models import Technician
from tests.make.auth import PASSWORD, bearer, caller_for, make_account, make_org_unit


@pytest.fixture
async def province(tx):
    return await make_org_unit(tx, code="gd")


@pytest.fixture
async def shenzhen(tx, province):
    return await make_org_unit(tx, code="sz", parent=province)


@pytest.fixture
async def guangzhou(tx, province):
    return await make_org_unit(tx, code="gz", parent=province)


@pytest.fixture
async def admin(tx, app, province):
    account = await make_account(tx, province)
    return bearer(app, caller_for(Role.ADMIN, province, account_id=account.id))


@pytest.fixture
async def city_admin(tx, app, shenzhen):
    account = await make_account(tx, shenzhen)
    return bearer(app, caller_for(Role.ADMIN, shenzhen, account_id=account.id))


async def make_technician(tx, unit):
    technician = Technician(org_unit_id=unit.id, code=new_id().hex, name="李伟")
    tx.add(technician)
    await tx.flush()
    return technician


def account(unit, **changed):
    return {
        "id": str(new_id()),
        "username": f"wang.fang-{new_id().hex[-6:]}",
        "password": PASSWORD,
        "role": "supervisor",
        "org_unit_id": str(unit.id),
    } | changed


def slug(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def sign_in(http, username, password=PASSWORD):
    form = {"grant_type": "password", "username": username, "password": password}
    return await http.post("/v1/auth/token", data=form)


# --- opening accounts -------------------------------------------------------------------------


async def test_an_account_is_opened_and_can_sign_in(http, admin, shenzhen):
    body = account(shenzhen, username="Wang.Fang")
    answer = await http.post("/v1/accounts", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["username"] == "wang.fang"
    assert made["scopes"] is None
    assert "password" not in answer.text
    assert (await sign_in(http, "WANG.FANG")).status_code == 200


async def test_a_technicians_account_belongs_to_a_technician(http, tx, admin, shenzhen):
    technician = await make_technician(tx, shenzhen)
    body = account(shenzhen, role="technician", technician_id=str(technician.id))
    assert (await http.post("/v1/accounts", json=body, headers=admin)).status_code == 201
    second = body | {"id": str(new_id()), "username": "somebody.else"}
    answer = await http.post("/v1/accounts", json=second, headers=admin)
    assert (answer.status_code, slug(answer)) == (409, "technician-has-account")


async def test_the_same_request_twice_is_one_account(http, admin, shenzhen):
    body = account(shenzhen, scopes=["orders:read", "me:read"])
    first = await http.post("/v1/accounts", json=body, headers=admin)
    again = body | {"scopes": ["me:read", "orders:read"]}
    second = await http.post("/v1/accounts", json=again, headers=admin)
    assert (second.status_code, second.json()) == (201, first.json())


@pytest.mark.parametrize(
    "changed",
    [{"username": "another"}, {"password": "another long password"}, {"scopes": ["me:read"]}],
    ids=lambda changed: next(iter(changed)),
)
async def test_one_id_for_two_accounts_is_refused(http, admin, shenzhen, changed):
    body = account(shenzhen)
    await http.post("/v1/accounts", json=body, headers=admin)
    answer = await http.post("/v1/accounts", json=body | changed, headers=admin)
    assert (answer.status_code, slug(answer)) == (409, "same-id-other-content")


async def test_a_user_name_is_taken_in_any_spelling(http, admin, shenzhen):
    await http.post("/v1/accounts", json=account(shenzhen, username="li.wei"), headers=admin)
    answer = await http.post(
        "/v1/accounts", json=account(shenzhen, username="LI.WEI"), headers=admin
    )
    assert (answer.status_code, slug(answer)) == (409, "username-taken")


@pytest.mark.parametrize(
    "changed",
    [
        {"password": "short"},
        {"password": "x" * 129},
        {"username": "li wei"},
        {"username": "ab"},
        {"role": "owner"},
        {"role": "technician"},
        {"scopes": ["accounts:write"]},
        {"scopes": ["anything"]},
        {"active": False},
        {"id": "1"},
    ],
    ids=lambda changed: " ".join(f"{k}={str(v)[:20]}" for k, v in changed.items()),
)
async def test_an_account_that_makes_no_sense_is_refused(http, admin, shenzhen, changed):
    answer = await http.post("/v1/accounts", json=account(shenzhen, **changed), headers=admin)
    assert (answer.status_code, slug(answer)) == (422, "invalid")
    assert next(iter(changed)) in answer.text or changed == {"role": "technician"}


async def test_nobody_gives_what_was_kept_from_them(http, app, tx, province):
    headers = bearer(
        app, caller_for(Role.ADMIN, province, scopes=frozenset({"accounts:write", "me:read"}))
    )
    answer = await http.post("/v1/accounts", json=account(province, role="admin"), headers=headers)
    assert (answer.status_code, slug(answer)) == (403, "scope-refused")
    body = account(province, role="admin", scopes=["accounts:write"])
    assert (await http.post("/v1/accounts", json=body, headers=headers)).status_code == 201
    # Nor by taking over the account of somebody who has it.
    whole = await make_account(tx, province)
    answer = await http.post(
        f"/v1/accounts/{whole.id}/password", json={"password": "a new password"}, headers=headers
    )
    assert (answer.status_code, slug(answer)) == (403, "scope-refused")


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.SUPERVISOR, Role.INTEGRATION])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/accounts"),
        ("POST", "/v1/accounts"),
        ("POST", "/v1/org-units"),
        ("GET", "/v1/audit"),
        ("PUT", "/v1/parameters/auth.account_free_tries"),
    ],
)
async def test_these_doors_are_for_administrators(http, app, province, role, method, path):
    headers = bearer(app, caller_for(role, province))
    answer = await http.request(method, path, json={}, headers=headers)
    assert (answer.status_code, slug(answer)) == (403, "forbidden")
    assert answer.json()["facts"]["needs"].startswith("admin + ")


# --- passwords, closing, opening again --------------------------------------------------------


async def test_a_new_password_ends_every_sign_in_and_lifts_the_lock(
    http, tx, admin, shenzhen, real_time
):
    person = await make_account(tx, shenzhen, role=Role.SUPERVISOR, username="li.wei")
    token = (await sign_in(http, "li.wei")).json()["refresh_token"]
    for _ in range(7):
        last = await sign_in(http, "li.wei", "wrong password")
    assert last.status_code == 429
    answer = await http.post(
        f"/v1/accounts/{person.id}/password", json={"password": " spaces count "}, headers=admin
    )
    assert (answer.status_code, answer.content) == (204, b"")
    old = await http.post(
        "/v1/auth/token", data={"grant_type": "refresh_token", "refresh_token": token}
    )
    assert old.status_code == 401
    assert (await sign_in(http, "li.wei")).status_code == 401
    assert (await sign_in(http, "li.wei", "spaces count")).status_code == 401
    assert (await sign_in(http, "li.wei", " spaces count ")).status_code == 200


async def test_a_closed_account_is_out_until_it_is_opened_again(http, tx, admin, shenzhen):
    person = await make_account(tx, shenzhen, role=Role.SUPERVISOR, username="li.wei")
    token = (await sign_in(http, "li.wei")).json()["refresh_token"]
    closed = await http.post(f"/v1/accounts/{person.id}/deactivate", headers=admin)
    assert closed.json()["active"] is False
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert (await http.post("/v1/auth/token", data=form)).status_code == 401
    assert (await sign_in(http, "li.wei")).status_code == 401
    opened = await http.post(f"/v1/accounts/{person.id}/activate", headers=admin)
    assert opened.json()["active"] is True
    assert (await sign_in(http, "li.wei")).status_code == 200
    assert (await http.post("/v1/auth/token", data=form)).status_code == 401, "the old is over"


async def test_nobody_closes_their_own_account(http, app, tx, province):
    account = await make_account(tx, province)
    headers = bearer(app, caller_for(Role.ADMIN, province, account_id=account.id))
    answer = await http.post(f"/v1/accounts/{account.id}/deactivate", headers=headers)
    assert (answer.status_code, slug(answer)) == (409, "not-yourself")


# --- somebody else's rows ---------------------------------------------------------------------


async def test_somebody_elses_account_looks_like_none(http, tx, city_admin, guangzhou, province):
    for unit in (guangzhou, province):
        theirs = await make_account(tx, unit, role=Role.SUPERVISOR)
        absent = await http.get(f"/v1/accounts/{new_id()}", headers=city_admin)
        for method, path, body in [
            ("GET", "", None),
            ("POST", "/deactivate", None),
            ("POST", "/activate", None),
            ("POST", "/password", {"password": "a new password"}),
        ]:
            answer = await http.request(
                method, f"/v1/accounts/{theirs.id}{path}", json=body, headers=city_admin
            )
            assert answer.status_code == 404
            its_own = {"instance": "", "request_id": ""}
            assert {**answer.json(), **its_own} == {**absent.json(), **its_own}
    assert (await tx.scalar(select(Account.active).where(Account.id == theirs.id))) is True


async def test_nothing_is_opened_in_somebody_elses_unit(
    http, tx, city_admin, guangzhou, shenzhen, province
):
    for unit in (guangzhou, province):
        answer = await http.post("/v1/accounts", json=account(unit), headers=city_admin)
        assert answer.status_code == 404
    # Nor for somebody else's technician.
    technician = await make_technician(tx, guangzhou)
    body = account(shenzhen, role="technician", technician_id=str(technician.id))
    assert (await http.post("/v1/accounts", json=body, headers=city_admin)).status_code == 404
    assert (
        await http.post("/v1/org-units", json=org_unit(guangzhou), headers=city_admin)
    ).status_code == 404


async def test_a_list_holds_the_subtree_page_by_page(http, tx, city_admin, guangzhou, shenzhen):
    branch = await make_org_unit(tx, code="ns", parent=shenzhen)
    names = [f"person-{n:02}" for n in range(7)]
    for n, name in enumerate(names):
        await make_account(tx, branch if n % 2 else shenzhen, role=Role.SUPERVISOR, username=name)
    await make_account(tx, guangzhou, role=Role.SUPERVISOR, username="person-99")
    seen, token = [], None
    while True:
        query = {"role": "supervisor", "size": 3} | ({"page_token": token} if token else {})
        page = (await http.get("/v1/accounts", params=query, headers=city_admin)).json()
        seen += [item["username"] for item in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == names
    query = {"org_unit_id": str(branch.id)}
    of_branch = await http.get("/v1/accounts", params=query, headers=city_admin)
    assert [item["username"] for item in of_branch.json()["items"]] == names[1::2]


# --- org units --------------------------------------------------------------------------------


def org_unit(parent, **changed):
    return {
        "id": str(new_id()),
        "parent_id": str(parent.id),
        "code": f"ns{new_id().hex[-6:]}",
        "name_zh": "南山区",
        "name_en": "Nanshan",
        "level": "branch",
    } | changed


async def test_a_unit_is_added_under_its_parent(http, admin, shenzhen):
    body = org_unit(shenzhen, code="ns-1")
    answer = await http.post("/v1/org-units", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    assert answer.json()["path"] == "gd.sz.ns-1."
    assert answer.json()["time_zone"] == "Asia/Shanghai"
    again = await http.post("/v1/org-units", json=body, headers=admin)
    assert (again.status_code, again.json()) == (201, answer.json())
    other = await http.post("/v1/org-units", json=body | {"name_zh": "福田区"}, headers=admin)
    assert (other.status_code, slug(other)) == (409, "same-id-other-content")


@pytest.mark.parametrize(
    ("changed", "status", "problem"),
    [
        ({"code": "gz"}, 409, "org-code-taken"),
        ({"code": "a.b"}, 422, "invalid"),
        ({"code": "a%"}, 422, "invalid"),
        ({"code": "A"}, 422, "invalid"),
        ({"level": "province"}, 422, "invalid"),
        ({"level": "city"}, 422, "invalid"),
        ({"time_zone": "Asia/Shenzhen"}, 422, "invalid"),
        ({"path": "gd."}, 422, "invalid"),
    ],
)
async def test_a_unit_that_makes_no_sense_is_refused(
    http, admin, shenzhen, guangzhou, changed, status, problem
):
    answer = await http.post("/v1/org-units", json=org_unit(shenzhen, **changed), headers=admin)
    assert (answer.status_code, slug(answer)) == (status, problem)


async def test_units_are_listed_from_the_callers_own_down(http, tx, app, province, shenzhen):
    branch = await make_org_unit(tx, code="ns", parent=shenzhen)
    await make_org_unit(tx, code="szx", parent=province)  # begins alike, and lies elsewhere
    headers = bearer(app, caller_for(Role.SUPERVISOR, shenzhen))
    first = (await http.get("/v1/org-units", params={"size": 1}, headers=headers)).json()
    assert [item["path"] for item in first["items"]] == ["gd.sz."]
    query = {"page_token": first["next_page_token"]}
    second = (await http.get("/v1/org-units", params=query, headers=headers)).json()
    assert [item["id"] for item in second["items"]] == [str(branch.id)]
    assert second["next_page_token"] is None


# --- the beginning ----------------------------------------------------------------------------

FIRST: Any = {
    "username": "Admin",
    "password": PASSWORD,
    "org_code": "gd",
    "org_name_zh": "广东",
    "org_name_en": "Guangdong",
}


async def test_the_first_administrator_can_make_everything_else(http, tx):
    made = await service.first_admin(tx, **FIRST)
    assert (await service.first_admin(tx, **FIRST)).id == made.id
    answer = await sign_in(http, "admin")
    assert set(answer.json()["scope"].split()) == SCOPES[Role.ADMIN]
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    top = await tx.scalar(select(OrgUnit))
    assert top is not None
    assert (
        await http.post("/v1/org-units", json=org_unit(top), headers=headers)
    ).status_code == 201


async def test_a_database_has_one_top_unit(tx):
    await service.first_admin(tx, **FIRST)
    with pytest.raises(OrgCodeTaken):
        await service.first_admin(tx, **FIRST | {"org_code": "gx"})


async def test_the_first_administrator_takes_nobodys_name(tx, province):
    await make_account(tx, province, role=Role.SUPERVISOR, username="admin")
    with pytest.raises(UsernameTaken):
        await service.first_admin(tx, **FIRST)


async def test_closing_an_account_shows_old_and_new_in_the_trail(http, tx, admin, shenzhen):
    person = await make_account(tx, shenzhen, role=Role.SUPERVISOR)
    await http.post(f"/v1/accounts/{person.id}/deactivate", headers=admin)
    entry = await tx.scalar(select(AuditEntry).where(AuditEntry.action == "accounts_deactivate"))
    assert entry is not None
    assert entry.changes == [
        {
            "table": "account",
            "operation": "update",
            "count": 1,
            "ids": [str(person.id)],
            "columns": ["active"],
            "values": {"active": [True, False]},
        }
    ]
    assert entry.created_at < wall() + timedelta(minutes=1)
