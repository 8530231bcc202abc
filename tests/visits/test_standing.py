"""The card for the door tells where a customer stands, in words and within its limits."""

import gzip
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import text

from app.core.db import new_id
from app.customers.models import CustomerMonth
from app.customers.rules import Channel, InteractionKind, change_percent, mostly_at
from app.lifecycle.models import CustomerLifecycle
from app.lifecycle.rules import ChurnClass, Signal, Stage, Tier
from app.visits.rules.standing import Fit, Trend, fit_of, trend_of
from tests.make.auth import make_org_unit
from tests.make.counting import counted
from tests.make.customers import (
    AS_OF,
    make_address,
    make_contact,
    make_customer,
    make_subscription,
)
from tests.make.terminals import make_terminal
from tests.make.visits import make_assigned_order, make_phone


@pytest.mark.parametrize(
    ("usage", "speed", "most", "fit"),
    [
        (None, 300, 1000, None),
        (100, None, 1000, None),
        (10, 300, 1000, Fit.MORE_THAN_NEEDED),
        (300, 300, 1000, Fit.FITS),
        (600, 300, 1000, Fit.LESS_THAN_NEEDED),
        (600, 1000, 1000, Fit.FITS),  # the line can do no more
        (600, 300, None, Fit.FITS),
    ],
)
def test_how_a_package_suits_what_is_used(usage, speed, most, fit):
    assert fit_of(usage, low_gb=30, high_gb=500, speed=speed, most=most) is fit


@pytest.mark.parametrize(
    ("tier", "before", "trend"),
    [
        (Tier.A, Tier.B, Trend.RISEN),
        (Tier.C, Tier.B, Trend.FALLEN),
        (Tier.B, Tier.B, None),
        (Tier.B, None, None),
        (None, Tier.B, None),
    ],
)
def test_where_a_tier_went(tier, before, trend):
    assert trend_of(tier, before) is trend


@pytest.mark.parametrize(
    ("months", "percent"),
    [([], None), ([100], None), ([100, 0], None), ([50, 100], -50), ([130, 90, 100, 110], 30)],
)
def test_the_newest_month_is_compared_with_those_before(months, percent):
    assert change_percent(months) == percent


@pytest.mark.parametrize(
    ("hours", "band"),
    [([], None), ([9, 9], None), ([19, 20, 9], (18, 21, 2)), ([23, 23, 23], (21, 24, 3))],
)
def test_the_hours_in_which_they_were_mostly_spoken_to(hours, band):
    assert mostly_at(hours) == band


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def customer(tx, branch, clock):
    """Somebody of whom a lot is known."""
    made = await make_customer(
        tx,
        org_unit=branch,
        activated_on=date(2019, 1, 15),
        monthly_usage_gb=420,
        preferred_channel=Channel.APP,
        arrears_fen=0,
        blacklisted=False,
        competitor="某电信",
        channels_refused=["sms"],
    )
    for number in range(4):
        address = await make_address(tx, made, olt_port=f"OLT-3/0/{number}")
        await make_subscription(
            tx, made, service_address_id=address.id, contract_ends_on=date(2026, 4, 1)
        )
        await make_terminal(tx, branch, customer_id=made.id, serial_number=f"SN-{number}")
    for days in range(120):
        kind = list(InteractionKind)[days % 5]
        await make_contact(
            tx, made, at=clock.now() - timedelta(days=days), kind=kind, outcome="declined"
        )
    for month, usage in ((11, 100), (12, 110), (1, 90), (2, 50)):
        tx.add(
            CustomerMonth(
                customer_id=made.id,
                month=date(2026 if month < 3 else 2025, month, 1),
                usage_gb=usage,
                as_of=AS_OF,
            )
        )
    tx.add(
        CustomerLifecycle(
            customer_id=made.id,
            org_unit_id=branch.id,
            stage=Stage.DECLINE,
            stage_since=date(2026, 2, 20),
            stage_rule="usage_down",
            tier=Tier.C,
            tier_before=Tier.B,
            tier_since=date(2026, 2, 1),
            hidden_high_value=True,
            value_12m_fen=118_800,
            churn_score=0.71,
            churn_class=ChurnClass.HIGH,
            churn_reasons=[{"field": "complaints_90", "points": 2.0, "value": 3, "term": 0}],
            signals=[Signal.USAGE_DOWN],
            card_version="test-1",
            rules_version="1",
            computed_at=AS_OF,
        )
    )
    await tx.flush()
    await tx.execute(
        text(
            "INSERT INTO churn_card (id, version, source, valid_from, document) VALUES"
            " (:id, 'test-1', 'hand', '2026-01-01', CAST(:document AS jsonb))"
        ),
        {
            "id": new_id(),
            "document": '{"terms": [{"field": "complaints_90", "from": 2, "to": null, "points": 2,'
            ' "reason_zh": "近期多次投诉", "reason_en": "complained several times"}]}',
        },
    )
    await tx.execute(
        text(
            "INSERT INTO former_customer (id, org_unit_id, customer_id, left_on, reason, note,"
            " competitor, source, recorded_at, returned_on) VALUES (:id, :unit, :customer,"
            " '2022-05-01', 'price', '搬到外地', '某移动', 'crm', :at, '2023-05-01')"
        ),
        {"id": new_id(), "unit": branch.id, "customer": made.id, "at": AS_OF},
    )
    return made


