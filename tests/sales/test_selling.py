"""Selling at the door over HTTP: a draft with the catalogue's price, consent, cancelling."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.parameter_values import ParameterValue
from app.sales.models import Sale, SaleItem
from tests.make.auth import bearer, caller_for, make_account
from tests.make.catalog import make_offering
from tests.make.sales import (
    consent_body,
    make_door,
    make_draft,
    sale_body,
    shown,
)
from tests.sales.conftest import slug

# --- putting together -----------------------------------------------------------------------------


async def test_a_sale_takes_its_prices_from_the_catalogue(post, door, tx, clock):
    body = sale_body(
        door,
        {
            "offering_code": "SPEED-1000",
            "seen_monthly_price_fen": 12900,
            "seen_one_off_price_fen": 5000,
        },
        {"offering_code": "TV-4K", "quantity": 2},
        note="second bedroom",
    )
    answer = await post("", body)
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert answer.json() == {
        "id": body["id"],
        "visit_id": str(door.visit.id),
        "work_order_id": str(door.order.id),
        "technician_id": str(door.technician.id),
        "state": "draft",
        "items": [
            {
                "id": items[0]["id"],
                "offering_code": "SPEED-1000",
                "quantity": 1,
                "monthly_price_fen": 12900,
                "one_off_price_fen": 5000,
                "commission_fen": 3000,
                "contract_months": 0,
                "suggestion_id": None,
                "special_terms_id": None,
                "discount_percent": None,
                "discount_months": None,
                "discounted_monthly_price_fen": None,
                "reversed_at": None,
                "removed_at": None,
            },
            {
                "id": items[1]["id"],
                "offering_code": "TV-4K",
                "quantity": 2,
                "monthly_price_fen": 2000,
                "one_off_price_fen": 0,
                "commission_fen": 0,
                "contract_months": 0,
                "suggestion_id": None,
                "special_terms_id": None,
                "discount_percent": None,
                "discount_months": None,
                "discounted_monthly_price_fen": None,
                "reversed_at": None,
                "removed_at": None,
            },
        ],
        "made_at": clock.now().isoformat().replace("+00:00", "Z"),
        "consent_kind": None,
        "shown_sha256": await shown(tx, UUID(body["id"])),
        "signature": None,
        "second_confirmation": None,
        "confirmed_at": None,
        "sent_at": None,
        "acknowledged_at": None,
        "completed_at": None,
        "rejected_reason": None,
        "reversed_at": None,
        "reservation_id": None,
        "appointment_hold_id": None,
        "install_order_id": None,
        "install_not_now": [],
        "note": "second bedroom",
    }


async def test_another_price_than_the_customer_saw_is_refused_with_both(post, door, tx):
    body = sale_body(
        door,
        {"offering_code": "SPEED-1000", "seen_monthly_price_fen": 9900},
        {"offering_code": "TV-4K", "seen_one_off_price_fen": 100},
    )
    answer = await post("", body)
    assert (answer.status_code, slug(answer)) == (409, "price-changed")
    assert answer.json()["facts"]["prices"] == [
        {"offering": "SPEED-1000", "price": "monthly", "seen_fen": 9900, "now_fen": 12900},
        {"offering": "TV-4K", "price": "one_off", "seen_fen": 100, "now_fen": 0},
    ]
    assert await tx.get(Sale, UUID(body["id"])) is None


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("NO-SUCH", 422, "not-in-the-catalogue"),
        ("GONE", 422, "not-in-the-catalogue"),
        ("COMING", 422, "not-in-the-catalogue"),
        ("VPN-9", 409, "not-sold-at-the-door"),
        ("KEEP-12", 201, None),
        ("TV-4K", 201, None),
    ],
)
async def test_only_what_is_in_force_today_and_for_the_door_is_sold(
    post, door, tx, code, status, said
):
    today = date(2026, 3, 2)
    await make_offering(tx, code="GONE", valid_to=today)
    await make_offering(tx, code="COMING", valid_from=today + timedelta(days=1))
    answer = await post("", sale_body(door, {"offering_code": code}))
    assert answer.status_code == status, answer.text
    if said is not None:
        assert slug(answer) == said


async def test_prices_change_at_midnight_of_the_org_unit(post, door, tx, clock):
    """At nine in the evening in Shanghai it is still the second; four hours later it is not."""
    await make_offering(tx, code="NEW", valid_from=date(2026, 3, 3))
    clock.tick(timedelta(hours=12))
    assert (await post("", sale_body(door, {"offering_code": "NEW"}))).status_code == 422
    clock.tick(timedelta(hours=4))
    assert (await post("", sale_body(door, {"offering_code": "NEW"}))).status_code == 201


@pytest.mark.parametrize(
    ("visit", "status", "said"),
    [
        ({"checked_in": None}, 409, "visit-not-begun"),
        ({"ended": timedelta(hours=-71)}, 201, None),
        ({"ended": timedelta(hours=-73)}, 409, "visit-over"),
    ],
)
async def test_a_sale_is_made_in_a_visit_or_not_long_after(post, tx, clock, visit, status, said):
    door = await make_door(tx, now=clock.now(), **visit)
    answer = await post("", sale_body(door), by=door.seller)
    assert answer.status_code == status, answer.text
    if said is not None:
        assert slug(answer) == said


async def test_how_late_is_the_operators_number_for_each_branch(post, door, tx, clock, database):
    tx.add(
        ParameterValue(
            name="sales.late_hours",
            org_path=door.branch.path,
            valid_from=clock.now() - timedelta(days=1),
            value=100,
        )
    )
    late = await make_door(tx, now=clock.now(), branch=door.branch, ended=timedelta(hours=-99))
    elsewhere = await make_door(tx, now=clock.now(), ended=timedelta(hours=-99))
    await tx.flush()
    database.cache.clear()
    assert (await post("", sale_body(late), by=late.seller)).status_code == 201
    assert (await post("", sale_body(elsewhere), by=elsewhere.seller)).status_code == 409


async def test_a_visit_of_somebody_else_is_not_found(post, door, tx, clock):
    colleague = await make_door(tx, now=clock.now(), branch=door.branch)
    answer = await post("", sale_body(colleague))
    unknown = await post("", {**sale_body(door), "visit_id": str(new_id())})
    assert (answer.status_code, unknown.status_code) == (404, 404)
    # The same words as for a visit that does not exist.
    assert answer.json()["detail"] == unknown.json()["detail"]


async def test_a_visit_without_a_customer_sells_nothing(post, door, tx):
    door.order.customer_id = None
    await tx.flush()
    assert (await post("", sale_body(door))).status_code == 404


async def test_a_suggestion_must_be_of_this_visit(post, door):
    item = {"offering_code": "TV-4K", "suggestion_id": str(new_id())}
    answer = await post("", sale_body(door, item))
    assert (answer.status_code, slug(answer)) == (422, "invalid")
    assert answer.json()["facts"]["errors"][0]["field"] == "items.suggestion_id"


@pytest.mark.parametrize(
    "change",
    [
        {"items": []},
        {"items": [{"offering_code": "TV-4K"}] * 21},
        {"items": [{"offering_code": "TV-4K", "quantity": 0}]},
        {"items": [{"offering_code": "TV-4K", "monthly_price_fen": 1}]},
        {"items": [{"offering_code": "TV-4K", "seen_monthly_price_fen": -1}]},
        {"items": [{"offering_code": "TV\x00"}]},
        {"note": "nothing\x00more"},
        {"state": "completed"},
        {"technician_id": str(new_id())},
        {"id": "17"},
        {"device_at": "2026-03-02T09:00:00"},
    ],
)
async def test_what_a_phone_may_not_say_is_refused(post, door, tx, change):
    answer = await post("", {**sale_body(door), **change})
    assert (answer.status_code, slug(answer)) == (422, "invalid")
    assert await tx.scalar(select(func.count()).select_from(Sale)) == 0


@pytest.mark.parametrize(
    ("role", "scopes", "status"),
    [
        (Role.SUPERVISOR, None, 403),
        (Role.INTEGRATION, None, 403),
        (Role.ADMIN, None, 403),
        (Role.TECHNICIAN, frozenset({"sales:read"}), 403),
    ],
)
async def test_only_technicians_sell(post, door, role, scopes, status):
    by = caller_for(role, door.branch, technician_id=door.technician.id, scopes=scopes)
    assert (await post("", sale_body(door), by=by)).status_code == status


async def test_nobody_sells_without_a_token(http, door):
    assert (await http.post("/v1/sales", json=sale_body(door))).status_code == 401


# --- the same again -------------------------------------------------------------------------------


async def test_the_same_sale_again_is_answered_like_the_first_time(post, door, tx, clock):
    body = sale_body(door)
    first = await post("", body)
    clock.tick(timedelta(hours=1))
    again = await post("", body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert await tx.scalar(select(func.count()).select_from(SaleItem)) == 1


async def test_the_same_sale_again_after_its_visit_is_long_over_is_still_known(
    post, door, tx, clock
):
    """The answer was lost and the phone found a network only days later."""
    body = sale_body(door)
    first = await post("", body)
    door.visit.ended_at = clock.now()
    await tx.flush()
    clock.tick(timedelta(days=9))
    assert (await post("", body)).json() == first.json()


@pytest.mark.parametrize(
    "change",
    [
        {"items": [{"offering_code": "TV-4K"}]},
        {"items": [{"offering_code": "SPEED-1000", "quantity": 2}]},
        {"items": [{"offering_code": "SPEED-1000", "seen_monthly_price_fen": 12900}]},
        {"note": "other"},
    ],
)
async def test_the_same_id_for_other_content_is_refused(post, door, change):
    body = sale_body(door)
    await post("", body)
    answer = await post("", {**body, **change})
    assert (answer.status_code, slug(answer)) == (409, "same-id-other-content")
    assert answer.json()["facts"]["id"] == body["id"]


async def test_another_technicians_id_is_refused_without_a_word_about_it(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    other = await make_door(tx, now=clock.now(), branch=door.branch)
    answer = await post("", {**sale_body(other), "id": str(draft.id)}, by=other.seller)
    assert (answer.status_code, slug(answer)) == (409, "same-id-other-content")
    assert answer.json()["facts"] == {"id": str(draft.id)}


# --- words and traces -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "title", "detail"),
    [
        ("zh-CN,zh;q=0.9", "价格已变动", "SPEED-1000 ¥99.00 → ¥129.00"),
        ("en", "The price has changed", "SPEED-1000 ¥99.00 → ¥129.00"),
    ],
)
async def test_a_refusal_speaks_the_callers_language(post, door, lang, title, detail):
    item = {"offering_code": "SPEED-1000", "seen_monthly_price_fen": 9900}
    answer = await post("", sale_body(door, item), lang=lang)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == title
    assert detail in answer.json()["detail"]


async def test_each_change_leaves_one_row_in_the_trail(post, app, http, door, tx, clock):
    account = await make_account(tx, door.branch, role=Role.SUPERVISOR)
    body = sale_body(door)
    await post("", body)
    made = await post("", body)
    consent = consent_body(clock.now(), made.json()["shown_sha256"])
    await post(f"/{body['id']}/confirm", consent)
    await post(f"/{body['id']}/confirm", consent)
    await post(f"/{body['id']}/cancel")  # refused
    rows = await tx.execute(
        select(AuditEntry.action, AuditEntry.account_id, AuditEntry.changes)
        .where(AuditEntry.changed_ids.contains([UUID(body["id"])]))
        .order_by(AuditEntry.created_at, AuditEntry.id)
    )
    made, confirmed = rows.all()
    assert (made.action, made.account_id) == ("sales_put_together", door.seller.account_id)
    assert made.changes == [
        {"table": "sale", "operation": "insert", "count": 1, "ids": [body["id"]]}
    ]
    assert (confirmed.action, confirmed.account_id) == ("sales_confirm", door.seller.account_id)
    signature, change = sorted(confirmed.changes, key=lambda each: each["operation"])
    assert (signature["table"], signature["operation"]) == ("consent_signature", "insert")
    assert (change["table"], change["operation"]) == ("sale", "update")
    assert {"state", "consent_kind", "consent_hash", "confirmed_at"} <= set(change["columns"])
    # Names of columns, never what the customer signed.
    assert "values" not in change and "values" not in signature
    supervisor = caller_for(Role.SUPERVISOR, door.branch, account_id=account.id)
    seen = await http.get(f"/v1/sales/{body['id']}", headers=bearer(app, supervisor))
    assert seen.json()["state"] == "confirmed"
