"""Each gate as a table: the fact that closes it, the code it says, and that nothing else does."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.rules import BusinessType
from app.lifecycle.rules import Stage
from app.suggestions.rules import Gate, HeldBack
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.faults import faults_of
from app.suggestions.rules.gates import HOLDS, WholeHold, held_back, nothing_at_all
from app.suggestions.rules.leads import LeadTo
from app.suggestions.rules.limits import PARAMETERS, Limits
from app.suggestions.rules.ranking import ranked
from app.suggestions.rules.words import HELD_BACK, NOTHING_FITS, REASONS, nothing_because

TODAY = date(2026, 3, 2)
LIMITS = Limits()


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def ahead(days: int) -> date:
    return TODAY + timedelta(days=days)


# A household after its repair was marked restored: 300 Mbit/s, a line that can do a thousand.
HOME = Facts(
    today=TODAY,
    work_type="repair",
    restored=True,
    faults=1,
    arrears_fen=0,
    held=frozenset({"FTTH-300", "broadband"}),
    speed_mbps=300,
    monthly_usage_gb=200,
    contract_ends_on=ahead(400),
    line_max_mbps=1000,
    port_free=False,
)
FASTER = Offer("FTTH-1000", "broadband", BusinessType.SALES, 60_000, 0.1, speed_mbps=1000)
MESH = Offer(
    "FTTR-2", "home_wifi", BusinessType.INCENTIVE, 40_000, 0.15, requires=frozenset({"broadband"})
)
RENEWAL = Offer("RENEW-12", "renewal", BusinessType.RETENTION, 30_000, 0.3)
SMALLER = Offer(
    "FTTH-100",
    "broadband",
    BusinessType.SALES,
    20_000,
    0.1,
    speed_mbps=100,
    levers=frozenset({"tariff_fit"}),
)
KEEPING = replace(RENEWAL, code="KEEP-12", levers=frozenset({"retention"}))
HELP = Offer("HELP", "help", BusinessType.SERVICE, 4_000, 0.5, levers=frozenset({"cost_to_serve"}))
HELP_ALL = replace(HELP, levers=frozenset())
PREPAID = Offer(
    "PREPAID-12",
    "broadband",
    BusinessType.SALES,
    9_000,
    0.1,
    levers=frozenset({"bad_debt"}),
    prepaid=True,
)
NONE_HELD: dict[str, Any] = {"held": frozenset(), "speed_mbps": None}
REPEATER = replace(MESH, code="WIFI-MESH", terminal_kind="wifi_repeater", least_usage_gb=30)
MEASURED: dict[str, Any] = {"measured_mbps": 239.9, "measured_on": ago(1)}
GROWING = replace(MESH, code="GROW", stages=frozenset({"build_up", "climax"}), least_usage_gb=30)
THRIFTY = replace(SMALLER, code="THRIFTY", most_usage_gb=25)


def test_what_nothing_holds_back_is_let_through():
    assert held_back(HOME, FASTER, LIMITS) is None
    assert held_back(HOME, MESH, LIMITS) is None
    assert nothing_at_all(HOME, LIMITS) is None


@pytest.mark.parametrize(
    ("known", "offer", "code"),
    [
        # eligible
        ({"held": frozenset({"FTTH-1000", "broadband"})}, FASTER, "already_held"),
        (
            {"held": frozenset({"FTTH-300", "broadband", "mesh-rental"})},
            replace(MESH, excludes=frozenset({"mesh-rental"})),
            "already_held",
        ),
        (
            {"terminals": frozenset({"wifi_repeater"})},
            replace(MESH, excludes=frozenset({"wifi_repeater"})),
            "already_held",
        ),
        ({"terminals": frozenset({"wifi_repeater"})}, MESH, None),
        ({"held": frozenset({"mobile"})}, MESH, "requires_other"),
        ({"order_pending": True}, FASTER, "order_pending"),
        ({"ordered_here": frozenset({"FTTH-2000", "broadband"})}, FASTER, "order_pending"),
        ({"ordered_here": frozenset({"FTTH-2000", "broadband"})}, MESH, None),
        (
            {"ordered_here": frozenset({"wifi_repeater"})},
            replace(MESH, excludes=frozenset({"wifi_repeater"})),
            "order_pending",
        ),
        (
            {"held": frozenset(), "ordered_here": frozenset({"broadband"})},
            MESH,
            "requires_other",
        ),
        ({"held": frozenset(), "brought_here": frozenset({"broadband"})}, MESH, None),
        ({"shut_out_here": frozenset({MESH.code})}, MESH, "order_pending"),
        ({"shut_out_here": frozenset({MESH.category})}, MESH, "order_pending"),
        (
            {"shut_out_here": frozenset({"wifi_repeater"})},
            replace(MESH, terminal_kind="wifi_repeater"),
            "order_pending",
        ),
        ({"shut_out_here": frozenset({"wifi_repeater"})}, MESH, None),
        ({"accepted_on": {"FTTH-1000": ago(29)}}, FASTER, "just_accepted"),
        ({"accepted_on": {"FTTH-1000": ago(30)}}, FASTER, None),
        ({"line_max_mbps": None}, FASTER, "line_unknown"),
        ({"line_max_mbps": None}, MESH, None),
        ({"line_max_mbps": 999}, FASTER, "line_too_slow"),
        ({"speed_mbps": None, "port_free": False}, FASTER, "no_free_port"),
        ({"speed_mbps": None, "port_free": True}, FASTER, None),
        # Not known is not "none": the port is asked for with the order.
        ({"speed_mbps": None, "port_free": None}, FASTER, None),
        # allowed
        ({"restored": False}, MESH, "not_restored"),
        ({"restored": False, "work_type": "install", "faults": 0}, MESH, None),
        ({"do_not_disturb": True}, MESH, "do_not_disturb"),
        ({"faults": 2}, MESH, "repeat_fault"),
        ({"complaint_open": True}, MESH, "complaint_open"),
        ({"complaint_closed_on": ago(13)}, MESH, "complaint_recent"),
        ({"complaint_closed_on": ago(14)}, MESH, None),
        ({"dissatisfied_on": ago(13)}, MESH, "dissatisfied"),
        ({"dissatisfied_on": ago(14)}, MESH, None),
        ({"arrears_fen": 1}, MESH, "arrears"),
        ({"arrears_fen": None}, MESH, None),
        ({"blacklisted": True}, MESH, "blacklisted"),
        ({"blacklisted": None}, MESH, None),
        # A bad debt: nothing on credit, and what is paid for beforehand.
        ({"arrears_fen": 1}, PREPAID, None),
        ({"blacklisted": True}, PREPAID, None),
        ({"arrears_fen": 1}, replace(PREPAID, prepaid=False), "arrears"),
        ({"blacklisted": True}, replace(PREPAID, prepaid=False), "blacklisted"),
        ({"arrears_fen": 1}, replace(MESH, prepaid=True), None),
        ({"arrears_fen": 1, "complaint_open": True}, PREPAID, "complaint_open"),
        ({"arrears_fen": 1, "contacts_month": 3}, PREPAID, "contacts_month"),
        ({}, PREPAID, "no_debt"),
        ({"arrears_fen": None, "blacklisted": None}, PREPAID, "no_debt"),
        ({}, replace(PREPAID, levers=frozenset({"bad_debt", "income"})), None),
        ({"outage": True}, MESH, "outage"),
        ({"contract_ends_on": TODAY}, KEEPING, "needs_approval"),
        ({"contract_ends_on": TODAY, "agreed": frozenset({"KEEP-12"})}, KEEPING, None),
        ({"contract_ends_on": TODAY, "agreed": frozenset({"KEEP-6"})}, KEEPING, "needs_approval"),
        ({"contract_ends_on": TODAY}, replace(KEEPING, levers=frozenset({"renewal"})), None),
        ({"offered_elsewhere": frozenset({"FTTR-2"})}, MESH, "offered_elsewhere"),
        ({"offered_elsewhere": frozenset({"FTTR-2"})}, FASTER, None),
        # Whoever has left: by the leavers' list or the lifecycle, and nothing of theirs runs.
        ({**NONE_HELD, "left_on": ago(40), "work_type": "remove"}, HELP_ALL, "not_invited"),
        ({**NONE_HELD, "stage": "exit"}, HELP_ALL, "not_invited"),
        ({**NONE_HELD, "left_on": ago(40), "work_type": "care"}, HELP_ALL, None),
        ({**NONE_HELD, "left_on": ago(40), "work_type": "install"}, HELP_ALL, None),
        ({"left_on": ago(40), "win_back_refused": True}, MESH, None),
        (
            {
                **NONE_HELD,
                "left_on": ago(40),
                "win_back_refused": True,
                "work_type": "care",
            },
            HELP_ALL,
            "win_back_refused",
        ),
        # suitable
        ({"stage": "decline"}, GROWING, "other_stage"),
        ({"stage": "climax"}, GROWING, None),
        ({"stage": None}, GROWING, None),
        ({"stage": "climax"}, replace(GROWING, stages=frozenset()), "other_stage"),
        ({"stage": "decline"}, MESH, None),
        ({"speed_mbps": 1000}, FASTER, "not_faster"),
        ({}, SMALLER, "not_faster"),
        ({"monthly_usage_gb": 29}, SMALLER, None),
        ({"contract_ends_on": ahead(91)}, RENEWAL, "no_renewal_due"),
        ({"contract_ends_on": ahead(90)}, RENEWAL, None),
        ({"contract_ends_on": ago(10)}, RENEWAL, None),
        ({"contract_ends_on": None}, RENEWAL, "no_renewal_due"),
        # 300 Mbit/s are paid for: below 240 the line falls short, and more would change nothing.
        (MEASURED, FASTER, "line_falls_short"),
        ({"measured_mbps": 240.0, "measured_on": ago(1)}, FASTER, None),
        ({"measured_mbps": 0.0, "measured_on": ago(1)}, FASTER, "line_falls_short"),
        ({"measured_mbps": None, "measured_on": None}, FASTER, None),
        ({**MEASURED, "measured_on": ago(179)}, FASTER, "line_falls_short"),
        ({**MEASURED, "measured_on": ago(180)}, FASTER, None),
        ({**MEASURED, "speed_mbps": None, "port_free": True}, FASTER, None),
        # What brings the line into the rooms is needed then, however little is used.
        ({**MEASURED, "monthly_usage_gb": 1}, REPEATER, None),
        ({"monthly_usage_gb": 1}, REPEATER, "no_need"),
        ({**MEASURED, "monthly_usage_gb": 1, "measured_mbps": 300.0}, REPEATER, "no_need"),
        ({**MEASURED, "monthly_usage_gb": 1}, GROWING, "no_need"),
        ({"monthly_usage_gb": 29}, FASTER, "no_need"),
        ({"monthly_usage_gb": None}, FASTER, None),
        ({"monthly_usage_gb": 29}, GROWING, "no_need"),
        ({"monthly_usage_gb": 30}, GROWING, None),
        ({"monthly_usage_gb": None}, GROWING, None),
        ({"monthly_usage_gb": 25}, THRIFTY, None),
        ({"monthly_usage_gb": 26}, THRIFTY, "uses_more"),
        ({"monthly_usage_gb": None, "speed_mbps": 50}, THRIFTY, "uses_more"),
        ({"calls": 2}, HELP, "few_calls"),
        ({"calls": 3}, HELP, None),
        ({"calls": 0}, replace(HELP, levers=frozenset({"cost_to_serve", "income"})), None),
        ({}, replace(MESH, margin_12m_fen=1000), "not_worth_a_contact"),
        # 0.15 x 2,000 x 0.8 - 300 fen after a repair; no campaign lifts it over nothing.
        ({}, replace(MESH, margin_12m_fen=2000), "not_worth_a_contact"),
        ({}, replace(MESH, margin_12m_fen=2000, push=2.0), "not_worth_a_contact"),
        # The context does: fitted at once, it is worth 0.15 x 2,000 x 1.2 - 300 fen.
        ({"work_type": "install"}, replace(MESH, margin_12m_fen=2000, install_minutes=30), None),
        # What is worth it by itself can be kept back by a campaign.
        ({}, replace(MESH, margin_12m_fen=3000), None),
        ({}, replace(MESH, margin_12m_fen=3000, push=0.5), "not_worth_a_contact"),
        # contact policy
        ({"pitched_in_this_visit": 1}, MESH, "pitched_in_this_visit"),
        ({"shown_in_this_visit": frozenset("ABC")}, MESH, "shown_in_this_visit"),
        ({"shown_in_this_visit": frozenset({"A", "B", "FTTR-2"})}, MESH, None),
        ({"shown_in_this_visit": frozenset("AB")}, MESH, None),
        ({"contacts_month": 2}, MESH, None),
        ({"contacts_month": 3}, MESH, "contacts_month"),
        ({"contacts_year": 11}, MESH, None),
        ({"contacts_year": 12}, MESH, "contacts_year"),
        ({"last_contact_on": ago(6)}, MESH, "contact_gap"),
        ({"last_contact_on": ago(7)}, MESH, None),
        ({"served_today": True}, MESH, "served_today"),
        ({"slot_taken": True}, MESH, "slot_taken"),
        ({"refusals": 9}, MESH, None),
        ({"stopped_on": ago(179)}, MESH, "refused_often"),
        ({"stopped_on": ago(180)}, MESH, None),
        ({"declined_on": {"FTTR-2": ago(89)}}, MESH, "declined_recently"),
        ({"declined_on": {"FTTR-2": ago(90)}}, MESH, None),
        ({"declined_on": {"FTTR-2": ago(1)}}, FASTER, None),
        ({"declined_group_on": {"home_wifi": ago(29)}}, MESH, "declined_group"),
        ({"declined_group_on": {"home_wifi": ago(30)}}, MESH, None),
        ({"later_on": {"FTTR-2": ahead(1)}}, MESH, "asked_for_later"),
        ({"later_on": {"FTTR-2": TODAY}}, MESH, None),
    ],
)
def test_each_gate(known, offer, code):
    assert held_back(replace(HOME, **known), offer, LIMITS) == code


def test_gates_are_passed_in_one_order():
    order = [Gate.ELIGIBLE, Gate.ALLOWED, Gate.SUITABLE, Gate.CONTACT_POLICY]
    assert [hold.gate for hold in HOLDS] == sorted((hold.gate for hold in HOLDS), key=order.index)


@pytest.mark.parametrize(
    ("known", "code"),
    [
        ({"line_max_mbps": 100, "do_not_disturb": True}, "line_too_slow"),
        ({"do_not_disturb": True, "monthly_usage_gb": 1}, "do_not_disturb"),
        ({"monthly_usage_gb": 1, "contacts_month": 9}, "no_need"),
    ],
)
def test_the_earliest_gate_gives_the_reason(known, code):
    assert held_back(replace(HOME, **known), FASTER, LIMITS) == code


def test_every_hold_is_in_the_table_once_and_has_words_in_both_languages():
    codes = [hold.code for hold in HOLDS]
    assert len(codes) == len(set(codes))
    not_gates = {
        HeldBack.OTHERS_FIT_BETTER,
        HeldBack.CAMPAIGN_ALONE,
        HeldBack.NOTHING_TODAY,
        HeldBack.HOLDOUT,
        HeldBack.NO_CONSENT,
        HeldBack.OTHER_CHANNEL,
        HeldBack.SAID_TOO_LATE,
    }
    assert set(codes) | not_gates == set(HeldBack)
    assert set(HELD_BACK) == set(HeldBack)
    for words in [*HELD_BACK.values(), *REASONS.values(), NOTHING_FITS]:
        assert words.zh.strip()
        assert words.en.strip()
        assert not words.en.isspace()
        assert words.zh != words.en


def test_why_nothing_is_said_in_words():
    assert nothing_because("do_not_disturb") == HELD_BACK[HeldBack.DO_NOT_DISTURB]
    assert nothing_because("nothing_fits") == NOTHING_FITS


def test_every_number_is_a_parameter_with_the_default_of_the_rules():
    assert set(PARAMETERS) == set(Limits._fields)
    for name, parameter in PARAMETERS.items():
        assert parameter.default == getattr(LIMITS, name)
        parameter.checked(parameter.default)


# --- adding a reason to hold back never lets an offer through -------------------------------------

days_back = st.integers(0, 400).map(ago)
codes = st.sampled_from(["FTTH-1000", "FTTR-2", "RENEW-12", "FTTH-100"])
groups = st.sampled_from(["broadband", "home_wifi", "renewal"])

facts = st.builds(
    Facts,
    today=st.just(TODAY),
    work_type=st.sampled_from(["install", "repair", "care"]),
    restored=st.booleans(),
    pitched_in_this_visit=st.integers(0, 2),
    shown_in_this_visit=st.frozensets(codes, max_size=3),
    order_pending=st.booleans(),
    ordered_here=st.frozensets(st.sampled_from(["broadband", "FTTR-2", "tv", "wifi_repeater"])),
    brought_here=st.frozensets(st.sampled_from(["broadband", "FTTR-2", "tv", "wifi_repeater"])),
    shut_out_here=st.frozensets(st.sampled_from(["broadband", "FTTR-2", "tv", "wifi_repeater"])),
    faults=st.integers(0, 3),
    do_not_disturb=st.booleans(),
    arrears_fen=st.none() | st.integers(0, 10_000),
    complaint_open=st.booleans(),
    complaint_closed_on=st.none() | days_back,
    held=st.frozensets(st.sampled_from(["broadband", "FTTH-300", "FTTR-2", "tv"])),
    speed_mbps=st.none() | st.integers(10, 2000),
    monthly_usage_gb=st.none() | st.integers(0, 2000),
    contract_ends_on=st.none() | st.integers(-400, 400).map(ahead),
    line_max_mbps=st.none() | st.integers(10, 2000),
    port_free=st.none() | st.booleans(),
    contacts_month=st.integers(0, 5),
    contacts_year=st.integers(0, 15),
    last_contact_on=st.none() | days_back,
    slot_taken=st.booleans(),
    stopped_on=st.none() | days_back,
    dissatisfied_on=st.none() | days_back,
    declined_on=st.dictionaries(codes, days_back),
    declined_group_on=st.dictionaries(groups, days_back),
    accepted_on=st.dictionaries(codes, days_back),
    later_on=st.dictionaries(codes, st.integers(-30, 30).map(ahead)),
    tenure_months=st.none() | st.integers(0, 200),
    stage=st.none() | st.sampled_from(list(Stage)),
    tier=st.none() | st.sampled_from("ABCD"),
    churn_class=st.none() | st.sampled_from(["low", "mid", "high"]),
    churn_score=st.none() | st.floats(0, 1),
    value_12m_fen=st.none() | st.integers(0, 500_000),
    generic=st.booleans(),
    blacklisted=st.none() | st.booleans(),
    outage=st.booleans(),
    served_today=st.booleans(),
    offered_elsewhere=st.frozensets(codes),
    terminals=st.frozensets(st.sampled_from(["ont_gateway", "wifi_repeater"])),
    calls=st.integers(0, 5),
    left_on=st.none() | days_back,
    win_back_refused=st.booleans(),
    measured_mbps=st.none() | st.floats(0, 2000),
    measured_on=st.none() | days_back,
    prefers=st.none() | st.sampled_from(list(LeadTo)),
)
OFFERS = [FASTER, MESH, RENEWAL, SMALLER, KEEPING, HELP, GROWING, THRIFTY, REPEATER]

# Each makes one more reason to hold back true, whatever else is known.
MORE = [
    lambda f: replace(f, do_not_disturb=True),
    lambda f: replace(f, work_type="repair", restored=False),
    lambda f: replace(f, faults=f.faults + 1),
    lambda f: replace(f, complaint_open=True),
    lambda f: replace(f, complaint_closed_on=TODAY),
    lambda f: replace(f, arrears_fen=(f.arrears_fen or 0) + 1),
    lambda f: replace(f, order_pending=True),
    lambda f: replace(f, pitched_in_this_visit=f.pitched_in_this_visit + 1),
    lambda f: replace(f, contacts_month=f.contacts_month + 1, contacts_year=f.contacts_year + 1),
    lambda f: replace(f, last_contact_on=TODAY),
    lambda f: replace(f, slot_taken=True),
    lambda f: replace(f, stopped_on=TODAY),
    lambda f: replace(f, dissatisfied_on=TODAY),
    lambda f: replace(f, declined_on={**f.declined_on, "FTTR-2": TODAY}),
    lambda f: replace(f, declined_group_on={**f.declined_group_on, "broadband": TODAY}),
    lambda f: replace(f, accepted_on={**f.accepted_on, "FTTH-1000": TODAY}),
    lambda f: replace(f, later_on={**f.later_on, "RENEW-12": ahead(99)}),
    lambda f: replace(f, line_max_mbps=None),
    lambda f: replace(f, blacklisted=True),
    lambda f: replace(f, outage=True),
    lambda f: replace(f, served_today=True),
    lambda f: replace(f, offered_elsewhere=f.offered_elsewhere | {"FTTR-2"}),
    lambda f: replace(f, terminals=f.terminals | {"wifi_repeater"}),
    lambda f: replace(f, calls=0),
    lambda f: replace(f, stage="nowhere"),
    lambda f: replace(f, left_on=f.left_on or TODAY),
    lambda f: replace(f, win_back_refused=True),
    lambda f: replace(f, prefers="phone"),
]


def passed(known: Facts) -> set[str]:
    through = {HeldBack.OTHERS_FIT_BETTER, None}
    return {one.offer.code for one in ranked(known, OFFERS, LIMITS) if one.held_back in through}


@given(known=facts, more=st.lists(st.sampled_from(MORE), min_size=1, max_size=4))
def test_another_reason_never_lets_an_offer_through(known, more):
    before = passed(known)
    for add in more:
        known = add(known)
    assert passed(known) <= before


@given(known=facts)
def test_what_concerns_the_customer_as_a_whole_holds_everything_back(known):
    if nothing_at_all(known, LIMITS) is not None:
        assert not passed(known)
    for hold in HOLDS:
        if isinstance(hold, WholeHold) and hold.applies(known, LIMITS):
            assert not passed(known)


@given(known=facts)
def test_nothing_passes_on_credit_to_who_owes(known):
    through = {HeldBack.OTHERS_FIT_BETTER, None}
    for one in ranked(known, [*OFFERS, PREPAID], LIMITS):
        if known.owes and one.held_back in through:
            assert one.offer.prepaid


@given(
    known=facts,
    offer=st.sampled_from([*OFFERS, PREPAID]),
    push=st.floats(0.5, 2),
    worth=st.integers(0, 9000),
)
def test_no_campaign_makes_an_offer_worth_a_contact(known, offer, push, worth):
    offer = replace(offer, margin_12m_fen=worth)
    if held_back(known, offer, LIMITS) == HeldBack.NOT_WORTH_A_CONTACT:
        pushed = replace(offer, push=push)
        assert held_back(known, pushed, LIMITS) == HeldBack.NOT_WORTH_A_CONTACT


@given(known=facts, push=st.lists(st.floats(0.5, 2), min_size=9, max_size=9))
def test_a_visit_never_shows_more_different_offers_than_one_decision(known, push):
    before = known.shown_in_this_visit
    offers = [replace(one, push=times) for one, times in zip(OFFERS, push, strict=True)]
    shown = {one.offer.code for one in ranked(known, offers, LIMITS) if one.rank is not None}
    assert len(shown | before) <= max(LIMITS.shown, len(before))


# --- what counts as one fault ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "faults"),
    [
        ([], []),
        ([0], [0]),
        ([0, 1, 24], [24]),
        ([0, 25], [0, 25]),
        ([25, 0], [0, 25]),
        # A report between two faults is about one of them.
        ([0, 12, 30], [0, 30]),
        ([0, 30, 31, 700], [0, 31, 700]),
    ],
)
def test_reports_within_a_day_are_about_one_fault(hours, faults):
    assert faults_of(map(after, hours)) == [after(hour) for hour in faults]


def after(hours: float) -> datetime:
    return datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hours)


reports = st.lists(st.floats(0, 200).map(after), max_size=8)


@settings(max_examples=50)
@given(reports, st.floats(0, 200).map(after))
def test_one_report_more_never_makes_fewer_faults(known, another):
    assert len(faults_of([*known, another])) >= len(faults_of(known))
