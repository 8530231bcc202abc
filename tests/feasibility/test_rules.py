"""Every no has its code, its words, its facts, and what it stands in the way of."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.catalog.rules import BusinessType, OnSite
from app.core.db import new_id
from app.dispatch.rules import Need, NotOffered, PassedOver
from app.feasibility.rules import (
    OF_DAY,
    WORDS,
    Blocks,
    Infeasible,
    Lacking,
    Person,
    Piece,
    ReservationState,
    TwoHours,
    Wanted,
    against_install,
    against_sale,
    blocks,
    covers,
    done_minutes,
    sellable,
    standing,
    together,
)
from app.real_name.rules import DocumentKind, RealName, RealNameCode, RealNameState
from app.serviceability.rules import LineAt, Source
from app.suggestions.rules import HeldBack
from app.suggestions.rules.asking import APPLY, stand_against
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.limits import Limits

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
FAST = Piece(
    "FAST", BusinessType.SALES, ("broadband",), ("copper",), 2000, "fibre", "ont_gateway", 40
)
FACTS = Facts(
    today=date(2026, 3, 2), work_type="repair", restored=True, speed_mbps=300, line_max_mbps=500
)
LINE = LineAt(new_id(), Source.CACHED, NOW, False, 500, "OLT-1", "noFreePort")
NOBODY = Person(None, NOW, Wanted.NEVER)


def named(state, **fields):
    given = {"code": None, "checked_at": NOW, "valid_until": None, "age_group": None}
    return RealName(
        check_id=new_id(),
        customer_id=new_id(),
        visit_id=new_id(),
        state=state,
        document=DocumentKind.RESIDENT_ID,
        last4="123X",
        asked_at=NOW,
        **{**given, **fields},
    )


def test_every_code_is_said_in_two_languages_and_stands_in_the_way_of_something():
    assert set(WORDS) == set(Infeasible)
    assert {blocks(code) for code in Infeasible} == set(Blocks)
    assert {gate.value for gate in APPLY} <= {code.value for code in Infeasible}
    # Whatever placing can say of one's own day has a code here.
    never = {
        PassedOver.NO_SKILL,
        PassedOver.DECLINED_BEFORE,
        PassedOver.NO_STOCK,
        PassedOver.RATIO_USED_UP,
        PassedOver.DEARER,
    }
    assert set(PassedOver) - never == {why for why in OF_DAY if isinstance(why, PassedOver)}


@pytest.mark.parametrize(
    ("gate", "facts"),
    [
        (HeldBack.REQUIRES_OTHER, {"missing": ["broadband"]}),
        (HeldBack.ARREARS, {"arrears_fen": 1200}),
        (HeldBack.BLACKLISTED, {}),
        (
            HeldBack.LINE_TOO_SLOW,
            {
                "wanted_mbps": 2000,
                "max_mbps": 500,
                "source": "cached",
                "as_of": NOW.isoformat(),
            },
        ),
        (
            HeldBack.NO_FREE_PORT,
            {"reason": "noFreePort", "source": "cached", "as_of": NOW.isoformat()},
        ),
    ],
)
def test_a_gate_becomes_a_no_with_the_facts_that_decided(gate, facts):
    known = replace(FACTS, arrears_fen=1200)
    [no] = against_sale(FAST, [gate], OnSite.SELL, known, LINE, NOBODY)
    assert (no.code.value, no.facts, no.blocks) == (gate.value, facts, Blocks.SALE)
    assert not sellable([no])


def test_what_is_only_a_lead_is_not_sold():
    [no] = against_sale(FAST, [], OnSite.LEAD_ONLY, FACTS, None, NOBODY)
    assert no.code is Infeasible.NOT_SOLD_HERE


@pytest.mark.parametrize(
    ("name", "wanted", "held_mbps", "code"),
    [
        (None, Wanted.NEVER, None, None),
        (None, Wanted.NEW_LINES, 300, None),
        (None, Wanted.NEW_LINES, None, Infeasible.REAL_NAME_MISSING),
        (None, Wanted.ALWAYS, 300, Infeasible.REAL_NAME_MISSING),
        (named(RealNameState.UNKNOWN), Wanted.ALWAYS, 300, Infeasible.REAL_NAME_MISSING),
        (
            named(RealNameState.PASSED, valid_until=NOW + timedelta(days=1)),
            Wanted.ALWAYS,
            300,
            None,
        ),
        (
            named(RealNameState.PASSED, valid_until=NOW),
            Wanted.ALWAYS,
            300,
            Infeasible.REAL_NAME_MISSING,
        ),
        (
            named(RealNameState.FAILED, code=RealNameCode.MISMATCH),
            Wanted.NEVER,
            300,
            Infeasible.REAL_NAME_FAILED,
        ),
    ],
)
def test_a_real_name_that_did_not_pass_always_stands_in_the_way(name, wanted, held_mbps, code):
    facts = replace(FACTS, speed_mbps=held_mbps)
    noes = against_sale(FAST, [], OnSite.SELL, facts, None, Person(name, NOW, wanted))
    assert [no.code for no in noes] == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("lacking", "codes"),
    [
        (None, ["place_not_covered"]),
        (Lacking((), (), None, 90), []),
        (Lacking(["fibre"], (), None, 90), ["skill_missing"]),
        (Lacking((), ["ont_gateway"], None, 90), ["not_in_the_van"]),
        (Lacking((), (), PassedOver.NO_MINUTES_LEFT, 10), ["no_time_left"]),
        (Lacking((), (), PassedOver.WINDOW_TAKEN, 90), ["promise_in_the_way"]),
        (Lacking((), (), PassedOver.ON_LEAVE, 0), ["not_on_shift"]),
        (Lacking((), (), NotOffered.TOO_LONG_FOR_NOW, 300), ["too_long_for_now"]),
        (
            Lacking(["fibre"], ["ont_gateway"], PassedOver.NO_MINUTES_LEFT, 9.7),
            ["skill_missing", "not_in_the_van", "no_time_left"],
        ),
    ],
)
def test_all_that_a_technician_lacks_is_said_at_once(lacking, codes):
    noes = against_install(Need(40, frozenset({"fibre"}), ("ont_gateway",)), lacking)
    assert [no.code.value for no in noes] == codes
    # None of it keeps anybody from selling.
    assert sellable(noes)


def test_several_things_are_installed_in_one_go():
    boxes = Piece("TV", BusinessType.SALES, (), (), None, "iptv", "set_top_box", 15, 2)
    free = Piece("APP", BusinessType.SALES, (), (), None, None, None, None)
    assert together([FAST, boxes, free]) == Need(
        70, frozenset({"fibre", "iptv"}), ("ont_gateway", "set_top_box", "set_top_box")
    )
    assert together([free]) is None


@pytest.mark.parametrize(
    ("need", "enough"),
    [
        (Need(40, frozenset({"fibre"}), ("ont_gateway",)), True),
        (Need(20), True),
        (Need(41, frozenset({"fibre"}), ("ont_gateway",)), False),
        (Need(40, frozenset({"iptv"})), False),
        (Need(40, frozenset(), ("ont_gateway", "ont_gateway")), False),
    ],
)
def test_a_reservation_is_enough_or_is_not(need, enough):
    assert covers(Need(40, frozenset({"fibre"}), ("ont_gateway",)), need) is enough


def test_the_gates_against_pestering_keep_nobody_from_buying():
    pestered = replace(FACTS, do_not_disturb=True, contacts_month=99, slot_taken=True, refusals=9)
    offer = Offer("FAST", "broadband", BusinessType.SALES, 0, 0.0, speed_mbps=500)
    assert stand_against(pestered, offer, Limits()) == []
    broken = replace(pestered, restored=False, arrears_fen=1, outage=True)
    assert stand_against(broken, offer, Limits()) == [
        HeldBack.NOT_RESTORED,
        HeldBack.ARREARS,
        HeldBack.OUTAGE,
    ]
    assert stand_against(broken, offer, Limits(), frozenset({HeldBack.ARREARS})) == [
        HeldBack.NOT_RESTORED,
        HeldBack.OUTAGE,
    ]


def test_a_reservation_is_over_by_its_time_whoever_has_ended_it():
    held = ReservationState.HELD
    assert standing(held, NOW, NOW) is ReservationState.EXPIRED
    assert standing(held, NOW + timedelta(seconds=1), NOW) is held
    assert standing(ReservationState.USED, NOW, NOW) is ReservationState.USED


@pytest.mark.parametrize(
    ("counted", "denominator", "rate"),
    [
        (TwoHours(0, 0, 0, 0, 0), 0, None),
        (TwoHours(4, 3, 0, 0, 0), 4, 0.75),
        (TwoHours(6, 1, 1, 2, 1), 2, 0.5),
    ],
)
def test_what_is_left_out_of_the_rate_is_in_neither_part(counted, denominator, rate):
    assert (counted.denominator, counted.rate) == (denominator, rate)


@pytest.mark.parametrize(
    ("arrived", "mended", "done"),
    [(None, None, None), (0, None, 0), (25, None, 25), (90, None, 60), (5, 1, 60), (-3, None, 0)],
)
def test_what_is_done_of_the_work_at_the_door_counts_no_more(arrived, mended, done):
    now = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
    at, restored = (
        None if minutes is None else now - timedelta(minutes=minutes)
        for minutes in (arrived, mended)
    )
    assert done_minutes(60, at, restored, now) == done
