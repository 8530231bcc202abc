"""What a phone shows ahead of the server, or has forgotten itself, is told to it as it stands."""

import json
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import text

from app.auth.models import OrgUnit
from app.core.clock import wall
from app.core.db import first_id_at, new_id
from app.customers.models import Customer
from app.lifecycle.rules import Stage, Tier
from app.suggestions.service import deciding
from app.sync.queries import feed
from app.sync.service import turning
from seed.city import HERE
from seed.dated import load_levers
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.lifecycle import make_lifecycle
from tests.make.terminals import make_terminal
from tests.make.visits import make_assigned_order, make_phone, taken
from tests.sync.stores import Store


@pytest.fixture
async def phone(tx, app, http, clock):
    return await make_phone(tx, app, http, clock)


@pytest.fixture
async def order(tx, phone, clock):
    customer = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
    await make_address(tx, customer)
    await make_subscription(tx, customer)
    made = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await tx.commit()
    return made


async def forget_news(tx):
    """Let nothing be new: within one transaction, as here, everything is told again and again."""
    await tx.execute(text("UPDATE sync_row SET xid = 0"))
    await tx.commit()


async def push(phone, **changes):
    answer = await phone.http.post("/v1/sync", json={"changes": changes}, headers=phone.headers)
    assert answer.status_code == 200, answer.text
    return [(one["verdict"], one["code"]) for one in answer.json()["verdicts"]]


def rows(*updated, deleted=()):
    return {"created": [], "updated": list(updated), "deleted": list(deleted)}


async def test_an_action_that_was_told_comes_again_without_what_it_said(tx, phone, order, clock):
    action = {
        "id": str(new_id()),
        "type": "visits_acknowledge",
        "payload": {"work_order_id": str(order.id)},
        "device_at": clock.now().isoformat(),
    }
    assert await push(phone, actions=rows(action)) == [("applied", None)]
    store = Store(phone)
    await store.pull()
    told = store["actions"][action["id"]]
    # The answer to the push was lost: the phone holds the row to be unsent, and it is as it was
    # told, which is without the payload.
    again = {name: told[name] for name in ("id", "type", "payload", "device_at")}
    assert again["payload"] is None
    assert await push(phone, actions=rows(again)) == [("duplicate", None)]
    # Of what never came nobody knows what it was, and what comes behind it goes on.
    unknown = {**again, "id": str(new_id())}
    assert await push(phone, actions=rows(unknown, again)) == [
        ("refused", "invalid"),
        ("duplicate", None),
    ]


async def test_what_was_taken_back_too_late_is_told_as_done(tx, phone, order, clock):
    action = {
        "id": str(new_id()),
        "type": "visits_acknowledge",
        "payload": {"work_order_id": str(order.id)},
        "device_at": clock.now().isoformat(),
    }
    await push(phone, actions=rows(action))
    store = Store(phone)
    await store.pull()
    await forget_news(tx)
    assert "actions" not in await store.pull()
    del store["actions"][action["id"]]
    assert await push(phone, actions=rows(deleted=[action["id"], "?"])) == []
    await store.pull()
    assert store["actions"][action["id"]]["verdict"] == "applied"


async def test_an_answer_that_only_the_phone_has_is_told_as_it_stands(tx, phone, order, clock):
    await make_offering(tx, code="FTTH-1000", speed_mbps=1000, margin_12m_fen=60_000)
    await phone.post("/my/day/suggestions")
    store = Store(phone)
    await store.pull()
    [offered] = store["suggestions"].values()
    # It says itself when it may be shown, and what to say, so that no network is needed there.
    assert (offered["show_when"], offered["on_site"]) == ("restored", "sell")
    assert offered["valid_until"] > clock.now().isoformat()
    assert "expected" in [one["code"] for one in json.loads(offered["reasons"])]
    track = json.loads(offered["talk_track"])["en"]
    assert list(track) == ["opening", "benefit", "price", "exit_line"]
    assert track["opening"].startswith("Your line works again") and "{" not in track["benefit"]
    await forget_news(tx)
    assert "suggestions" not in await store.pull()
    store["suggestions"][offered["id"]]["answer"] = "accepted"
    await push(phone, suggestions=rows({"id": offered["id"], "answer": "accepted"}))
    await store.pull()
    assert store["suggestions"][offered["id"]]["answer"] is None


