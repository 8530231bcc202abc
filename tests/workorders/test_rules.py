"""The state table and the masking of addresses."""

from itertools import product

import pytest

from app.workorders import rules
from app.workorders.rules import MOVES, State, Step, UnplacedReason

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
    (State.UNPLACED, Step.RESOLVE, State.COMPLETED),
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
    (State.ASSIGNED, Step.TRANSFER, State.ASSIGNED),
    (State.ACKNOWLEDGED, Step.TRANSFER, State.ASSIGNED),
    (State.EN_ROUTE, Step.TRANSFER, State.ASSIGNED),
    (State.ON_SITE, Step.TRANSFER, State.ASSIGNED),
    (State.SUSPENDED, Step.TRANSFER, State.ASSIGNED),
    (State.RECEIVED, Step.NUDGE, State.RECEIVED),
    (State.LOCATED, Step.NUDGE, State.LOCATED),
    (State.UNPLACED, Step.NUDGE, State.UNPLACED),
    (State.ASSIGNED, Step.NUDGE, State.ASSIGNED),
    (State.ACKNOWLEDGED, Step.NUDGE, State.ACKNOWLEDGED),
    (State.EN_ROUTE, Step.NUDGE, State.EN_ROUTE),
    (State.ON_SITE, Step.NUDGE, State.ON_SITE),
    (State.SUSPENDED, Step.NUDGE, State.SUSPENDED),
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
