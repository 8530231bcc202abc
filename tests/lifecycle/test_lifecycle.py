"""Where customers stand, as supervisors see it and as events change it."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.core.files import FileRefused
from app.core.jobs import Worker
from app.customers.loading import load_contacts, load_subscriptions
from app.customers.models import CustomerMonth
from app.customers.months import load_months
from app.customers.rules import InteractionKind
from app.lifecycle import jobs, queries
from app.lifecycle.models import (
    ChurnCard,
    ChurnSample,
    CustomerLifecycle,
    LifecycleChange,
    LifecycleDue,
)
from app.lifecycle.rules import Signal, Stage
from app.lifecycle.service import judging
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from seed.churn import load_churn_cards
from tests.conftest import MONDAY_NINE
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_contact, make_customer, make_subscription
from tests.make.dispatch import order
from tests.make.policies import make_log
from tests.make.standing import CARD, make_card
from tests.make.workorders import make_work_order

DAY = MONDAY_NINE.date()


@pytest.fixture
async def unit(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def customer(tx, unit):
    """Somebody who is with us for three years and was looked at yesterday."""
    await make_card(tx)
    known = await make_customer(tx, org_unit=unit, activated_on=date(2023, 3, 1))
    await make_subscription(tx, known, contract_ends_on=date(2027, 3, 1))
    await judging.judge_some(tx, [known.id], MONDAY_NINE - timedelta(days=1))
    return known


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    return Worker(settings, clock, database)


def headers(app, unit, role=Role.SUPERVISOR):
    return {**bearer(app, caller_for(role, unit)), "accept-language": "en"}


async def due(tx):
    return list(await tx.scalars(select(LifecycleDue.customer_id)))


async def test_a_complaint_is_looked_at_and_told_with_its_reasons(
    app, http, tx, unit, customer, worker
):
    url, desk = f"/v1/customers/{customer.id}/lifecycle", headers(app, unit)
    shown = (await http.get(url, headers=desk)).json()
    assert (shown["stage"], shown["stage_rule"], shown["tier"]) == ("climax", "climax.mature", None)
    assert (shown["stage_since"], shown["history"]) == ("2024-03-02", [])

    line = "X{},{},2026-03-0{}T08:00:00+08:00,phone,{},资费争议,,\n"
    head = "external_id,customer,at,channel,kind,subject,outcome,closed_at\n"
    await load_contacts(tx, [head, line.format(1, customer.code, 1, "service")])
    assert await due(tx) == []
    await load_contacts(
        tx, [head, *(line.format(n, customer.code, n - 1, "complaint") for n in (2, 3))]
    )
    assert await due(tx) == [customer.id]
    await jobs.due(worker)
    assert await due(tx) == []

    shown = (await http.get(url, headers=desk)).json()
    assert (shown["stage"], shown["signals"]) == ("decline", ["complaints"])
    (reason,) = [one for one in shown["churn_reasons"] if one["field"] == "complaints"]
    assert (reason["value"], reason["words"]) == (2, "Complained more than once lately")
    (change,) = [one for one in shown["history"] if one["kind"] == "stage"]
    assert (change["before"], change["after"], change["rule"]) == (
        *("climax", "decline"),
        "decline.complaints",
    )
    assert change["inputs"]["complaints"] == 2
    assert change["warns"]
    told = await tx.scalar(
        text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'lifecycle.warned'")
    )
    assert told == 1

    listed = (await http.get("/v1/lifecycle/changes?warns=true&kind=stage", headers=desk)).json()
    (one,) = listed["changes"]
    assert (one["customer_code"], one["stage"]) == (customer.code, "decline")
    other_day = await http.get("/v1/lifecycle/changes?day=2026-03-01", headers=desk)
    assert other_day.json()["changes"] == []
    nowhere = await http.get(f"/v1/lifecycle/changes?grid_id={new_id()}", headers=desk)
    assert nowhere.json()["changes"] == []
    counted = (await http.get("/v1/lifecycle/summary", headers=desk)).json()
    assert [(each["stage"], each["tier"], each["customers"]) for each in counted["counts"]] == [
        ("decline", None, 1)
    ]


async def test_an_offer_declined_for_dissatisfaction_counts_like_a_complaint(
    tx, unit, customer, worker
):
    log = await make_log(tx, now=MONDAY_NINE)
    log.customers = [customer]
    await make_contact(
        tx, customer, at=MONDAY_NINE - timedelta(days=80), kind=InteractionKind.COMPLAINT
    )
    for days, reason in ((91, "dissatisfied"), (20, "price"), (10, "dissatisfied")):
        told = await queries.of(tx, customer.id)
        assert told is not None and told.stage is Stage.CLIMAX
        at = MONDAY_NINE - timedelta(days=days)
        await log.decide(1, at, truth={"GOOD": 0.0}, over=timedelta(0), reason=reason)
        await judging.look_soon(tx, [customer.id])
        await tx.commit()
        await jobs.due(worker)
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert (known.stage, known.stage_rule) == (Stage.DECLINE, "decline.complaints")
    (change,) = await tx.scalars(select(LifecycleChange).where(LifecycleChange.kind == "stage"))
    assert (change.inputs["complaints"], change.inputs["dissatisfied"]) == (1, 1)


async def test_customers_of_others_and_of_whom_nothing_is_told_are_absent(app, http, tx, customer):
    for unit, whom in (
        (await make_org_unit(tx), customer.id),
        (await make_org_unit(tx), new_id()),
    ):
        answer = await http.get(f"/v1/customers/{whom}/lifecycle", headers=headers(app, unit))
        assert answer.status_code == 404
    stranger = headers(app, await make_org_unit(tx))
    assert (await http.get("/v1/lifecycle/changes", headers=stranger)).json()["changes"] == []
    assert (await http.get("/v1/lifecycle/summary", headers=stranger)).json()["counts"] == []
    technician = headers(app, await make_org_unit(tx), Role.TECHNICIAN)
    for url in ("lifecycle/changes", "lifecycle/summary", f"customers/{customer.id}/lifecycle"):
        assert (await http.get(f"/v1/{url}", headers=technician)).status_code == 403


async def test_changes_are_read_page_by_page(app, http, tx, unit):
    await make_card(tx)
    ids = []
    for _ in range(3):
        customer = await make_customer(tx, org_unit=unit, activated_on=date(2023, 3, 1))
        await make_subscription(tx, customer)
        ids.append(customer.id)
    await judging.judge_some(tx, ids, MONDAY_NINE)
    for each in ids:
        asked = InteractionKind.CANCELLATION
        whom = await tx.get_one(CustomerLifecycle, each)
        assert whom.stage is Stage.CLIMAX
        await tx.execute(
            text(
                "INSERT INTO interaction (id, customer_id, at, channel, kind, subject)"
                " VALUES (gen_random_uuid(), :id, :at, 'phone', :kind, '拆机咨询')"
            ),
            {"id": each, "at": MONDAY_NINE, "kind": asked.value},
        )
    await judging.judge_some(tx, ids, MONDAY_NINE + timedelta(minutes=1))
    desk, seen, token = headers(app, unit), [], ""
    for _ in range(3):
        url = f"/v1/lifecycle/changes?kind=stage&size=1{token}"
        page = (await http.get(url, headers=desk)).json()
        seen += [one["customer_id"] for one in page["changes"]]
        token = f"&page_token={page['next_page_token']}"
    assert page["next_page_token"] is None
    assert sorted(seen) == sorted(map(str, ids))


async def test_a_contract_that_is_loaded_and_orders_that_end_are_looked_at(
    tx, unit, customer, worker
):
    head = (
        "service_number,as_of,customer,offering_code,category,monthly_price_fen,started_on,"
        "contract_ends_on\n"
    )
    line = f"S{new_id().hex[-8:]},2026-03-02T00:00:00+08:00,{customer.code},TV,tv,1000,2025-03-01,"
    await load_subscriptions(tx, [head, f"{line}2026-04-01\n"])
    await jobs.due(worker)
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert known.signals == [Signal.CONTRACT_ENDING]

    given = {"org_unit": unit, "customer_id": customer.id, "received_at": MONDAY_NINE}
    order = await make_work_order(tx, now=MONDAY_NINE, **given)
    await jobs.order_completed(worker, str(order.id))
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert known.stage is Stage.DECLINE
    order = await make_work_order(tx, now=MONDAY_NINE, work_type=WorkType.REMOVE, **given)
    await jobs.order_completed(worker, str(order.id))
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert (known.stage, known.stage_rule) == (Stage.EXIT, "exit.removal_ordered")
    order.state = State.CANCELLED
    await tx.flush()
    await jobs.order_completed(worker, str(order.id))
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert known.stage is Stage.DECLINE


async def test_an_order_to_remove_is_looked_at_when_it_comes_and_when_it_is_called_off(
    app, http, tx, unit, customer, worker
):
    crm = {**bearer(app, caller_for(Role.INTEGRATION, unit))}

    async def stands():
        waiting = await due(tx)
        await jobs.due(worker)
        told = await queries.of(tx, customer.id)
        assert told is not None
        return waiting, told.stage

    async def taken(number, work_type):
        body = order(number, work_type=work_type, customer_code=customer.code)
        placed = await http.post("/v1/work-orders", json=body, headers=crm)
        assert placed.status_code == 201, placed.text
        return placed.json()

    await taken("F-1", "install")
    assert await stands() == ([], Stage.CLIMAX)
    removal = await taken("F-2", "remove")
    assert await stands() == ([customer.id], Stage.EXIT)
    gone = await http.post(
        f"/v1/work-orders/{removal['id']}/cancel", json={"reason": "客户留下"}, headers=crm
    )
    assert gone.status_code == 200, gone.text
    assert await stands() == ([customer.id], Stage.CLIMAX)


@pytest.mark.parametrize(
    "services, stage, since",
    [
        ([("2023-03-01", "2026-01-10")], "exit", date(2026, 1, 10)),
        ([("2023-03-01", "2026-01-10"), ("2026-01-10", None)], "climax", date(2024, 3, 2)),
        ([("2023-03-01", "2025-12-01"), ("2026-01-10", None)], "exit", date(2025, 12, 1)),
        ([("2023-03-01", "2025-06-01"), ("2025-10-10", None)], "build_up", date(2026, 1, 9)),
        ([], "climax", date(2024, 3, 2)),
    ],
)
async def test_who_has_left_and_come_back_is_told_by_their_services(tx, services, stage, since):
    customer = await make_customer(tx, activated_on=date(2023, 3, 1))
    for starts, ends in services:
        await make_subscription(
            tx,
            customer,
            started_on=date.fromisoformat(starts),
            ended_on=ends and date.fromisoformat(ends),
        )
    await judging.judge_some(tx, [customer.id], MONDAY_NINE)
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert (known.stage, known.stage_since) == (stage, since)
    assert (known.churn_score, known.card_version) == (None, None)


async def test_usage_is_compared_with_months_that_are_known(tx):
    customer = await make_customer(tx)
    head = "customer,month,as_of,income_fen,usage_gb\n"

    async def load(*months):
        line = "{},{},2026-03-01T00:00:00+08:00,{},{}\n"
        lines = [line.format(customer.code, *month) for month in months]
        return await load_months(tx, [head, *lines])

    async def facts():
        return (await queries.facts_of(tx, [customer.id], MONDAY_NINE))[customer.id]

    report = await load(("2026-02", 9900, 60), ("2026-01", 9900, 100))
    assert (report.inserted, report.updated) == (2, 0)
    known = await facts()
    assert (known.usage_gb, known.usage_percent, known.months_known) == (60, None, 2)
    report = await load(("2026-02", 9900, 60), ("2026-01", 9900, 100), ("2025-11", "", 140))
    assert (report.inserted, report.updated, report.unchanged) == (1, 0, 2)
    known = await facts()
    assert (known.usage_percent, known.months_known, known.income_fen) == (50, 2, 9900)
    # An older file does not undo a newer one.
    older = f"{customer.code},2026-02,2026-02-28T00:00:00+08:00,1,1\n"
    assert (await load_months(tx, [head, older])).unchanged == 1
    with pytest.raises(FileRefused):
        await load(("2026-02-03", 1, 1))
    assert await tx.scalar(select(func.count()).select_from(CustomerMonth)) == 3


async def test_labelled_rows_tell_who_left_within_ninety_days(tx, unit):
    days = {"soon": date(2026, 1, 20), "late": date(2026, 6, 1), "never": None}
    for code, left in days.items():
        customer = await make_customer(tx, org_unit=unit, code=code, disconnected_on=left)
        await make_subscription(tx, customer)
        tx.add(
            ChurnSample(
                customer_id=customer.id,
                month=date(2025, 12, 1),
                day=date(2025, 12, 3),
                org_unit_id=unit.id,
                fields={"services": 1.0},
            )
        )
    await tx.flush()
    found = await queries.labelled(tx, date(2025, 12, 1), date(2026, 1, 1))
    assert sorted(each.left for each in found) == [False, False, True]
    assert found[0].fields["services"] == 1.0
    assert found[0].fields["usage_percent"] is None
    assert await queries.labelled(tx, date(2026, 1, 1), date(2026, 2, 1)) == []
    assert queries.latest_labelled(date(2026, 3, 3)) == date(2025, 12, 3)


async def test_churn_cards_are_added_by_administrators_and_not_rewritten(app, http, tx, unit):
    term = {"field": "complaints", "from": 1, "points": 30, "reason_zh": "投诉", "reason_en": "…"}
    body = {
        "version": "hand-2",
        "valid_from": "2026-03-01",
        "intercept": -30,
        "scale": 10,
        "terms": [term],
    }
    account = await make_account(tx, unit)
    admin = caller_for(Role.ADMIN, unit, account_id=account.id)
    desk = bearer(app, admin)
    made = await http.post("/v1/churn-cards", json=body, headers=desk)
    assert made.status_code == 201, made.text
    assert (await http.post("/v1/churn-cards", json=body, headers=desk)).json() == made.json()
    other = await http.post("/v1/churn-cards", json={**body, "scale": 20}, headers=desk)
    assert other.status_code == 409
    assert other.json()["type"] == "urn:yingwei:problem:churn-card-version-taken"
    for wrong in ({"field": "age"}, {"from": 5, "to": 5}):
        bad = {**body, "version": "hand-3", "terms": [{**term, **wrong}]}
        assert (await http.post("/v1/churn-cards", json=bad, headers=desk)).status_code == 422
    shown = (await http.get("/v1/churn-cards", headers=desk)).json()
    assert (shown["in_force"], len(shown["cards"])) == ("hand-2", 1)
    assert shown["cards"][0]["terms"] == [{**term, "to": None}]
    boss = headers(app, unit)
    assert (await http.post("/v1/churn-cards", json=body, headers=boss)).status_code == 403
    assert await tx.scalar(select(func.count()).select_from(ChurnCard)) == 1


async def test_a_file_of_cards_does_not_rewrite_a_version(tx):
    await make_card(tx)
    document = CARD.read_text("utf-8")
    assert (await load_churn_cards(tx, document)).unchanged == 1
    with pytest.raises(FileRefused):
        await load_churn_cards(tx, document.replace("scale: 20", "scale: 21"))
    assert await tx.scalar(select(func.count()).select_from(ChurnCard)) == 1


async def test_a_contact_is_counted_in_its_days_alone(tx):
    customer = await make_customer(tx)
    for days in (1, 90, 92):
        await make_contact(
            tx, customer, at=MONDAY_NINE - timedelta(days=days), kind=InteractionKind.COMPLAINT
        )
    known = await queries.facts_of(tx, [customer.id], MONDAY_NINE)
    assert known[customer.id].complaints == 2
