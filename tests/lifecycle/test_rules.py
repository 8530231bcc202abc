"""Where customers stand, told from what is known of them: rules as tables."""

from datetime import date, timedelta

import pytest

from app.lifecycle.rules import (
    DEFAULTS,
    Before,
    Card,
    ChurnClass,
    Cuts,
    Facts,
    Signal,
    Stage,
    Term,
    Tier,
    churn_of,
    plus_months,
    reasons_of,
    score_of,
    stands,
    tier_of,
)

DAY = date(2026, 3, 2)
CUTS = Cuts(200_000, 120_000, 60_000, 110_000, 300.0)


def ago(days: int) -> date:
    return DAY - timedelta(days=days)


def facts(**known) -> Facts:
    """A customer of three years with all of whom nothing in particular is known."""
    given = {
        "day": DAY,
        "left_on": None,
        "back_on": None,
        "began_on": ago(1100),
        "removing": False,
        "asked_on": None,
        "months_known": 12,
        "recent_known": 3,
        "year_income_fen": 10_000.0,
        "recent_income_fen": 10_000.0,
        "blacklisted": None,
        "tenure_months": 36.0,
        "contract_days_left": None,
        "usage_gb": 100.0,
        "usage_percent": 100.0,
        "income_fen": 10_000.0,
        "income_percent": 100.0,
        "services": 1.0,
        "new_services": 0.0,
        "speed_mbps": 300.0,
        "complaints": 0.0,
        "faults": 0.0,
        "repeat_faults": 0.0,
        "dissatisfied": 0.0,
        "asked_to_leave": 0.0,
        "arrears_fen": 0.0,
    }
    return Facts(**{**given, **known})


def before(**known) -> Before:
    given = {
        "stage": Stage.CLIMAX,
        "stage_since": ago(300),
        "tier": Tier.B,
        "tier_before": None,
        "tier_since": ago(300),
        "last_signal_on": None,
    }
    return Before(**{**given, **known})


CARD = Card(
    intercept=-40,
    scale=20,
    terms=(
        Term("usage_percent", None, 50, 60, "用量减半", "Usage fell to half"),
        Term("tenure_months", None, 4, 40, "新入网", "New"),
        Term("contract_days_left", None, None, 10, "无合约", "No contract"),
        Term("services", 3, None, -20, "多项业务", "Many services"),
    ),
)


def told(known=None, held=None, card=None):
    return stands(known or facts(), held, CUTS, DEFAULTS, card)


@pytest.mark.parametrize(
    "known, stage, rule",
    [
        ({"began_on": None, "services": 0.0}, Stage.ACQUISITION, "acquisition.new"),
        ({"began_on": DAY}, Stage.ACQUISITION, "acquisition.new"),
        ({"began_on": ago(90)}, Stage.ACQUISITION, "acquisition.new"),
        ({"began_on": ago(91)}, Stage.BUILD_UP, "build_up.settled"),
        ({"began_on": date(2025, 3, 2)}, Stage.BUILD_UP, "build_up.settled"),
        ({"began_on": date(2025, 3, 1)}, Stage.CLIMAX, "climax.mature"),
        ({"usage_percent": 70.0}, Stage.DECLINE, "decline.usage_down"),
        ({"usage_percent": 71.0}, Stage.CLIMAX, "climax.mature"),
        ({"usage_percent": None}, Stage.CLIMAX, "climax.mature"),
        ({"contract_days_left": 60.0}, Stage.DECLINE, "decline.contract_ending"),
        ({"contract_days_left": 61.0}, Stage.CLIMAX, "climax.mature"),
        ({"complaints": 1.0}, Stage.CLIMAX, "climax.mature"),
        ({"complaints": 1.0, "repeat_faults": 1.0}, Stage.DECLINE, "decline.complaints"),
        ({"complaints": 1.0, "dissatisfied": 1.0}, Stage.DECLINE, "decline.complaints"),
        ({"dissatisfied": 1.0}, Stage.CLIMAX, "climax.mature"),
        ({"asked_on": ago(59)}, Stage.DECLINE, "decline.asked_to_leave"),
        ({"asked_on": ago(60)}, Stage.CLIMAX, "climax.mature"),
        ({"began_on": ago(200), "asked_on": DAY}, Stage.DECLINE, "decline.asked_to_leave"),
        ({"left_on": ago(3), "services": 0.0}, Stage.EXIT, "exit.disconnected"),
        ({"removing": True, "usage_percent": 10.0}, Stage.EXIT, "exit.removal_ordered"),
        (
            {"left_on": ago(200), "back_on": ago(90), "began_on": ago(90)},
            Stage.EXIT,
            "exit.returned",
        ),
        (
            {"left_on": ago(200), "back_on": ago(91), "began_on": ago(91)},
            Stage.BUILD_UP,
            "build_up.settled",
        ),
    ],
)
def test_the_first_stage_that_holds_from_the_bottom_is_it(known, stage, rule):
    standing = told(facts(**known))
    assert (standing.stage, standing.stage_rule) == (stage, rule)


def test_a_high_score_alone_is_decline_for_nobody_who_is_new():
    # The usage that scores is no signal here, so that the score stands alone.
    numbers = DEFAULTS._replace(usage_down_percent=100)
    for began, stage in ((ago(60), Stage.ACQUISITION), (ago(200), Stage.BUILD_UP)):
        new = facts(began_on=began, usage_percent=40.0)
        standing = stands(new, None, CUTS, numbers, CARD)
        assert (standing.churn_class, standing.stage) == (ChurnClass.HIGH, stage)
    old = stands(facts(usage_percent=40.0), None, CUTS, numbers, CARD)
    assert (old.stage, old.signals) == (Stage.DECLINE, (Signal.CHURN_HIGH,))


