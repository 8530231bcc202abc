"""The eleven levers stand beside their harm, each figure with what it was worked out from."""

from datetime import date, timedelta

import pytest

from app.catalog.rules import ValueLever
from app.core.db import new_id
from app.core.i18n import Words
from app.customers.models import CustomerMonth
from app.customers.rules import Channel, InteractionKind
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.models import RetentionCase, SpecialTerms
from app.retention.queries import levers
from app.retention.rules import (
    Arm,
    CaseOutcome,
    CaseState,
    Cause,
    Hand,
    Handling,
    TermsState,
)
from app.retention.rules.levers import Base, Contacts, Figure, Kept, Offers, pairs
from app.sales.queries import items_of
from app.sales.rules import Line
from app.suggestions.models import Suggestion, SuggestionAnswer
from app.suggestions.rules import AnswerKind
from tests.make.catalog import make_offering
from tests.make.customers import AS_OF, make_contact, make_customer
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import make_leaver, make_toolkit
from tests.make.sales import make_confirmed, make_door

DAY = timedelta(days=1)


def test_every_lever_has_its_harm_and_nothing_is_divided_by_nothing():
    found = pairs({}, Base(), Contacts(), Kept())
    assert [pair.lever for pair in found] == list(ValueLever)
    assert {pair.gain.value for pair in found} == {pair.harm.value for pair in found} == {None}
    assert Figure(Words("一", "one"), 1, 3).value == 0.3333


def test_what_is_known_of_too_few_is_left_out_and_counted():
    found = {
        pair.lever: pair
        for pair in pairs(
            {ValueLever.TARIFF_FIT: Offers(pitched=9, accepted=5, pays_known=3, pays_less=1)},
            Base(customers=10, arrears_known=8, owing=2, owing_good=1),
            Contacts(),
            Kept(terms=4, terms_known=3, terms_safe=1),
        )
    }
    harm = found[ValueLever.TARIFF_FIT].harm
    assert (harm.numerator, harm.denominator, harm.excluded) == (1, 3, 2)
    assert found[ValueLever.BAD_DEBT].gain.value == 0.75
    assert found[ValueLever.BAD_DEBT].gain.excluded == 2
    assert found[ValueLever.RENEWAL].harm.excluded == 1


def test_what_cannot_be_known_yet_is_no_nought():
    young = Offers(pitched=4, accepted=2)
    found = {
        pair.lever: pair
        for pair in pairs(
            {None: young, **dict.fromkeys(ValueLever, young)},
            Base(customers=3, undated=3, arrears_known=2, owing=2),
            Contacts(),
            Kept(renewal_open=2, win_back_open=1, returned=2, terms=3, full_price_unknown=1),
        )
    }

    def told(lever, side):
        figure = getattr(found[lever], side)
        return figure.value, figure.excluded

    for lever, left_out in (("intent", 4), ("cross_sell", 4), ("income", 2), ("bad_debt", 2)):
        assert told(ValueLever(lever), "harm") == (None, left_out)
    assert told(ValueLever.BRAND_MIGRATION, "harm") == told(ValueLever.INCOME, "beside")
    assert told(ValueLever.ACQUISITION, "gain") == (None, 3)
    assert told(ValueLever.RENEWAL, "gain") == (None, 2)
    assert told(ValueLever.WIN_BACK, "gain") == (None, 1)
    assert told(ValueLever.WIN_BACK, "harm") == (None, 2)
    assert told(ValueLever.RETENTION, "harm") == (None, 3)
    assert told(ValueLever.RETENTION, "beside") == (None, 1)


def test_every_figure_is_said_in_both_languages():
    for pair in pairs({}, Base(), Contacts(), Kept()):
        for figure in (pair.gain, pair.harm, *([pair.beside] if pair.beside else [])):
            assert figure.words.zh and figure.words.en


