"""Signing in and out: every grant, what is refused and in which words, lock-out, refresh."""

import base64
from datetime import timedelta
from urllib.parse import quote_plus

import jwt
import pytest
from sqlalchemy import func, select

from app.auth import jobs
from app.auth.models import AuditEntry, LoginGuard, RefreshToken
from app.auth.rules import SCOPES, Role
from app.core import clock as clock_module
from app.core.jobs import Worker
from tests.make.auth import PASSWORD, make_account, make_org_unit


@pytest.fixture
async def unit(tx):
    return await make_org_unit(tx, code="gd", name_zh="广东", name_en="Guangdong")


@pytest.fixture
async def person(tx, unit):
    return await make_account(tx, unit, role=Role.SUPERVISOR, username="li.wei")


@pytest.fixture
async def system(tx, unit):
    return await make_account(tx, unit, role=Role.INTEGRATION, username="fault-system")


async def ask(http, **form):
    return await http.post("/v1/auth/token", data=form)


async def sign_in(http, **form):
    return await ask(http, grant_type="password", username="li.wei", password=PASSWORD, **form)


async def refresh(http, token, **form):
    return await ask(http, grant_type="refresh_token", refresh_token=token, **form)


async def me(http, access_token):
    return await http.get("/v1/me", headers={"authorization": f"Bearer {access_token}"})


def slug(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


# --- grants -----------------------------------------------------------------------------------


async def test_a_person_signs_in_with_a_password(http, person):
    answer = await ask(http, grant_type="password", username=" Li.Wei", password=PASSWORD)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 15 * 60
    assert set(body["scope"].split()) == SCOPES[Role.SUPERVISOR]
    assert answer.headers["cache-control"] == "no-store"
    known = (await me(http, body["access_token"])).json()
    assert known["account_id"] == str(person.id)
    assert known["username"] == "li.wei"
    assert known["org_unit"]["path"] == "gd."
    assert known["org_unit"]["name_zh"] == "广东"


@pytest.mark.parametrize("by_header", [True, False], ids=["HTTP Basic", "in the form"])
async def test_a_system_signs_in_with_client_credentials(http, system, by_header):
    form = {"grant_type": "client_credentials"}
    headers = {}
    if by_header:
        pair = f"{quote_plus('fault-system')}:{quote_plus(PASSWORD)}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": "fault-system", "client_secret": PASSWORD}
    answer = await http.post("/v1/auth/token", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["refresh_token"] is None  # it can always ask again (RFC 6749, 4.4.3)
    assert (await me(http, answer.json()["access_token"])).json()["role"] == "integration"


async def test_fields_oauth_does_not_know_are_ignored(http, person):
    assert (await sign_in(http, device="a phone")).status_code == 200


async def test_a_token_may_ask_for_fewer_scopes(http, person):
    answer = await sign_in(http, scope="me:read grids:read")
    assert answer.json()["scope"] == "grids:read me:read"
    denied = await http.get(
        "/v1/org-units", headers={"authorization": f"Bearer {answer.json()['access_token']}"}
    )
    assert (denied.status_code, slug(denied)) == (403, "forbidden")


async def test_an_account_may_hold_fewer_scopes_than_its_role(http, tx, unit):
    await make_account(
        tx, unit, role=Role.SUPERVISOR, username="li.wei", scopes=["me:read", "orders:read"]
    )
    assert (await sign_in(http)).json()["scope"] == "me:read orders:read"
    more = await sign_in(http, scope="grids:assign me:read")
    assert (more.status_code, slug(more)) == (403, "scope-refused")
    assert more.json()["facts"]["refused"] == "grids:assign"


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "status", "problem"),
    [
        ({"username": "li.wei", "password": "wrong password"}, 401, "sign-in-refused"),
        ({"username": "nobody", "password": PASSWORD}, 401, "sign-in-refused"),
        ({"username": "li.wei", "password": f" {PASSWORD}"}, 401, "sign-in-refused"),
        ({"username": "closed", "password": PASSWORD}, 401, "sign-in-refused"),
        ({"username": "fault-system", "password": PASSWORD}, 403, "grant-refused"),
        ({"username": "li.wei"}, 422, "invalid"),
        ({"password": PASSWORD}, 422, "invalid"),
        ({"username": "li\x00wei", "password": PASSWORD}, 422, "invalid"),
        ({"username": "a" * 201, "password": PASSWORD}, 422, "invalid"),
    ],
)
async def test_a_password_grant_is_refused(http, tx, unit, person, system, form, status, problem):
    await make_account(tx, unit, role=Role.SUPERVISOR, username="closed", active=False)
    answer = await ask(http, grant_type="password", **form)
    assert (answer.status_code, slug(answer)) == (status, problem), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert PASSWORD not in answer.text