@pytest.mark.parametrize("quiet, stage", [(59, Stage.DECLINE), (60, Stage.CLIMAX)])
def test_decline_is_over_after_sixty_days_without_a_signal(quiet, stage):
    held = before(stage=Stage.DECLINE, stage_since=ago(100), last_signal_on=ago(quiet))
    standing = told(facts(), held)
    assert standing.stage is stage
    assert standing.stage_since == (ago(100) if stage is Stage.DECLINE else DAY)


def test_who_leaves_leaves_their_signals_behind():
    held = before(stage=Stage.DECLINE, last_signal_on=ago(1))
    standing = told(facts(left_on=ago(5), asked_on=ago(6), services=0.0), held, CARD)
    assert (standing.signals, standing.last_signal_on) == ((), None)
    assert (standing.churn_score, standing.churn_class) == (None, None)
    assert standing.stage_since == ago(5)


@pytest.mark.parametrize(
    "value, known, tier",
    [
        (200_000, {}, Tier.A),
        (199_999, {}, Tier.B),
        (120_000, {}, Tier.B),
        (60_000, {}, Tier.C),
        (0, {}, Tier.D),
        (None, {}, None),
        (60_000, {"new_services": 2.0}, Tier.B),
        (60_000, {"new_services": 1.0}, Tier.C),
        (60_000, {"arrears_fen": 1.0}, Tier.D),
        (60_000, {"arrears_fen": None}, Tier.C),
        (60_000, {"new_services": 3.0, "arrears_fen": 900.0}, Tier.C),
        (200_000, {"new_services": 2.0}, Tier.A),
        (0, {"arrears_fen": 900.0}, Tier.D),
    ],
)
def test_a_tier_is_told_by_income_new_services_and_arrears(value, known, tier):
    assert tier_of(value, facts(**known), CUTS, DEFAULTS) is tier


def test_a_tier_that_fell_is_a_signal_and_is_told_with_the_one_before():
    standing = told(facts(year_income_fen=5_000.0), before())
    assert (standing.tier, standing.tier_before, standing.tier_since) == (Tier.C, Tier.B, DAY)
    assert (standing.stage, standing.signals) == (Stage.DECLINE, (Signal.TIER_FELL,))
    assert told(facts(year_income_fen=30_000.0), before()).signals == ()


def test_a_tier_stays_known_while_income_is_not():
    assert told(facts(months_known=2), before()).tier is Tier.B
    assert told(facts(months_known=2)).tier is None


def test_what_three_months_would_give_is_told_beside_the_tier():
    standing = told(facts(recent_income_fen=4_000.0))
    assert (standing.tier, standing.tier_forecast) == (Tier.B, Tier.D)
    assert told(facts(recent_known=1)).tier_forecast is None


@pytest.mark.parametrize(
    "known, hidden",
    [
        ({"usage_gb": 300.0}, True),
        ({"new_services": 2.0, "year_income_fen": 4_000.0}, True),
        ({}, False),
        ({"usage_gb": 300.0, "arrears_fen": 100.0}, False),
        ({"usage_gb": 300.0, "blacklisted": True}, False),
        ({"usage_gb": 300.0, "year_income_fen": 20_000.0}, False),
    ],
)
def test_somebody_who_brings_little_may_be_worth_much(known, hidden):
    given = {"year_income_fen": 6_000.0, **known}
    assert told(facts(**given)).hidden_high_value is hidden


def test_a_score_is_the_logistic_function_of_the_points():
    known = facts(usage_percent=40.0, tenure_months=2.0)._asdict()
    assert score_of(CARD, known) == pytest.approx(1 / (1 + 2.718281828**-3.5))
    assert score_of(CARD, facts(contract_days_left=9.0)._asdict()) == pytest.approx(
        1 / (1 + 2.718281828**2)
    )


def test_reasons_are_what_speaks_for_leaving_the_heaviest_first():
    known = facts(usage_percent=40.0, tenure_months=2.0, services=4.0)._asdict()
    reasons = reasons_of(CARD, known)
    assert [(one.field, one.points) for one in reasons] == [
        ("usage_percent", 60),
        ("tenure_months", 40),
        ("contract_days_left", 10),
    ]
    assert [one.value for one in reasons] == [40.0, 2.0, None]


@pytest.mark.parametrize(
    "score, churn",
    [(0.19, ChurnClass.LOW), (0.2, ChurnClass.MID), (0.45, ChurnClass.HIGH)],
)
def test_the_class_is_told_by_the_probability(score, churn):
    assert churn_of(score, DEFAULTS) is churn


@pytest.mark.parametrize(
    "day, months, then",
    [
        (date(2025, 1, 31), 1, date(2025, 2, 28)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2025, 12, 15), 1, date(2026, 1, 15)),
        (date(2026, 3, 1), -5, date(2025, 10, 1)),
    ],
)
def test_months_are_those_of_the_calendar(day, months, then):
    assert plus_months(day, months) == then


def test_a_card_is_the_same_as_its_document():
    assert Card.of(CARD.document()) == CARD