async def answered(tx, customer, technician, offered, at, *answers):
    """Add a suggestion and what was said of it, in the order in which it was heard."""
    suggestion = Suggestion(
        id=new_id(),
        decision_id=new_id(),
        offering_id=offered.id,
        offering_code=offered.code,
        rank=1,
        score_fen=1,
        reasons=[],
    )
    tx.add(suggestion)
    for number, answer in enumerate(answers):
        tx.add(
            SuggestionAnswer(
                suggestion_id=suggestion.id,
                customer_id=customer.id,
                technician_id=technician.id,
                answer=answer,
                pitched=answer not in (AnswerKind.NOT_PITCHED, AnswerKind.ABSENT),
                # What is heard later may say that it was earlier: phones' clocks differ.
                at=at - number * timedelta(minutes=5),
                device_at=at,
                created_at=at + number * timedelta(hours=1),
            )
        )
    await tx.flush()


@pytest.mark.parametrize(
    "answers, pitched, accepted, not_pitched",
    [
        ((AnswerKind.ABSENT,), 0, 0, 1),
        ((AnswerKind.NOT_PITCHED,), 0, 0, 1),
        ((None,), 1, 0, 0),
        ((None, AnswerKind.ACCEPTED), 1, 1, 0),
        ((AnswerKind.ACCEPTED, None), 1, 1, 0),
        ((AnswerKind.LATER, AnswerKind.DECLINED), 1, 0, 0),
        ((AnswerKind.ACCEPTED, AnswerKind.ABSENT), 0, 0, 1),
    ],
)
async def test_what_was_pitched_is_the_technicians_word(
    tx, office, clock, answers, pitched, accepted, not_pitched
):
    customer = await make_customer(tx, org_unit=office.branch)
    offering = await make_offering(tx, code="TV", levers=["income"])
    at = clock.now() - 20 * DAY
    await answered(tx, customer, office.land.people[0], offering, at, *answers)
    period = levers.Period(
        [office.branch.id], at - DAY, at + DAY, (at - DAY).date(), (at + DAY).date()
    )
    found = (await levers.offers(tx, period, now=clock.now()))[None]
    assert (found.pitched, found.accepted, found.not_pitched) == (pitched, accepted, not_pitched)
    assert found.open_to_it == accepted