async def test_a_person_may_not_use_client_credentials(http, person):
    answer = await ask(
        http, grant_type="client_credentials", client_id="li.wei", client_secret=PASSWORD
    )
    assert (answer.status_code, slug(answer)) == (403, "grant-refused")
    assert answer.json()["facts"] == {"error": "unauthorized_client", "use": "password"}


@pytest.mark.parametrize("header", ["Basic !!!", "Basic /w==", "Basic", "Basic Og=="])
async def test_unreadable_client_credentials(http, header):
    answer = await http.post(
        "/v1/auth/token",
        data={"grant_type": "client_credentials"},
        headers={"authorization": header},
    )
    assert (answer.status_code, slug(answer)) == (401, "sign-in-refused")


@pytest.mark.parametrize("grant_type", ["", "implicit", "authorization_code"])
async def test_another_grant_type_is_refused(http, grant_type):
    answer = await ask(http, grant_type=grant_type)
    assert (answer.status_code, slug(answer)) == (422, "invalid")


@pytest.mark.parametrize(
    ("language", "title"),
    [("zh-CN", "用户名或密码不正确"), ("en", "The name or the password is not right")],
)
async def test_refusals_speak_both_languages(http, language, title):
    answer = await http.post(
        "/v1/auth/token",
        data={"grant_type": "password", "username": "nobody", "password": "wrong password"},
        headers={"accept-language": language},
    )
    assert answer.json()["title"] == title
    assert answer.headers["content-language"] == language[:2]


async def test_unknown_name_wrong_password_and_closed_account_are_answered_alike(
    http, tx, unit, person
):
    await make_account(tx, unit, role=Role.SUPERVISOR, username="closed", active=False)
    answers = []
    for name, password in [("nobody", "x" * 10), ("li.wei", "x" * 10), ("closed", PASSWORD)]:
        answer = await ask(http, grant_type="password", username=name, password=password)
        answers.append({**answer.json(), "instance": None, "request_id": None})
    assert answers[0] == answers[1] == answers[2]


async def test_a_password_is_checked_for_unknown_names_too(http, person, monkeypatch):
    """The same work, so that the time of the answer does not tell which names exist."""
    from app.auth import passwords

    checked = []
    verify = passwords._ARGON2.verify

    def verify_noted(*args):
        checked.append(args)
        return verify(*args)

    monkeypatch.setattr(passwords._ARGON2, "verify", verify_noted)
    for name in ("nobody", "li.wei"):
        await ask(http, grant_type="password", username=name, password="wrong password")
    assert len(checked) == 2
    kinds = {hashed.rsplit("$", 2)[0] for _, hashed in checked}
    assert len(kinds) == 1, "both with the same algorithm and costs"


async def test_a_token_is_needed(http):
    answer = await http.get("/v1/me")
    assert (answer.status_code, slug(answer)) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await me(http, "not.a.token")).status_code == 401


async def test_a_closed_account_is_nobody_to_itself(http, tx, person):
    token = (await sign_in(http)).json()["access_token"]
    person.active = False
    await tx.flush()
    assert (await me(http, token)).status_code == 401


# --- lock-out ---------------------------------------------------------------------------------


async def wrong(http, name="li.wei"):
    return await ask(http, grant_type="password", username=name, password="wrong password")


@pytest.mark.parametrize("name", ["li.wei", "nobody"])
async def test_guessing_is_slowed_down_whether_or_not_the_name_exists(
    http, person, real_time, name
):
    statuses = [(await wrong(http, name)).status_code for _ in range(8)]
    assert statuses == [401] * 6 + [429] * 2
    locked = await wrong(http, name)
    assert slug(locked) == "sign-in-locked"
    assert locked.headers["retry-after"] == "1"
    # Each failure after a lock doubles the wait.
    real_time.tick(timedelta(seconds=1))
    assert (await wrong(http, name)).status_code == 401
    assert (await wrong(http, name)).headers["retry-after"] == "2"


