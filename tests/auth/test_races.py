"""What must hold when two do it at the same moment, each on a connection of their own."""

import asyncio

import pytest
from sqlalchemy import func, select

from app.auth import queries, service
from app.auth.models import Account, LoginGuard, OrgUnit, RefreshToken
from app.auth.rules import Role, SignInLocked, SignInRefused
from app.core.clock import wall
from app.core.db import new_id
from tests.make.auth import PASSWORD, bearer, caller_for, make_account, make_org_unit


@pytest.fixture
async def unit(real_database):
    async with real_database.begin() as tx:
        return await make_org_unit(tx, code="gd")


@pytest.fixture
async def person(real_database, unit):
    async with real_database.begin() as tx:
        return await make_account(tx, unit, role=Role.SUPERVISOR, username="li.wei")


async def refresh(http, token):
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await http.post("/v1/auth/token", data=form)


async def sign_in(http, password=PASSWORD):
    form = {"grant_type": "password", "username": "li.wei", "password": password}
    return await http.post("/v1/auth/token", data=form)


async def test_many_guesses_at_once_get_no_more_tries_than_one_after_another(
    real_http, real_database, person, real_time
):
    answers = await asyncio.gather(*(sign_in(real_http, f"guess number {n}") for n in range(30)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == 6
    assert statuses.count(429) == 24
    async with real_database.read() as read:
        guard = await read.get_one(LoginGuard, "account:li.wei")
    assert guard.failures == 6, "counted, although each request was refused"
    assert guard.locked_until is not None


async def test_a_try_waits_for_the_one_before_it_to_be_counted(real_database):
    """Two connections: the second reads the count only after the first has committed it."""
    now = wall()
    for _ in range(5):
        async with real_database.begin() as tx:
            await service.count_try(tx, username="li.wei", address=None, now=now)
    async with real_database.begin() as first:
        await service.count_try(first, username="li.wei", address=None, now=now)

        async def second():
            async with real_database.begin() as tx:
                await service.count_try(tx, username="li.wei", address=None, now=now)

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        assert not waiting.done()
    with pytest.raises(SignInLocked):
        await waiting


async def test_right_logins_at_once_all_come_in(real_http, person):
    answers = await asyncio.gather(*(sign_in(real_http) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5


async def test_a_refresh_sent_twice_at_once_has_one_answer(
    real_http, real_database, person, real_time
):
    token = (await sign_in(real_http)).json()["refresh_token"]
    answers = await asyncio.gather(*(refresh(real_http, token) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert (await refresh(real_http, successor)).status_code == 200
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(RefreshToken)) == 3


async def test_no_token_is_born_while_a_password_is_being_changed(real_database, unit, person):
    """The password was right when it was checked, and is another one a moment later."""
    admin = caller_for(Role.ADMIN, unit)
    now = wall()

    async def open_family():
        async with real_database.begin() as tx:
            return await service.open_family(
                tx,
                account_id=person.id,
                password_hash=person.password_hash,
                grant="password",
                scope=None,
                now=now,
                refresh_token_days=30,
            )

    async with real_database.begin() as changing:
        await service.set_password(
            changing, admin, person.id, password="another long password", now=now
        )
        await changing.flush()
        signing_in = asyncio.create_task(open_family())
        await asyncio.sleep(0.3)
        assert not signing_in.done(), "it waits for the change"
    with pytest.raises(SignInRefused):
        await signing_in
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(RefreshToken)) == 0


async def test_no_successor_outlives_a_closing_account(real_http, real_database, unit, person):
    """The refresh holds the account, so the closing sees and revokes the token it makes."""
    token = (await sign_in(real_http)).json()["refresh_token"]
    admin = caller_for(Role.ADMIN, unit)
    now = wall()

    async def close():
        async with real_database.begin() as tx:
            await service.set_active(tx, admin, person.id, active=False, now=now)

    async with real_database.begin() as refreshing:
        turned = await service.turn_refresh(
            refreshing, token=token, scope=None, now=now, refresh_token_days=30
        )
        closing = asyncio.create_task(close())
        await asyncio.sleep(0.3)
        assert not closing.done(), "it waits for the refresh"
    await closing
    assert turned is not None
    assert turned.refresh_token is not None
    assert (await refresh(real_http, turned.refresh_token)).status_code == 401
    async with real_database.read() as read:
        revoked = await read.scalars(select(RefreshToken.revoked_at))
        assert None not in set(revoked)


async def test_an_account_sent_twice_at_once_is_one_account(
    real_app, real_http, real_database, unit
):
    headers = bearer(real_app, caller_for(Role.ADMIN, unit))
    body = {
        "id": str(new_id()),
        "username": "wang.fang",
        "password": PASSWORD,
        "role": "supervisor",
        "org_unit_id": str(unit.id),
    }
    answers = await asyncio.gather(
        *(real_http.post("/v1/accounts", json=body, headers=headers) for _ in range(4))
    )
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.text for answer in answers}) == 1
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(Account)) == 1


async def test_two_ids_for_one_name_at_once_have_one_winner(real_app, real_http, unit):
    headers = bearer(real_app, caller_for(Role.ADMIN, unit))
    answers = await asyncio.gather(
        *(
            real_http.post(
                "/v1/accounts",
                json={
                    "id": str(new_id()),
                    "username": "wang.fang",
                    "password": PASSWORD,
                    "role": "supervisor",
                    "org_unit_id": str(unit.id),
                },
                headers=headers,
            )
            for _ in range(4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_the_first_administrator_is_made_once(real_database):
    async def make():
        async with real_database.begin() as tx:
            return await service.first_admin(
                tx,
                username="admin",
                password=PASSWORD,
                org_code="gd",
                org_name_zh="广东",
                org_name_en="Guangdong",
            )

    first, second = await asyncio.gather(make(), make())
    assert first.id == second.id
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(OrgUnit)) == 1
        assert (await queries.caller_by_username(read, "admin")).role is Role.ADMIN
