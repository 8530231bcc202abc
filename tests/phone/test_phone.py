"""The reference phone: what is done is kept, sent once there is a network, and shown in words."""

import io
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from rich.console import Console
from sqlalchemy import func, select, text

from app.auth.keys import KeyRing
from app.auth.models import Account, OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.devices.models import Device
from app.evidence.models import Evidence
from app.lifecycle.rules import Tier
from app.phone import rules
from app.phone.drawings import photo, signature
from app.phone.line import NoSignal, Refused, SignInNeeded
from app.phone.phone import Locked, NotHere, SignedOut
from app.phone.rules import Stage
from app.phone.screen import Screen
from app.phone.store import Store
from app.retention.models import SpecialTerms
from app.sales.models import Sale
from app.sync import rules as sync
from app.sync.models import SyncAction
from seed.city import HERE
from seed.dated import load_levers
from tests.make.auth import PASSWORD, bearer, caller_for, make_account
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.evidence import make_template, router
from tests.make.lifecycle import make_lifecycle
from tests.make.phones import make_reference_phone
from tests.make.retention import make_terms, make_toolkit
from tests.make.visits import LAT, LON, at, make_assigned_order, make_phone


@pytest.fixture
async def hand(tx, app, http, clock):
    return await make_phone(tx, app, http, clock)


class Cut(httpx.AsyncBaseTransport):
    """A network that breaks off before some requests, and after others."""

    def __init__(self, to, *, before=(), after=()):
        self.to, self.before, self.after, self.number = to, before, after, 0

    async def handle_async_request(self, request):
        self.number += 1
        if self.number in self.before:
            raise httpx.ConnectError("no network")
        answer = await self.to.handle_async_request(request)
        if self.number in self.after:
            raise httpx.ReadTimeout("the answer was lost")
        return answer


def cut(http, **when):
    return httpx.AsyncClient(transport=Cut(http._transport, **when), base_url=http.base_url)


async def test_a_day_offline_survives_restarts_and_arrives_once(tx, hand, tmp_path, clock, http):
    customer, offering = await make_customer(tx), await make_offering(tx, contract_months=24)
    order = await make_assigned_order(tx, hand.technician, customer, now=clock.now())
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    [shown] = phone.orders()
    assert (shown.state, list(phone.steps(shown))) == ("assigned", ["take", "decline", "pass"])

    # All of it without a network, and the phone is switched off between any two steps.
    def again():
        phone.store.close()
        return make_reference_phone(tmp_path, hand, nowhere)

    nowhere = cut(http, before=range(100))
    order_id = str(order.id)
    phone = again()
    phone.step("take", order_id)
    phone = again()
    phone.step("go", order_id)
    phone = again()
    phone.step("arrive", order_id, point=at(LON, LAT))
    phone = again()
    phone.step("restored", order_id)
    sale_id = phone.sell(
        order_id,
        [offering.code],
        signature=signature("1"),
        strokes=b"1",
        stroke_count=9,
    )
    picture = phone.photograph(order_id, photo("router"))
    phone = again()
    assert phone.orders()[0].state == "on_site"
    phone.step("finish", order_id, outcome_code="fixed")
    with pytest.raises(NoSignal):
        await phone.sync()
    assert phone.order(order_id).state == "completed"
    assert len(phone.store.done(waiting=True)) == 9 and len(phone.store.pictures()) == 2

    # The push arrives and its answer is lost; the same again is answered like the first.
    phone.store.close()
    phone = make_reference_phone(tmp_path, hand, cut(http, after=[1, 4]))
    with pytest.raises(NoSignal):
        await phone.sync()
    assert len(phone.store.done(waiting=True)) == 9
    # So is that to the bytes of a picture, which had come.
    with pytest.raises(NoSignal):
        await phone.sync()
    await phone.sync()
    assert {one.stage for one in phone.store.done()} == {Stage.APPLIED}
    assert phone.store.pictures() == [] and not list((tmp_path / "pictures").iterdir())
    [sale] = (await tx.scalars(select(Sale))).all()
    assert (str(sale.id), sale.state) == (sale_id, "confirmed")
    stored = (await tx.scalars(select(Evidence.state).order_by(Evidence.id))).all()
    assert stored == ["stored", "stored"]
    assert picture in phone.store.rows("photos")
    assert phone.order(order_id).state == "completed"
    assert await tx.scalar(select(func.count()).select_from(SyncAction)) == 9


