"""A request that comes again under its key: one effect, and the first answer each time."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from starlette.requests import Request

from app.auth.models import Account, AuditEntry
from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import Part, new_id, settle
from app.core.doorways import Doorway
from app.core.http import served
from app.core.once import KeptAnswer, forget_kept
from tests.conftest import http_on
from tests.house.served import described
from tests.make.auth import PASSWORD, bearer, caller_for, make_account, make_org_unit

# What may be sent again without a key, and why.
WITHOUT_A_KEY: dict[str, dict[str | None, str]] = {
    "answered by what they hold": {
        "ordering_callback": "an event's own id; their side sends no key",
        "messages_replied": "a reply's own id; their side sends no key",
        "sync_push": "each action has an id and keeps its verdict",
        "evidence_upload_create": "tus: the id in its metadata, then the offset",
        "evidence_upload_continue": "tus: the offset",
        None: "tus: a PATCH that travels as POST",
        "surveys_answer": "the link is for one answer",
        "work_orders_take_in_bulk": "each line has its order's own number",
        "grids_import": "a file that is known already changes nothing",
        "replans_ask": "the id of what is asked for",
        "visits_real_name_check": "the id of the check",
        "visits_feasibility": "asks, and keeps what was answered for the visit",
        "visits_check_acceptance_code": "a code that was right stays right; a wrong try counts",
    },
    "nothing is kept": {
        "visits_test_line": "asks the platform how the line is now",
        "moves_preview": "",
        "appointments_search": "",
        "terminals_moves_preview": "",
        "memberships_bulk_preview": "",
        "grid_changes_preview": "",
        "grids_locate": "",
        "tmf680_create": "",
    },
    "no caller yet": {
        "auth_token": "a refresh that lost its answer gets the same for a moment",
        "auth_logout": "what is revoked stays so",
    },
}


@pytest.fixture
async def unit(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def admin(tx, app, unit):
    account = await make_account(tx, unit)
    return bearer(app, caller_for(Role.ADMIN, unit, account_id=account.id))


def under(key, headers):
    return {**headers, "idempotency-key": key}


def key():
    return f'"{new_id()}"'


def account(unit, **changed):
    return {
        "id": str(new_id()),
        "username": f"li.wei-{new_id().hex[-6:]}",
        "password": PASSWORD,
        "role": "supervisor",
        "org_unit_id": str(unit.id),
    } | changed


def test_every_doorway_that_changes_something_takes_a_key_or_says_why_not(app):
    posts = [
        one
        for one in served(app.routes)
        if isinstance(one, Doorway) and (one.methods or set()) & {"POST", "PATCH"}
    ]
    without = {one.operation_id for one in posts if not one.takes_keys}
    assert without == {name for names in WITHOUT_A_KEY.values() for name in names}
    told = {
        operation["operationId"]
        for path in described()["paths"].values()
        for operation in path.values()
        if {"$ref": "#/components/parameters/IdempotencyKey"} in operation.get("parameters", [])
    }
    assert told == {one.operation_id for one in posts if one.takes_keys}


async def test_what_was_done_is_answered_again_and_not_done_again(http, tx, unit, admin):
    other = await make_account(tx, unit)
    close = f"/v1/accounts/{other.id}/deactivate"
    mine = key()
    first = await http.post(close, headers=under(mine, admin))
    assert (first.status_code, first.json()["active"]) == (200, False)
    assert "idempotent-replayed" not in first.headers
    await http.post(f"/v1/accounts/{other.id}/activate", headers=under(key(), admin))

    again = await http.post(close, headers=under(mine.strip('"'), admin))
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert (again.status_code, again.content) == (200, first.content)
    kept = await tx.scalar(select(Account.active).where(Account.id == other.id))
    assert kept is True, "what came after the first is not undone by the second"

    rows = (await tx.scalars(select(KeptAnswer))).all()
    assert len(rows) == 2
    assert all(other.username.encode() not in one.sealed for one in rows)


async def test_a_key_stands_for_one_request_of_one_account(http, tx, app, unit, admin):
    mine, body = key(), account(unit)
    made = await http.post("/v1/accounts", json=body, headers=under(mine, admin))
    assert made.status_code == 201
    for content, path in ((account(unit), "/v1/accounts"), (body, "/v1/org-units")):
        other = await http.post(path, json=content, headers=under(mine, admin))
        assert other.status_code == 422
        assert other.json()["type"].endswith(":idempotency-key-reused")
    somebody = bearer(
        app, caller_for(Role.ADMIN, unit, account_id=(await make_account(tx, unit)).id)
    )
    theirs = await http.post("/v1/accounts", json=account(unit), headers=under(mine, somebody))
    assert theirs.status_code == 201, "another account's key is another key"
    assert await tx.scalar(select(func.count()).select_from(KeptAnswer)) == 2


async def test_a_refusal_is_answered_again_but_not_one_of_who_asks(http, tx, app, unit, admin):
    taken = account(unit)
    await http.post("/v1/accounts", json=taken, headers=admin)
    body, mine = account(unit, username=taken["username"]), key()
    refused = await http.post("/v1/accounts", json=body, headers=under(mine, admin))
    assert refused.status_code == 409
    await tx.execute(
        text("UPDATE account SET username = 'freed' WHERE username = :name"),
        {"name": taken["username"]},
    )
    again = await http.post("/v1/accounts", json=body, headers=under(mine, admin))
    assert (again.status_code, again.content) == (409, refused.content)
    assert again.headers["content-type"] == "application/problem+json"

    mine = key()
    few = bearer(app, caller_for(Role.SUPERVISOR, unit))
    assert (await http.post("/v1/accounts", json=body, headers=under(mine, few))).status_code == 403
    assert (
        await http.post("/v1/accounts", json=body, headers=under(mine, admin))
    ).status_code == 201


@pytest.mark.parametrize("bad", ["short", "x" * 129, "sixteen letters and blanks", '"' * 18])
async def test_a_key_that_cannot_be_read_is_refused_before_anything_is_done(
    http, tx, unit, admin, bad
):
    answer = await http.post("/v1/accounts", json=account(unit), headers=under(bad, admin))
    assert answer.status_code == 400
    assert answer.json()["type"].endswith(":idempotency-key-malformed")
    assert await tx.scalar(select(func.count()).select_from(KeptAnswer)) == 0


async def test_answers_are_forgotten_after_their_days(http, tx, database, unit, admin):
    mine, body = key(), account(unit)
    await http.post("/v1/accounts", json=body, headers=under(mine, admin))
    assert await forget_kept(database, 35, wall() + timedelta(days=34)) == 0
    assert await forget_kept(database, 35, wall() + timedelta(days=36)) == 1
    again = await http.post("/v1/accounts", json=body, headers=under(mine, admin))
    assert again.status_code == 201
    assert "idempotent-replayed" not in again.headers, "its own id makes it the same account"


async def test_one_effect_of_many_at_once_and_of_a_lost_answer(real_http, real_app, real_database):
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx)
        admin = await make_account(tx, unit)
    headers = under(key(), bearer(real_app, caller_for(Role.ADMIN, unit, account_id=admin.id)))
    body = account(unit)
    send = [real_http.post("/v1/accounts", json=body, headers=headers) for _ in range(12)]
    answers = await asyncio.gather(*send)
    assert {one.status_code for one in answers} <= {201, 409}
    made = [one for one in answers if one.status_code == 201]
    assert sum("idempotent-replayed" not in one.headers for one in made) == 1
    for one in answers:
        if one.status_code == 409:
            assert one.json()["type"].endswith(":still-running")
            assert one.headers["retry-after"] == "1"
    entries = select(func.count()).where(AuditEntry.action == "accounts_create")
    async with real_database.read() as read:
        assert await read.scalar(entries) == 1

    # The process dies after the commit, before a byte has left.
    async def dying(scope, receive, send):
        async def lost(message):
            raise OSError("the process is gone")

        await real_app(scope, receive, lost)

    headers["idempotency-key"] = key()
    close = f"/v1/accounts/{body['id']}/deactivate"
    async with http_on(dying) as phone:  # type: ignore[arg-type]
        assert (await phone.post(close, headers=headers)).status_code == 500
    again = await real_http.post(close, headers=headers)
    assert (again.status_code, again.json()["active"]) == (200, False)
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_part_of_anothers_transaction_is_never_settled_by_itself(tx, app):
    request = Request({"type": "http", "app": app})
    await settle(tx, request)
    with pytest.raises(RuntimeError):
        async with Part(tx):
            await settle(tx, request)
