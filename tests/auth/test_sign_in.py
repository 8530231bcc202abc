"""Signing in: every grant, what is refused and in which words."""

import base64

import pytest

from app.auth.rules import SCOPES, Role
from tests.make.auth import PASSWORD, make_account, make_org_unit
from tests.make.technicians import make_technician


async def ask(http, **form):
    return await http.post("/v1/auth/token", data=form)


async def test_password_grant(http, tx):
    unit = await make_org_unit(tx, code="gd")
    account = await make_account(tx, unit, role=Role.SUPERVISOR, username="li.wei")
    answer = await ask(http, grant_type="password", username="Li.Wei ", password=PASSWORD)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 15 * 60
    assert set(body["scope"].split()) == SCOPES[Role.SUPERVISOR]
    assert answer.headers["cache-control"] == "no-store"
    me = await http.get("/v1/me", headers={"authorization": f"Bearer {body['access_token']}"})
    assert me.json()["account_id"] == str(account.id)
    assert me.json()["org_unit"]["path"] == "gd."
