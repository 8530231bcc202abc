"""Phones: when they were heard of, how they are woken, and how they are emptied from afar."""

import asyncio
from datetime import timedelta
from unittest.mock import patch
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from app.auth.models import Account, AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.core.outside import Failed, Failure
from app.devices import queries, service
from app.devices.client import PushClient
from app.devices.models import Device
from app.devices.rules import PushProvider, PushWhy
from app.sync import jobs as sync
from app.sync.rules import SCHEMA_VERSION
from tests.make.auth import PASSWORD, bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.horizon import others_are_done
from tests.make.races import until_waiting
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal
from tests.make.visits import make_assigned_order, make_phone, taken

NAMED = {"x-device-id": "phone-1"}


@pytest.fixture
async def units(tx):
    city = await make_org_unit(tx)
    return [await make_org_unit(tx, parent=city) for _ in range(2)]


@pytest.fixture
async def phone(tx, app, http, clock, units):
    made = await make_phone(tx, app, http, clock, org_unit=units[0])
    await tx.commit()
    made.headers.update(NAMED)
    return made


@pytest.fixture
async def ask(app, http, units, tx):
    """Ask as the supervisor of a unit."""
    accounts = [await make_account(tx, unit, role=Role.SUPERVISOR) for unit in units]
    await tx.commit()

    async def ask(method, path, unit=0, **body):
        who = caller_for(Role.SUPERVISOR, units[unit], account_id=accounts[unit].id)
        headers = bearer(app, who)
        return await http.request(method, f"/v1{path}", headers=headers, json=body or None)

    return ask


async def register(phone, **more):
    body = {
        "platform": "android 14",
        "app_version": "3.2.0",
        "push": {"provider": "huawei", "token": "token-of-the-phone"},
        **more,
    }
    return taken(await phone.http.put("/v1/my/device", json=body, headers=phone.headers))


async def test_a_phone_says_what_it_is_and_supervisors_see_theirs(tx, app, phone, ask, database):
    made = await register(phone)
    assert (made["name"], made["push_provider"]) == ("phone-1", "huawei")
    assert (await register(phone, push=None))["push_provider"] is None
    # One that never registered is known by its pulls, once that was written down.
    phone.headers["x-device-id"] = "phone-2"
    taken(await phone.get("/sync"))
    await app.state.seen.write_down(database)
    listed = taken(await ask("GET", "/devices"))["devices"]
    assert [(one["name"], one["app_version"], one["wipe"]) for one in listed] == [
        ("phone-1", "3.2.0", None),
        ("phone-2", None, None),
    ]
    assert listed[1]["last_seen_at"][:16] == phone.clock.now().isoformat()[:16]
    theirs = f"/devices?technician_id={phone.technician.id}"
    assert len(taken(await ask("GET", theirs))["devices"]) == 2
    assert taken(await ask("GET", theirs, 1))["devices"] == []