async def test_a_code_sells_offline_at_what_was_approved(tx, hand, tmp_path, clock, http):
    customer = await make_customer(tx)
    offering = await make_offering(tx, monthly_price_fen=9900, contract_months=24)
    order = await make_assigned_order(tx, hand.technician, customer, now=clock.now())
    await make_toolkit(tx, offers=[offering.code])
    keys = KeyRing.load(tmp_path / "keys")
    special, code = await make_terms(tx, customer, offering.code, keys, now=clock.now())
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    order_id = str(order.id)
    for step in ("take", "go"):
        phone.step(step, order_id)
    phone.step("arrive", order_id, point=at(LON, LAT))

    def sell(percent):
        return phone.sell(
            order_id,
            [offering.code],
            signature=signature("1"),
            strokes=b"1",
            stroke_count=9,
            terms={offering.code: rules.Terms(code, percent, 6)},
        )

    # Told another discount than was approved, the customer is asked anew.
    told_wrong, sale_id = sell(25), sell(20)
    await phone.sync()
    sales = {str(sale.id): sale.state for sale in await tx.scalars(select(Sale))}
    assert sales == {sale_id: "confirmed"} and told_wrong not in sales
    assert "discount-changed" in {one.code for one in phone.store.done()}
    (item,) = json.loads(phone.store.rows("sales")[sale_id]["items"])
    assert (item["monthly_price_fen"], item["discount_percent"], item["discount_months"]) == (
        9900,
        20,
        6,
    )
    used = await tx.get_one(SpecialTerms, special.id, populate_existing=True)
    assert (used.state, str(used.redeemed_for)) == ("redeemed", sale_id)


async def test_verdicts_stay_with_what_was_done_and_are_shown(tx, app, http, hand, tmp_path, clock):
    mine, gone = [await make_assigned_order(tx, hand.technician, now=clock.now()) for _ in "12"]
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    phone.step("take", str(gone.id))
    phone.step("decline", str(mine.id), cause="tired")
    phone.do("visits_acknowledge", {"work_order_id": str(mine.id), "nul": "\0"})
    await tx.execute(
        text("UPDATE work_order SET holder_id = NULL, state = 'located' WHERE id = :id"),
        {"id": gone.id},
    )
    await tx.commit()
    await phone.sync()
    stages = [(one.stage, one.code) for one in phone.store.done()]
    # What cannot be read at all has kept back nothing beside it.
    assert stages == [
        (Stage.CONFLICT, "not-found"),
        (Stage.REFUSED, "invalid"),
        (Stage.REFUSED, "invalid"),
    ]
    told = io.StringIO()
    screen = Screen(Console(file=told, width=200), "en")
    screen.orders(phone.orders())
    screen.order(phone.order(str(mine.id)), phone)
    screen.queue(phone)
    screen.said_no(phone.store.done())
    assert "visits_decline: What was sent is not valid" in told.getvalue()
    assert mine.external_id in told.getvalue() and "others were first" in told.getvalue()
    phone.store.empty()
    assert phone.store.done() == [] and phone.store.tables() == {}


async def test_a_phone_shows_nothing_after_too_long_and_forgets_customers_by_itself(
    tx, hand, tmp_path, clock
):
    customer = await make_customer(tx)
    order = await make_assigned_order(tx, hand.technician, customer, now=clock.now())
    waiting = await make_assigned_order(tx, hand.technician, now=clock.now())
    await tx.commit()
    await hand.complete(await hand.restore(order))
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    # Within one transaction, as here, everything would be told again and again.
    await tx.execute(text("UPDATE sync_row SET xid = 0"))
    await tx.commit()
    shown = phone.customer(phone.order(str(order.id)))
    assert shown is not None and shown["name"] == customer.name
    assert phone.order(str(order.id)).row["contact_phone"] == order.contact_phone
    clock.tick(timedelta(hours=3))
    [row] = [one for one in phone.table("work_orders") if one["id"] == str(order.id)]
    assert [row[name] for name in ("masked", *rules.OF_PEOPLE)] == [True, None, None, None, None]
    assert phone.customer(phone.order(str(order.id))) is None
    assert phone.store.rows("customers") == {}
    clock.tick(timedelta(hours=70))
    with pytest.raises(Locked):
        phone.orders()
    # It leaves the phone as well, but for what is unsent.
    assert phone.store.tables() == {}
    await phone.sync()
    assert [one.id for one in phone.orders()] == [str(waiting.id)]
    with pytest.raises(NotHere):
        phone.step("arrive", str(order.id) + "0")


