"""Alerts as supervisors see them, and as the addresses hear of them that an operator has set."""

import asyncio
from base64 import b64encode
from datetime import timedelta

import pytest
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from sqlalchemy import func, select, text

from app.alerts import jobs, service
from app.alerts.client import Webhooks
from app.alerts.models import Alert, AlertDelivery, AlertWebhook
from app.alerts.rules import AlertKind, Found
from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.board.rules.changes import gathered
from app.core import signing
from app.core.clock import wall
from app.core.db import new_id
from app.core.jobs import Worker
from app.core.outside import Lost, NoAnswer
from app.core.parameter_values import ParameterValue
from app.core.sealing import Sealer
from app.devices import jobs as devices
from app.devices.rules import PushWhy
from app.devices.service import wake
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.platforms import served

LOCAL = frozenset({"127.0.0.1"})
# Those of all tests, and newer ones.
KEYS = f"k1:{b64encode(b'1' * 32).decode()}"
NEWER_KEYS = f"k2:{b64encode(b'2' * 32).decode()},{KEYS}"


def sealer(keys):
    return Sealer.read(keys, "webhook secrets")


@pytest.fixture(scope="module")
def hook():
    """A system that is told of alerts, and answers as it is asked to."""
    app = FastAPI()
    app.state.heard, app.state.answers = [], []

    @app.post("/hook")
    async def take(request: Request) -> Response:
        app.state.heard.append((dict(request.headers), await request.body()))
        status, headers = app.state.answers.pop(0) if app.state.answers else (204, {})
        return Response(status_code=status, headers=headers)

    with served(app) as origin:
        app.state.url = f"{origin}/hook"
        yield app.state


@pytest.fixture
async def units(tx):
    """A city with two branches."""
    city = await make_org_unit(tx)
    return [city, *[await make_org_unit(tx, parent=city) for _ in range(2)]]


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"webhook_hosts": "127.0.0.1"})


@pytest.fixture
async def accounts(units, tx):
    """Of each unit a supervisor and an administrator."""
    made = {
        (role, n): await make_account(tx, unit, role=role)
        for n, unit in enumerate(units)
        for role in (Role.SUPERVISOR, Role.ADMIN)
    }
    await tx.commit()
    return made


@pytest.fixture
def ask(app, http, units, accounts):
    """Ask as somebody of one of the units."""

    async def send(method, path, body=None, *, unit=1, role=Role.SUPERVISOR, lang="en"):
        who = caller_for(role, units[unit], account_id=accounts[role, unit].id)
        headers = {**bearer(app, who), "accept-language": lang}
        return await http.request(method, f"/v1{path}", json=body, headers=headers)

    return send


@pytest.fixture
def look(database, clock):
    """Say what is found of deliveries that wait."""

    async def look(*found):
        async with database.begin() as tx:
            kinds = (AlertKind.ORDER_LAG, AlertKind.ORDERS_FAILED)
            return await service.stand(tx, kinds, found, now=clock.now())

    return look


@pytest.fixture
def send(database, settings, clock, tx):
    """Do what the worker does for addresses; `later` lets their wait pass first."""

    async def send(later=False, keys=KEYS):
        if later:
            await tx.execute(
                text("UPDATE alert_delivery SET next_try_at = now() WHERE state = 'waiting'")
            )
            await tx.commit()
        async with Webhooks(LOCAL, time_limit=2) as client:
            while await service.send_due(
                database.begin, client, sealer(keys), most=1, time_limit=2, now=clock.now()
            ):
                pass

    return send


async def make_webhook(ask, hook, *, unit=0, **more):
    hook.heard.clear(), hook.answers.clear()
    body = {"id": str(new_id()), "name": "值班群", "url": hook.url, **more}
    answer = await ask("POST", "/alert-webhooks", body, unit=unit, role=Role.ADMIN)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def standing(ask, **who):
    return (await ask("GET", "/alerts", **who)).json()["alerts"]


