"""The score: which weights apply, that the parts add up, and in which order offers stand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.rules import BusinessType
from app.suggestions.rules import HeldBack
from app.suggestions.rules.facts import Offer
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.ranking import ranked
from app.suggestions.rules.score import score_of, scored, value_of
from app.suggestions.rules.words import REASONS, reason
from app.terminals.rules import TerminalKind
from tests.suggestions.test_gates import FASTER, HOME, LIMITS, MESH, RENEWAL, ago, ahead, facts

AT_REST = replace(HOME, work_type="care", faults=0)


def parts(known, offer, limits=LIMITS):
    return {part.code: part.fen for part in scored(known, offer, limits).parts}


def test_without_context_it_is_rate_times_margin_less_the_contact():
    # 0.1 x 60,000 fen - 300 fen
    assert parts(AT_REST, FASTER) == {"expected": 6000, "contact_cost": -300}
    assert score_of(scored(AT_REST, FASTER, LIMITS).parts) == 5700


@pytest.mark.parametrize(
    ("known", "offer", "weight", "fen"),
    [
        ({"contract_ends_on": ahead(90)}, RENEWAL, "contract_ends_soon", 2700),
        ({"contract_ends_on": ahead(0)}, FASTER, "contract_ends_soon", 1800),
        ({"contract_ends_on": ahead(91)}, FASTER, "contract_ends_soon", None),
        ({"contract_ends_on": ahead(30)}, MESH, "contract_ends_soon", None),
        ({"contract_ends_on": ago(1)}, RENEWAL, "contract_over", 2700),
        ({"speed_mbps": 299, "monthly_usage_gb": 300}, FASTER, "speed_below_usage", 3000),
        ({"speed_mbps": 300, "monthly_usage_gb": 300}, FASTER, "speed_below_usage", None),
        ({"speed_mbps": 100, "monthly_usage_gb": None}, FASTER, "speed_below_usage", None),
        (
            {"work_type": "install"},
            replace(MESH, install_minutes=30),
            "fitted_at_once",
            1200,
        ),
        ({"work_type": "install"}, MESH, "fitted_at_once", None),
        ({"work_type": "repair"}, FASTER, "after_a_fault", -1200),
    ],
)
def test_each_weight(known, offer, weight, fen):
    assert parts(replace(AT_REST, **known), offer).get(weight) == fen


def test_weights_together_stay_within_their_bounds():
    known = replace(AT_REST, contract_ends_on=ahead(10), speed_mbps=100, monthly_usage_gb=900)
    strong = Limits(contract_boost=3.0, usage_boost=2.0)
    found = parts(known, FASTER, strong)
    assert found["context_bounded"] == 6000 * 2 - 6000 * 6
    assert sum(found.values()) == 6000 * 2 - 300
    weak = Limits(repair_damp=0.2)
    assert sum(parts(replace(known, work_type="repair"), MESH, weak).values()) == 3000 - 300


offers = st.builds(
    Offer,
    code=st.from_regex(r"[A-Z]{3}-[0-9]{1,3}", fullmatch=True),
    category=st.sampled_from(["broadband", "home_wifi", "tv"]),
    business_type=st.sampled_from(BusinessType),
    margin_12m_fen=st.integers(-100_000, 1_000_000),
    expert_rate=st.floats(0, 1),
    speed_mbps=st.none() | st.integers(10, 2000),
    install_minutes=st.none() | st.integers(1, 200),
    terminal_kind=st.none() | st.sampled_from(TerminalKind),
    preferred_tiers=st.frozensets(st.sampled_from("AB")),
)
numbers = st.builds(
    LIMITS._replace,
    shown=st.integers(0, 5),
    contract_boost=st.floats(0.1, 10),
    usage_boost=st.floats(0.1, 10),
    install_boost=st.floats(0.1, 10),
    repair_damp=st.floats(0.1, 10),
    measured_boost=st.floats(0.1, 10),
    preferred_damp=st.floats(0.1, 10),
    contact_cost_fen=st.floats(0, 10_000),
)


@given(known=facts, offer=offers, limits=numbers)
def test_the_parts_add_up_to_the_formula(known, offer, limits):
    found = scored(known, offer, limits).parts
    context = 1.0
    for code, times in [
        ("contract_ends_soon", limits.contract_boost),
        ("contract_over", limits.contract_boost),
        ("speed_below_usage", limits.usage_boost),
        ("fitted_at_once", limits.install_boost),
        ("after_a_fault", limits.repair_damp),
        ("measured_below_plan", limits.measured_boost),
        ("prefers_other_channel", limits.preferred_damp),
    ]:
        if any(part.code == code for part in found):
            context *= times
    context = min(max(context, 0.5), 2.0)
    value = value_of(known, offer, limits)
    expected = offer.expert_rate * value * context - limits.contact_cost_fen
    assert score_of(found) == pytest.approx(expected, abs=1.01)


@given(
    known=facts, catalogue=st.lists(offers, max_size=8, unique_by=lambda o: o.code), limits=numbers
)
def test_ranking_is_total_and_shows_few(known, catalogue, limits):
    found = ranked(known, catalogue, limits)
    assert sorted(one.offer.code for one in found) == sorted(offer.code for offer in catalogue)
    shown = [one for one in found if one.rank is not None]
    assert [one.rank for one in shown] == list(range(1, len(shown) + 1))
    assert len(shown) <= limits.shown
    assert all(one.score > 0 and one.held_back is None for one in shown)
    assert all(one.held_back is not None for one in found if one.rank is None)
    scores = [one.score for one in shown]
    assert scores == sorted(scores, reverse=True)
    beaten = [one.score for one in found if one.held_back is HeldBack.OTHERS_FIT_BETTER]
    assert not shown or all(score <= scores[-1] for score in beaten)
    assert found == ranked(known, list(reversed(catalogue)), limits)


def test_what_is_said_of_a_score_names_its_values():
    known = replace(AT_REST, contract_ends_on=ahead(45), speed_mbps=100, monthly_usage_gb=600)
    said = [
        REASONS[part.code].en.format(**part.values)
        for part in scored(known, FASTER, LIMITS).parts
        if part.code in REASONS
    ]
    assert said == [
        "About 10% of such customers accept",
        "The contract ends in 45 days",
        "They use 600 GB a month on only 100 Mbit/s",
    ]


def test_a_renewal_is_worth_the_margin_it_saves_less_what_it_costs():
    known = replace(AT_REST, churn_score=0.4, value_12m_fen=120_000)
    # 0.5 saved x 0.4 leave x half of 120,000 fen - 6,000 fen
    assert value_of(known, RENEWAL, LIMITS) == 6_000
    # What the customer pays is not known: the offer's own margin, 30,000 fen, stands for it.
    assert value_of(replace(AT_REST, churn_score=0.4), RENEWAL, LIMITS) == 0
    assert value_of(AT_REST, RENEWAL, LIMITS) == RENEWAL.margin_12m_fen


def test_a_measurement_below_the_package_is_a_reason_for_wifi_and_says_both_numbers():
    known = replace(AT_REST, speed_mbps=300, measured_mbps=87.6, measured_on=AT_REST.today)
    (part,) = [
        one
        for one in scored(known, replace(MESH, terminal_kind="wifi_repeater"), LIMITS).parts
        if one.code == "measured_below_plan"
    ]
    assert part.fen > 0
    assert REASONS[part.code].en.format(**part.values) == (
        "It was last measured at 88 Mbit/s, below the 300 of their package"
    )


@pytest.mark.parametrize(("percent", "told"), [(0, None), (1, "About 1% of such customers accept")])
def test_that_nobody_accepts_is_no_reason_to_offer(percent, told):
    said = reason({"code": "expected", "values": {"percent": percent}})
    assert (said and said.en) == told
