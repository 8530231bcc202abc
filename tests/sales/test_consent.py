"""Consent makes a draft a sale that will be delivered; without it a draft may be dropped."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text

from app.core.db import new_id
from app.sales.models import Sale
from tests.make.catalog import make_offering
from tests.make.sales import (
    SIGNATURE,
    consent_body,
    jobs_of,
    make_confirmed,
    make_door,
    make_draft,
    sale_body,
    shown,
)
from tests.sales.conftest import slug

# --- consent --------------------------------------------------------------------------------------


async def test_a_signature_confirms_and_its_evidence_is_kept(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    clock.tick(timedelta(minutes=2))
    agreed = await shown(tx, draft.id)
    answer = await post(f"/{draft.id}/confirm", consent_body(clock.now(), agreed))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["state"], said["consent_kind"]) == ("confirmed", "signature")
    assert said["confirmed_at"] == clock.now().isoformat().replace("+00:00", "Z")
    assert said["signature"]["picture_arrived"] is False
    assert said["second_confirmation"] is None
    sale = (await tx.scalars(select(Sale).execution_options(populate_existing=True))).one()
    given_at = clock.now().isoformat()
    assert sale.consent_evidence == {**SIGNATURE, "shown_sha256": agreed, "given_at": given_at}
    assert len(sale.consent_hash or "") == 64
    assert await jobs_of(tx) == [str(draft.id)]


async def test_a_signature_under_something_else_is_refused_with_both(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    answer = await post(f"/{draft.id}/confirm", consent_body(clock.now(), "ab" * 32))
    assert (answer.status_code, slug(answer)) == (409, "consent-not-of-this-sale")
    agreed = await shown(tx, draft.id)
    assert answer.json()["facts"] == {"agreed": "ab" * 32, "sale": agreed}
    assert await jobs_of(tx) == []


@pytest.mark.parametrize(
    "consent",
    [
        {},
        {"consent": {"kind": "nodded", "given_at": "2026-03-02T09:00:00+08:00"}},
        {"consent": {"kind": "signature", "given_at": "2026-03-02T09:00:00+08:00"}},
        {
            "consent": {
                "kind": "signature",
                "given_at": "2026-03-02T09:00:00",
                "image_sha256": "ab" * 32,
                "stroke_sha256": "ab" * 32,
                "shown_sha256": "ab" * 32,
                "stroke_count": 9,
            }
        },
        {
            "consent": {
                "kind": "signature",
                "given_at": "2026-03-02T09:00:00+08:00",
                "image_sha256": "ab" * 31,
                "stroke_sha256": "ab" * 32,
                "shown_sha256": "ab" * 32,
                "stroke_count": 9,
            }
        },
        {
            "consent": {
                "kind": "sms_reply",
                "given_at": "2026-03-02T09:00:00+08:00",
                "reply": "Y",
            }
        },
    ],
)
async def test_consent_without_evidence_is_none(post, door, tx, clock, consent):
    draft = await make_draft(tx, door, now=clock.now())
    answer = await post(f"/{draft.id}/confirm", consent)
    assert (answer.status_code, slug(answer)) == (422, "invalid")
    assert await jobs_of(tx) == []


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (timedelta(minutes=-9), 200),
        (timedelta(minutes=-11), 422),
        (timedelta(minutes=9), 200),
        (timedelta(minutes=11), 422),
    ],
)
async def test_consent_is_given_to_this_sale_and_not_in_the_future(
    post, door, tx, clock, given, status
):
    draft = await make_draft(tx, door, now=clock.now())
    answer = await post(
        f"/{draft.id}/confirm", consent_body(clock.now() + given, await shown(tx, draft.id))
    )
    assert answer.status_code == status
    if status != 200:
        assert slug(answer) == "consent-out-of-time"


async def test_an_offline_sale_is_judged_by_the_phones_own_times(post, door, clock):
    """Made and agreed to at eight, sent at ten: the consent came after the sale."""
    at_eight = clock.now() - timedelta(hours=1)
    clock.tick(timedelta(hours=1))
    body = sale_body(door, device_at=at_eight.isoformat())
    made = await post("", body)
    assert made.status_code == 201
    consent = consent_body(at_eight + timedelta(minutes=1), made.json()["shown_sha256"])
    assert (await post(f"/{body['id']}/confirm", consent)).status_code == 200


async def test_the_same_consent_again_is_answered_like_the_first_time(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    consent = consent_body(clock.now(), await shown(tx, draft.id))
    first = await post(f"/{draft.id}/confirm", consent)
    clock.tick(timedelta(days=9))
    again = await post(f"/{draft.id}/confirm", consent)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await jobs_of(tx) == [str(draft.id)]


async def test_another_consent_to_a_confirmed_sale_is_refused(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    await post(f"/{draft.id}/confirm", consent_body(clock.now(), await shown(tx, draft.id)))
    other = consent_body(clock.now(), await shown(tx, draft.id), stroke_count=1)
    answer = await post(f"/{draft.id}/confirm", other)
    assert (answer.status_code, slug(answer)) == (409, "sale-step-refused")
    assert await jobs_of(tx) == [str(draft.id)]


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"monthly_price_fen": 13900, "one_off_price_fen": 5000}, "monthly"),
        ({"monthly_price_fen": 12900, "one_off_price_fen": 0}, "one_off"),
    ],
)
async def test_a_price_that_changed_since_the_draft_is_refused_with_both(
    post, door, tx, clock, fields, price
):
    draft = await make_draft(tx, door, now=clock.now())
    await tx.execute(
        text("UPDATE product_offering SET valid_to = '2026-03-03' WHERE code = 'SPEED-1000'")
    )
    await make_offering(tx, valid_from=date(2026, 3, 3), **fields)
    clock.tick(timedelta(days=1))
    answer = await post(
        f"/{draft.id}/confirm", consent_body(clock.now(), await shown(tx, draft.id))
    )
    assert (answer.status_code, slug(answer)) == (409, "price-changed")
    (change,) = answer.json()["facts"]["prices"]
    assert change["price"] == price
    assert change["seen_fen"] != change["now_fen"]
    assert await jobs_of(tx) == []


async def test_a_draft_cannot_be_confirmed_long_after_its_visit(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    door.visit.ended_at = clock.now()
    await tx.flush()
    clock.tick(timedelta(hours=73))
    answer = await post(
        f"/{draft.id}/confirm", consent_body(clock.now(), await shown(tx, draft.id))
    )
    assert (answer.status_code, slug(answer)) == (409, "visit-over")


async def test_somebody_elses_sale_is_not_found(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    colleague = (await make_door(tx, now=clock.now(), branch=door.branch)).seller
    consent = consent_body(clock.now(), await shown(tx, draft.id))
    assert (await post(f"/{draft.id}/confirm", consent, by=colleague)).status_code == 404
    assert (await post(f"/{draft.id}/cancel", by=colleague)).status_code == 404
    assert (await post(f"/{new_id()}/confirm", consent)).status_code == 404
    assert await jobs_of(tx) == []


# --- cancelling -----------------------------------------------------------------------------------


async def test_a_draft_is_cancelled_once_and_for_all(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    first = await post(f"/{draft.id}/cancel")
    again = await post(f"/{draft.id}/cancel")
    assert (first.status_code, first.json()["state"]) == (200, "cancelled")
    assert again.json() == first.json()
    answer = await post(
        f"/{draft.id}/confirm", consent_body(clock.now(), await shown(tx, draft.id))
    )
    assert (answer.status_code, slug(answer)) == (409, "sale-step-refused")
    assert answer.json()["facts"] == {"state": "cancelled", "wanted": "confirmed"}
    assert await jobs_of(tx) == []


async def test_a_confirmed_sale_is_not_ours_to_cancel(post, door, tx, clock):
    sale = await make_confirmed(tx, door, now=clock.now())
    answer = await post(f"/{sale.id}/cancel")
    assert (answer.status_code, slug(answer)) == (409, "sale-step-refused")
    assert answer.json()["facts"] == {"state": "confirmed", "wanted": "cancelled"}