async def test_an_alert_stands_until_it_is_taken_up_or_over(ask, look, units, accounts, clock, tx):
    failed = Found(AlertKind.ORDERS_FAILED, units[1].id, 12, 10)
    assert [await look(failed), await look(failed._replace(figure=15))] == [1, 0]
    [alert] = await standing(ask)
    assert alert["words"].startswith("15 deliveries") and alert["acknowledged_at"] is None
    # Its city sees it, and the branch beside it does not.
    assert len(await standing(ask, unit=0)) == 1 and await standing(ask, unit=2) == []
    path = f"/alerts/{alert['id']}/acknowledge"
    assert (await ask("POST", path, {"note": "x"}, unit=2)).status_code == 404
    # It is told again when nobody takes it up.
    clock.tick(timedelta(minutes=60))
    assert await look(failed) == 1
    taken = (await ask("POST", path, {"note": "已联系对方"})).json()
    by = accounts[Role.SUPERVISOR, 1]
    assert (taken["acknowledged_by"], taken["acknowledged_by_name"]) == (str(by.id), by.username)
    # Whoever was first stays, and what was taken up is not told again.
    assert (await ask("POST", path, {"note": "other"}, unit=0)).json() == taken
    clock.tick(timedelta(minutes=90))
    assert await look(failed) == 0 and await standing(ask) == []
    assert await look() == 0
    [old] = (await ask("GET", "/alerts?every=true&kind=orders_failed", lang="zh")).json()["alerts"]
    assert old["ended_at"] == clock.now().isoformat().replace("+00:00", "Z")
    assert old["words"].startswith("有 12 条")
    # What comes back is another alert.
    assert await look(failed) == 1
    assert [one["id"] == alert["id"] for one in await standing(ask)] == [False]
    noted = await tx.scalars(select(AuditEntry.changes).where(AuditEntry.changes != []))
    told = {each["operation"] for changes in noted for each in changes if each["table"] == "alert"}
    assert {"alert.raised", "alert.stands", "alert.ended"} <= told


async def test_alerts_are_read_page_by_page(ask, look, units):
    await look(*(Found(kind, units[1].id, 9, 1) for kind in list(AlertKind)[:2]))
    first = (await ask("GET", "/alerts?size=1")).json()
    token = first["next_page_token"]
    second = (await ask("GET", f"/alerts?size=1&page_token={token}")).json()
    assert second["next_page_token"] is None
    assert first["alerts"][0]["kind"] != second["alerts"][0]["kind"]


async def test_addresses_hear_of_what_happens_to_alerts_signed_and_once(
    ask, look, send, hook, units, clock
):
    webhook = await make_webhook(ask, hook, kinds=["order_lag"])
    await look(
        Found(AlertKind.ORDER_LAG, units[1].id, 300, 120),
        Found(AlertKind.ORDERS_FAILED, units[1].id, 12, 10),
    )
    hook.answers += [(503, {"Retry-After": "120"})]
    await send()
    [lag] = [one for one in await standing(ask) if one["kind"] == "order_lag"]
    listed = f"/alert-webhooks/{webhook['id']}/deliveries"
    [waits] = (await ask("GET", listed, unit=0)).json()["deliveries"]
    assert (waits["state"], waits["attempts"], waits["answered"]) == ("waiting", 1, 503)
    assert waits["next_try_at"] > (wall() + timedelta(seconds=100)).isoformat()
    await send()  # not due yet
    assert len(hook.heard) == 1
    await send(later=True)
    await ask("POST", f"/alerts/{lag['id']}/acknowledge", {"note": "看过"})
    await look()
    await send()
    assert len(hook.heard) == 4
    ids, types = [], []
    for headers, body in hook.heard:
        secret = signing.secret_of(webhook["secret"])
        assert signing.is_signed(secret, headers, body, wall())
        assert "看过" not in body.decode()
        ids.append(headers["webhook-id"])
        types.append(body.decode().split('"type":"')[1].split('"')[0])
    # Both tries carry one id.
    assert ids[0] == ids[1] == waits["id"] and len(set(ids)) == 3
    assert types[1:] == ["alert.raised", "alert.acknowledged", "alert.ended"]
    shown = (await ask("GET", f"/alert-webhooks/{webhook['id']}", unit=0)).json()
    assert shown["last_sent_at"] and shown["failures"] == 0 and "secret" not in shown
    # Somebody else's address is not found, by any door.
    for method, path in (("GET", ""), ("GET", "/deliveries")):
        path = f"/alert-webhooks/{webhook['id']}{path}"
        assert (await ask(method, path, unit=1)).status_code == 404