async def test_begin_anew_keeps_what_is_unsent_and_a_closed_account_empties_the_phone(
    tx, hand, tmp_path, clock
):
    order = await make_assigned_order(tx, hand.technician, now=clock.now())
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    # A cursor of another life of the database, and a table that nobody tells of any more.
    phone.store["cursor"] ^= 1 << 43
    phone.store.take({"odd": {"created": [], "updated": [{"id": "1"}], "deleted": []}}, anew=False)
    phone.step("take", str(order.id))
    done = await phone.sync()
    assert done.anew and done.sent == 1
    assert phone.store.rows("odd") == {}
    assert phone.order(str(order.id)).state == "acknowledged"

    phone.step("go", str(order.id))
    await tx.execute(text("UPDATE account SET active = false"))
    await tx.commit()
    with pytest.raises(Refused) as refused:
        await phone.sync()
    assert refused.value.slug == "access-revoked"
    assert phone.store.tables() == {} and phone.store.done() == []
    heard = await tx.scalars(select(SyncAction.code).order_by(SyncAction.id))
    assert list(heard) == [None, "access-revoked"]
    with pytest.raises(SignInNeeded):
        await phone.sync()


async def test_an_app_that_is_too_old_sends_what_was_done_and_is_told_to_be_updated(
    tx, hand, tmp_path, clock, monkeypatch
):
    order = await make_assigned_order(tx, hand.technician, now=clock.now())
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    monkeypatch.setattr(sync, "OLDEST_SCHEMA", sync.SCHEMA_VERSION + 1)
    phone.step("take", str(order.id))
    with pytest.raises(Refused) as refused:
        await phone.sync()
    assert (refused.value.status, refused.value.slug) == (426, "phone-too-old")
    assert "Update the app" in refused.value.words
    assert [one.stage for one in phone.store.done()] == [Stage.APPLIED]
    assert list(phone.store.rows("work_orders")) == [str(order.id)]


async def test_a_lost_phone_sends_what_was_done_and_empties_itself(
    tx, app, http, hand, tmp_path, clock
):
    order = await make_assigned_order(tx, hand.technician, now=clock.now())
    unit = await tx.get_one(OrgUnit, hand.technician.org_unit_id)
    boss = await make_account(tx, unit, role=Role.SUPERVISOR)
    await tx.commit()
    headers = bearer(app, caller_for(Role.SUPERVISOR, unit, account_id=boss.id))
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    phone.step("take", str(order.id))
    said = {"platform": "terminal", "app_version": "1.0", "push": None}
    device = (await phone.line.ask("PUT", "/v1/my/device", json=said)).json()
    clock.tick(timedelta(minutes=5))
    wipe = {"id": str(new_id()), "reason": "left on the bus"}
    path = f"/v1/devices/{device['id']}/wipe"
    assert (await http.post(path, json=wipe, headers=headers)).is_success
    # It is killed, or has no network, when everything is removed and nobody knows of it yet.
    phone = make_reference_phone(tmp_path, hand, cut(http, before=[3]))
    with pytest.raises(NoSignal):
        await phone.sync()
    assert phone.store.tables() == {} and phone.store.done() == []
    phone = make_reference_phone(tmp_path, hand)
    with pytest.raises(SignInNeeded):
        await phone.sync()
    assert phone.store["tokens"] is None
    listed = (await http.get("/v1/devices", headers=headers)).json()["devices"]
    assert [(one["wipe"]["state"], one["wipe"]["unsent"]) for one in listed] == [("confirmed", 0)]
    assert (await tx.scalars(select(SyncAction.verdict))).all() == ["applied"]