async def test_whether_it_can_be_installed_is_told_as_of_when_and_anew_on_opening(
    tx, phone, order, clock
):
    await make_offering(
        tx,
        code="CAM-1",
        margin_12m_fen=60_000,
        terminal_kind="camera",
        install_minutes=20,
    )
    await tx.commit()
    ahead, store = clock.now(), Store(phone)

    async def told():
        await store.pull()
        await forget_news(tx)
        [row] = store["suggestions"].values()
        return (
            row["install_now"],
            row["install_code"],
            datetime.fromisoformat(row["install_as_of"]),
        )

    [door] = taken(await phone.post("/my/day/suggestions"))["visits"]
    online = door["suggestions"]["offers"][0]["install_now"]
    assert (online["possible"], online["code"]) == (False, "not_in_the_van")
    assert await told() == (False, "not_in_the_van", ahead)
    # The van was filled since. Asked again the answer is another one; the same answer is told
    # anew only after a while, however often it is asked.
    unit = await tx.get_one(OrgUnit, order.org_unit_id)
    await make_terminal(tx, unit, kind="camera", technician_id=phone.technician.id)
    clock.tick(timedelta(minutes=1))
    filled = clock.now()
    for _ in range(2):
        await phone.post("/my/day/suggestions")
        assert await told() == (True, None, filled)
        clock.tick(timedelta(minutes=1))
    assert "suggestions" not in await store.pull()
    # Opened at the door, it is as of that moment.
    visit_id = await phone.restore(order)
    await store.pull()
    clock.tick(timedelta(minutes=10))
    await phone.post(f"/visits/{visit_id}/suggestions")
    assert await told() == (True, None, clock.now())
    fresh = Store(phone)
    await fresh.pull()
    assert fresh["suggestions"] == store["suggestions"]
    # A phone of the version before is told of none of it.
    row = (await Store(phone).ask(schema_version=2)).json()["changes"]["suggestions"]["updated"][0]
    assert not {"install_now", "install_code", "install_as_of"} & row.keys()


async def test_that_there_is_nothing_to_offer_is_told_with_its_order_and_why(
    tx, phone, order, clock
):
    """A phone without a network tells "nothing today" from "nobody has asked yet"."""
    await make_offering(tx, code="FTTH-1000", speed_mbps=1000, margin_12m_fen=60_000)
    customer = await tx.get_one(Customer, order.customer_id)
    customer.do_not_disturb = True
    await tx.commit()
    store, older = Store(phone), Store(phone)

    async def told():
        """Pull what is new, which is all that a phone is told that begins anew."""
        await store.pull()
        await forget_news(tx)
        fresh = Store(phone)
        await fresh.pull()
        for name in ("work_orders", "suggestions"):
            assert fresh[name] == store[name]
        because = store["work_orders"][str(order.id)]["nothing_because"]
        return because and json.loads(because)

    async def told_before():
        """Pull as an app of the version before, which has no place for it."""
        read = (await older.ask(schema_version=3)).json()
        older.cursor = read["timestamp"]
        return read["changes"]

    assert await told() is None
    [row] = (await told_before())["work_orders"]["updated"]
    assert store["work_orders"][row["id"]].keys() - row.keys() == {"nothing_because"}
    [door] = taken(await phone.post("/my/day/suggestions"))["visits"]
    online = door["suggestions"]
    assert await told_before() == {}
    because = await told()
    assert because == {
        "code": "do_not_disturb",
        "zh": "客户要求免打扰",
        "en": "The customer asked not to be disturbed",
        "at": clock.now().isoformat(),
        "valid_until": because["valid_until"],
        # Ahead of a repair it is of the time after it, as an offer would be.
        "show_when": "restored",
    }
    assert online["nothing_because"] == {"code": "do_not_disturb", "words": because["en"]}
    assert datetime.fromisoformat(because["valid_until"]) == datetime.fromisoformat(
        online["valid_until"]
    )
    assert store["suggestions"] == {}
    # They have changed their mind: what is offered now takes the place of why nothing was.
    customer.do_not_disturb = False
    await tx.commit()
    clock.tick(timedelta(minutes=1))
    await phone.post("/my/day/suggestions")
    assert await told() is None
    [offered] = store["suggestions"].values()
    assert offered["offering_code"] == "FTTH-1000"
    # In the visit itself only what was asked there counts.
    customer.do_not_disturb = True
    await tx.commit()
    visit_id = await phone.restore(order)
    clock.tick(timedelta(minutes=1))
    await phone.post(f"/visits/{visit_id}/suggestions")
    because = await told()
    assert (because["code"], because["show_when"]) == ("do_not_disturb", "at_once")
    assert store["suggestions"] == {}
    # It is of no use, and told no more, once the visit is over.
    await phone.complete(visit_id)
    assert await told() is None