async def test_an_address_is_given_up_with_a_reason_and_others_hear_of_it(
    ask, look, send, hook, units, tx
):
    webhook = await make_webhook(ask, hook)
    hook.answers += [(422, {})]
    await look(Found(AlertKind.ORDER_LAG, units[1].id, 300, 120))
    await send()
    listed = f"/alert-webhooks/{webhook['id']}/deliveries?state=given_up"
    [lost] = (await ask("GET", listed, unit=0)).json()["deliveries"]
    assert (lost["given_up"], lost["given_up_words"]) == (
        "refused",
        "The other side turned it down",
    )
    kinds = [(one["kind"], one["subject"]) for one in await standing(ask, unit=0)]
    assert ("webhook_failing", webhook["id"]) in kinds
    # Nobody tells an address of its own failing, which would never end.
    assert await tx.scalar(select(func.count()).select_from(AlertDelivery)) == 1
    retry = f"/alert-deliveries/{lost['id']}/retry"
    assert (await ask("POST", retry, unit=1, role=Role.ADMIN)).status_code == 404
    assert (await ask("POST", retry, unit=0, role=Role.ADMIN)).json()["state"] == "waiting"
    again = await ask("POST", retry, unit=0, role=Role.ADMIN)
    assert again.json()["type"].endswith("alert-delivery-not-given-up")
    await send()
    assert [headers["webhook-id"] for headers, _ in hook.heard] == [lost["id"]] * 2
    assert [one["kind"] for one in await standing(ask, unit=0)] == ["order_lag"]


async def test_tries_end_and_an_address_that_is_gone_is_switched_off(
    ask, look, send, hook, units, tx, clock, database
):
    webhook = await make_webhook(ask, hook)
    since = clock.now() - timedelta(days=1)
    tx.add(ParameterValue(name="alerts.tries", org_path="", valid_from=since, value=2))
    await tx.commit()
    database.cache.clear()
    hook.answers += [(500, {}), (302, {"location": "http://10.0.0.1/"}), (410, {})]
    await look(Found(AlertKind.ORDER_LAG, units[1].id, 300, 120))
    await send()
    await send(later=True)
    test = await ask("POST", f"/alert-webhooks/{webhook['id']}/test", unit=0, role=Role.ADMIN)
    assert (test.status_code, test.json()["event"]) == (202, "alert.test")
    await send()
    assert len(hook.heard) == 3  # where it was redirected to, nobody was asked
    listed = (await ask("GET", f"/alert-webhooks/{webhook['id']}/deliveries", unit=0)).json()
    assert [one["given_up"] for one in listed["deliveries"]] == ["gone", "tries_used_up"]
    assert (await ask("GET", f"/alert-webhooks/{webhook['id']}", unit=0)).json()["active"] is False
    await look()
    assert len((await ask("GET", "/alert-webhooks", unit=0)).json()["webhooks"]) == 1
    removed = await ask("DELETE", f"/alert-webhooks/{webhook['id']}", unit=0, role=Role.ADMIN)
    assert removed.status_code == 204
    assert (await ask("GET", "/alert-webhooks", unit=0)).json()["webhooks"] == []
    assert await standing(ask, unit=0) == []


async def test_an_address_is_set_changed_and_its_secret_made_anew(ask, hook, look, send, units):
    webhook = await make_webhook(ask, hook, org_unit_id=str(units[1].id))
    path = f"/alert-webhooks/{webhook['id']}"
    body = {"id": webhook["id"], "name": "值班群", "url": hook.url, "org_unit_id": str(units[1].id)}
    again = await ask("POST", "/alert-webhooks", body, unit=0, role=Role.ADMIN)
    assert again.json() == webhook | {"secret": None}
    other = await ask("POST", "/alert-webhooks", body | {"name": "x"}, unit=0, role=Role.ADMIN)
    assert other.json()["type"].endswith("same-id-other-content")
    made = (await ask("POST", f"{path}/secret", unit=0, role=Role.ADMIN)).json()["secret"]
    assert made != webhook["secret"]
    change = {"name": "二群", "url": hook.url, "kinds": None, "active": False}
    assert (await ask("PUT", path, change, unit=0, role=Role.ADMIN)).json()["name"] == "二群"
    await look(Found(AlertKind.ORDER_LAG, units[1].id, 300, 120))
    await send()
    assert hook.heard == []
    # A supervisor reads, and does not say where data goes.
    assert (await ask("PUT", path, change)).status_code == 403
    assert (await ask("PUT", path, change, unit=2, role=Role.ADMIN)).status_code == 404