@pytest.mark.parametrize(
    "slug, left", [("access-revoked", 0), ("wipe-asked", 0), ("phone-too-old", 1)]
)
async def test_a_signature_goes_up_before_the_phone_is_emptied(
    tx, app, http, hand, tmp_path, clock, monkeypatch, slug, left
):
    order = await make_assigned_order(tx, hand.technician, now=clock.now())
    unit = await tx.get_one(OrgUnit, hand.technician.org_unit_id)
    boss = await make_account(tx, unit, role=Role.SUPERVISOR)
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await hand.arrive(order)
    await phone.sync()
    await phone.server.register()
    phone.photograph(str(order.id), signature("1"), kind="signature", follows=True)
    # What was done is told; then there is no network for the pictures.
    with pytest.raises(NoSignal):
        await make_reference_phone(tmp_path, hand, cut(http, before=[2])).sync()
    clock.tick(timedelta(minutes=5))
    if slug == "access-revoked":
        await tx.execute(text("UPDATE account SET active = false WHERE role = 'technician'"))
    elif slug == "phone-too-old":
        monkeypatch.setattr(sync, "OLDEST_SCHEMA", sync.SCHEMA_VERSION + 1)
    else:
        headers = bearer(app, caller_for(Role.SUPERVISOR, unit, account_id=boss.id))
        device = (await tx.scalars(select(Device))).one()
        wipe = {"id": str(new_id()), "reason": "left on the bus"}
        path = f"/v1/devices/{device.id}/wipe"
        assert (await http.post(path, json=wipe, headers=headers)).is_success
    await tx.commit()
    # The network is lost once more in the middle of it; nothing is shown meanwhile.
    phone = make_reference_phone(tmp_path, hand, cut(http, before=[2]))
    with pytest.raises(NoSignal):
        await phone.sync()
    assert len(phone.store.pictures()) == 1
    assert len(phone.store.rows("work_orders")) == left
    phone = make_reference_phone(tmp_path, hand)
    with pytest.raises((Refused, SignInNeeded)):
        await phone.sync()
    assert list(await tx.scalars(select(Evidence.state))) == ["stored"]
    assert len(phone.store.rows("work_orders")) == left
    assert phone.store.pictures() == []


async def test_it_signs_in_and_lets_itself_in_again(tx, hand, tmp_path):
    account = (await tx.scalars(select(Account))).one()
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    phone.store["tokens"] = None
    await phone.sign_in(account.username, PASSWORD)
    device = (await tx.scalars(select(Device))).one()
    assert (device.name, device.platform) == (phone.store["device"], "terminal")
    await phone.sync()
    phone.store["tokens"] = {**phone.store["tokens"], "access_token": "old"}
    await phone.sync()
    phone.store["tokens"] = {"access_token": "old", "refresh_token": "old"}
    with pytest.raises(SignInNeeded):
        await phone.sync()


async def test_whoever_is_not_let_in_is_shown_nothing_and_loses_nothing(tx, hand, tmp_path, clock):
    order = await make_assigned_order(tx, hand.technician, now=clock.now())
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    phone.step("take", str(order.id))
    tokens = phone.store["tokens"]
    phone.store["tokens"] = {"access_token": "old", "refresh_token": "old"}
    with pytest.raises(SignInNeeded):
        await phone.sync()
    for show in (phone.orders, lambda: phone.order(str(order.id)), lambda: phone.table("days")):
        with pytest.raises(SignedOut):
            show()
    phone.store["tokens"] = tokens
    assert phone.order(str(order.id)).state == "acknowledged"
    await phone.sync()
    assert [one.stage for one in phone.store.done()] == [Stage.APPLIED]


async def test_a_phone_knows_ahead_what_the_work_asks_for_and_what_may_be_offered(
    tx, hand, tmp_path, clock, http
):
    customer = await make_customer(tx, org_unit_id=hand.technician.org_unit_id)
    await make_address(tx, customer)
    await make_subscription(tx, customer)
    await make_offering(tx, code="FTTH-1000", speed_mbps=1000, margin_12m_fen=60_000)
    template = await make_template(tx, router())
    orders = [
        await make_assigned_order(
            tx, hand.technician, customer, now=clock.now(), template_id=template.id
        )
        for _ in "12"
    ]
    other = await make_assigned_order(tx, hand.technician, now=clock.now())
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    asked = []

    async def note(request):
        asked.append(f"{request.method} {request.url.path.rpartition('/')[2]}")

    hand.http.event_hooks["request"].append(note)
    await phone.sync()
    assert asked == ["GET sync", "GET template", "GET template"]
    assert await phone.take_ahead() and not await phone.take_ahead()
    assert asked[3:] == ["POST suggestions", "GET sync"]

    # At a door without a network.
    phone = make_reference_phone(tmp_path, hand, cut(http, before=range(100)))
    first = str(orders[0].id)
    assert (await phone.template(first))["evidence"][0]["code"] == "router"
    known = phone.asked(phone.order(str(other.id)))
    assert known is not None and known["closing_codes"]
    [row] = [one for one in phone.table("suggestions") if one["work_order_id"] == first]
    assert (row["show_when"], row["on_site"]) == ("restored", "sell")
    assert phone.suggestions(phone.order(first)) == []
    phone.step("take", first)
    phone.step("go", first)
    phone.step("arrive", first, point=at(LON, LAT))
    phone.step("restored", first)
    assert [one["id"] for one in phone.suggestions(phone.order(first))] == [row["id"]]
    told = io.StringIO()
    Screen(Console(file=told, width=200), "en").order(phone.order(first), phone)
    assert "Your line works again" in told.getvalue() and "router" in told.getvalue()
    # A speed needs no installing, so it can be had with the visit; that was so when it was asked.
    assert row["install_now"] and row["install_code"] is None
    assert "with this visit, as of" in told.getvalue()
    clock.tick(datetime.fromisoformat(row["valid_until"]) - clock.now())
    assert phone.suggestions(phone.order(first)) == []


