"""A day that was worked offline arrives in its order, and what collides is told and kept."""

import base64
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError

from app.auth.models import OrgUnit
from app.core.colliding import TRIES
from app.core.db import new_id
from app.core.errors import Problem
from app.evidence.rules.uploads import StorageFull
from app.sales.models import Sale
from app.sync.models import SyncAction
from app.sync.service import pushing
from app.visits.models import AcceptanceCode, Visit
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.acceptance import another, code_on_telephone
from tests.make.catalog import make_offering
from tests.make.customers import make_customer, make_subscription
from tests.make.evidence import Upload, photo
from tests.make.races import at_once
from tests.make.visits import LAT, LON, TODAY, at, make_assigned_order, make_phone
from tests.sync.stores import Store


@pytest.fixture
async def phone(tx, app, http, clock):
    return await make_phone(tx, app, http, clock)


class Offline:
    """What a technician does offline; the phone's clock goes on with each."""

    def __init__(self, phone: Any, after: timedelta = timedelta()) -> None:
        self.phone = phone
        self.at = phone.clock.now() + after
        self.actions: list[dict[str, Any]] = []

    def do(self, kind: str, **payload: Any) -> dict[str, Any]:
        """Note that something was done."""
        self.at += timedelta(minutes=1)
        action = {
            "id": str(new_id()),
            "type": kind,
            "payload": payload,
            "device_at": self.at.isoformat(),
        }
        self.actions.append(action)
        return action

    def repair(self, order: WorkOrder) -> str:
        """Take an order on, repair, and complete it; return the visit's id."""
        visit_id = str(new_id())
        self.do("visits_acknowledge", work_order_id=str(order.id))
        self.do("visits_set_out", id=visit_id, work_order_id=str(order.id))
        self.do("visits_check_in", visit_id=visit_id, point=at(LON, LAT))
        self.do("visits_keep_progress", visit_id=visit_id, checked=[], note="换了光猫")
        self.do("visits_restored", visit_id=visit_id)
        self.do("visits_complete", visit_id=visit_id, outcome_code="fixed")
        return visit_id

    async def push(self, **more: Any) -> Any:
        """Send all of it, in the shape of WatermelonDB."""
        changes = {"actions": {"created": self.actions, "updated": [], "deleted": []}, **more}
        # Written as a phone writes it: half a character as its escape.
        body = json.dumps({"changes": changes, "last_pulled_at": None})
        headers = {**self.phone.headers, "content-type": "application/json"}
        return await self.phone.http.post("/v1/sync", content=body, headers=headers)

    async def verdicts(self, **more: Any) -> list[tuple[str, str | None]]:
        """The same; give verdicts with their codes."""
        answer = await self.push(**more)
        assert answer.status_code == 200, answer.text
        return [(one["verdict"], one["code"]) for one in answer.json()["verdicts"]]


async def count(tx, kind, *where):
    return await tx.scalar(select(func.count()).select_from(kind).where(*where))


async def test_a_day_worked_offline_arrives_in_its_order_and_once(tx, phone, clock):
    customer, offering = await make_customer(tx), await make_offering(tx)
    first, second = [
        await make_assigned_order(tx, phone.technician, customer, now=clock.now()) for _ in "12"
    ]
    await tx.commit()
    offline = Offline(phone)
    visit_id = offline.repair(first)
    finished = offline.actions.pop()
    photo = {"work_order_id": first.id, "requirement": "other", "kind": "photo", "sha256": "0" * 64}
    told = [
        f"{name} {base64.b64encode(str(value).encode()).decode()}" for name, value in photo.items()
    ]
    offline.do("evidence_upload_create", length=1234, metadata=",".join(told))
    sale_id = str(new_id())
    item = {"offering_code": offering.code, "quantity": 1}
    offline.do("sales_put_together", id=sale_id, visit_id=visit_id, items=[item])
    offline.do("sales_cancel", sale_id=sale_id)
    # The payload may come as JSON in text, and with what a phone's database keeps beside it.
    offline.actions.append({**finished, "_status": "created", "payload": text_of(finished)})
    offline.repair(second)
    verdicts = await offline.verdicts()
    assert set(verdicts) == {("applied", None)} and len(verdicts) == 15
    again = await offline.verdicts()
    assert set(again) == {("duplicate", None)}
    orders = (await tx.scalars(select(WorkOrder.state))).all()
    assert set(orders) == {State.COMPLETED}
    assert await count(tx, WorkOrderEvent, WorkOrderEvent.step == Step.COMPLETE) == 2
    assert await count(tx, Sale) == 1 and await count(tx, SyncAction) == 15

    store = Store(phone)
    await store.pull()
    assert store["visits"][visit_id]["note"] == "换了光猫"
    assert [one["state"] for one in store["sales"].values()] == ["cancelled"]
    assert [one["state"] for one in store["photos"].values()] == ["announced"]
    assert {one["verdict"] for one in store["actions"].values()} == {"applied"}

    # Under a used id something else is not taken for the same.
    offline.actions = [{**finished, "payload": {"visit_id": visit_id, "outcome_code": "other"}}]
    assert await offline.verdicts() == [("refused", "same-id-other-content")]