async def test_the_levers_of_a_month(tx, office, clock):
    now = clock.now()
    kit = await make_toolkit(tx)
    offering = await make_offering(tx, code="TV", levers=["income", "cross_sell"])
    fit = await make_offering(tx, code="FIT", levers=["tariff_fit"])
    people = [
        await make_customer(tx, org_unit=office.branch, arrears_fen=arrears)
        for arrears in (0, 0, 500, None)
    ]
    for customer, tier in zip(people, (Tier.A, Tier.B, Tier.B, Tier.C), strict=True):
        await make_lifecycle(
            tx, customer, tier=tier, value_12m_fen=120_000, churn_class=ChurnClass.LOW
        )
    since = (date(2020, 5, 1), date(2021, 5, 1), None, date(2026, 2, 10))
    for customer, day in zip(people, since, strict=True):
        customer.activated_on = day
    at = now - 20 * DAY
    technician = office.land.people[0]
    for customer, answer, offered in (
        (people[0], AnswerKind.ACCEPTED, offering),
        (people[1], AnswerKind.DECLINED, offering),
        (people[2], AnswerKind.NOT_PITCHED, offering),
        (people[1], AnswerKind.ACCEPTED, fit),
    ):
        await answered(tx, customer, technician, offered, at, answer)
    for month, fen in ((1, 9000), (3, 8000)):
        row = CustomerMonth(
            customer_id=people[1].id, month=date(2026, month, 1), income_fen=fen, as_of=AS_OF
        )
        tx.add(row)
    await make_contact(tx, people[0], at=at + DAY, kind=InteractionKind.FAULT)
    await make_contact(tx, people[1], at=at + DAY, kind=InteractionKind.COMPLAINT)
    service = InteractionKind.SERVICE
    await make_contact(tx, people[2], at=at, kind=service, channel=Channel.APP)
    await make_contact(tx, people[3], at=at, kind=service)
    await make_leaver(tx, people[2], left_on=date(2026, 2, 25), now=now)
    common = {
        "org_unit_id": office.branch.id,
        "share_percent": 10.0,
        "arm": Arm.TREATED,
        "state": CaseState.DONE,
        "handling": Handling.CALL,
        "decided_at": at,
        "ask_at": at,
        "ends_at": now,
        "closed_at": now,
        "value_12m_fen": 120_000,
    }
    renewed = {"cause": Cause.CONTRACT_ENDS, "outcome": CaseOutcome.ACCEPTED}
    tx.add_all(
        [
            RetentionCase(**common, customer_id=people[0].id, **renewed),
            RetentionCase(**common, customer_id=people[1].id, cause=Cause.CONTRACT_ENDS),
            RetentionCase(**common, customer_id=people[3].id, cause=Cause.CHURN_HIGH),
        ]
    )
    sale = await make_confirmed(tx, await make_door(tx, now=now), now=now, lines=[Line("TV", 1)])
    sale.customer_id = people[0].id
    special_id = new_id()
    tx.add(
        SpecialTerms(
            id=special_id,
            org_unit_id=office.branch.id,
            customer_id=people[0].id,
            toolkit_id=kit.id,
            offering_code="TV",
            discount_percent=50.0,
            months=12,
            reason="x",
            content_hash="x",
            churn_class=ChurnClass.LOW,
            asked_by=office.accounts["technician"].account_id,
            asked_as=Hand.TECHNICIAN,
            asked_at=at,
            path=[],
            state=TermsState.REDEEMED,
            expires_at=now,
            redeemed_at=at + DAY,
            redeemed_for=sale.id,
        )
    )
    await tx.flush()
    (item,) = (await items_of(tx, [sale.id]))[sale.id]
    item.special_terms_id, item.discount_percent, item.discount_months = special_id, 50.0, 12
    await tx.flush()
    period = {"from": "2026-02-01", "until": "2026-03-01"}
    told = await office.ok("supervisor", "GET", "/levers", **period)
    pairs_told = {one["lever"]: one for one in told["levers"]}

    def counts(lever, side):
        figure = pairs_told[lever][side]
        return figure["numerator"], figure["denominator"], figure["excluded"]

    assert counts("intent", "gain") == (2, 3, 1)
    assert counts("intent", "harm") == (2, 3, 1)
    assert counts("income", "gain") == (1, 2, 1)
    assert counts("income", "harm") == (0, 0, 1)  # its 30 days are not over
    assert counts("tariff_fit", "harm") == (1, 1, 0)
    assert counts("cross_sell", "harm") == (1, 2, 1)
    assert counts("acquisition", "gain") == (1, 3, 1)
    assert counts("cost_to_serve", "gain") == (1, 2, 0)
    assert counts("cost_to_serve", "harm") == (1, 1, 0)
    assert counts("cost_to_serve", "beside") == (0, 1, 0)
    assert counts("renewal", "gain") == (1, 2, 0)
    assert counts("renewal", "harm") == (1, 1, 0)
    assert counts("retention", "gain") == (0, 0, 1)
    assert counts("retention", "harm") == (60_000, 1, 0)
    assert counts("retention", "beside") == (120_000, 1, 0)
    assert counts("bad_debt", "gain") == (2, 3, 1)
    assert counts("bad_debt", "harm") == (1, 1, 0)
    clock.tick(10 * DAY)
    told = await office.ok("supervisor", "GET", "/levers", **period)
    pairs_told = {one["lever"]: one for one in told["levers"]}
    assert counts("income", "harm") == (1, 1, 0)
    none = await office.ok("stranger", "GET", "/levers", **period)
    assert {one["gain"]["denominator"] for one in none["levers"]} == {0}
    far = await office.ask("stranger", "GET", "/levers", **period, org_unit=office.branch.code)
    assert far.status_code == 404


async def test_new_customers_who_have_left_again_are_of_all(tx, office, clock):
    _, leaves = [
        await make_customer(tx, org_unit=office.branch, activated_on=date(2026, 2, 5)) for _ in "12"
    ]
    await make_lifecycle(tx, leaves, stage=Stage.EXIT)
    await make_leaver(tx, leaves, left_on=date(2026, 2, 25), now=clock.now())
    month = {"from": "2026-02-01", "until": "2026-03-01"}
    told = await office.ok("supervisor", "GET", "/levers", **month)
    (pair,) = [one for one in told["levers"] if one["lever"] == "acquisition"]
    assert (pair["gain"]["numerator"], pair["gain"]["denominator"]) == (2, 2)