async def test_a_phone_says_that_nothing_is_offered_and_why_and_what_is_left_to_others(
    tx, hand, tmp_path, clock, http
):
    await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    await make_offering(
        tx, code="TV-4K", category="tv", levers=["income"], margin_12m_fen=20_000, expert_rate=0.2
    )
    doors = []
    for known in ({"do_not_disturb": True}, {"preferred_channel": "app"}):
        customer = await make_customer(tx, org_unit_id=hand.technician.org_unit_id, **known)
        await make_address(tx, customer)
        await make_subscription(tx, customer)
        await make_lifecycle(tx, customer, tier=Tier.A, churn_score=None)
        order = await make_assigned_order(tx, hand.technician, customer, now=clock.now())
        doors.append(str(order.id))
    quiet, elsewhere = doors
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    assert phone.nothing(phone.order(quiet)) is None
    await phone.take_ahead()

    # At the doors, without a network.
    phone = make_reference_phone(tmp_path, hand, cut(http, before=range(100)))

    def screen(order_id):
        told = io.StringIO()
        Screen(Console(file=told, width=200), "en").order(phone.order(order_id), phone)
        return told.getvalue()

    def restore(order_id):
        for step in ("take", "go"):
            phone.step(step, order_id)
        phone.step("arrive", order_id, point=at(LON, LAT))
        phone.step("restored", order_id)

    # Ahead of a repair it is of the time after it, as an offer would be.
    assert "nothing:" not in screen(quiet)
    restore(quiet)
    assert "nothing: The customer asked not to be disturbed, as of" in screen(quiet)
    restore(elsewhere)
    told = screen(elsewhere)
    assert "to the app; do not pitch it unless they ask" in told and "nothing:" not in told
    because = phone.nothing(phone.order(quiet))
    assert because is not None
    clock.tick(datetime.fromisoformat(because["valid_until"]) - clock.now())
    assert phone.nothing(phone.order(quiet)) is None


def test_that_a_repair_is_not_restored_is_no_reason_once_it_is_marked_so():
    because = {"code": "not_restored", "valid_until": None, "show_when": "at_once"}
    row = {"nothing_because": json.dumps(because)}
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert rules.nothing_of(row, now, restored=False) == because
    assert rules.nothing_of(row, now, restored=True) is None


async def test_a_server_that_asks_to_come_again_is_no_refusal(hand, tmp_path):
    def busy(request):
        return httpx.Response(503, headers={"retry-after": "7"})

    http = httpx.AsyncClient(transport=httpx.MockTransport(busy), base_url="http://yingwei.test")
    phone = make_reference_phone(tmp_path, hand, http)
    phone.do("visits_acknowledge", {})
    with pytest.raises(NoSignal) as lost:
        await phone.sync()
    assert lost.value.retry_after == 7.0 and len(phone.store.done(waiting=True)) == 1


@pytest.mark.parametrize(
    "orders, number",
    [(set(), 4), ({"a"}, 1), ({"b"}, 3), ({"a", "b"}, 1), ({"c"}, 4), ({None}, 4)],
)
def test_a_completion_waits_for_its_orders_pictures(orders, number):
    upload, complete = "evidence_upload_create", "visits_complete"
    done = [(upload, "a"), (complete, "a"), (upload, "b"), (complete, "b")]
    assert rules.before_pictures(done, orders) == number