async def test_what_was_sold_offline_and_cannot_be_had_is_refused_by_its_name(tx, phone, clock):
    customer, offering = await make_customer(tx), await make_offering(tx, requires=["broadband"])
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await tx.commit()
    offline = Offline(phone)
    visit_id = offline.repair(order)
    item = {"offering_code": offering.code, "quantity": 1}
    sold = offline.do("sales_put_together", id=str(new_id()), visit_id=visit_id, items=[item])
    assert (await offline.verdicts())[-1] == ("conflict", "cannot-be-had")
    store = Store(phone)
    await store.pull()
    assert "客户缺少办理前提的业务" in store["actions"][sold["id"]]["words_zh"]
    assert await count(tx, Sale) == 0
    # Once the customer has what it takes, it is sold; what was refused stays refused.
    await make_subscription(tx, customer)
    await tx.commit()
    offline.do("sales_put_together", id=str(new_id()), visit_id=visit_id, items=[item])
    assert (await offline.verdicts())[-2:] == [("duplicate", "cannot-be-had"), ("applied", None)]


def text_of(action):
    return json.dumps(action["payload"])


async def test_what_cannot_be_done_keeps_back_nothing_behind_it(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    offline = Offline(phone)
    offline.do("visits_fly", work_order_id=str(order.id))
    offline.do("visits_complete", visit_id=str(new_id()), outcome_code="fixed")
    offline.do("visits_decline", work_order_id=str(order.id), cause="tired")
    offline.do("visits_acknowledge")
    offline.do("visits_acknowledge", work_order_id=str(order.id))
    store = Store(phone)
    await store.pull()
    rows = {"updated": [{"id": str(order.id), "state": "completed"}, {"id": 7}], "deleted": ["?"]}
    assert await offline.verdicts(work_orders=rows) == [
        ("refused", "unknown-action"),
        ("conflict", "not-found"),
        ("refused", "invalid"),
        ("refused", "invalid"),
        ("applied", None),
    ]
    # What the phone changed in other tables is told as it stands.
    store["work_orders"][str(order.id)]["state"] = "completed"
    await store.pull()
    assert store["work_orders"][str(order.id)]["state"] == "acknowledged"
    told = store["actions"][offline.actions[0]["id"]]
    assert told["words_zh"].startswith("未知的操作类型：")
    seen = await tx.scalar(text("SELECT count(*) FROM audit_entry WHERE subject_id IS NOT NULL"))
    assert seen == 1


class Failing:
    """A doorway that carries out what it is asked, and fails at the end of it each time."""

    def __init__(self, doorway: Any, fail: Any) -> None:
        self.doorway, self.fail, self.tried = doorway, fail, Counter[str]()

    def read(self, payload: Any, device_at: str) -> Any:
        return self.doorway.read(payload, device_at)

    async def go_through(self, read: Any, way: Any) -> None:
        self.tried[str(read["work_order_id"])] += 1
        await self.doorway.go_through(read, way)
        await self.fail(way._tx)


def failing_at(app, monkeypatch, kind, fail):
    """Let a doorway fail each time that it is gone through."""
    wrong = Failing(app.state.doorways[kind], fail)
    monkeypatch.setitem(app.state.doorways, kind, wrong)
    return wrong


def raised(state):
    async def fail(tx):
        await tx.execute(
            text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$")
        )

    return fail


async def stale(tx):
    raise StaleDataError


async def unsendable(tx):
    # The driver refuses this itself, and names no state.
    await tx.execute(text("SELECT CAST(:text AS text)"), {"text": "\0"})


async def unknown(tx):
    raise Problem


async def full(tx):
    raise StorageFull(retry_after=60)


async def lost(tx):
    raise OperationalError("SELECT", {}, psycopg.OperationalError("the connection is lost"))


async def dawdles(tx):
    await tx.execute(text("SET LOCAL statement_timeout = '20ms'"))
    await tx.execute(text("SELECT pg_sleep(5)"))


@pytest.mark.parametrize(
    "fail, tries",
    [
        (raised("23505"), 5),
        (stale, 5),
        (dawdles, 2),
        (raised("55P03"), 2),
        (raised("23503"), 1),
        (unsendable, 1),
        (unknown, 1),
    ],
)
async def test_an_action_that_fails_each_time_is_told_so_and_keeps_nothing_back(
    tx, app, phone, clock, monkeypatch, fail, tries
):
    assert TRIES == 5
    monkeypatch.setattr(pushing, "breathe", at_once)
    poison = failing_at(app, monkeypatch, "visits_acknowledge", fail)
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    offline = Offline(phone)
    offline.do("visits_acknowledge", work_order_id=str(order.id))
    offline.do("visits_decline", work_order_id=str(order.id), cause="no_time")
    told = [("conflict", "not-carried-out"), ("applied", None)]
    assert await offline.verdicts() == told
    assert poison.tried == {str(order.id): tries}
    # What it had done by then is undone.
    steps = await tx.scalars(select(WorkOrderEvent.step).order_by(WorkOrderEvent.id))
    assert steps.all() == [Step.ASSIGN, Step.DECLINE]
    assert {verdict for verdict, _ in await offline.verdicts()} == {"duplicate"}


async def test_an_action_that_ran_out_of_time_once_is_carried_out(
    tx, app, phone, clock, monkeypatch
):
    times = iter([True])

    async def once(tx):
        if next(times, False):
            await dawdles(tx)

    tried = failing_at(app, monkeypatch, "visits_acknowledge", once).tried
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    offline = Offline(phone)
    offline.do("visits_acknowledge", work_order_id=str(order.id))
    assert await offline.verdicts() == [("applied", None)]
    assert tried == {str(order.id): 2}


@pytest.mark.parametrize("slow, soon", [(3, 10.0), (1, 0.0)])
async def test_where_everything_runs_out_of_time_or_is_slow_the_push_comes_again(
    tx, app, phone, clock, monkeypatch, slow, soon
):
    """What is the matter with all of it is a database with too much to do, and no verdict."""
    orders = [await make_assigned_order(tx, phone.technician, now=clock.now()) for _ in "123"]
    await tx.commit()
    waits = []

    async def breathed(tries):
        waits.append(tries)

    offline = Offline(phone)
    for order in orders[:slow]:
        offline.do("visits_acknowledge", work_order_id=str(order.id))
    with monkeypatch.context() as patch:
        patch.setattr(pushing, "SOON", soon)
        patch.setattr(pushing, "breathe", breathed)
        tried = failing_at(app, patch, "visits_acknowledge", dawdles).tried
        assert (await offline.push()).status_code == 503
    assert sum(tried.values()) == (TRIES if slow > 1 else pushing.SLOW_TRIES)
    # Whoever is told to come again later does not wait for that word.
    assert waits == list(range(1, TRIES)) if slow > 1 else [1, 2]
    assert await count(tx, SyncAction) == 0
    assert await offline.verdicts() == [("applied", None)] * slow


@pytest.mark.parametrize("fail", [raised("57P01"), raised("53300"), lost, full])
async def test_what_is_in_the_way_of_everybody_is_put_off(tx, app, phone, clock, monkeypatch, fail):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    offline = Offline(phone)
    offline.do("visits_acknowledge", work_order_id=str(order.id))
    with monkeypatch.context() as patch:
        failing_at(app, patch, "visits_acknowledge", fail)
        assert (await offline.push()).status_code == (507 if fail is full else 503)
    assert await offline.verdicts() == [("applied", None)]


async def test_a_push_with_a_told_code_is_one_transaction_and_its_wrong_tries_count(
    real_database, real_app, real_http, clock, monkeypatch
):
    async with real_database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
        order, other = [
            await make_assigned_order(tx, phone.technician, now=clock.now()) for _ in "12"
        ]
    visit_id = await phone.restore(order)
    asking = {"json": {"id": str(new_id())}, "headers": phone.headers}
    await real_http.post(f"/v1/visits/{visit_id}/acceptance-code", **asking)
    async with real_database.read() as read:
        code = await code_on_telephone(read, visit_id)
    offline = Offline(phone)
    for told in (another(code), code):
        told_by = {"outcome_code": "fixed", "acceptance_code": told}
        offline.do("visits_complete", visit_id=str(visit_id), **told_by)
    offline.do("visits_acknowledge", work_order_id=str(other.id))

    async def written():
        async with real_database.read() as read:
            (tries,) = await read.scalars(select(AcceptanceCode.wrong))
            return (
                len(tries),
                await read.get_one(WorkOrder, order.id),
                await count(read, SyncAction),
            )

    with monkeypatch.context() as patch:
        # The database is lost behind both: nothing of the push has happened.
        failing_at(real_app, patch, "visits_acknowledge", lost)
        assert (await offline.push()).status_code == 503
    tries, on_site, actions = await written()
    assert (tries, on_site.state, actions) == (0, State.ON_SITE, 0)
    applied = ("applied", None)
    assert await offline.verdicts() == [("conflict", "acceptance-code-wrong"), applied, applied]
    tries, done, actions = await written()
    assert (tries, done.state, actions) == (1, State.COMPLETED, 3)
    assert {verdict for verdict, _ in await offline.verdicts()} == {"duplicate"}
    assert (await written())[0] == 1


async def test_requests_that_cannot_be_read_write_nothing(tx, phone):
    offline = Offline(phone)
    for _ in range(201):
        offline.do("visits_acknowledge", work_order_id=str(new_id()))
    assert (await offline.push()).status_code == 422
    offline.actions = [offline.do("visits_acknowledge", x="y" * 530_000)]
    assert (await offline.push()).status_code == 413
    offline.actions = []
    offline.do("visits_acknowledge")
    rows = {"updated": [{"id": str(new_id())} for _ in range(200)]}
    assert (await offline.push(visits=rows)).status_code == 413
    for wrong in ({"id": "1"}, {"type": ""}, {"base_version": -1}, {"device_at": "now"}):
        offline.actions = [{**offline.do("visits_acknowledge"), **wrong}]
        assert (await offline.push()).status_code == 422, wrong
    assert await count(tx, SyncAction) == 0


# What is no payload: as it comes, how it is kept, and a word of what is wrong with it.
UNREAD = {
    "half an emoji": ({"note": "abc\ud83d"}, '{"note": "abc\\ud83d"}', "cut emoji"),
    "the same in text": ('{"note":"abc\\ud83d"}', '{"note":"abc\\ud83d"}', "cut emoji"),
    "text that is cut itself": ('{"note":"\ud83d', '{"note":"\\ud83d', "no JSON object"),
    "a name of half a character": ({"\ude00": 1}, '{"\\ude00": 1}', "cut emoji"),
    "NUL": ({"note": "a\0"}, '{"note": "a\\u0000"}', "NUL"),
    "NUL in text": ('{"note":"\\u0000"}', '{"note":"\\u0000"}', "NUL"),
    "NUL as it is": ("\0", "\\u0000", "no JSON object"),
    "a large number": ({"n": 2**70}, '{"n": 1180591620717411303424}', "cannot be kept"),
    "too much": ("y" * 100_001, "y" * 100_000, "more than 100000"),
    "too deep": ("[" * 300 + "]" * 300, "[" * 300 + "]" * 300, "too deep"),
    "a list": ("[]", "[]", "no JSON object"),
    "a number": (7, "7", "no JSON object"),
    "half of it": ('{"a":', '{"a":', "no JSON object"),
}


@pytest.mark.parametrize("sent, kept, wrong", UNREAD.values(), ids=UNREAD.keys())
async def test_one_odd_character_is_its_own_actions_matter(tx, phone, clock, sent, kept, wrong):
    """Scripts cut a text between the two halves of an emoji, and a queue does not end there."""
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    offline = Offline(phone)
    odd = offline.do("visits_keep_progress")
    odd["payload"] = sent
    offline.do("visits_acknowledge", work_order_id=str(order.id))
    # What the phone shows of it comes along, and is not taken from there.
    shown = {"updated": [{"id": str(new_id()), "note": "abc\ud83d"}]}
    told = [("refused", "invalid"), ("applied", None)]
    assert await offline.verdicts(visits=shown) == told
    assert await offline.verdicts() == [("duplicate", "invalid"), ("duplicate", None)]
    row = await tx.get_one(SyncAction, odd["id"])
    assert row.payload == {"unread": kept}
    assert row.words_en is not None and wrong in row.words_en
    # Another text under its id is told from it.
    odd["payload"] = "{"
    assert (await offline.verdicts())[0] == ("refused", "same-id-other-content")
    store = Store(phone)
    await store.pull()
    assert store["actions"][odd["id"]]["words_zh"].startswith("提交的内容有误：操作内容")


async def test_what_is_written_down_nowhere_is_not_kept_for_being_odd(tx, phone):
    offline = Offline(phone)
    odd = offline.do("visits_note_prospect", name="王\ud83d")
    assert await offline.verdicts() == [("refused", "invalid")]
    assert (await tx.get_one(SyncAction, odd["id"])).payload == {}


CODE = "7K2M9-4PXQC"
ITEM = {"offering_code": "FTTR-2", "approval_code": CODE, "seen_discount_percent": 20}
WITH_CODES = {
    "of special terms": ("sales_put_together", {"items": [{"offering_code": "TV"}, ITEM]}),
    "of a consent": ("sales_confirm", {"consent": {"kind": "otp", "code": CODE}}),
    "of acceptance": ("visits_check_acceptance_code", {"code": CODE}),
    "of acceptance with it": ("visits_complete", {"acceptance_code": CODE}),
    "in text": ("sales_put_together", json.dumps({"items": [ITEM]})),
    "in text that is cut": ("sales_put_together", '{"approval_code" : "7K2M9-4PXQC'),
    "beside half an emoji": ("sales_put_together", {"items": [ITEM], "note": "\ud83d"}),
    "in text twice": ("sales_put_together", json.dumps(json.dumps({"items": [ITEM]}))),
}


@pytest.mark.parametrize("kind, sent", WITH_CODES.values(), ids=WITH_CODES.keys())
async def test_a_code_is_kept_nowhere_and_what_came_with_it_is_known_again(tx, phone, kind, sent):
    offline = Offline(phone)
    action = offline.do(kind)
    action["payload"] = sent
    [(verdict, code)] = await offline.verdicts()
    assert verdict in ("refused", "conflict")
    kept = json.dumps((await tx.get_one(SyncAction, action["id"])).payload)
    assert "7K2M9" not in kept and "4PXQC" not in kept
    # All else of it stays, and the same is still told from what has another code.
    assert "FTTR-2" in kept or "FTTR-2" not in json.dumps(sent)
    assert await offline.verdicts() == [("duplicate", code)]
    action["payload"] = json.loads(json.dumps(sent).replace("4PXQC", "4PXQD"))
    assert await offline.verdicts() == [("refused", "same-id-other-content")]


async def test_text_that_only_looks_like_an_escape_is_text(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    visit_id = await phone.arrive(order)
    offline = Offline(phone)
    note = r"C:\u0000 \ud83d"
    offline.do("visits_keep_progress", visit_id=str(visit_id), checked=[], note=note)
    # So is whatever else a phone keeps in the row.
    offline.actions.append({**offline.do("visits_restored", visit_id=str(visit_id)), "mine": "\0"})
    del offline.actions[1]
    assert await offline.verdicts() == [("applied", None)] * 2
    assert await tx.scalar(select(Visit.note)) == note


async def test_who_completes_an_order_that_has_gone_is_heard_and_both_can_read_it(
    tx, app, http, phone, clock
):
    other = await make_phone(tx, app, http, clock)
    moved, cancelled = [
        await make_assigned_order(tx, phone.technician, now=clock.now()) for _ in "12"
    ]
    await tx.commit()
    early, late = Offline(phone), Offline(phone, timedelta(hours=3))
    visit_id = early.repair(moved)
    late.do("visits_complete", visit_id=visit_id, outcome_code="fixed_elsewhere")
    late.repair(cancelled)
    clock.tick(timedelta(hours=1))
    theirs_now = other.technician.id
    order = await tx.get_one(WorkOrder, moved.id, populate_existing=True)
    await take_step(
        tx, order, Step.ASSIGN, now=clock.now(), holder_id=theirs_now, planned_day=TODAY
    )
    order = await tx.get_one(WorkOrder, cancelled.id, populate_existing=True)
    await take_step(tx, order, Step.CANCEL, now=clock.now())
    await tx.commit()
    assert {one for one, _ in await early.verdicts()} == {"conflict"}
    assert {one for one, _ in await late.verdicts()} == {"conflict"}
    mine, theirs = Store(phone), Store(other)
    await other.acknowledge(moved)
    for store in (mine, theirs):
        await store.pull()
    done = early.actions[-1]["id"]
    told = mine["actions"][done]
    assert (told["judgement"], told["moved_to"]) == ("before", str(other.technician.id))
    assert mine["actions"][late.actions[0]["id"]]["judgement"] == "after"
    assert mine["actions"][late.actions[-1]["id"]]["judgement"] == "after"
    seen = theirs["actions"][done]
    assert not seen["own"] and '"outcome_code": "fixed"' in seen["payload"]
    assert seen["technician_name"] == phone.technician.name
    written = await tx.scalars(
        select(WorkOrderEvent).where(
            WorkOrderEvent.work_order_id == moved.id,
            WorkOrderEvent.reason == "completed_too_late",
        )
    )
    assert [one.technician_id for one in written] == [phone.technician.id] * 2
    assert await count(tx, Visit) == 0


async def test_an_order_is_not_theirs_whose_phone_says_that_it_has_changed_it(
    tx, app, http, phone, clock
):
    holder = await make_phone(tx, app, http, clock)  # of another province
    customer = await make_customer(tx, org_unit_id=holder.technician.org_unit_id)
    order = await make_assigned_order(tx, holder.technician, customer, now=clock.now())
    await tx.commit()
    await holder.arrive(order)
    claimed = {
        "work_orders": {"updated": [{"id": str(order.id), "state": "completed"}]},
        "customers": {"updated": [{"id": str(customer.id)}]},
    }
    assert await Offline(phone).verdicts(**claimed) == []
    offline = Offline(phone)
    offline.repair(order)
    assert {one for one, _ in await offline.verdicts(**claimed)} == {"conflict"}
    # Who has it is not told, nothing comes to that one's phone or into the order's history, and no
    # picture is taken.
    mine, theirs = Store(phone), Store(holder)
    for store in (mine, theirs):
        await store.pull()
    assert {one["moved_to"] for one in mine["actions"].values()} == {None}
    assert (mine["work_orders"], mine["customers"], theirs["actions"]) == ({}, {}, {})
    assert await count(tx, WorkOrderEvent, WorkOrderEvent.technician_id == phone.technician.id) == 0
    assert (await Upload(phone, order, photo(seed=3)).announce()).status_code == 404


@pytest.mark.parametrize("pushes", [1, 2])
async def test_a_sale_to_somebody_whose_order_has_gone_is_told_to_who_has_it(
    tx, app, http, phone, clock, pushes
):
    other = await make_phone(tx, app, http, clock)
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    offline, sale_id = Offline(phone), str(new_id())
    visit_id = offline.repair(order)
    item = {"offering_code": "FTTR-2", "quantity": 1, "approval_code": CODE}
    sold = offline.do("sales_put_together", id=sale_id, visit_id=visit_id, items=[item])
    hashes = ("image_sha256", "stroke_sha256", "shown_sha256")
    agreed = {"kind": "signature", "given_at": offline.at.isoformat(), "stroke_count": 9}
    agreed |= dict.fromkeys(hashes, "0" * 64)
    second = {"phone": "15412340000", "relation": "child"}
    said = {"sale_id": sale_id, "consent": agreed, "second_contact": second}
    signed = offline.do("sales_confirm", **said)
    await take_step(
        tx, order, Step.ASSIGN, now=clock.now(), holder_id=other.technician.id, planned_day=TODAY
    )
    await tx.commit()
    # The customer's signature may come hours after the visit has.
    parts = [offline.actions] if pushes == 1 else [offline.actions[:-1], offline.actions[-1:]]
    for part in parts:
        offline.actions = part
        assert {one for one, _ in await offline.verdicts()} == {"conflict"}
    theirs = Store(other)
    await other.acknowledge(order)
    await theirs.pull()
    seen = theirs["actions"][sold["id"]]
    assert (seen["judgement"], seen["own"]) == ("after", False)
    assert "FTTR-2" in seen["payload"] and CODE not in seen["payload"]
    assert theirs["actions"][signed["id"]]["judgement"] == "after"
    assert "second_contact" not in theirs["actions"][signed["id"]]["payload"]
    reasons = await tx.scalars(
        select(WorkOrderEvent.reason).where(
            WorkOrderEvent.work_order_id == order.id, WorkOrderEvent.reason.is_not(None)
        )
    )
    assert sorted(reasons) == ["completed_too_late", "sale_too_late", "sale_too_late"]


async def test_what_was_set_anew_meanwhile_is_not_undone(tx, phone, clock):
    unit = await tx.get_one(OrgUnit, phone.technician.org_unit_id)
    customer = await make_customer(tx, org_unit=unit)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await tx.commit()
    await phone.acknowledge(order)
    offline = Offline(phone)
    offline.do("customers_personal_offers", customer_id=str(customer.id), on=True)
    clock.tick(timedelta(hours=1))
    url = f"/v1/customers/{customer.id}/personal-offers"
    answer = await phone.http.put(url, json={"on": False}, headers=phone.headers)
    assert answer.status_code == 200
    assert await offline.verdicts() == [("conflict", "set-since")]


async def test_what_a_customer_said_last_counts_whichever_phone_tells_of_it_first(
    tx, phone, app, http, clock
):
    """Two phones of colleagues who both meet a customer, and neither has a network."""
    unit = await tx.get_one(OrgUnit, phone.technician.org_unit_id)
    other = await make_phone(tx, app, http, clock, org_unit=unit)
    customer = await make_customer(tx, org_unit=unit)
    for one in (phone, other):
        order = await make_assigned_order(tx, one.technician, customer, now=clock.now())
        await tx.commit()
        await one.acknowledge(order)
    said = {"customer_id": str(customer.id)}
    first, second = Offline(phone), Offline(other)
    first.do("customers_personal_offers", **said, on=False)
    first.do("customers_personal_offers", **said, on=True)
    clock.tick(timedelta(minutes=1))
    second.at += timedelta(minutes=1)
    first.at += timedelta(minutes=2)
    second.do("customers_personal_offers", **said, on=False)
    first.do("customers_personal_offers", **said, on=True)
    clock.tick(timedelta(hours=1))
    # Of one phone each counts, though all arrive at once; the last moves nothing any more.
    assert await first.verdicts() == [("applied", None)] * 3
    assert await second.verdicts() == [("conflict", "set-since")]
    await tx.refresh(customer)
    assert customer.personal_offers


async def test_a_closed_account_is_heard_once_more_and_carries_nothing_out(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.execute(text("UPDATE account SET active = false"))
    await tx.commit()
    offline = Offline(phone)
    offline.repair(order)
    assert set(await offline.verdicts()) == {("refused", "access-revoked")}
    assert await count(tx, SyncAction) == 6 and await count(tx, Visit) == 0
    # Where it is opened again, the phone begins anew, and what was refused stays so.
    await tx.execute(text("UPDATE account SET active = true"))
    await tx.commit()
    anew = Store(phone)
    await anew.pull()
    assert anew["work_orders"][str(order.id)]["state"] == "assigned"
    assert {one["code"] for one in anew["actions"].values()} == {"access-revoked"}
    assert set(await offline.verdicts()) == {("duplicate", "access-revoked")}


async def test_a_phone_that_was_installed_anew_pushes_what_it_had_kept(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    before, offline = Store(phone), Offline(phone)
    await before.pull()
    offline.repair(order)
    # It has forgotten its tables and its cursor, and has kept the queue.
    anew = Store(phone)
    assert set(await offline.verdicts()) == {("applied", None)}
    await anew.pull()
    assert anew["work_orders"][str(order.id)]["state"] == "completed"
    await before.pull()
    assert before.tables == anew.tables
