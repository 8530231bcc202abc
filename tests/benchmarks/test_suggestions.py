"""The simulated field is the same by its seed, can be played, and its judge sees what is wrong."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from app.suggestions.rules.limits import Limits
from app.suggestions.rules.silence import Silence, stopped_on, stopped_until
from benchmarks.suggestions import people, stage
from benchmarks.suggestions.estimates import estimated
from benchmarks.suggestions.field import FIRST_DAY, Event, Field, field_of, local_day
from benchmarks.suggestions.judge import Judge
from benchmarks.suggestions.numbers import auc, auc_among_alike
from benchmarks.suggestions.offers import CATALOGUE, catalogue_of, offerings
from benchmarks.suggestions.oracle import best, perfect
from benchmarks.suggestions.playing import play
from benchmarks.suggestions.policies import POLICIES
from benchmarks.suggestions.rehearsal import rehearse
from benchmarks.suggestions.truth import wear_of

NOWHERE = Path("/nowhere")
VISITS = 25


@pytest.fixture(scope="module")
def field() -> Field:
    return field_of(NOWHERE, VISITS, copies=1, seed=3)


def test_a_field_is_the_same_by_its_seed(field):
    again = field_of(NOWHERE, VISITS, copies=1, seed=3)
    assert again.visits == field.visits
    assert again.events == field.events
    assert np.array_equal(again.truth.logits, field.truth.logits)


def test_in_a_troubled_field_people_call_again_on_another_day_of_waiting():
    troubled = field_of(NOWHERE, 200, copies=1, seed=3, troubled=True)
    calls = [event for event in troubled.events if event.kind == "fault"]
    repairs = [visit for visit in troubled.visits if visit.work_type == "repair"]
    assert any(
        call.home == visit.home and timedelta(days=1) < call.at - visit.reported_at
        for visit in repairs
        for call in calls
        if call.at < visit.at
    )


def test_perfect_play_offers_nothing_that_breaks_a_rule(field):
    judge = Judge(field.homes)
    offered = [(visit, best(field, judge, visit)) for visit in field.visits]
    assert any(shown for _, shown in offered)
    assert not any(judge.broken(visit, offer) for visit, shown in offered for offer in shown)
    assert perfect(field).sum() > 0


def _ago(days: float):
    return lambda visit: visit.at - timedelta(days=days)


@pytest.mark.parametrize(
    "kind, moments, closed, rule",
    [
        ("sales", [_ago(6)], None, "seven_days_apart"),
        ("sales", [_ago(8), _ago(20), _ago(29)], None, "three_in_30_days"),
        ("sales", [_ago(40 + n) for n in range(12)], None, "twelve_a_year"),
        ("service", [_ago(0.01)], None, "service_contact_today"),
        ("complaint", [_ago(50)], None, "complaint"),
        ("complaint", [_ago(50)], _ago(13), "complaint"),
        ("fault", [_ago(29), _ago(5)], None, "repeat_fault"),
        ("do_not_disturb", [_ago(1)], None, "do_not_disturb"),
    ],
)
def test_the_judge_sees_each_rule_that_any_offer_would_break(field, kind, moments, closed, rule):
    visit = replace(field.visits[0], work_type="care", restored=True, order_pending=False)
    home = replace(
        field.homes[visit.home], do_not_disturb=False, arrears_fen=0, number=0, twin=None
    )
    visit = replace(visit, home=0)
    judge = Judge([home])
    assert judge.broken_by_any(visit) == []
    for at in moments:
        judge.happens(Event(at(visit), 0, kind, closed and closed(visit)))
    assert judge.broken_by_any(visit) == [rule]


OFFERS = {offer.code: offer for offer in offerings(FIRST_DAY)}


def test_the_service_sells_in_the_field_what_the_field_knows():
    codes = {one["code"] for one in yaml.safe_load(CATALOGUE.read_text("utf-8"))["offerings"]}
    sold = {one["code"] for one in yaml.safe_load(catalogue_of(OFFERS.values()))["offerings"]}
    assert sold == OFFERS.keys() < codes


@pytest.mark.parametrize(
    ("days", "leaves", "usage_gb", "code", "rules"),
    [
        (30, 0.1, 200, "IPTV-4K", ["not_for_their_stage"]),
        (200, 0.1, 200, "IPTV-4K", []),
        (200, 0.1, 20, "PLAN-100", ["not_for_their_stage"]),
        (800, 0.1, 200, "PLAN-100", ["sells_too_little", "gains_nothing"]),
        (800, 0.1, 20, "PLAN-100", []),
        (800, 0.9, 200, "IPTV-4K", ["not_for_their_stage"]),
        (800, 0.9, 200, "FUSION-129", []),
        (800, 0.1, 20, "FTTR-2", ["sells_too_much"]),
        (800, 0.1, None, "FTTR-2", []),
        (800, 0.1, None, "PLAN-100", ["sells_too_little", "gains_nothing"]),
    ],
)
def test_the_judge_sees_whom_an_offer_is_not_for(field, days, leaves, usage_gb, code, rules):
    visit = replace(field.visits[0], home=0, work_type="care", restored=True, order_pending=False)
    home = replace(
        field.homes[0],
        number=0,
        twin=None,
        activated_on=local_day(visit.at) - timedelta(days=days),
        leaves=leaves,
        usage_gb=usage_gb,
        held={"broadband", "PLAN-300"},
        speed_mbps=300,
        line_max_mbps=1000,
        do_not_disturb=False,
        arrears_fen=0,
    )
    assert Judge([home]).broken(visit, OFFERS[code]) == rules


def test_who_lives_at_the_same_address_counts_with_the_household(field):
    visit = replace(field.visits[0], home=0, work_type="care", restored=True, order_pending=False)
    homes = [
        replace(field.homes[0], number=n, twin=1 - n, do_not_disturb=False, arrears_fen=0)
        for n in (0, 1)
    ]
    judge = Judge(homes)
    judge.happens(Event(visit.at - timedelta(days=2), 1, "sales"))
    assert judge.broken_by_any(visit) == ["seven_days_apart"]


@given(st.lists(st.integers(0, 400), max_size=8))
@example([290, 190, 111])
@example([300, 190, 110])
def test_the_judge_and_the_gates_agree_on_the_third_refusal(field, ago):
    """They share no code: each has its own way to say from when on and how long selling stops."""
    visit = replace(field.visits[0], home=0, work_type="care", restored=True, order_pending=False)
    judge = Judge([replace(field.homes[0], number=0, twin=None)])
    today, an_offer = local_day(visit.at), offerings(FIRST_DAY)[0]
    days = sorted(today - timedelta(days=each) for each in ago)
    judge.cards[0].declined = [(day, an_offer) for day in days]
    until = stopped_until(Silence(stopped_on=stopped_on(days, Limits())), Limits())
    stopped = until is not None and until > today
    assert ("third_refusal" in judge.broken_by_any(visit)) == stopped


def test_contacts_are_never_thought_to_help():
    calls = [{"campaign": str(1 + n % 3), "y": "yes" if n % 3 == 2 else "no"} for n in range(90)]
    assert wear_of(calls) == 0.0
    assert wear_of([]) < 0


def test_among_those_of_one_kind_nothing_is_gained_by_telling_kinds_apart():
    """Two kinds of different rates, each with scores that say nothing, or the contrary."""
    kinds = ["a", "a", "b", "b"]
    said = np.array([0.0, 1.0, 1.0, 1.0])
    assert auc(np.array([0.1, 0.1, 0.9, 0.9]), said) == pytest.approx(5 / 6)
    assert auc_among_alike(kinds, np.array([0.1, 0.1, 0.9, 0.9]), said) == 0.5
    assert auc_among_alike(kinds, np.array([0.2, 0.1, 0.9, 0.8]), said) == 0.0
    assert np.isnan(auc_among_alike(kinds, said, np.ones(4)))


def test_households_hold_what_their_rows_say():
    row = people.made_rows(1, 1)[0] | {"InternetService": "DSL", "Internettype": "DSL"}
    [home] = people.households([row], [0.3], 1, FIRST_DAY, 1)
    assert "copper" in home.held
    assert home.speed_mbps == 8


@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_can_be_rehearsed_and_breaks_no_rule(field, name):
    values = perfect(field)
    played = rehearse(field, values, name)
    assert len(played.groups) == VISITS
    assert played.broken == {}
    assert [answer.accepted for answer in played.answers].count(True) == played.accepted
    lost = sum(played.losses.by_cause.values())
    assert lost == pytest.approx(values.sum() - played.values.sum())


async def test_a_policy_that_learns_every_night_is_played_through_the_service(field, databases):
    with databases.clone() as url:
        await stage.write(url, field)
        values = perfect(field)
        played = await play(url, field, POLICIES["learned"](), values)
        found = await estimated(url, played.asked)
    assert len(played.groups) == VISITS
    assert played.pitches
    assert played.values.sum() > 0
    assert played.broken == {}
    assert [answer.accepted for answer in played.answers].count(True) == played.accepted
    lost = sum(played.losses.by_cause.values())
    assert lost == pytest.approx(values.sum() - played.values.sum())
    # The rules' best puts one thing first in each decision, and that is worth something.
    assert found[0].truth > 0
