"""Whom a lever is for: at which stages it is moved, and whose renewals are the manager's."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, update

from app.auth.keys import KeyRing
from app.auth.rules import Role
from app.catalog.rules import BusinessType, OnSite, ValueLever
from app.core.clock import wall
from app.core.db import new_id
from app.lifecycle.rules import Stage, Tier
from app.sales.models import Sale
from app.suggestions.models import Suggestion, SuggestionLever
from app.suggestions.rules import Coordination
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.levers import (
    LeverRule,
    left_to,
    levers_in_force,
    manager_tiers_of,
    on_site,
    preferred_tiers_of,
    stages_of,
)
from app.suggestions.rules.ranking import coordination_of
from seed.city import HERE
from seed.dated import load_levers
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.catalog import make_offering
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import make_terms, make_toolkit
from tests.suggestions.test_deciding import asked, shown, why

DAY = date(2026, 3, 2)
TOMORROW = DAY + timedelta(days=1)


def rule(
    code="a",
    lever="income",
    org_path="",
    since=DAY,
    until=None,
    stages=("climax",),
    to=(),
    preferred=(),
):
    return LeverRule(code, lever, org_path, since, until, stages, to, preferred)


@pytest.mark.parametrize(
    ("rules", "counts"),
    [
        ([], None),
        ([rule()], "a"),
        ([rule(since=TOMORROW)], None),
        ([rule(since=date(2026, 1, 1), until=DAY)], None),
        ([rule(since=date(2026, 1, 1), until=TOMORROW)], "a"),
        ([rule(org_path="gd.")], None),
        ([rule("near", org_path="yj.", since=date(2026, 1, 1)), rule()], "near"),
        ([rule("old", since=date(2026, 1, 1)), rule("new")], "new"),
    ],
)
def test_of_a_lever_the_closest_units_latest_rule_counts(rules, counts):
    found = levers_in_force(rules, "yj.ch.", DAY).get(ValueLever.INCOME)
    assert (found and found.code) == counts


LEVERS = levers_in_force(
    [
        rule("i", "income", stages=("build_up", "climax")),
        rule("r", "renewal", stages=("decline",), to=("A",)),
        rule("m", "brand_migration", stages=None),
        rule("d", "bad_debt", stages=()),
    ],
    "",
    DAY,
)


@pytest.mark.parametrize(
    ("moves", "stages"),
    [
        ((), None),
        (("income",), {"build_up", "climax"}),
        (("income", "renewal"), {"build_up", "climax", "decline"}),
        (("income", "brand_migration"), None),
        # Nobody has said anything of it.
        (("income", "cross_sell"), None),
        (("bad_debt",), set()),
    ],
)
def test_an_offer_is_made_where_one_of_its_levers_is_moved(moves, stages):
    assert stages_of(moves, LEVERS) == stages


@pytest.mark.parametrize(
    ("tier", "agreed", "may"),
    [
        ("A", (), OnSite.LEAD_ONLY),
        ("A", ("RENEW-12",), OnSite.STANDARD_ONLY),
        ("A", ("OTHER",), OnSite.LEAD_ONLY),
        ("B", (), OnSite.STANDARD_ONLY),
        (None, (), OnSite.STANDARD_ONLY),
    ],
)
def test_the_best_tiers_renewals_are_the_managers(tier, agreed, may):
    offer = Offer(
        "RENEW-12",
        "renewal",
        BusinessType.RETENTION,
        30_000,
        0.3,
        manager_tiers=manager_tiers_of(("renewal", "retention"), LEVERS),
    )
    known = Facts(DAY, "care", True, tier=tier, agreed=frozenset(agreed))
    assert on_site(known, offer) is may


PREFERRED = levers_in_force(
    [
        rule("i", "income", preferred=("A", "B")),
        rule("c", "cross_sell", preferred=("A",)),
        rule("r", "renewal"),
    ],
    "",
    DAY,
)


@pytest.mark.parametrize(
    ("moves", "tiers"),
    [
        ((), ""),
        (("income",), "AB"),
        (("income", "cross_sell"), "A"),
        (("income", "renewal"), ""),
        # Nobody has said anything of it.
        (("income", "brand_migration"), ""),
    ],
)
def test_an_offer_is_left_to_the_preferred_channel_where_all_its_levers_say_so(moves, tiers):
    assert preferred_tiers_of(moves, PREFERRED) == set(tiers)


@pytest.mark.parametrize(
    ("known", "kind", "to"),
    [
        ({"tier": "A", "prefers": "phone"}, BusinessType.SALES, "phone"),
        ({"tier": "A", "prefers": "app"}, BusinessType.INCENTIVE, "app"),
        ({"tier": "B", "prefers": "phone"}, BusinessType.SALES, None),
        ({"tier": None, "prefers": "phone"}, BusinessType.SALES, None),
        # The door is as good as any where nothing is known, or it is the door they prefer.
        ({"tier": "A", "prefers": None}, BusinessType.SALES, None),
        ({"tier": "A", "prefers": "phone", "generic": True}, BusinessType.SALES, None),
        # Identity is checked face to face.
        ({"tier": "A", "prefers": "phone"}, BusinessType.SENSITIVE, None),
    ],
)
def test_what_is_left_to_the_channel_a_customer_prefers(known, kind, to):
    offer = Offer("TV-4K", "tv", kind, 20_000, 0.2, preferred_tiers=frozenset("A"))
    facts = Facts(DAY, "care", True, **known)
    assert left_to(facts, offer) == to
    assert (coordination_of(facts, offer) is Coordination.SUBSTITUTE) == (to is not None)


async def test_the_seeds_file_names_every_lever_once_and_changes_nothing_the_second_time(tx):
    document = (HERE / "levers.yaml").read_text(encoding="utf-8")
    report = await load_levers(tx, document)
    assert (report.inserted, report.refused) == (14, 0)
    assert len(set(await tx.scalars(select(SuggestionLever.lever)))) == 11
    assert not (await load_levers(tx, document)).changed


async def test_supervisors_read_whom_each_lever_is_for(tx, app, http, branch):
    await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch))
    read = (await http.get("/v1/suggestion-levers?day=2026-03-02", headers=headers)).json()
    told = {one["lever"]: (one["stages"], one["manager_tiers"]) for one in read["items"]}
    assert told["renewal"] == (["build_up", "climax", "decline"], ["A"])
    assert told["brand_migration"] == (None, [])
    before = (await http.get("/v1/suggestion-levers?day=2026-01-31", headers=headers)).json()
    assert {(one["code"], one["stages"] and 1) for one in before["items"]} == {(None, None)}
    assert len(before["items"]) == 11


# --- set by administrators -----------------------------------------------------------------------


async def admin_of(tx, app, unit):
    account = await make_account(tx, unit, role=Role.ADMIN)
    return bearer(app, caller_for(Role.ADMIN, unit, account_id=account.id))


def slug(answer):
    return answer.status_code, answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def test_a_rule_that_an_administrator_sets_decides_next_and_is_named(
    tx, app, http, phone, customer, line, order, branch
):
    admin = await admin_of(tx, app, branch)
    await make_offering(
        tx, code="TV-4K", category="tv", levers=["income"], margin_12m_fen=20_000, expert_rate=0.2
    )
    await make_lifecycle(tx, customer, stage=Stage.DECLINE, churn_score=None)
    visit_id = await phone.restore(order)
    assert shown(await asked(phone, visit_id)) == ["TV-4K"]  # nobody has said anything of income
    body = {
        "id": str(new_id()),
        "code": "income-spring",
        "lever": "income",
        "stages": ["build_up", "climax"],
        "valid_from": "2026-03-02",
    }
    made = await http.post("/v1/suggestion-levers", json=body, headers=admin)
    assert made.status_code == 201, made.text
    read = await asked(phone, visit_id)
    assert why(read) == {"TV-4K": "other_stage"}
    held = select(Suggestion.id).where(Suggestion.held_back == "other_stage")
    suggestion = await tx.scalar(held)
    (told,) = (await phone.get(f"/suggestions/{suggestion}/explanation")).json()["levers"]
    assert (told["lever"], told["code"]) == ("income", "income-spring")
    assert told["stages"] == ["build_up", "climax"]
    # What is set afterwards explains nothing that was decided before.
    await tx.execute(update(SuggestionLever).values(created_at=wall() + timedelta(days=1)))
    (told,) = (await phone.get(f"/suggestions/{suggestion}/explanation")).json()["levers"]
    assert (told["lever"], told["code"]) == ("income", None)


async def test_a_lever_has_one_rule_a_day_and_what_was_is_not_rewritten(
    tx, app, http, branch, customer
):
    admin = await admin_of(tx, app, branch)
    body = {
        "id": str(new_id()),
        "code": "renewal-b",
        "lever": "renewal",
        "manager_tiers": ["A", "B"],
        "valid_from": "2026-03-03",
    }

    async def post(**change):
        sent = {**body, **change}
        return await http.post("/v1/suggestion-levers", json=sent, headers=admin)

    async def end(rule_id, day):
        sent = {"valid_to": day}
        return await http.patch(f"/v1/suggestion-levers/{rule_id}", json=sent, headers=admin)

    async def in_force(day):
        url = f"/v1/suggestion-levers?day={day}"
        read = (await http.get(url, headers=admin)).json()["items"]
        return next(one["code"] for one in read if one["lever"] == "renewal")

    first = await post()
    assert first.status_code == 201, first.text
    assert (await post()).json() == first.json()
    assert slug(await post(manager_tiers=["A"])) == (409, "same-id-other-content")
    new = {"id": str(new_id())}
    assert slug(await post(**new)) == (409, "rule-code-taken")
    new["code"] = "renewal-c"
    taken = await post(**new)
    assert slug(taken) == (409, "rule-day-taken")
    assert taken.json()["facts"]["code"] == "renewal-b"
    assert slug(await post(**new, valid_from="2026-03-01")) == (422, "invalid")
    assert slug(await post(**new, valid_from="2026-03-09", valid_to="2026-03-09"))[0] == 422
    # What takes its place for a time leaves it to count again.
    assert (await post(**new, valid_from="2026-03-09", valid_to="2026-03-16")).status_code == 201
    days = ("2026-03-02", "2026-03-03", "2026-03-09", "2026-03-16")
    assert [await in_force(day) for day in days] == [None, "renewal-b", "renewal-c", "renewal-b"]
    # One that has not begun is taken back, and another may begin on its day.
    assert slug(await end(body["id"], "2026-03-02")) == (422, "invalid")
    gone = await end(body["id"], "2026-03-03")
    assert gone.status_code == 200, gone.text
    assert (await end(body["id"], "2026-03-03")).json() == gone.json()
    assert slug(await end(body["id"], "2026-03-05")) == (409, "rule-over")
    assert (await post()).json() == gone.json()
    assert (await post(id=str(new_id()), code="renewal-d")).status_code == 201
    assert [await in_force(day) for day in days] == [None, "renewal-d", "renewal-c", "renewal-d"]
    history = await http.get("/v1/suggestion-levers/versions?lever=renewal", headers=admin)
    told = [(one["code"], one["valid_to"]) for one in history.json()["items"]]
    assert told == [("renewal-d", None), ("renewal-c", "2026-03-16"), ("renewal-b", "2026-03-03")]
    supervisor = bearer(app, caller_for(Role.SUPERVISOR, branch))
    refused = await http.post("/v1/suggestion-levers", json=body, headers=supervisor)
    assert refused.status_code == 403
    stranger = await admin_of(tx, app, await make_org_unit(tx))
    url = f"/v1/suggestion-levers/{history.json()['items'][0]['id']}"
    elsewhere = await http.patch(url, json={"valid_to": "2026-04-01"}, headers=stranger)
    assert elsewhere.status_code == 404


async def test_what_a_person_has_ended_is_not_begun_again_by_the_file(tx, app, http, branch):
    document = "levers:\n- {code: r, lever: renewal, org_path: %s, valid_from: 2026-02-01}\n"
    await load_levers(tx, document % branch.path)
    rule = await tx.scalar(select(SuggestionLever))
    admin, sent = await admin_of(tx, app, branch), {"valid_to": "2026-03-03"}
    url = f"/v1/suggestion-levers/{rule.id}"
    assert (await http.patch(url, json=sent, headers=admin)).status_code == 200
    assert not (await load_levers(tx, document % branch.path)).changed
    await tx.refresh(rule)
    assert rule.valid_to == date(2026, 3, 3)


# --- at the door ----------------------------------------------------------------------------------


@pytest.fixture
async def levers(tx, line):
    """Levers as the seed has them, for what these tests sell, and a renewal that is due."""
    line.contract_ends_on = date(2026, 4, 1)
    await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    for code, moves in [("TV-4K", ["income"]), ("CAMERA", ["tariff_fit"]), ("RENEW", ["renewal"])]:
        await make_offering(
            tx,
            code=code,
            category=code,
            business_type=BusinessType.RETENTION if code == "RENEW" else BusinessType.SALES,
            levers=moves,
            margin_12m_fen=30_000,
            expert_rate=0.3,
        )


@pytest.mark.usefixtures("levers")
@pytest.mark.parametrize(
    ("stage", "offered", "held"),
    [
        (Stage.ACQUISITION, set(), {"TV-4K", "CAMERA", "RENEW"}),
        (Stage.BUILD_UP, {"TV-4K", "RENEW"}, {"CAMERA"}),
        (Stage.CLIMAX, {"TV-4K", "CAMERA", "RENEW"}, set()),
        (Stage.DECLINE, {"CAMERA", "RENEW"}, {"TV-4K"}),
    ],
)
async def test_what_is_offered_follows_the_stage(tx, phone, customer, order, stage, offered, held):
    await make_lifecycle(tx, customer, stage=stage, value_12m_fen=None, churn_score=None)
    read = await asked(phone, await phone.restore(order))
    assert set(shown(read)) == offered
    assert {code for code, word in why(read).items() if word == "other_stage"} == held


@pytest.mark.usefixtures("levers")
async def test_the_best_tiers_renewal_is_a_lead_until_its_terms_are_approved(
    tx, phone, customer, order, clock, tmp_path
):
    await make_lifecycle(
        tx, customer, tier=Tier.A, stage=Stage.DECLINE, value_12m_fen=None, churn_score=None
    )
    visit_id = await phone.restore(order)

    async def renewal():
        read = await asked(phone, visit_id)
        return next(one for one in read["offers"] if one["offering_code"] == "RENEW")

    async def sold(**fields):
        item = {"offering_code": "RENEW", "quantity": 1, **fields}
        answer = await phone.post("/sales", id=str(new_id()), visit_id=str(visit_id), items=[item])
        return answer.status_code, answer.json().get("type", "").rpartition(":")[2]

    offer = await renewal()
    assert (offer["on_site"], offer["commission_fen"]) == ("lead_only", None)
    assert offer["install_now"]["code"] == "not_sold_here"
    assert await sold() == (409, "not-sold-at-the-door")
    await make_toolkit(tx, offers=["RENEW"])
    keys = KeyRing.load(tmp_path / "keys")
    _, code = await make_terms(tx, customer, "RENEW", keys, now=clock.now())
    offer = await renewal()
    assert (offer["on_site"], offer["commission_fen"]) == ("standard_only", 0)
    # That they are approved is not enough: the sale is made by their code, at what they say.
    assert await sold() == (409, "not-sold-at-the-door")
    assert await sold(approval_code=code) == (201, "")
    clock.tick(timedelta(days=4))
    assert await sold(approval_code=code) == (409, "approval-code-over")
    assert len((await tx.scalars(select(Sale))).all()) == 1


@pytest.mark.parametrize(
    ("prefers", "allowed", "tier", "left"),
    [
        ("app", [], Tier.A, "app"),
        ("phone", ["phone"], Tier.A, "phone"),
        # Calls want consent first, and nobody is handed over to a channel that may not call.
        ("phone", [], Tier.A, None),
        ("visit", [], Tier.A, None),
        (None, [], Tier.A, None),
        ("app", [], Tier.B, None),
    ],
)
async def test_who_is_worth_most_is_left_to_the_channel_they_prefer(
    tx, phone, customer, line, order, prefers, allowed, tier, left
):
    await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    await make_offering(
        tx, code="TV-4K", category="tv", levers=["income"], margin_12m_fen=20_000, expert_rate=0.2
    )
    customer.preferred_channel, customer.channels_allowed = prefers, allowed
    await make_lifecycle(tx, customer, tier=tier, stage=Stage.CLIMAX, churn_score=None)
    visit_id = await phone.restore(order)
    (offer,) = (await asked(phone, visit_id))["offers"]
    assert offer["left_to"] == left
    assert offer["coordination"] == ("substitute" if left else "enhance")
    said = {one["code"] for one in offer["reasons"]}
    assert ("prefers_other_channel" in said) == (left is not None)
    if left is not None:
        # It is marked and not forbidden: it can be handed over, or sold to who asks.
        lead = await phone.post(
            f"/suggestions/{offer['suggestion_id']}/hand-over", id=str(new_id()), handed_to=left
        )
        assert (lead.status_code, lead.json()["lead"]["handed_to"]) == (200, left)