async def test_where_a_customer_stands_is_told_in_words(
    tx, app, http, clock, customer, branch, database
):
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await phone.acknowledge(order)
    url = f"/customers/{customer.id}/context"
    answer = await phone.get(url, **{"accept-language": "en"})
    assert answer.status_code == 200, answer.text
    card = answer.json()
    life = card["lifecycle"]
    assert life["stage"] == {"code": "decline", "words": "declining"}
    assert (life["tier"], life["tier_trend"]["code"]) == ("C", "fallen")
    assert life["churn"] == {"code": "high", "words": "likely to leave"}
    assert life["churn_reasons"] == [{"code": "complaints_90", "words": "complained several times"}]
    assert [one["code"] for one in life["signals"]] == ["usage_down"]
    assert life["hidden_high_value"] is True
    assert card["usage"]["change_percent"] == -50
    assert [one["usage_gb"] for one in card["usage"]["months"]] == [50, 90, 110, 100]
    assert card["services"]["fit"]["code"] == "fits"
    assert card["competition"]["competitor"] == "某电信"
    assert (card["former"]["reason"], card["former"]["returned_on"]) == ("price", "2023-05-01")
    assert card["preference"]["channel"] == "app"
    assert card["preference"]["hours"]["from_hour"] <= 9 < card["preference"]["hours"]["until_hour"]
    may = {one["channel"]: one["may_offer"] for one in card["consent"]["channels"]}
    assert may == {"visit": True, "phone": False, "sms": False, "shop": True, "app": True}
    assert len(card["contacts"]["last"]) == 5
    assert card["faults"]["complaints_in_90_days"] == 18
    assert len(gzip.compress(answer.content)) <= 8_000

    zh = (await phone.get(url, **{"accept-language": "zh"})).json()
    assert zh["lifecycle"]["stage"]["words"] == "衰退期"
    assert zh["lifecycle"]["churn_reasons"][0]["words"] == "近期多次投诉"
    with counted(database) as sent:
        assert (await phone.get(url)).status_code == 200
    assert len([one for one in sent if not one.startswith("INSERT")]) == 3


async def test_an_outage_at_their_line_is_told(tx, app, http, clock, branch):
    customer = await make_customer(tx, org_unit=branch)
    await make_address(tx, customer, olt_port="OLT-3/0/7")
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await phone.acknowledge(order)
    now: datetime = clock.now()
    await tx.execute(
        text(
            "INSERT INTO outage (id, org_unit_id, place_kind, place_key, name, state, since,"
            " found_at, last_report_at, surprise, when_over, confirmed_at, version) VALUES (:id,"
            " :unit, 'olt_port', 'OLT-3/0/7', '三号口', 'confirmed', :now, :now, :now, 9, 'close',"
            " :now, 1)"
        ),
        {"id": new_id(), "unit": branch.id, "now": now},
    )
    card = (await phone.get(f"/customers/{customer.id}/context")).json()
    assert [one["name"] for one in card["outages"]["now"]] == ["三号口"]