async def test_a_lost_phone_pushes_what_was_done_and_is_emptied(tx, app, phone, ask, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    device = await register(phone)
    wipe = {"id": str(new_id()), "reason": "left on the bus"}
    path = f"/devices/{device['id']}/wipe"
    # Nobody else's supervisor can, and nothing is written.
    assert (await ask("POST", path, 1, **wipe)).status_code == 404
    assert (await ask("GET", "/devices", 0)).json()["devices"][0]["wipe"] is None
    clock.tick(timedelta(minutes=10))
    asked = taken(await ask("POST", path, **wipe))
    assert (asked["id"], asked["state"]) == (wipe["id"], "asked")
    clock.tick(timedelta(minutes=5))
    # Asked for again, by whichever id, it is the same wipe.
    assert taken(await ask("POST", path, **wipe)) == asked
    assert taken(await ask("POST", path, id=str(new_id()), reason="stolen")) == asked
    other = await ask("POST", path, id=wipe["id"], reason="stolen")
    assert other.json()["type"].endswith("same-id-other-content")

    refused = await phone.get("/sync")
    assert refused.status_code == 403
    assert refused.json()["type"].endswith("wipe-asked")
    assert refused.json()["facts"]["wipe_id"] == wipe["id"]
    # One that is too old for everything else is told of it, too.
    with patch("app.sync.rules.OLDEST_SCHEMA", SCHEMA_VERSION + 1):
        assert (await phone.get("/sync")).status_code == 403
        assert (await phone.get("/sync", **{"x-device-id": "phone-2"})).status_code == 426
    # So is one whose app is not served any more.
    old = {"x-app-version": "android/3.3.7"}
    release = {"platform": "android", "lowest": "3.4", "at": clock.now()}
    await tx.execute(
        text(
            "INSERT INTO app_release (id, platform, lowest_version, valid_from, get_it_at,"
            " announced_at, set_by) SELECT gen_random_uuid(), :platform, :lowest, :at,"
            " 'https://apps.example.org', :at, id FROM account LIMIT 1"
        ),
        release,
    )
    await tx.commit()
    assert (await phone.get("/my/day", **old)).status_code == 426
    assert (await phone.get("/sync", **old)).json()["facts"]["wipe_id"] == wipe["id"]
    elsewhere = await phone.get("/sync", **old, **{"x-device-id": "phone-2"})
    assert elsewhere.json()["type"].endswith("app-too-old")
    assert elsewhere.headers["upgrade"] == "yingwei-app/3.4"
    # Another phone of theirs is none of it.
    assert (await phone.get("/sync", **{"x-device-id": "phone-2"})).status_code == 200

    done = [("visits_acknowledge", -10), ("visits_hand_back_order", 0)]
    actions = [
        {
            "id": str(new_id()),
            "type": kind,
            "payload": {"work_order_id": str(order.id), "cause": "customer_absent"}
            if kind != "visits_acknowledge"
            else {"work_order_id": str(order.id)},
            "device_at": (clock.now() + timedelta(minutes=minutes)).isoformat(),
        }
        for kind, minutes in done
    ]
    body = {
        "changes": {"actions": {"created": actions, "updated": [], "deleted": []}},
        "last_pulled_at": None,
    }
    answer = taken(await phone.http.post("/v1/sync", json=body, headers=phone.headers))
    told = [(one["verdict"], one["code"]) for one in answer["verdicts"]]
    assert told == [("applied", None), ("refused", "wipe-asked")]
    assert answer["wipe"]["id"] == wipe["id"]

    confirm = f"/v1/my/device/wipes/{wipe['id']}/confirm"
    for _ in range(2):
        over = taken(await phone.http.post(confirm, json={"unsent": 1}, headers=phone.headers))
        assert (over["state"], over["unsent"]) == ("confirmed", 1)
    trail = await tx.scalars(select(AuditEntry).where(AuditEntry.changes.is_not(None)))
    said = [(one.action, part["operation"]) for one in trail for part in one.changes]
    assert ("devices_wipe", "insert") in said
    assert ("my_device_confirm_wipe", "wiped") in said
    assert (await ask("POST", f"{path}/withdraw")).json()["type"].endswith("wipe-over")


async def test_a_phone_that_was_found_again_goes_on(phone, ask):
    device = await register(phone)
    path = f"/devices/{device['id']}/wipe"
    assert (await ask("POST", f"{path}/withdraw")).status_code == 404
    asked = taken(await ask("POST", path, id=str(new_id()), reason="lost"))
    for _ in range(2):
        assert taken(await ask("POST", f"{path}/withdraw"))["state"] == "withdrawn"
    assert (await phone.get("/sync")).status_code == 200
    confirm = f"/v1/my/device/wipes/{asked['id']}/confirm"
    answer = await phone.http.post(confirm, json={"unsent": 0}, headers=phone.headers)
    assert answer.json()["type"].endswith("wipe-over")
    other = f"/v1/my/device/wipes/{new_id()}/confirm"
    answer = await phone.http.post(other, json={"unsent": 0}, headers=phone.headers)
    assert answer.status_code == 404


async def test_all_phones_of_an_account_and_the_sign_in_ends_with_its_phone(
    tx, app, http, units, ask
):
    technician = await make_technician(tx, org_unit=units[0])
    account = await make_account(
        tx, units[0], role=Role.TECHNICIAN, technician_id=technician.id, username="li"
    )
    await tx.commit()
    headers, token = await sign_in(http)
    other = caller_for(
        Role.TECHNICIAN, units[0], account_id=account.id, technician_id=technician.id
    )
    beside = {**bearer(app, other), "x-device-id": "phone-2"}
    for phone in (headers, beside):
        assert (await http.get("/v1/sync", headers=phone)).status_code == 200
    await app.state.seen.write_down(app.state.database)

    path = f"/accounts/{account.id}/wipe-devices"
    assert (await ask("POST", path, 1, reason="left us")).status_code == 404
    wipes = taken(await ask("POST", path, reason="left us"))["wipes"]
    assert len(wipes) == 2
    # One that calls itself otherwise is still the phone that the sign-in belongs to.
    renamed = {**headers, "x-device-id": "somebody-else"}
    refused = await http.get("/v1/sync", headers=renamed)
    wipe_id = refused.json()["facts"]["wipe_id"]
    assert wipe_id in [one["id"] for one in wipes]
    confirmed = await http.post(
        f"/v1/my/device/wipes/{wipe_id}/confirm", json={"unsent": 0}, headers=headers
    )
    assert confirmed.status_code == 200
    # The token that is out opens nothing of sync, and no new one is given.
    assert (await http.get("/v1/sync", headers=headers)).status_code == 401
    again = {"grant_type": "refresh_token", "refresh_token": token}
    assert (await http.post("/v1/auth/token", data=again)).status_code == 401
    # The other phone has still to be emptied, and this one is welcome when it signs in anew.
    assert (await http.get("/v1/sync", headers=beside)).status_code == 403
    headers, _ = await sign_in(http)
    assert (await http.get("/v1/sync", headers=headers)).status_code == 200


async def test_a_wipe_is_confirmed_only_by_the_phone_that_it_is_meant_for(
    tx, app, http, units, ask
):
    technician = await make_technician(tx, org_unit=units[0])
    account = await make_account(
        tx, units[0], role=Role.TECHNICIAN, technician_id=technician.id, username="li"
    )
    await tx.commit()
    lost, kept = [(await sign_in(http, name))[0] for name in ("phone-1", "phone-2")]
    told = {}
    for phone in (lost, kept):
        made = taken(await http.put("/v1/my/device", json={"push": None}, headers=phone))
        told[made["name"]] = made["id"]

    async def confirm(wipe, headers):
        path = f"/v1/my/device/wipes/{wipe['id']}/confirm"
        return (await http.post(path, json={"unsent": 0}, headers=headers)).status_code

    async def states():
        listed = taken(await ask("GET", "/devices"))["devices"]
        return {one["name"]: one["wipe"] and one["wipe"]["state"] for one in listed}

    wipe = taken(
        await ask("POST", f"/devices/{told['phone-1']}/wipe", id=str(new_id()), reason="lost")
    )
    # The other phone of the account goes on, and has nothing to say in it, whatever it calls
    # itself: its sign-in is known to be another phone's.
    as_the_lost = {**kept, "x-device-id": "phone-1"}
    for pretends in (kept, as_the_lost):
        assert (await http.get("/v1/sync", headers=pretends)).status_code == 200
        await app.state.seen.write_down(app.state.database)
        assert await confirm(wipe, pretends) == 404
    assert await states() == {"phone-1": "asked", "phone-2": None}
    assert (await http.get("/v1/sync", headers=lost)).status_code == 403
    assert await confirm(wipe, lost) == 200
    assert await states() == {"phone-1": "confirmed", "phone-2": None}
    assert (await http.get("/v1/sync", headers=kept)).status_code == 200

    # Where all phones of an account are to be emptied each says so for itself, also the one that
    # has signed in anew meanwhile.
    lost, _ = await sign_in(http)
    path = f"/accounts/{account.id}/wipe-devices"
    wipes = taken(await ask("POST", path, reason="left us"))["wipes"]
    of_device = {one["device_id"]: one for one in wipes}
    first, second = (of_device[told[name]] for name in ("phone-1", "phone-2"))
    assert [await confirm(first, kept), await confirm(second, lost)] == [404, 404]
    assert await confirm(second, kept) == 200
    assert await states() == {"phone-1": "asked", "phone-2": "confirmed"}
    assert await confirm(first, lost) == 200
    assert await states() == {"phone-1": "confirmed", "phone-2": "confirmed"}


async def test_whoever_found_a_phone_reads_nothing_more_once_its_token_is_over(
    tx, app, http, units, ask
):
    technician = await make_technician(tx, org_unit=units[0])
    await make_account(
        tx, units[0], role=Role.TECHNICIAN, technician_id=technician.id, username="li"
    )
    customer = await make_customer(tx, org_unit_id=units[0].id)
    met, order = [
        await make_assigned_order(tx, technician, one, now=app.state.clock.now())
        for one in (customer, None)
    ]
    await tx.commit()
    (lost, token), (kept, other) = [await sign_in(http, name) for name in ("phone-1", "phone-2")]
    told = [
        taken(await http.put("/v1/my/device", json={"push": None}, headers=phone))["id"]
        for phone in (lost, kept)
    ]

    async def refreshed(refresh_token, name=None):
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        named = {"x-device-id": name} if name else {}
        made = taken(await http.post("/v1/auth/token", data=form, headers=named))
        return {"authorization": f"Bearer {made['access_token']}", **named}, made["refresh_token"]

    async def read(headers):
        answers = [
            await http.get(path, headers=headers)
            for path in (
                "/v1/my/day",
                f"/v1/customers/{customer.id}/context?work_order_id={met.id}",
                f"/v1/work-orders/{met.id}/evidence",
            )
        ]
        return [
            answer.json()["type"].rpartition(":")[2] if answer.is_error else answer.status_code
            for answer in answers
        ]

    acknowledged = {"device_at": app.state.clock.now().isoformat()}
    path = f"/v1/work-orders/{met.id}/acknowledge"
    taken(await http.post(path, json=acknowledged, headers=lost))
    assert await read(lost) == [200] * 3
    wipe_id = str(new_id())
    taken(await ask("POST", f"/devices/{told[0]}/wipe", id=wipe_id, reason="lost"))
    # Whatever it calls itself now: its sign-in is known.
    for name in (None, "somebody-else", "phone-1"):
        found, token = await refreshed(token, name)
        assert await read(found) == ["wipe-asked"] * 3
    # Who knows the password signs in on it to no more than that.
    again, _ = await sign_in(http)
    assert await read(again) == ["wipe-asked"] * 3
    # The same technician's other phone goes on.
    kept, _ = await refreshed(other, "phone-2")
    assert await read(kept) == [200] * 3
    # It may say how it is woken, is told of the wipe, brings what was done before, with its
    # pictures, and says when it is empty.
    taken(await http.put("/v1/my/device", json={"push": None}, headers=found))
    for path in ("/v1/sync", "/v1/stream", "/v1/my/day"):
        assert (await http.get(path, headers=found)).json()["facts"]["wipe_id"] == wipe_id
    action = {
        "id": str(new_id()),
        "type": "visits_acknowledge",
        "payload": {"work_order_id": str(order.id)},
        "device_at": (app.state.clock.now() - timedelta(minutes=1)).isoformat(),
    }
    body = {"changes": {"actions": {"created": [action]}}}
    pushed = taken(await http.post("/v1/sync", json=body, headers=found))
    assert [one["verdict"] for one in pushed["verdicts"]] == ["applied"]
    picture = f"/v1/evidence/uploads/{new_id()}"
    stands = await http.head(picture, headers={**found, "tus-resumable": "1.0.0"})
    assert stands.status_code == 404
    confirm = f"/v1/my/device/wipes/{wipe_id}/confirm"
    assert (await http.post(confirm, json={"unsent": 0}, headers=found)).status_code == 200


async def test_a_phone_that_was_found_again_is_let_in_by_its_next_token(tx, http, units, ask):
    await make_account(tx, units[0], role=Role.SUPERVISOR, username="li")
    await tx.commit()
    headers, token = await sign_in(http)
    device = taken(await http.put("/v1/my/device", json={"push": None}, headers=headers))
    path = f"/devices/{device['id']}/wipe"
    states: list[int] = []
    for asked in (path, f"{path}/withdraw"):
        body = {} if states else {"id": str(new_id()), "reason": "lost"}
        taken(await ask("POST", asked, **body))
        form = {"grant_type": "refresh_token", "refresh_token": token}
        made = taken(await http.post("/v1/auth/token", data=form))
        token = made["refresh_token"]
        bearing = {"authorization": f"Bearer {made['access_token']}"}
        states.append((await http.get("/v1/me", headers=bearing)).status_code)
    assert states == [403, 200]


async def test_what_an_old_sign_in_sent_late_does_not_make_it_the_phones_sign_in(tx, app, phone):
    old, new = new_id(), new_id()
    account = await tx.scalar(select(Account).where(Account.technician_id == phone.technician.id))
    for session in (new, old):
        heard = [(account.id, "phone-1", phone.clock.now(), session)]
        await queries.note_seen(tx, heard)
    assert await tx.scalar(select(Device.session_id)) == new


async def sign_in(http, name="phone-1"):
    form = {"grant_type": "password", "username": "li", "password": PASSWORD}
    named = {"x-device-id": name}
    made = taken(await http.post("/v1/auth/token", data=form, headers=named))
    return {"authorization": f"Bearer {made['access_token']}", **named}, made["refresh_token"]


# --- waking -------------------------------------------------------------------------------------


class Recorder:
    """Wakes nobody: keeps whom it was told to wake, and fails as it is told."""

    def __init__(self) -> None:
        self.woken: list[tuple[UUID, str, PushWhy]] = []
        self.failure: Failed | None = None

    async def push(self, push_id, *, device_id, provider, token, why):
        self.woken.append((device_id, token, why))
        if self.failure is not None:
            raise self.failure


async def wake(database, pushes):
    return await service.wake(database.begin, pushes, most=10)


async def rested(tx):
    await tx.execute(text("UPDATE device SET push_at = push_at - interval '1 hour'"))
    await tx.commit()


async def test_a_phone_is_woken_once_for_much_news_and_then_rests(tx, phone, database):
    device = await register(phone)
    mine, pushes = phone.technician.id, Recorder()
    assert await wake(database, pushes) == 0
    for _ in range(3):
        await queries.mark_news(tx, [mine])
    await tx.commit()
    assert await wake(database, pushes) == 1
    assert pushes.woken == [(UUID(device["id"]), "token-of-the-phone", PushWhy.NEWS)]
    # What is new within the minute waits for its end.
    await queries.mark_news(tx, [mine])
    await tx.commit()
    assert await wake(database, pushes) == 0
    await rested(tx)
    assert await wake(database, pushes) == 1
    # What is to be emptied is woken at once.
    await queries.mark_wipe(tx, UUID(device["id"]))
    await tx.commit()
    assert await wake(database, pushes) == 1


class Meanwhile(Recorder):
    """Lets something happen between telling a gateway and hearing that it has told the phone."""

    def __init__(self, happens, failure=None):
        super().__init__()
        self.happens, self.failure = happens, failure

    async def push(self, push_id, **told):
        if not self.woken:
            await self.happens()
        await super().push(push_id, **told)


async def test_a_wipe_that_is_asked_for_while_a_push_is_under_way_wakes_at_once(
    tx, phone, database
):
    device = await register(phone)
    await queries.mark_news(tx, [phone.technician.id])
    await tx.commit()

    async def asked():
        await queries.mark_wipe(tx, UUID(device["id"]))
        await tx.commit()

    pushes = Meanwhile(asked)
    assert [await wake(database, pushes) for _ in "123"] == [1, 1, 0]


async def test_a_token_that_came_while_the_old_one_was_tried_is_woken_by(tx, phone, database):
    device = await register(phone)
    await queries.mark_news(tx, [phone.technician.id])
    await tx.commit()

    async def registered():
        await register(phone, push={"provider": "huawei", "token": "the next one"})

    pushes = Meanwhile(registered, Failed(Failure.REFUSED, "HTTP 410"))
    assert await wake(database, pushes) == 1
    pushes.failure = None
    await rested(tx)
    assert await wake(database, pushes) == 1
    assert [token for _, token, _ in pushes.woken] == ["token-of-the-phone", "the next one"]
    known = await tx.get_one(Device, UUID(device["id"]), populate_existing=True)
    assert (known.push_token, known.news_at) == ("the next one", None)


async def test_an_alert_that_comes_while_a_push_is_under_way_wakes_again(tx, app, http, database):
    unit = await make_org_unit(tx)
    account = await make_account(tx, unit, role=Role.SUPERVISOR)
    caller = caller_for(Role.SUPERVISOR, unit, account_id=account.id)
    await tx.execute(
        text(
            "INSERT INTO device (id, account_id, name, last_seen_at, push_provider, push_token)"
            " VALUES (gen_random_uuid(), :account, 'phone-1', now(), 'huawei', 'token')"
        ),
        {"account": caller.account_id},
    )

    async def alerted():
        await queries.mark_alert(tx, unit.path, 0)
        await tx.commit()

    await alerted()
    pushes = Meanwhile(alerted)
    assert await wake(database, pushes) == 1
    await rested(tx)
    assert [await wake(database, pushes) for _ in "12"] == [1, 0]
    assert [why for *_, why in pushes.woken] == [PushWhy.ALERT] * 2


async def test_news_that_comes_as_a_push_is_settled_is_not_settled_with_it(
    real_app, real_http, clock
):
    """Whichever of the two comes first, the other waits for it."""
    database = real_app.state.database
    async with database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
    await register(phone)

    async def mark(tx):
        await queries.mark_news(tx, [phone.technician.id])

    async def settle(tx):
        await queries.settle(tx, one, done=True, forget_token=False, again=0.0)

    async def alone(change):
        async with database.begin() as tx:
            await change(tx)

    await alone(mark)
    for first, second in ((mark, settle), (settle, mark)):
        async with database.begin() as tx:
            [one] = await queries.due(tx, most=10, again=0.0)
        async with database.begin() as tx:
            await first(tx)
            waiting = asyncio.create_task(alone(second))
            await until_waiting(database)
        await waiting
    async with database.begin() as tx:
        [one] = await queries.due(tx, most=10, again=0.0)
    await alone(settle)
    async with database.begin() as tx:
        assert await queries.due(tx, most=10, again=0.0) == []


async def test_a_push_that_fails_is_tried_again_and_a_token_that_opens_nothing_goes(
    tx, phone, database
):
    device = await register(phone)
    pushes = Recorder()
    pushes.failure = Failed(Failure.UNKNOWN, "HTTP 500")
    await queries.mark_news(tx, [phone.technician.id])
    await tx.commit()
    for _ in range(5):
        assert await wake(database, pushes) == 1
        assert await wake(database, pushes) == 0
        await rested(tx)
    # Given up: the phone will ask by itself.
    assert await wake(database, pushes) == 0
    pushes.failure = Failed(Failure.REFUSED, "HTTP 410")
    await queries.mark_news(tx, [phone.technician.id])
    await tx.commit()
    assert await wake(database, pushes) == 1
    known = await tx.get_one(Device, UUID(device["id"]), populate_existing=True)
    assert (known.push_token, known.news_at) == (None, None)
    # One that cannot be woken any more is not waited for either.
    await register(phone)
    await queries.mark_news(tx, [phone.technician.id])
    await register(phone, push=None)
    known = await tx.get_one(Device, UUID(device["id"]), populate_existing=True)
    assert known.news_at is None


async def test_who_listens_is_not_woken(tx, phone, database):
    device = await register(phone)
    await tx.execute(
        text(
            "WITH p AS (INSERT INTO stream_process (id, alive_until) VALUES (gen_random_uuid(),"
            " clock_timestamp() + interval '20 s') RETURNING id)"
            " INSERT INTO device_stream (device_id, process_id, stream_id)"
            " SELECT :id, id, gen_random_uuid() FROM p"
        ),
        {"id": device["id"]},
    )
    assert await queries.mark_news(tx, [phone.technician.id]) == 0
    await tx.execute(text("UPDATE stream_process SET alive_until = clock_timestamp()"))
    assert await queries.mark_news(tx, [phone.technician.id]) == 1


async def test_what_a_gateway_is_sent_says_why_and_nothing_else():
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(410 if len(sent) > 1 else 202, stream=httpx.ByteStream(b""))

    async with PushClient("http://push.test/v1", token="ours") as client:
        client._http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        push_id, device_id = new_id(), new_id()

        async def push():
            await client.push(
                push_id,
                device_id=device_id,
                provider=PushProvider.XIAOMI,
                token="theirs",
                why=PushWhy.NEWS,
            )

        await push()
        assert sent[0].headers["idempotency-key"] == str(push_id)
        assert sent[0].url == "http://push.test/v1/pushes"
        assert httpx.Response(200, content=sent[0].content).json() == {
            "id": str(push_id),
            "device_id": str(device_id),
            "provider": "xiaomi",
            "token": "theirs",
            "data": {"why": "news"},
        }
        with pytest.raises(Failed) as refused:
            await push()
        assert refused.value.failure is Failure.REFUSED
        await client._http.aclose()


async def test_whom_an_order_comes_to_or_goes_from_is_woken(real_app, real_http, clock):
    """With real commits: what others may still be writing is looked at the next time."""
    database = real_app.state.database
    worker = Worker(real_app.state.settings, clock, database)
    async with database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
    await register(phone)
    await sync.wake_phones(worker)
    async with database.begin() as tx:
        await make_assigned_order(tx, phone.technician, now=clock.now())
    pushes = Recorder()
    for expected in (1, 0):
        await others_are_done(database)
        await sync.wake_phones(worker)
        async with database.begin() as tx:
            await tx.execute(text("UPDATE device SET push_at = NULL"))
        assert await wake(database, pushes) == expected


async def test_to_whom_a_colleague_gives_a_terminal_is_woken_and_nobody_else(
    real_app, real_http, clock
):
    database = real_app.state.database
    worker = Worker(real_app.state.settings, clock, database)
    async with database.begin() as tx:
        unit = await make_org_unit(tx)
        giver, taker = [
            await make_phone(tx, real_app, real_http, clock, org_unit=unit) for _ in "12"
        ]
        terminal = await make_terminal(tx, unit, technician_id=giver.technician.id)
    _, device = [await register(phone) for phone in (giver, taker)]

    async def woken():
        pushes = Recorder()
        await others_are_done(database)
        await sync.wake_phones(worker)
        async with database.begin() as tx:
            await tx.execute(text("UPDATE device SET push_at = NULL"))
        await wake(database, pushes)
        return [(device_id, why) for device_id, _, why in pushes.woken]

    await woken()
    handover_id = new_id()
    asked = {"serial_number": terminal.serial_number, "technician_code": taker.technician.code}
    taken(await giver.post("/terminal-handovers", id=str(handover_id), **asked))
    assert await woken() == [(UUID(device["id"]), PushWhy.NEWS)]
    # What has been answered waits for nobody.
    answered = await taker.post(f"/terminal-handovers/{handover_id}/decline")
    assert answered.status_code == 200, answered.text
    assert await woken() == []
