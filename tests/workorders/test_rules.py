"""The state table, the promises' clocks, and the masking of addresses."""

from datetime import UTC, date, datetime, time
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from app.workorders import rules
from app.workorders.rules import MOVES, Promise, State, Step, UnplacedReason, WorkType

SHANGHAI = ZoneInfo("Asia/Shanghai")

# An order's whole way, and the ways off it. What is not here must be refused.
WAY = [
    (State.RECEIVED, Step.LOCATE, State.LOCATED),
    (State.LOCATED, Step.ASSIGN, State.ASSIGNED),
    (State.ASSIGNED, Step.ACKNOWLEDGE, State.ACKNOWLEDGED),
    (State.ACKNOWLEDGED, Step.TRAVEL, State.EN_ROUTE),
    (State.EN_ROUTE, Step.CHECK_IN, State.ON_SITE),
    (State.ON_SITE, Step.SUSPEND, State.SUSPENDED),
    (State.SUSPENDED, Step.RESUME, State.ON_SITE),
    (State.ON_SITE, Step.RESTORE, State.ON_SITE),
    (State.ON_SITE, Step.COMPLETE, State.COMPLETED),
    (State.COMPLETED, Step.ARCHIVE, State.ARCHIVED),
]
ASIDE = [
    (State.RECEIVED, Step.ASSIGN, State.ASSIGNED),
    (State.RECEIVED, Step.UNPLACE, State.UNPLACED),
    (State.LOCATED, Step.UNPLACE, State.UNPLACED),
    (State.UNPLACED, Step.UNPLACE, State.UNPLACED),
    (State.UNPLACED, Step.LOCATE, State.LOCATED),
    (State.UNPLACED, Step.ASSIGN, State.ASSIGNED),
    (State.ASSIGNED, Step.ASSIGN, State.ASSIGNED),
    (State.ASSIGNED, Step.UNPLACE, State.UNPLACED),
    (State.ASSIGNED, Step.DECLINE, State.LOCATED),
    (State.ACKNOWLEDGED, Step.ASSIGN, State.ASSIGNED),
    (State.ACKNOWLEDGED, Step.UNPLACE, State.UNPLACED),
    (State.ACKNOWLEDGED, Step.HAND_BACK, State.LOCATED),
    (State.EN_ROUTE, Step.HAND_BACK, State.LOCATED),
    (State.ON_SITE, Step.HAND_BACK, State.LOCATED),
    (State.SUSPENDED, Step.HAND_BACK, State.LOCATED),
    (State.RECEIVED, Step.CANCEL, State.CANCELLED),
    (State.LOCATED, Step.CANCEL, State.CANCELLED),
    (State.UNPLACED, Step.CANCEL, State.CANCELLED),
    (State.ASSIGNED, Step.CANCEL, State.CANCELLED),
    (State.ACKNOWLEDGED, Step.CANCEL, State.CANCELLED),
    (State.EN_ROUTE, Step.CANCEL, State.CANCELLED),
    (State.ON_SITE, Step.CANCEL, State.CANCELLED),
    (State.SUSPENDED, Step.CANCEL, State.CANCELLED),
]
LEGAL = {(state, step) for state, step, _ in WAY + ASIDE}


@pytest.mark.parametrize(("state", "step", "then"), WAY + ASIDE)
def test_a_legal_move_leads_where_the_table_says(state, step, then):
    assert rules.move(state, step) is then


@pytest.mark.parametrize(
    ("state", "step"), [pair for pair in product(State, Step) if pair not in LEGAL]
)
def test_any_other_move_is_refused_with_the_state_it_met(state, step):
    with pytest.raises(rules.StepRefused) as refused:
        rules.move(state, step)
    assert refused.value.status == 409
    assert refused.value.facts == {
        "state": state.value,
        "step": step.value,
        "allowed": rules.allowed(state),
    }


def test_the_table_has_no_more_moves_than_these():
    assert MOVES.keys() == LEGAL


def test_closed_states_lead_nowhere_but_to_the_archive():
    assert rules.allowed(State.COMPLETED) == ["archive"]
    assert rules.allowed(State.ARCHIVED) == rules.allowed(State.CANCELLED) == []


