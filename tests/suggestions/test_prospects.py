"""People met at work who are no customers: noted with consent, followed as leads, forgotten."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.auth import audit
from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import new_id
from app.core.errors import Invalid
from app.customers.rules import ConsentProof
from app.privacy import service as privacy
from app.privacy.queries.rows import erased_rows, exported_rows
from app.suggestions.models import Prospect, SalesLead
from app.suggestions.rules.leads import LeadTo
from app.suggestions.rules.prospects import Noted, check_consent
from app.sync.models import SyncAction
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.privacy import ago
from tests.sync.test_push import Offline

LI = {
    "address": "碧波园 3栋 1201",
    "name": "李女士",
    "phone": "15912345678",
    "consent": "signature",
    "competitor": "另一家运营商",
    "offer": "500M 宽带",
    "monthly_price_fen": 5900,
    "until": "2026-12-31",
    "interest": "FTTH-1000",
    "handed_to": "account_manager",
}


@pytest.mark.parametrize(
    ("said", "agreed"),
    [
        ({}, True),
        ({"name": "李女士"}, False),
        ({"phone": "15912345678"}, False),
        ({"name": "李女士", "phone": "15912345678", "consent": ConsentProof.SIGNATURE}, True),
        ({"competitor": "另一家运营商"}, True),
    ],
)
def test_nobody_is_named_who_has_not_agreed(said, agreed, clock):
    noted = Noted(new_id(), "碧波园 3栋", LeadTo.SHOP, clock.now(), **said)
    if agreed:
        check_consent(noted)
    else:
        with pytest.raises(Invalid):
            check_consent(noted)


@pytest.fixture
async def visit_id(phone, line, catalogue, order):
    return await phone.restore(order)


@pytest.fixture
async def manager(tx, app, branch):
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    return bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))


def body_of(clock, **changes):
    return {"id": str(new_id()), **LI, "device_at": clock.now().isoformat(), **changes}


async def test_a_neighbour_who_asked_becomes_a_lead_and_is_masked_in_lists(
    tx, app, http, phone, visit_id, manager, order, clock
):
    body = body_of(clock)
    told = await phone.post(f"/visits/{visit_id}/prospects", **body)
    assert told.status_code == 200, told.text
    lead = told.json()
    assert (lead["state"], lead["customer_id"], lead["suggestion_id"]) == ("open", None, None)
    assert (lead["offering_code"], lead["handed_to"]) == ("FTTH-1000", "account_manager")
    assert (await phone.post(f"/visits/{visit_id}/prospects", **body)).json() == lead
    other = await phone.post(f"/visits/{visit_id}/prospects", **{**body, "name": "王"})
    assert other.json()["type"].endswith("same-id-other-content")

    (listed,) = (await http.get("/v1/sales-leads", headers=manager)).json()["leads"]
    assert listed == lead
    shown = listed["prospect"]
    assert (shown["masked"], shown["name"], shown["phone"]) == (True, "李**", "159****5678")
    assert (shown["address"], shown["competitor"]) == (None, "另一家运营商")
    assert shown["until"] == "2026-12-31"

    opened = (await http.get(f"/v1/prospects/{body['id']}", headers=manager)).json()
    assert (opened["phone"], opened["address"]) == (LI["phone"], LI["address"])
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    assert (await http.get(f"/v1/prospects/{body['id']}", headers=stranger)).status_code == 404
    url = f"/v1/sales-leads/{body['id']}"
    moved = await http.patch(url, json={"state": "won"}, headers=manager)
    assert (moved.json()["state"], moved.json()["prospect"]["name"]) == ("won", "李**")


async def test_each_look_in_full_is_written_down(
    tx, http, phone, visit_id, manager, clock, database
):
    database.before_commit = audit.record
    body = body_of(clock)
    await phone.post(f"/visits/{visit_id}/prospects", **body)
    await http.get(f"/v1/prospects/{body['id']}", headers=manager)
    looks = select(AuditEntry.fields).where(AuditEntry.action == "prospects_read")
    assert (await tx.scalars(looks)).all() == [["address", "name", "phone"]]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"consent": None}, "consent"), ({"interest": "NO-SUCH"}, "interest")],
)
async def test_what_may_not_be_noted_is_refused(phone, visit_id, clock, changes, field):
    refused = await phone.post(f"/visits/{visit_id}/prospects", **body_of(clock, **changes))
    assert refused.status_code == 422
    assert refused.json()["facts"]["errors"][0]["field"] == field


async def test_a_phone_that_was_offline_tells_later_and_its_action_keeps_no_name(
    tx, phone, visit_id, order, clock
):
    await phone.complete(visit_id)
    body = body_of(clock)
    del body["device_at"]
    offline = Offline(phone)
    offline.do("visits_note_prospect", visit_id=str(visit_id), **body)
    clock.tick(timedelta(hours=3))
    assert (await offline.push()).status_code == 200
    assert await tx.scalar(select(Prospect.name)) == LI["name"]
    assert (await tx.scalars(select(SyncAction.payload))).all() == [{}]


async def test_whoever_asks_is_forgotten_and_their_lead_ends(
    tx, http, phone, visit_id, manager, clock
):
    body = body_of(clock)
    await phone.post(f"/visits/{visit_id}/prospects", **body)
    for _ in range(2):
        told = await http.post(f"/v1/prospects/{body['id']}/forget", headers=manager)
        assert told.status_code == 200, told.text
    prospect = (await tx.scalars(select(Prospect))).one()
    assert (prospect.name, prospect.phone, prospect.address) == (None, None, "")
    assert prospect.competitor == "另一家运营商"
    assert await tx.scalar(select(SalesLead.state)) == "lost"
    # The phone's note that comes again names nobody anew.
    again = await phone.post(f"/visits/{visit_id}/prospects", **body)
    assert (again.status_code, again.json()["prospect"]["name"]) == (200, None)


async def test_who_they_are_is_kept_for_some_months(tx, phone, visit_id, clock, database):
    young, old = body_of(clock), body_of(clock)
    for body in (young, old):
        await phone.post(f"/visits/{visit_id}/prospects", **body)
    await tx.execute(
        text("UPDATE prospect SET created_at = :at WHERE id = :id"),
        {"at": ago(200), "id": old["id"]},
    )
    assert (await privacy.sweep(database, now=wall()))["prospects"] == 1
    rows = await tx.execute(text("SELECT id::text, phone FROM prospect"))
    assert {row.id: row.phone for row in rows} == {young["id"]: LI["phone"], old["id"]: None}


async def test_a_customer_is_told_and_forgotten_with_what_they_said_before(
    tx, phone, visit_id, branch, clock
):
    await phone.post(f"/visits/{visit_id}/prospects", **body_of(clock))
    somebody, themselves = [
        await make_customer(tx, org_unit=branch, phone=number)
        for number in ("13900000000", LI["phone"])
    ]
    assert (await exported_rows(tx, somebody.id))["prospect"] == []
    assert len((await exported_rows(tx, themselves.id))["prospect"]) == 1
    await erased_rows(tx, somebody.id)
    assert await tx.scalar(text("SELECT name FROM prospect")) == LI["name"]
    await erased_rows(tx, themselves.id)
    row = (await tx.execute(text("SELECT name, phone, address FROM prospect"))).one()
    assert tuple(row) == (None, None, "")
