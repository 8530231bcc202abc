"""Special terms over HTTP: toolkits, the approval path, and the code that a sale uses once."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.core.db import new_id
from app.core.errors import Problem
from app.lifecycle.rules import Tier
from app.retention.models import RetentionToolkit, SpecialTerms
from app.retention.service import check_code, give_back, redeem
from app.retention.service.terms import end_expired
from tests.make.catalog import make_offering
from tests.make.customers import make_customer
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import CONTENT, make_toolkit
from tests.retention.conftest import slug


def asked(customer, percent=20, months=6, **fields):
    return {
        "id": str(new_id()),
        "customer_id": str(customer.id),
        "kind": "retention",
        "offering_code": "RENEW-24",
        "discount_percent": percent,
        "months": months,
        "reason": "友商报价更低",
        **fields,
    }


async def test_a_toolkit_is_set_and_succeeded_by_its_next_version(tx, office):
    await make_offering(tx, code="RENEW-24")
    body = {"id": str(new_id()), "code": "np-keep", "valid_from": "2026-03-02", **CONTENT}
    first = await office.ok("admin", "POST", "/toolkits", body)
    assert (first["version"], first["offers"]) == (1, ["RENEW-24"])
    assert await office.ok("admin", "POST", "/toolkits", body) == first
    other = await office.ask("admin", "POST", "/toolkits", {**body, "offers": []})
    assert slug(other) == (409, "same-id-other-content")
    again = {**body, "id": str(new_id()), "valid_from": "2026-03-05", "active": False}
    assert (await office.ok("admin", "POST", "/toolkits", again))["version"] == 2
    renewal = {**body, "id": str(new_id()), "kind": "renewal"}
    taken = await office.ask("admin", "POST", "/toolkits", renewal)
    assert slug(taken) == (409, "toolkit-code-taken")
    for field, value, status in (
        ("offers", ["NO-SUCH"], 422),
        ("valid_from", "2026-03-01", 422),
        ("approval", ["manager", "supervisor"], 422),
        ("approval", ["manager"], 201),
    ):
        sent = {**body, "id": str(new_id()), "code": "x", field: value}
        answer = await office.ask("admin", "POST", "/toolkits", sent)
        assert answer.status_code == status
    assert (await office.ask("supervisor", "POST", "/toolkits", body)).status_code == 403
    listed = await office.ok("technician", "GET", "/toolkits", kind="retention")
    assert [(one["code"], one["version"]) for one in listed["toolkits"]] == [
        ("np-keep", 1),
        ("x", 1),
    ]
    later = await office.ok("technician", "GET", "/toolkits", day="2026-03-05")
    assert [one["code"] for one in later["toolkits"]] == ["x"]
    every = await office.ok("supervisor", "GET", "/toolkits", all_versions=True)
    assert len(every["toolkits"]) == await tx.scalar(
        select(func.count()).select_from(RetentionToolkit)
    )


async def test_hidden_high_value_counts_one_tier_up_and_is_told(tx, office):
    """The same offer has the same price for the same tier: who is worth more than they bring has
    the terms of the next tier up, whatever a toolkit of their own says, and reads why."""
    small = [{"discount_percent": 5, "months": 3}]
    await make_toolkit(tx, steps=small)
    await make_toolkit(tx, tiers=["B"])
    await make_toolkit(tx, hidden=True, steps=[{"discount_percent": 20, "months": 6}])
    told = {}
    for tier, hidden in ((Tier.B, False), (Tier.C, True), (Tier.C, False), (Tier.D, True)):
        customer = await make_customer(tx, org_unit=office.branch)
        await make_lifecycle(tx, customer, tier=tier, hidden_high_value=hidden)
        answer = await office.ask("manager", "POST", "/special-terms", asked(customer, 30, 12))
        told[tier, hidden] = answer
    assert told[Tier.B, False].status_code == told[Tier.C, True].status_code == 201
    assert slug(told[Tier.C, False]) == slug(told[Tier.D, True]) == (409, "terms-off-the-steps")
    plain, counted = told[Tier.B, False].json(), told[Tier.C, True].json()
    assert plain["toolkit_id"] == counted["toolkit_id"]
    assert (plain["tier"], plain["counted_tier"], plain["counted_words"]) == ("B", None, None)
    assert (counted["tier"], counted["counted_tier"]) == ("C", "B")
    assert counted["counted_words"]["en"].startswith("is worth more than they bring")
    assert counted["counted_words"]["zh"].startswith("潜在高价值客户")


async def test_from_asking_to_the_sale_that_uses_the_code(tx, office, clock):
    await make_toolkit(tx)
    customer = await make_customer(tx, org_unit=office.branch)
    await make_lifecycle(tx, customer)
    body = asked(customer)
    first = await office.ok("technician", "POST", "/special-terms", body)
    assert (first["state"], first["path"], first["waits_for"]) == (
        "waiting",
        ["supervisor", "manager"],
        "supervisor",
    )
    assert first["code"] is None
    assert await office.ok("technician", "POST", "/special-terms", body) == first
    path = f"/special-terms/{body['id']}"
    why = {"reason": "值得留"}
    # Each in turn, and nobody out of turn, twice, or from elsewhere.
    assert (await office.ask("technician", "POST", f"{path}/approve", why)).status_code == 403
    assert (await office.ask("colleague", "GET", path)).status_code == 404
    assert (await office.ask("stranger", "POST", f"{path}/approve", why)).status_code == 404
    half = await office.ok("supervisor", "POST", f"{path}/approve", why)
    assert (half["state"], half["waits_for"]) == ("waiting", "manager")
    assert await office.ok("supervisor", "POST", f"{path}/approve", why) == half
    early = await office.ask("supervisor", "POST", f"{path}/approve", {"reason": "再批"})
    assert slug(early) == (403, "approval-not-yours")
    waiting = await office.ok("manager", "GET", "/special-terms", state="waiting")
    assert [one["id"] for one in waiting["special_terms"]] == [body["id"]]
    whole = await office.ok("manager", "POST", f"{path}/approve", {"reason": "同意"})
    assert (whole["state"], whole["code"], len(whole["verdicts"])) == ("approved", None, 2)
    code = (await office.ok("technician", "GET", path))["code"]
    assert code is not None
    row = await tx.get_one(SpecialTerms, first["id"], populate_existing=True)
    assert code.encode() not in (row.code_hash or b"")

    sale, now = new_id(), clock.now()
    good = {"sale_id": sale, "customer_id": customer.id, "offering_code": "RENEW-24", "now": now}
    stranger = await make_customer(tx)
    for change, name in (
        ({"customer_id": stranger.id}, "approval-code-for-other"),
        ({"offering_code": "OTHER"}, "approval-code-for-other"),
        ({"now": now + timedelta(hours=72)}, "approval-code-over"),
    ):
        with pytest.raises(Problem) as refused:
            await check_code(tx, code, **{**good, **change})
        assert refused.value.slug == name
    with pytest.raises(Problem) as refused:
        await check_code(tx, "AAAAA-AAAAA", **good)
    assert refused.value.slug == "approval-code-unknown"
    good_for = await check_code(tx, code.lower(), **good)
    assert good_for == (row.id, 20.0, 6)
    # Looking uses nothing up; the sale does, once.
    assert (await office.ok("technician", "GET", path))["state"] == "approved"
    for later in (now, now + timedelta(days=9)):
        await redeem(tx, [row.id], sale_id=sale, now=later)
        assert await check_code(tx, code, **{**good, "now": later}) == good_for
    assert row.redeemed_at == now
    other = new_id()
    for attempt in (
        check_code(tx, code, **{**good, "sale_id": other}),
        redeem(tx, [row.id], sale_id=other, now=now),
    ):
        with pytest.raises(Problem) as refused:
            await attempt
        assert refused.value.slug == "approval-code-used"
    shown = await office.ok("technician", "GET", path)
    assert (shown["state"], shown["code"]) == ("redeemed", None)
    late = await office.ask("technician", "POST", f"{path}/withdraw")
    assert slug(late) == (409, "terms-not-open")


async def test_what_ones_own_mandate_covers_needs_nobody_and_one_is_open_at_a_time(
    tx, office, clock
):
    customer = await make_customer(tx, org_unit=office.branch)
    none = await office.ask("technician", "POST", "/special-terms", asked(customer))
    assert slug(none) == (409, "no-toolkit")
    await make_toolkit(tx)
    other = asked(customer, offering_code="OTHER")
    refused = await office.ask("technician", "POST", "/special-terms", other)
    assert slug(refused) == (409, "offer-not-in-toolkit")
    much = await office.ask("technician", "POST", "/special-terms", asked(customer, 31))
    assert slug(much) == (409, "terms-off-the-steps")
    assert much.json()["facts"]["steps"] == ["5% × 3", "10% × 6", "20% × 6", "30% × 12"]
    assert await tx.scalar(select(func.count()).select_from(SpecialTerms)) == 0

    mine = asked(customer, 5, 3)
    given = await office.ok("technician", "POST", "/special-terms", mine)
    assert (given["state"], given["path"]) == ("approved", [])
    assert given["code"] is not None
    changed = await office.ask("technician", "POST", "/special-terms", {**mine, "months": 2})
    assert slug(changed) == (409, "same-id-other-content")
    second = await office.ask("supervisor", "POST", "/special-terms", asked(customer, 10))
    assert slug(second) == (409, "terms-asked-already")
    foreign = await office.ask("supervisor", "POST", f"/special-terms/{mine['id']}/withdraw")
    assert slug(foreign) == (403, "approval-not-yours")
    back = await office.ok("technician", "POST", f"/special-terms/{mine['id']}/withdraw")
    assert (back["state"], back["code"]) == ("withdrawn", None)
    assert await office.ok("technician", "POST", f"/special-terms/{mine['id']}/withdraw") == back

    declined = asked(customer)
    await office.ok("technician", "POST", "/special-terms", declined)
    path = f"/special-terms/{declined['id']}"
    no = await office.ok("supervisor", "POST", f"{path}/decline", {"reason": "客户稳定"})
    assert (no["state"], no["verdicts"][0]["reason"]) == ("declined", "客户稳定")
    over = await office.ask("manager", "POST", f"{path}/approve", {"reason": "行"})
    assert slug(over) == (409, "terms-not-open")

    waits = asked(customer)
    await office.ok("technician", "POST", "/special-terms", waits)
    clock.tick(timedelta(hours=48))
    path = f"/special-terms/{waits['id']}"
    late = await office.ask("supervisor", "POST", f"{path}/approve", {"reason": "行"})
    assert slug(late) == (409, "terms-not-open")
    assert (await office.ok("technician", "GET", path))["state"] == "expired"
    # Another can be asked for before anybody has swept up.
    await office.ok("technician", "POST", "/special-terms", asked(customer))
    clock.tick(timedelta(hours=48))
    assert await end_expired(tx, now=clock.now()) == 1
    pages = await office.ok("technician", "GET", "/special-terms", size=3)
    rest = await office.ok(
        "technician", "GET", "/special-terms", size=3, page_token=pages["next_page_token"]
    )
    assert (len(pages["special_terms"]), len(rest["special_terms"])) == (3, 1)


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (None, "approved"),
        ("its time passes", "expired"),
        ("others are asked for", "expired"),
        ("others are used", "expired"),
        ("others have lapsed", "approved"),
    ],
)
async def test_what_a_sale_gives_back_is_good_for_as_long_as_it_was(tx, office, clock, then, state):
    await make_toolkit(tx)
    customer = await make_customer(tx, org_unit=office.branch)
    body = asked(customer, 5, 3)
    code = (await office.ok("technician", "POST", "/special-terms", body))["code"]
    row = await tx.get_one(SpecialTerms, body["id"])
    sale = new_id()
    await redeem(tx, [row.id], sale_id=sale, now=clock.now())
    clock.tick(timedelta(hours=72 if then == "its time passes" else 1))
    if then is not None and then.startswith("others"):
        more = asked(customer, 5, 3) if then == "others are used" else asked(customer, 10)
        await office.ok("technician", "POST", "/special-terms", more)
        if then == "others are used":
            await redeem(tx, [UUID(more["id"])], sale_id=new_id(), now=clock.now())
        elif then == "others have lapsed":
            # Nobody has approved them for two days, and the code is good for three.
            clock.tick(timedelta(hours=48))
    back = {"customer_id": customer.id, "now": clock.now()}
    await give_back(tx, [row.id], sale_id=new_id(), **back)  # it is not that sale's
    assert row.state == "redeemed"
    for _ in range(2):
        await give_back(tx, [row.id], sale_id=sale, **back)
    shown = await office.ok("technician", "GET", f"/special-terms/{body['id']}")
    assert (shown["state"], shown["redeemed_at"]) == (state, None)
    assert shown["code"] == (code if state == "approved" else None)