def test_every_state_is_waiting_held_or_closed():
    kinds = [rules.WAITING, rules.HELD, rules.CLOSED]
    assert frozenset().union(*kinds) == frozenset(State)
    assert sum(len(kind) for kind in kinds) == len(State)
    assert rules.UNDER_WAY < rules.HELD


def test_every_unplaced_reason_has_words_in_both_languages():
    assert rules.UNPLACED_WORDS.keys() == set(UnplacedReason)
    assert all(words.zh and words.en for words in rules.UNPLACED_WORDS.values())


# --- promises -----------------------------------------------------------------------------------


def promise(code: str = "p", **fields):
    given = {
        "code": code,
        "org_path": "",
        "work_type": WorkType.REPAIR,
        "valid_from": date(2020, 1, 1),
        "valid_to": None,
        "cut_off": time(16, 0),
        "due_time": time(18, 0),
        "hours_after": 24.0,
    }
    return Promise(**{**given, **fields})


def local(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("reported", "cut_off", "due"),
    [
        ("2026-03-02T08:30", time(16, 0), "2026-03-02T18:00"),  # early: the same day
        ("2026-03-02T15:59", time(16, 0), "2026-03-02T18:00"),  # just in time
        ("2026-03-02T16:00", time(16, 0), "2026-03-03T16:00"),  # too late: so many hours after
        ("2026-03-02T23:30", time(16, 0), "2026-03-03T23:30"),
        ("2026-03-02T00:10", time(16, 0), "2026-03-02T18:00"),  # local midnight is past, UTC's not
        ("2026-03-02T08:30", None, "2026-03-03T08:30"),  # no cut-off: always so many hours after
    ],
)
def test_when_an_order_is_due(reported, cut_off, due):
    found = rules.due_at(local(reported).astimezone(UTC), SHANGHAI, promise(cut_off=cut_off))
    assert found == local(due)
    assert found.utcoffset() is not None


def test_a_promise_counts_hours_and_not_the_clock_across_a_change_of_time():
    zone = ZoneInfo("America/New_York")  # clocks went forward on 8 March 2015 at 2:00
    found = rules.due_at(local("2015-03-07T17:00", zone), zone, promise())
    assert found == local("2015-03-08T18:00", zone)


@pytest.mark.parametrize(
    ("promises", "path", "day", "code"),
    [
        ([promise("all")], "gd.sz.", date(2026, 3, 2), "all"),
        ([promise("all"), promise("sz", org_path="gd.sz.")], "gd.sz.ns.", date(2026, 3, 2), "sz"),
        ([promise("all"), promise("gz", org_path="gd.gz.")], "gd.sz.ns.", date(2026, 3, 2), "all"),
        (  # the later of two that are in force
            [promise("old"), promise("new", valid_from=date(2026, 3, 2))],
            "gd.",
            date(2026, 3, 2),
            "new",
        ),
        (  # not in force yet
            [promise("old"), promise("new", valid_from=date(2026, 3, 3))],
            "gd.",
            date(2026, 3, 2),
            "old",
        ),
        ([promise("past", valid_to=date(2026, 3, 2))], "gd.", date(2026, 3, 2), None),
        ([promise("install", work_type=WorkType.INSTALL)], "gd.", date(2026, 3, 2), None),
        ([], "gd.", date(2026, 3, 2), None),
    ],
)
def test_which_promise_is_in_force(promises, path, day, code):
    found = rules.promise_for(promises, WorkType.REPAIR, path, day)
    assert (found and found.code) == code


# --- masking ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("幸福路5号8栋2单元301室", "幸福路5号8栋*"),
        ("碧波园3栋2单元1203室", "碧波园3栋*"),
        ("5号楼1203", "5号楼*"),
        ("幸福小区301室", "幸福小区*"),
        ("阳光花园 3单元 502", "阳光花园*"),
        ("幸福路5号", "幸福路5号"),
        ("12 Beacon St Apt 3", "12 Beacon St*"),
        ("12 Beacon St, Unit 4B", "12 Beacon St*"),
        ("12 Beacon St #3", "12 Beacon St*"),
        ("12 Unity St", "12 Unity St"),
        ("", ""),
    ],
)
def test_an_address_is_shown_down_to_the_building(address, shown):
    assert rules.masked_address(address) == shown
