"""What a person may ask for: to see what is kept, and to be forgotten; and who has to agree."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from app.auth.models import AuditEntry, OrgUnit
from app.auth.rules import Role
from app.core.db import fetched, new_id
from app.core.jobs import Worker
from app.customers.loading import load_customers
from app.customers.models import Customer, ServiceAddress
from app.messaging.rules import MessageKind
from app.privacy import jobs, queries
from app.privacy.models import PrivacyRequest
from app.privacy.rules.register import ACTIONS_ABOUT, MESSAGES_ABOUT, REGISTER
from app.retention.models import RetentionCase, SpecialTerms, TermsVerdict
from app.retention.rules import CaseState
from app.sync.queries import pushing
from app.visits.models import Visit
from app.workorders.models import WorkOrder
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_address, make_contact, make_customer, make_subscription
from tests.make.followups import make_follow_up, make_rule
from tests.make.messaging import make_message
from tests.make.retention import make_toolkit
from tests.make.visits import make_assigned_order, make_phone

SECRETS = ("王小明", "15412341234", "1203", "07318881234", "S-1", "KH-1", "A-1")


@pytest.fixture
async def province(tx):
    return await make_org_unit(tx, code="gd")


@pytest.fixture
async def keeper(app, tx, province):
    account = await make_account(tx, province)
    return bearer(app, caller_for(Role.ADMIN, province, account_id=account.id))


@pytest.fixture
async def customer(tx, http, app, clock, province):
    """Somebody who was visited, and whose service has ended."""
    made = await make_customer(
        tx, org_unit=province, code="KH-1", name="王小明", phone="15412341234", arrears_fen=0
    )
    await make_address(tx, made, code="A-1")
    await make_subscription(tx, made, service_number="S-1", ended_on=date(2026, 3, 1))
    await make_contact(tx, made, at=clock.now() - timedelta(days=9), subject="王小明 来电")
    phone = await make_phone(tx, app, http, clock, org_unit=province)
    order = await make_assigned_order(tx, phone.technician, made, now=clock.now())
    visit = await phone.restore(order)
    await phone.complete(visit)
    return made


async def ask(http, headers, kind, *customers, **more):
    body = {
        "id": str(new_id()),
        "kind": kind,
        "customer_ids": [str(one.id) for one in customers],
        "reason": "本人书面申请",
    } | more
    return await http.post("/v1/privacy/requests", json=body, headers=headers)


async def everything(tx, customer):
    rows = []
    for name, table in REGISTER.items():
        if table.whose is not None and name != "audit_entry":
            rows += await fetched(
                tx,
                f"SELECT to_jsonb(t)::text FROM {name} t WHERE {table.whose}",
                {"customer": customer.id},
            )
    return " ".join(row[0] for row in rows)


async def test_an_export_holds_all_that_is_kept_and_leaves_an_entry(tx, http, customer, keeper):
    asked = await ask(http, keeper, "export", customer)
    assert (asked.status_code, asked.json()["state"]) == (200, "done")
    url = f"/v1/privacy/requests/{asked.json()['id']}/document"
    answer = await http.get(url, headers=keeper)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    (about,) = answer.json()["customers"]
    tables = about["tables"]
    assert tables["customer"][0]["name"] == "王小明"
    assert tables["service_address"][0]["point"]["coordinates"] == [112.6, 28.9]
    assert tables["visit"][0]["outcome_code"] == "fixed"
    assert {"work_order", "work_order_event", "interaction", "subscription"} <= {
        name for name, rows in tables.items() if rows
    }
    looks = await tx.scalars(
        select(AuditEntry).where(AuditEntry.purpose == f"privacy_request:{asked.json()['id']}")
    )
    assert [entry.subject_id for entry in looks] == [customer.id]


async def test_who_is_erased_is_nobody_and_what_happened_still_adds_up(tx, http, customer, keeper):
    before = await tx.scalar(select(func.count()).select_from(WorkOrder))
    kept = await everything(tx, customer)
    assert [secret for secret in SECRETS if secret not in kept] == []
    asked = await ask(http, keeper, "erasure", customer)
    assert asked.status_code == 200, asked.text
    assert asked.json()["told"][0]["rows"]["customer"] == 1
    left = await everything(tx, customer)
    assert [secret for secret in SECRETS if secret in left] == []
    assert await tx.scalar(select(func.count()).select_from(WorkOrder)) == before
    held = await tx.get_one(Customer, customer.id, populate_existing=True)
    assert (held.name, held.do_not_disturb, held.erased_at is None) == ("", True, False)
    place = await tx.scalar(
        select(ServiceAddress.standard_address).where(ServiceAddress.customer_id == customer.id)
    )
    assert place == "碧波园"
    # Once more changes nothing, and the next file does not bring them back.
    again = await ask(http, keeper, "erasure", customer)
    assert again.json()["told"][0]["rows"] == {}
    lines = [
        "code,as_of,org_unit,name,phone\n",
        "KH-1,2026-03-05T00:00:00+08:00,gd,王小明,15412341234\n",
    ]
    report = await load_customers(tx, lines)
    assert (report.inserted, report.updated) == (0, 0)


async def test_who_is_served_is_not_erased(tx, http, customer, keeper):
    await make_subscription(tx, customer)
    answer = await ask(http, keeper, "erasure", customer)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:yingwei:problem:still-served")
    assert answer.json()["facts"]["running_services"] == 1
    held = await tx.get_one(Customer, customer.id, populate_existing=True)
    assert (held.name, held.erased_at) == ("王小明", None)
    assert await tx.scalar(select(func.count()).select_from(PrivacyRequest)) == 0


async def test_of_several_a_second_person_agrees_first(
    tx, http, app, settings, clock, database, customer, keeper, province
):
    served = await make_customer(tx, org_unit=province)
    await make_subscription(tx, served)
    asked = (await ask(http, keeper, "erasure", customer, served)).json()
    assert asked["state"] == "waiting"
    url = f"/v1/privacy/requests/{asked['id']}"
    own = await http.post(f"{url}/agree", headers=keeper)
    assert (own.status_code, own.json()["type"]) == (
        409,
        "urn:yingwei:problem:second-person-needed",
    )
    account = await make_account(tx, province)
    second = bearer(app, caller_for(Role.ADMIN, province, account_id=account.id))
    agreed = await http.post(f"{url}/agree", headers=second)
    assert (agreed.status_code, agreed.json()["state"]) == (200, "agreed")
    worker = Worker(settings, clock, database)
    await jobs.carry_out(worker, request_id=asked["id"])
    await jobs.carry_out(worker, request_id=asked["id"])  # a second time does no harm
    done = (await http.get(url, headers=keeper)).json()
    assert done["state"] == "done"
    told = {one["customer_id"]: one for one in done["told"]}
    assert told[str(customer.id)]["rows"]["customer"] == 1
    assert told[str(served.id)]["against"]["running_services"] == 1


@pytest.mark.parametrize(
    ("role", "elsewhere", "status"),
    [(Role.ADMIN, True, 404), (Role.SUPERVISOR, False, 403), (Role.TECHNICIAN, False, 403)],
)
async def test_nobody_else_may_ask(tx, http, app, customer, province, role, elsewhere, status):
    unit = await make_org_unit(tx) if elsewhere else province
    account = await make_account(tx, unit, role=Role.ADMIN)
    headers = bearer(app, caller_for(role, unit, account_id=account.id))
    for kind in ("export", "erasure"):
        answer = await ask(http, headers, kind, customer)
        assert answer.status_code == status
        assert "王小明" not in answer.text
    assert await tx.scalar(select(func.count()).select_from(PrivacyRequest)) == 0


async def test_an_export_is_fetched_by_those_concerned_for_some_days(
    tx, http, app, clock, customer, keeper, province
):
    asked = (await ask(http, keeper, "export", customer)).json()
    url = f"/v1/privacy/requests/{asked['id']}/document"
    account = await make_account(tx, province)
    other = bearer(app, caller_for(Role.ADMIN, province, account_id=account.id))
    assert (await http.get(url, headers=other)).status_code == 404
    clock.tick(timedelta(days=7, seconds=1))
    assert (await http.get(url, headers=keeper)).status_code == 404


async def test_the_same_request_is_answered_alike_and_no_other_under_its_id(http, customer, keeper):
    known = {"id": str(new_id())}
    first = await ask(http, keeper, "export", customer, **known)
    assert (await ask(http, keeper, "export", customer, **known)).json() == first.json()
    other = await ask(http, keeper, "export", customer, **known, reason="别的原因")
    assert other.status_code == 409
    twice = await ask(http, keeper, "export", customer, customer)
    assert twice.status_code == 422


async def test_a_record_may_be_emptied_of_persons_and_of_nothing_else(tx, customer):
    for change in (
        "UPDATE work_order_event SET to_state = 'cancelled'",
        "UPDATE work_order_event SET reason = 'other words'",
        "UPDATE work_order_event SET reason = NULL, to_state = 'cancelled'",
        "DELETE FROM work_order_event",
    ):
        with pytest.raises(IntegrityError, match="append-only"):
            async with tx.begin_nested():
                await tx.execute(text(change))
    await tx.execute(text("UPDATE work_order_event SET reason = NULL, facts = NULL"))


async def test_the_register_tells_where_data_stands_and_for_how_long(http, keeper):
    answer = (await http.get("/v1/privacy/register", headers=keeper)).json()
    assert {
        "table": "customer",
        "column": "phone",
        "kind": "contact",
        "on_erasure": "blank",
    } in answer["columns"]
    audit = next(one for one in answer["periods"] if one["name"] == "audit")
    assert (audit["days"], audit["done_at"]) == (1095, None)


async def test_what_was_said_of_a_customer_is_found_by_whatever_it_names(
    tx, http, app, clock, customer, keeper, province
):
    """A phone need not say which order it was about, and nobody need have let it through."""
    phone = await make_phone(tx, app, http, clock, org_unit=province)
    case = RetentionCase(
        org_unit_id=province.id, customer_id=customer.id, cause="churn_high", handling="call",
        arm="treated", share_percent=10.0, state="open", decided_at=clock.now(),
        ask_at=clock.now(), ends_at=clock.now(),
    )  # fmt: skip
    boss, toolkit = await make_account(tx, province), await make_toolkit(tx)
    terms = SpecialTerms(
        org_unit_id=province.id, customer_id=customer.id, toolkit_id=toolkit.id,
        offering_code="X", discount_percent=5, months=3, reason="王小明要求", content_hash="",
        asked_by=boss.id, asked_as="technician", asked_at=clock.now(), path=[],
        state="declined", expires_at=clock.now(),
    )  # fmt: skip
    tx.add_all([case, terms])
    await tx.flush()
    tx.add(
        TermsVerdict(
            terms_id=terms.id, step=1, hand="supervisor", account_id=boss.id,
            approved=False, reason="王小明已离网", at=clock.now(),
        )
    )  # fmt: skip
    await tx.flush()
    said = [
        (
            "former_customers_record",
            {"customer_id": str(customer.id).upper(), "note": "王小明搬家"},
        ),
        ("retention_cases_outcome", {"case_id": str(case.id), "note": "王小明不想谈"}),
        ("special_terms_withdraw", {"terms_id": str(terms.id), "note": "王小明改变主意"}),
        # Of any length, and about nobody.
        ("customers_consent", {"customer_id": "x" * 50_000}),
    ]
    actions = [
        {"id": str(new_id()), "type": kind, "payload": told, "device_at": clock.now().isoformat()}
        for kind, told in said
    ]
    changes = {"actions": {"created": actions, "updated": [], "deleted": []}}
    pushed = {"changes": changes, "last_pulled_at": None}
    answer = await http.post("/v1/sync", json=pushed, headers=phone.headers)
    assert answer.status_code == 200, answer.text
    rows = await queries.exported_rows(tx, customer.id)
    assert {row["type"] for row in rows["sync_action"]} == {kind for kind, _ in said[:3]}
    assert [row["reason"] for row in rows["terms_verdict"]] == ["王小明已离网"]
    case.state, case.closed_at = CaseState.DONE, clock.now()
    await tx.flush()
    asked = await ask(http, keeper, "erasure", customer)
    assert asked.status_code == 200, asked.text
    for table in ("sync_action", "terms_verdict", "special_terms"):
        left = await fetched(tx, f"SELECT to_jsonb(t)::text FROM {table} AS t", {})
        assert "王小明" not in str(left), table
    kept = await tx.scalars(text("SELECT payload FROM sync_action WHERE payload <> '{}'"))
    assert list(kept) == [said[3][1]]


async def test_messages_are_found_by_whatever_they_are_about(tx, clock, customer, keeper, http):
    order = await tx.scalar(select(WorkOrder))
    assert order is not None
    visit_id = await tx.scalar(select(Visit.id))
    follow_up = await make_follow_up(tx, await make_rule(tx), order, now=clock.now())
    unit = await tx.get_one(OrgUnit, customer.org_unit_id)
    told = {MessageKind.ACCEPTANCE_CODE: visit_id, MessageKind.SURVEY: follow_up.id}
    for kind, about in told.items():
        facts = {"code": "482913", "minutes": 30, "link": "x"}
        await make_message(tx, unit, kind=kind, about=about, facts=facts, to="15412341234")
    rows = await queries.exported_rows(tx, customer.id)
    assert [row["recipient"] for row in rows["message"]] == ["15412341234"] * 2
    await ask(http, keeper, "erasure", customer)
    left = await tx.execute(text("SELECT recipient, body FROM message"))
    assert set(left) == {(None, None)}


async def test_the_database_looks_for_what_the_register_says(tx):
    """An action is found by what it names only if the index has it under that name."""
    for name in ACTIONS_ABOUT.keys() - {"work_order_id", "metadata"}:
        found = await fetched(
            tx,
            "SELECT sync_about(NULL, jsonb_build_object(%(name)s::text, 'AB'))"
            " = hashtextextended('ab', 0)",
            {"name": name},
        )
        assert found == [(True,)], name
    # What comes home after an erasure is known by the same names.
    assert pushing.SUBJECTS.keys() == ACTIONS_ABOUT.keys() - {"metadata"}
    assert MESSAGES_ABOUT.keys() == set(MessageKind)
    await tx.execute(text("SET LOCAL enable_seqscan = off"))  # the tables of a test are small
    for table in ("sync_action", "message"):
        plan = await fetched(
            tx, f"EXPLAIN SELECT FROM {table} WHERE {REGISTER[table].whose}", {"customer": new_id()}
        )
        assert f"Scan on ix_{table}_about" in str(plan) or f"using ix_{table}_about" in str(plan)
