"""What operators set: gates from a day on, campaigns for a time, and the log's months."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.catalog.rules import BusinessType, ValueLever
from app.core.clock import wall
from app.core.db import first_id_at, new_id
from app.suggestions.models import (
    Suggestion,
    SuggestionCampaign,
    SuggestionDecision,
    SuggestionGate,
)
from app.suggestions.rules import HeldBack
from app.suggestions.rules.campaigns import Campaign, push_of
from app.suggestions.rules.facts import Offer
from app.suggestions.rules.gates import ABSOLUTE
from app.suggestions.rules.gating import KNOWN, NUMBERS, GateVersion, switched_off
from app.suggestions.rules.limits import Limits
from app.suggestions.service import months_kept, prepare_months
from app.suggestions.service.months import after, refresh_figures
from tests.make.auth import bearer, caller_for, make_account

DAY = date(2026, 3, 2)
OFFER = Offer("FTTR-2", "home_wifi", BusinessType.SALES, 40_000, 0.15, levers=frozenset({"income"}))


def version(code, number=1, org_path="", valid_from=DAY, in_force=False):
    return GateVersion(UUID(int=number), code, number, org_path, valid_from, in_force)


@pytest.mark.parametrize(
    ("versions", "off"),
    [
        ([], False),
        ([version(HeldBack.NO_NEED)], True),
        ([version(HeldBack.NO_NEED, valid_from=date(2026, 3, 3))], False),
        ([version(HeldBack.NO_NEED, 1), version(HeldBack.NO_NEED, 2, in_force=True)], False),
        ([version(HeldBack.NO_NEED, 1), version(HeldBack.NO_NEED, 2, "yj.", in_force=True)], False),
        ([version(HeldBack.NO_NEED, 1, "yj.ch."), version(HeldBack.NO_NEED, 9, "yj.")], True),
        ([version(HeldBack.NO_NEED, 1, "gd.")], False),
    ],
)
def test_of_a_gate_the_closest_units_latest_version_counts(versions, off):
    assert (HeldBack.NO_NEED in switched_off(versions, "yj.ch.np.", DAY)) is off


def test_what_always_holds_holds_whatever_is_written():
    assert switched_off([version(code) for code in KNOWN], "yj.", DAY) == set(KNOWN) - ABSOLUTE
    assert {HeldBack.DO_NOT_DISTURB, HeldBack.NOT_RESTORED} <= ABSOLUTE
    assert {name for names in NUMBERS.values() for name in names} <= set(Limits._fields)


@given(factors=st.lists(st.floats(0.5, 2), max_size=5))
def test_campaigns_together_stay_within_their_bounds(factors):
    running = [
        Campaign(UUID(int=1), "c", "", ValueLever.INCOME, None, factor, DAY, date.max, "somebody")
        for factor in factors
    ]
    assert 0.5 <= push_of(OFFER, running) <= 2
    assert push_of(Offer("TV", "tv", BusinessType.SALES, 1, 0.1), running) == 1


async def admin_of(tx, app, unit, role=Role.ADMIN):
    account = await make_account(tx, unit, role=role)
    return bearer(app, caller_for(role, unit, account_id=account.id))


async def count(tx, kind):
    return await tx.scalar(select(func.count()).select_from(kind))


@pytest.mark.usefixtures("line", "catalogue")
async def test_a_gate_is_switched_off_from_a_day_on_unless_it_always_holds(
    tx, app, http, phone, branch, order, customer
):
    customer.arrears_fen = 100
    admin = await admin_of(tx, app, branch)
    visit_id = await phone.restore(order)
    read = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    assert read["nothing_because"]["code"] == "arrears"
    body = {"id": str(new_id()), "code": "arrears", "valid_from": "2026-03-02", "in_force": False}
    for refused, status in [
        ({**body, "code": "do_not_disturb"}, "gate-absolute"),
        ({**body, "code": "others_fit_better"}, "invalid"),
        ({**body, "valid_from": "2026-03-01"}, "invalid"),
    ]:
        answer = await http.post("/v1/suggestion-gates", json=refused, headers=admin)
        assert answer.json()["type"].endswith(status), answer.text
    assert await count(tx, SuggestionGate) == 0
    made = await http.post("/v1/suggestion-gates", json=body, headers=admin)
    assert made.status_code == 201, made.text
    again = await http.post("/v1/suggestion-gates", json=body, headers=admin)
    assert (made.json()["version"], again.json()) == (1, made.json())
    other = await http.post("/v1/suggestion-gates", json={**body, "in_force": True}, headers=admin)
    assert other.json()["type"].endswith("same-id-other-content")
    listed = (await http.get("/v1/suggestion-gates", headers=admin)).json()["items"]
    assert [one["code"] for one in listed] == list(KNOWN)
    states = {one["code"]: (one["in_force"], one["absolute"]) for one in listed}
    assert states["arrears"] == (False, False)
    assert states["do_not_disturb"] == (True, True)
    (told,) = (await http.get("/v1/suggestion-gates/versions", headers=admin)).json()["items"]
    assert told == made.json()
    read = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    assert read["offers"][0]["offering_code"] == "FTTH-1000"


@pytest.mark.usefixtures("line", "catalogue")
async def test_a_campaign_weighs_for_a_time_and_the_report_says_what_it_changed(
    tx, app, http, phone, branch, order
):
    admin = await admin_of(tx, app, branch)
    body = {
        "id": str(new_id()),
        "code": "spring-wifi",
        "offering_code": "FTTR-2",
        "factor": 2,
        "valid_from": "2026-03-02",
        "valid_to": "2026-04-01",
        "owner": "家庭业务部",
    }
    for refused in (
        {**body, "lever": "income"},
        {**body, "offering_code": None},
        {**body, "factor": 2.5},
        {**body, "valid_from": "2026-03-01"},
        {**body, "valid_to": "2026-03-02"},
    ):
        assert (await http.post("/v1/campaigns", json=refused, headers=admin)).status_code == 422
    assert await count(tx, SuggestionCampaign) == 0
    made = await http.post("/v1/campaigns", json=body, headers=admin)
    assert made.status_code == 201, made.text
    again = await http.post("/v1/campaigns", json=body, headers=admin)
    assert again.json() == made.json()
    taken = await http.post("/v1/campaigns", json={**body, "id": str(new_id())}, headers=admin)
    assert taken.json()["type"].endswith("campaign-code-taken")
    read = (await phone.post(f"/visits/{await phone.restore(order)}/suggestions")).json()
    assert read["offers"][0]["offering_code"] == "FTTH-1000"
    stored = await tx.scalar(select(Suggestion).where(Suggestion.offering_code == "FTTR-2"))
    assert stored.lever == 2
    assert "campaign" in {part["code"] for part in stored.reasons}
    assert sum(part["fen"] for part in stored.reasons) == stored.score_fen
    asked = {"since": "2026-03-02", "until": "2026-03-03"}
    report = (await http.get("/v1/campaigns/report", params=asked, headers=admin)).json()
    assert (report["decisions"], report["changed"]) == (1, 0)
    too_long = {**asked, "until": "2026-06-01"}
    answer = await http.get("/v1/campaigns/report", params=too_long, headers=admin)
    assert answer.status_code == 422
    url = f"/v1/campaigns/{body['id']}"
    for day, status in [("2026-03-02", 422), ("2026-05-01", 422), ("2026-03-03", 200)]:
        ended = await http.patch(url, json={"valid_to": day}, headers=admin)
        assert ended.status_code == status, (day, ended.text)
    (listed,) = (await http.get("/v1/campaigns", headers=admin)).json()["items"]
    assert (listed["code"], listed["valid_to"]) == ("spring-wifi", "2026-03-03")
    await tx.execute(
        text("UPDATE suggestion_campaign SET valid_to = '2026-03-02', valid_from = '2026-02-01'")
    )
    tx.expire_all()
    over = await http.patch(url, json={"valid_to": "2026-03-05"}, headers=admin)
    assert over.json()["type"].endswith("campaign-over")
    nobody = await http.patch(
        f"/v1/campaigns/{new_id()}", json={"valid_to": "2026-03-05"}, headers=admin
    )
    assert nobody.status_code == 404


@pytest.mark.usefixtures("line", "catalogue")
async def test_the_logs_months_are_made_ahead(tx, phone, order):
    """A month that nobody made in time takes its rows from the rest when it is made."""
    await phone.post(f"/visits/{await phone.restore(order)}/suggestions")
    this = wall().astimezone(UTC).date().replace(day=1)
    await prepare_months(tx, this)  # the database may be of last month
    assert await prepare_months(tx, this) == 0
    kept = await months_kept(tx)
    assert this in kept
    far = after(this, 30)
    in_far = UUID(int=first_id_at(datetime(far.year, far.month, 9, tzinfo=UTC)).int + 7)
    for table in ("suggestion_decision", "suggestion"):
        columns = [one.name for one in SuggestionDecision.__table__.c if one.name != "id"]
        if table == "suggestion":
            columns = [one.name for one in Suggestion.__table__.c if one.name != "id"]
        names = ", ".join(f'"{name}"' for name in columns)
        await tx.execute(
            text(f"INSERT INTO {table} (id, {names}) SELECT :id, {names} FROM {table} LIMIT 1"),
            {"id": in_far},
        )
    await refresh_figures(tx)
    ahead = REGISTRY.get_sample_value("yingwei_suggestion_log_months_ahead")
    assert ahead == sum(month > this for month in kept)
    assert REGISTRY.get_sample_value("yingwei_suggestion_log_stray") == 1
    assert await prepare_months(tx, far - timedelta(days=1)) == 4
    await refresh_figures(tx)
    assert REGISTRY.get_sample_value("yingwei_suggestion_log_stray") == 0
    assert await tx.scalar(text("SELECT count(*) FROM suggestion_decision_other")) == 0
    name = f"suggestion_decision_{far:%Y_%m}"
    assert await tx.scalar(text(f"SELECT id FROM {name}")) == in_far
    assert far in await months_kept(tx)