@pytest.mark.parametrize(
    ("more", "slug"),
    [
        ({"url": "https://10.0.0.1/hook"}, "webhook-address-refused"),
        ({"url": "http://hooks.example.org/"}, "webhook-address-refused"),
        ({"secret": "whsec_YQ=="}, "invalid"),
        ({"org_unit_id": str(new_id())}, "not-found"),
    ],
)
async def test_what_cannot_be_an_address_is_refused_and_not_written(ask, tx, more, slug):
    body = {"id": str(new_id()), "name": "x", "url": "https://hooks.example.org/a", **more}
    answer = await ask("POST", "/alert-webhooks", body, role=Role.ADMIN)
    assert answer.json()["type"].endswith(slug)
    assert await tx.scalar(select(func.count()).select_from(AlertWebhook)) == 0


async def test_a_unit_has_only_so_many_addresses(ask, tx):
    for n in range(11):
        body = {"id": str(new_id()), "name": f"{n}", "url": "https://hooks.example.org/a"}
        answer = await ask("POST", "/alert-webhooks", body, role=Role.ADMIN)
    assert answer.json()["type"].endswith("too-many-webhooks")
    assert await tx.scalar(select(func.count()).select_from(AlertWebhook)) == 10


async def test_a_name_that_stands_for_our_own_network_is_not_asked(monkeypatch):
    loop = asyncio.get_running_loop()
    asked = []

    async def found(host, port, **more):
        asked.append(host)
        return [(0, 0, 0, "", ("8.8.8.8", port)), (0, 0, 0, "", ("192.168.0.9", port))]

    monkeypatch.setattr(loop, "getaddrinfo", found)
    secret = signing.PREFIX + "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"
    async with Webhooks(LOCAL, time_limit=1) as client:
        for url in ("https://hooks.example.org/a", "https://10.0.0.1/a"):
            with pytest.raises(NoAnswer) as refused:
                await client.tell(new_id(), {}, url=url, secret=secret)
            assert refused.value.lost is Lost.WRONG_ADDRESS
    assert asked == ["hooks.example.org"]


async def test_supervisors_phones_are_woken_and_boards_hear_of_it(
    ask, look, units, database, settings, clock, tx
):
    for n, unit in enumerate(units):
        push = {"provider": "huawei", "token": f"token of {unit.code}"}
        registered = await ask("PUT", "/my/device", {"platform": "android", "push": push}, unit=n)
        assert registered.status_code == 200
    await look(Found(AlertKind.ORDER_LAG, units[1].id, 300, 120))
    facts = await tx.scalar(
        text("SELECT args FROM procrastinate_jobs WHERE task_name = 'alert.pressing'")
    )
    worker = Worker(settings, clock, database)
    await devices.alert_pressing(worker, **facts)
    woken = []

    class Pushes:
        async def push(self, push_id, *, device_id, provider, token, why):
            woken.append((token, why))

    await wake(database.begin, Pushes(), most=10)
    # The branch's own and its city's, and not those of the branch beside it.
    expected = [(f"token of {unit.code}", PushWhy.ALERT) for unit in units[:2]]
    assert sorted(woken) == sorted(expected)
    told = {"technicians": [], "orders": [], "unplaced": False, "alerts": True}
    changed = gathered([told, told | {"alerts": False}])
    assert changed is not None and changed.alerts


async def test_the_worker_sends_what_waits(ask, hook, look, database, settings, clock, units):
    await make_webhook(ask, hook)
    await look(Found(AlertKind.ORDER_LAG, units[1].id, 300, 120))
    worker = Worker(settings, clock, database)
    await jobs.send(worker)
    assert len(hook.heard) == 1
    await worker._ends.aclose()


async def test_alerts_that_stand_are_found_by_their_index(tx):
    await tx.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        (await tx.scalars(text("EXPLAIN SELECT id FROM alert WHERE ended_at IS NULL"))).all()
    )
    assert "uq_alert_open" in plan
    assert await tx.scalar(select(func.count()).select_from(Alert)) == 0