async def test_pictures_go_before_the_completion_but_for_those_that_may_follow(
    tx, hand, tmp_path, clock
):
    order = await make_assigned_order(tx, hand.technician, now=clock.now())
    await tx.commit()
    order_id = str(order.id)
    await hand.restore(order)
    asked = []

    async def note(request):
        asked.append(request.method)

    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    phone.photograph(order_id, photo("before"))
    phone.photograph(order_id, photo("after"), follows=True)
    phone.step("finish", order_id, outcome_code="fixed")
    hand.http.event_hooks["request"].append(note)
    await phone.sync()
    assert asked == ["POST", "PATCH", "POST", "GET", "PATCH"]
    assert phone.store.pictures() == [] and phone.order(order_id).state == "completed"

    # What a picture was found to be is told as well, also of one without a position.
    await tx.execute(text("UPDATE sync_row SET xid = 0"))
    await tx.execute(text("UPDATE evidence SET old = true"))
    told = await tx.scalars(text("SELECT DISTINCT kind FROM sync_row WHERE xid > 0"))
    assert list(told) == ["photo"]


async def test_an_app_of_a_newer_version_has_everything_told_anew(tx, hand, tmp_path):
    await tx.commit()
    phone = make_reference_phone(tmp_path, hand)
    await phone.sync()
    told = phone.store.tables()
    assert phone.store["schema_version"] == 4
    # What an app of the version before was told has neither the columns nor the tables of now.
    phone.store["schema_version"] = 3
    done = await phone.sync()
    assert done.anew and phone.store.tables() == told
    assert not (await phone.sync()).anew


def test_what_was_not_kept_whole_is_not_kept_at_all(tmp_path):
    store = Store(tmp_path)

    def half():
        with store.together():
            store["cursor"] = 7
            store["etag"] = 1 / 0

    with pytest.raises(ZeroDivisionError):
        half()
    assert store["cursor"] is None
    store.keep_bytes("stray", b"1")
    store.close()
    Store(tmp_path).close()
    assert not (tmp_path / "pictures" / "stray").exists()


@pytest.mark.parametrize(
    "sizes, number", [([], 0), ([5], 1), ([50], 1), ([5, 5, 5], 2), ([50, 1], 1), ([1, 50], 1)]
)
def test_a_push_holds_what_it_may_and_one_at_least(sizes, number):
    assert rules.pieces([{}] * len(sizes), sizes, 10) == number


def test_commands_for_scripts(tmp_path):
    from typer.testing import CliRunner

    from app.phone.command import cli

    folder = tmp_path / "T1"
    store = Store(folder)
    row = {
        "id": "o1", "external_id": "F1", "work_type": "repair", "state": "assigned",
        "planned_day": "2026-03-02", "due_at": None, "address": "x", "summary": "y",
        "contact_name": None, "contact_phone": None, "customer_id": None, "visit_id": None,
        "version": 3, "assisting": False, "lon": 112.6, "lat": 28.9, "coordsys": "gcj02",
        "template_id": None, "restored_at": None, "visible_until": None,
    }  # fmt: skip
    store.take({"work_orders": {"created": [], "updated": [row], "deleted": []}}, anew=True)
    store["tokens"] = {"access_token": "1", "refresh_token": None}
    store.close()

    def run(*words, heard=None, code=0):
        given = ["--technician", "T1", "--folder", str(tmp_path), "--offline", "--language", "en"]
        done = CliRunner().invoke(cli, [*given, *words], input=heard)
        assert done.exit_code == code, done.output
        return done.output

    assert "F1" in run("orders")
    run("step", "take", "1")
    run("step", "go", "F1")
    run("step", "arrive", "1")
    run("step", "visits_keep_progress", "checked=[]", "note=on")
    run("photo", "1")
    assert "no such thing" in run("order", "7", code=1)
    assert "waiting" in run("queue")
    [shown] = json.loads(run("orders", "--json"))
    assert (shown["shown_state"], shown["unsent"]) == ("on_site", 4)
    queue = json.loads(run("queue", "--json"))
    assert queue[2]["payload"]["visit_id"] == queue[1]["payload"]["id"]
    assert queue[2]["payload"]["point"]["coordsys"] == "gcj02"
    assert json.loads(run("table", "work_orders"))[0]["id"] == "o1"
    talk = "1\nrestored 1\nfinish 1\nfixed\nqueue\nhelp\nnonsense\nsell 1\nquit\n"
    said = run(heard=talk)
    assert "visits_complete" in said and "leave; nothing is lost" in said
    assert "Offline" in run("sync", code=1)
    store = Store(folder)
    store["tokens"] = None
    store.close()
    for shown in (["orders", "--json"], ["table", "work_orders"], ["queue"], ["order", "1"]):
        said = run(*shown, code=1)
        assert "Sign in first" in said and "F1" not in said