async def test_a_locked_name_is_refused_its_right_password_until_the_lock_ends(
    http, person, real_time
):
    for _ in range(6):
        await wrong(http)
    assert (await sign_in(http)).status_code == 429
    real_time.tick(timedelta(seconds=1))
    assert (await sign_in(http)).status_code == 200
    # And is clear again.
    assert [(await wrong(http)).status_code for _ in range(3)] == [401] * 3


async def test_one_name_locked_leaves_others_alone(http, tx, unit, person):
    await make_account(tx, unit, role=Role.SUPERVISOR, username="wang.fang")
    for _ in range(7):
        await wrong(http)
    answer = await ask(http, grant_type="password", username="wang.fang", password=PASSWORD)
    assert answer.status_code == 200


async def test_an_address_that_tries_many_names_is_slowed_down(http, person, real_time):
    statuses = [(await wrong(http, f"name-{n}")).status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert (await sign_in(http)).status_code == 429


async def test_one_good_account_does_not_clear_its_address(http, person, real_time):
    """Or whoever has an account could guess at all others without end."""
    statuses = []
    for n in range(12):
        statuses.append((await wrong(http, f"name-{n}")).status_code)
        if statuses[-1] == 401 and n < 9:
            assert (await sign_in(http)).status_code == 200
    assert statuses == [401] * 10 + [429] * 2


async def test_right_passwords_cost_an_address_nothing(http, person, real_time):
    assert {(await sign_in(http)).status_code for _ in range(12)} == {200}


async def test_old_failures_are_forgotten(http, person, real_time):
    for _ in range(6):
        await wrong(http)
    real_time.tick(timedelta(hours=12, seconds=1))
    assert [(await wrong(http)).status_code for _ in range(6)] == [401] * 6


async def test_a_wrong_grant_or_scope_is_not_a_failed_login(http, person, system, real_time):
    for _ in range(12):
        assert (await sign_in(http, scope="work:do")).status_code == 403
    assert (await sign_in(http)).status_code == 200


# --- refresh ----------------------------------------------------------------------------------


async def test_a_refresh_token_turns_over(http, person, real_time):
    first = (await sign_in(http)).json()
    real_time.tick(timedelta(minutes=14))
    second = (await refresh(http, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    real_time.tick(timedelta(minutes=14))
    assert (await me(http, first["access_token"])).status_code == 401
    assert (await me(http, second["access_token"])).status_code == 200
    third = await refresh(http, second["refresh_token"])
    assert third.status_code == 200


async def test_a_token_used_twice_ends_the_sign_in_for_everybody(http, tx, person, real_time):
    stolen = (await sign_in(http)).json()["refresh_token"]
    owners = (await refresh(http, stolen)).json()["refresh_token"]
    real_time.tick(timedelta(minutes=1))
    thief = await refresh(http, stolen)
    assert (thief.status_code, slug(thief)) == (401, "refresh-refused")
    assert (await refresh(http, owners)).status_code == 401
    entry = await tx.scalar(select(AuditEntry).where(AuditEntry.action == "refresh_token_reused"))
    assert entry is not None
    assert entry.account_id == person.id


async def test_a_lost_answer_may_be_asked_for_again(http, person, real_time):
    first = (await sign_in(http)).json()["refresh_token"]
    lost = (await refresh(http, first)).json()
    real_time.tick(timedelta(seconds=29))
    again = await refresh(http, first)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == lost["refresh_token"], "the same answer, no second one"
    assert (await refresh(http, lost["refresh_token"])).status_code == 200


async def test_a_lost_answer_is_not_given_again_once_its_token_was_used(http, person, real_time):
    first = (await sign_in(http)).json()["refresh_token"]
    second = (await refresh(http, first)).json()["refresh_token"]
    third = (await refresh(http, second)).json()["refresh_token"]
    assert (await refresh(http, first)).status_code == 401
    assert (await refresh(http, third)).status_code == 401, "the whole family is over"


async def test_only_a_digest_of_a_refresh_token_is_kept(http, tx, person):
    token = (await sign_in(http)).json()["refresh_token"]
    (row,) = (await tx.scalars(select(RefreshToken))).all()
    assert token not in repr(vars(row))
    assert len(row.token_hash) == 32


async def test_a_refresh_token_expires(http, person, real_time):
    token = (await sign_in(http)).json()["refresh_token"]
    real_time.tick(timedelta(days=30))
    assert (await refresh(http, token)).status_code == 401


@pytest.mark.parametrize("token", ["nonsense", "yr_" + "A" * 43, "🙂"])
async def test_an_unknown_refresh_token(http, token):
    answer = await refresh(http, token)
    assert (answer.status_code, slug(answer)) == (401, "refresh-refused")


async def test_a_refresh_never_widens_what_was_granted(http, person):
    narrow = (await sign_in(http, scope="me:read orders:read")).json()["refresh_token"]
    wider = await refresh(http, narrow, scope="me:read grids:assign")
    assert (wider.status_code, slug(wider)) == (403, "scope-refused")
    # The refusal used nothing up.
    narrower = (await refresh(http, narrow, scope="me:read")).json()
    assert narrower["scope"] == "me:read"
    assert (await refresh(http, narrower["refresh_token"])).json()["scope"] == "me:read orders:read"


async def test_what_an_account_lost_since_is_gone_with_the_next_refresh(http, tx, person):
    token = (await sign_in(http)).json()["refresh_token"]
    person.scopes = ["me:read"]
    await tx.flush()
    assert (await refresh(http, token)).json()["scope"] == "me:read"


async def test_signing_out_ends_the_refresh_tokens(http, person):
    first = (await sign_in(http)).json()["refresh_token"]
    second = (await refresh(http, first)).json()["refresh_token"]
    other_phone = (await sign_in(http)).json()["refresh_token"]
    out = await http.post("/v1/auth/logout", json={"refresh_token": second})
    assert (out.status_code, out.content) == (204, b"")
    assert (await refresh(http, second)).status_code == 401
    assert (await refresh(http, other_phone)).status_code == 200
    unknown = await http.post("/v1/auth/logout", json={"refresh_token": "nonsense"})
    assert unknown.status_code == 204


async def test_signing_in_and_out_leaves_a_trail(http, tx, person):
    token = (await sign_in(http)).json()["refresh_token"]
    await http.post("/v1/auth/logout", json={"refresh_token": token})
    entries = await tx.execute(
        select(AuditEntry.action, AuditEntry.account_id).order_by(AuditEntry.id)
    )
    assert [tuple(entry) for entry in entries] == [("sign_in", person.id), ("sign_out", person.id)]


# --- keys, and what is left behind ------------------------------------------------------------


async def test_tokens_are_proved_with_the_published_keys(http, person):
    published = (await http.get("/.well-known/jwks.json")).json()
    token = (await sign_in(http)).json()["access_token"]
    found = jwt.decode(
        token,
        jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]],
        algorithms=["EdDSA"],
        audience="yingwei-api",
        issuer="yingwei",
    )
    assert found["sub"] == str(person.id)


async def test_what_signing_in_leaves_behind_is_forgotten_in_time(
    http, tx, person, settings, database, clock, monkeypatch
):
    await sign_in(http)
    await wrong(http, "nobody")
    worker = Worker(settings, clock, database)

    async def left():
        tokens = await tx.scalar(select(func.count()).select_from(RefreshToken))
        guards = await tx.scalar(select(func.count()).select_from(LoginGuard))
        return tokens, guards

    real_now = clock_module.wall()
    before = await left()
    assert before == (1, 2)  # the address is remembered too
    for later, expected in [
        (timedelta(hours=11), (1, 2)),
        (timedelta(hours=13), (1, 0)),
        (timedelta(days=30, hours=13), (1, 0)),
        (timedelta(days=31, hours=1), (0, 0)),
    ]:
        monkeypatch.setattr(jobs, "wall", lambda later=later: real_now + later)
        await jobs.forget_sign_ins(worker)
        assert await left() == expected, later