async def test_what_was_decided_in_earlier_months_is_told_for_as_long_as_its_order_is_there(
    tx, phone, order, clock, monkeypatch
):
    await make_offering(tx, code="FTTH-1000", speed_mbps=1000, margin_12m_fen=60_000)
    other = await make_assigned_order(
        tx,
        phone.technician,
        await make_customer(tx, org_unit_id=order.org_unit_id, do_not_disturb=True),
        now=clock.now(),
    )
    # The orders have waited for long, and what was decided for them nearly as long.
    came = {"at": wall() - timedelta(days=200)}
    await tx.execute(text("UPDATE work_order SET created_at = :at"), came)
    ids = count(first_id_at(wall() - timedelta(days=199)).int)
    monkeypatch.setattr(deciding, "new_id", lambda: UUID(int=next(ids)))
    await tx.commit()
    await phone.post("/my/day/suggestions")
    fresh = Store(phone)
    await fresh.pull()
    assert [one["work_order_id"] for one in fresh["suggestions"].values()] == [str(order.id)]
    told = {row["id"]: row["nothing_because"] for row in fresh["work_orders"].values()}
    assert told[str(order.id)] is None
    assert json.loads(told[str(other.id)])["code"] == "do_not_disturb"


async def test_an_offer_says_to_whom_it_is_left(tx, phone, order, clock):
    await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    await make_offering(
        tx, code="TV-4K", category="tv", levers=["income"], margin_12m_fen=20_000, expert_rate=0.2
    )
    customer = await tx.get_one(Customer, order.customer_id)
    customer.preferred_channel = "app"
    await make_lifecycle(tx, customer, tier=Tier.A, stage=Stage.CLIMAX, churn_score=None)
    await tx.commit()
    await phone.post("/my/day/suggestions")
    store = Store(phone)
    await store.pull()
    [offered] = store["suggestions"].values()
    assert (offered["left_to"], offered["coordination"]) == ("app", "substitute")
    [row] = (await store.ask(last_pulled_at=None, schema_version=3)).json()["changes"][
        "suggestions"
    ]["updated"]
    assert offered.keys() - row.keys() == {"left_to"}


async def test_what_is_fitted_at_a_customers_is_told_with_the_customer(tx, phone, order):
    van = await make_terminal(
        tx, await tx.get_one(OrgUnit, order.org_unit_id), technician_id=phone.technician.id
    )
    await tx.commit()
    visit_id = await phone.arrive(order)
    store = Store(phone)
    await store.pull()
    assert store["customers"][str(order.customer_id)]["terminals"] == "[]"
    # A restored database knows as well who shows which customer.
    await feed.begin_epoch(tx, 7, await tx.scalar(text("SELECT now()")))
    await forget_news(tx)
    store = Store(phone)
    await store.pull()
    assert "customers" not in await store.pull()
    fitted = {"id": str(new_id()), "action": "fitted", "serial_number": van.serial_number}
    answer = await phone.post(f"/visits/{visit_id}/terminals", **fitted)
    assert answer.status_code == 201, answer.text
    await store.pull()
    assert van.serial_number in store["customers"][str(order.customer_id)]["terminals"]
    assert store["terminals"] == {}


async def test_what_ends_with_a_day_is_told_when_that_day_is_over(tx, phone, order, clock):
    tomorrow = clock.now().date() + timedelta(days=1)
    offering = await make_offering(tx)
    await tx.commit()
    await phone.arrive(order)
    await tx.execute(text("UPDATE subscription SET ended_on = :day"), {"day": tomorrow})
    await tx.execute(text("UPDATE product_offering SET valid_to = :day"), {"day": tomorrow})
    await turning.turn(tx, clock.now())
    store = Store(phone)
    await store.pull()
    assert store["customers"][str(order.customer_id)]["services"] != "[]"
    assert str(offering.id) in store["offerings"]
    await forget_news(tx)
    clock.tick(timedelta(hours=12))
    await turning.turn(tx, clock.now())
    assert await store.pull() == {}
    # It is the next day in China for half an hour.
    clock.tick(timedelta(hours=3, minutes=30))
    await turning.turn(tx, clock.now())
    await store.pull()
    assert store["customers"][str(order.customer_id)]["services"] == "[]"
    assert store["offerings"] == {}