# --- secrets --------------------------------------------------------------------------------------


@pytest.fixture
def kept(tx):
    """Read the secrets of addresses as they are kept."""

    async def kept():
        return list(await tx.scalars(text("SELECT secret FROM alert_webhook ORDER BY id")))

    return kept


@pytest.fixture
def seal(settings, clock, database):
    """Do what the worker does for secrets, with some keys."""

    async def seal(keys):
        given = settings.model_copy(update={"webhook_secret_keys": SecretStr(keys)})
        await jobs.seal_secrets(Worker(given, clock, database))

    return seal


async def signed(ask, send, hook, webhook, keys=KEYS):
    """Have a test sent; tell whether it came, signed with the secret that was shown."""
    hook.heard.clear()
    await ask("POST", f"/alert-webhooks/{webhook['id']}/test", unit=0, role=Role.ADMIN)
    await send(keys=keys)
    secret = signing.secret_of(webhook["secret"])
    return [signing.is_signed(secret, headers, body, wall()) for headers, body in hook.heard]


async def test_a_secret_is_not_in_the_database_and_signs_all_the_same(ask, send, hook, kept):
    own = signing.PREFIX + b64encode(b"k" * 24).decode()
    made = await make_webhook(ask, hook)
    given = await make_webhook(ask, hook, secret=own)
    assert given["secret"] is None
    again = await ask("POST", f"/alert-webhooks/{made['id']}/secret", unit=0, role=Role.ADMIN)
    secrets = (made["secret"], own, again.json()["secret"])
    for written in await kept():
        assert not any(each.removeprefix(signing.PREFIX) in written for each in secrets)
        assert written.startswith("k1:")
    assert await signed(ask, send, hook, made | {"secret": secrets[2]}) == [True]
    assert await signed(ask, send, hook, made) == [False]
    assert await signed(ask, send, hook, given | {"secret": own}) == [True]


async def test_what_was_kept_as_it_is_signs_and_is_sealed_as_soon_as_there_is_a_key(
    ask, send, hook, kept, seal, tx
):
    webhook = await make_webhook(ask, hook)
    await tx.execute(text("UPDATE alert_webhook SET secret = :own"), {"own": webhook["secret"]})
    await tx.commit()
    assert await signed(ask, send, hook, webhook, keys="") == [True]
    await seal("")
    assert await kept() == [webhook["secret"]]
    for keys, by in ((KEYS, "k1:"), (NEWER_KEYS, "k2:")):
        await seal(keys)
        sealed = await kept()
        assert sealed[0].startswith(by) and webhook["secret"] not in sealed[0]
        await seal(keys)
        assert await kept() == sealed
        assert await signed(ask, send, hook, webhook, keys=keys) == [True]


async def test_a_secret_opens_for_its_own_address_and_with_its_own_key(
    ask, send, hook, kept, seal, tx
):
    webhook = await make_webhook(ask, hook)
    (own,) = await kept()
    listed = f"/alert-webhooks/{webhook['id']}/deliveries?state=waiting"
    for keys, why in (
        ("", "YINGWEI_WEBHOOK_SECRET_KEYS is not set"),
        (NEWER_KEYS.split(",")[0], "no key"),
    ):
        assert await signed(ask, send, hook, webhook, keys=keys) == []
        [waits] = (await ask("GET", listed, unit=0)).json()["deliveries"]
        assert why in waits["last_error"]
        # With the key it arrives after all.
        await send(later=True)
        assert len(hook.heard) == 1
    # Another key's cannot be sealed anew, and stays.
    await seal(NEWER_KEYS.split(",")[0])
    assert await kept() == [own]
    other = sealer(KEYS).seal(webhook["secret"], str(new_id()))
    await tx.execute(text("UPDATE alert_webhook SET secret = :other"), {"other": other})
    await tx.commit()
    assert await signed(ask, send, hook, webhook) == []


async def test_without_a_key_no_address_is_added(ask, hook, app):
    app.state.webhook_keys = None
    body = {"id": str(new_id()), "name": "值班群", "url": hook.url}
    answer = await ask("POST", "/alert-webhooks", body, unit=0, role=Role.ADMIN)
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:yingwei:problem:webhook-keys-missing",
    )
    assert "YINGWEI_WEBHOOK_SECRET_KEYS" in answer.text
