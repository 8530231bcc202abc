"""Which stage may follow which: the table, and what its days demand."""

from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.rules import Retroactive
from app.core.db import new_id
from app.core.errors import Invalid, Problem
from app.grids.rules import GridStage
from app.territory.rules import stages
from app.territory.rules.stages import MOVES, Move, Span, Terms

NONE, PILOT, COVERED, CONTRACTED = GridStage
TODAY = date(2026, 3, 2)


def day(number):
    """Days are counted from today."""
    return TODAY + timedelta(days=number)


def span(stage, first, last=None):
    return Span(new_id(), stage, day(first), None if last is None else day(last))


def terms(stage, first=0, last=None, **fields):
    return Terms(
        id=new_id(),
        grid_id=new_id(),
        stage=stage,
        valid_from=day(first),
        valid_to=None if last is None else day(last),
        **fields,
    )


def begun(wanted, *held, retroactive=False):
    """What beginning comes to: the number of the row it ends, or the name of the refusal."""
    try:
        ended = stages.begin(wanted, held, today=TODAY, retroactive=retroactive)
    except Problem as problem:
        return problem.slug
    return None if ended is None else held.index(ended)


def test_every_pair_of_stages_is_decided():
    assert set(product(GridStage, GridStage)) - set(MOVES) == {(NONE, NONE)}
    order = list(GridStage)
    for (before, after), move in MOVES.items():
        up = order.index(after) - order.index(before)
        assert move is (Move.ADVANCE if up > 0 else Move.FALL_BACK if up else Move.RENEW)


@pytest.mark.parametrize(
    "before, after, note, outcome",
    [
        (None, PILOT, "", None),
        (None, CONTRACTED, "", None),
        (None, NONE, "为何", "no-stage-to-leave"),
        (PILOT, COVERED, "", 0),
        (PILOT, PILOT, "", 0),
        (CONTRACTED, CONTRACTED, "", 0),
        (CONTRACTED, COVERED, "", "falling-back-needs-reason"),
        (CONTRACTED, COVERED, "承包人退出", 0),
        (PILOT, NONE, "", "falling-back-needs-reason"),
        (PILOT, NONE, "试点结束", 0),
    ],
)
def test_moves(before, after, note, outcome):
    held = () if before is None else (span(before, -100),)
    assert begun(terms(after, note=note), *held) == outcome


@pytest.mark.parametrize(
    "held, wanted, outcome",
    [
        # What is in force on the first day ends there.
        ([span(PILOT, -10)], terms(COVERED, 0), 0),
        ([span(PILOT, -10, 5)], terms(COVERED, 5), None),
        ([span(PILOT, -10, 5)], terms(COVERED, 4), 0),
        # What was to begin on that very day is replaced; the day before tells what it came from.
        ([span(PILOT, -10, 0), span(CONTRACTED, 0)], terms(COVERED, 0), 1),
        ([span(CONTRACTED, -9, 0), span(PILOT, 0)], terms(COVERED), "falling-back-needs-reason"),
        # What is planned stays: the new stage has to end by then.
        ([span(PILOT, -10, 9), span(COVERED, 9)], terms(COVERED, 3), "stage-planned-later"),
        ([span(PILOT, -10, 9), span(COVERED, 9)], terms(COVERED, 3, 10), "stage-planned-later"),
        ([span(PILOT, -10, 9), span(COVERED, 9)], terms(COVERED, 3, 9), 0),
        ([span(COVERED, 9)], terms(PILOT, 0, 5), None),
        ([span(COVERED, 9, 9)], terms(PILOT, 0), None),  # taken back
        # A stage that has run out leaves none behind.
        ([span(CONTRACTED, -9, -1)], terms(PILOT, 0), None),
    ],
)
def test_days(held, wanted, outcome):
    assert begun(wanted, *held) == outcome


def test_the_past_is_changed_only_on_purpose():
    held = span(PILOT, -100)
    assert begun(terms(COVERED, -1), held) == "retroactive"
    assert begun(terms(COVERED, -1), held, retroactive=True) == 0
    assert begun(terms(COVERED, 0), held) == 0


@pytest.mark.parametrize(
    "wanted, slug",
    [
        (terms(COVERED), None),
        (terms(CONTRACTED, contractor="通达"), None),
        (terms(CONTRACTED, technician_id=new_id()), None),
        (terms(CONTRACTED), "contract-needs-holder"),
        (terms(CONTRACTED, contractor="通达", technician_id=new_id()), "contract-needs-holder"),
        (terms(COVERED, contractor="通达"), "contract-needs-holder"),
        (terms(COVERED, 3, 3), "invalid"),
        (terms(COVERED, 3, 2), "invalid"),
        (terms(COVERED, target_customers=9), "invalid"),
        (terms(COVERED, target_on=day(9)), "invalid"),
        (terms(COVERED, target_customers=9, target_on=day(-1)), "invalid"),
        (terms(COVERED, target_monthly_sales=9, target_on=day(9)), None),
    ],
)
def test_terms(wanted, slug):
    assert checked(wanted) == slug


def checked(wanted):
    try:
        stages.check(wanted)
    except Problem as problem:
        return problem.slug
    return None


def test_an_end_comes_nearer_and_not_later():
    held = span(COVERED, -10, 10)
    for last, refusal in ((10, None), (0, None), (11, Invalid), (-11, Invalid), (-1, Retroactive)):
        if refusal is None:
            stages.end(held, day(last), today=TODAY, retroactive=False)
        else:
            with pytest.raises(refusal):
                stages.end(held, day(last), today=TODAY, retroactive=False)
    stages.end(held, day(-1), today=TODAY, retroactive=True)


@given(
    st.lists(
        st.tuples(st.sampled_from(GridStage), st.integers(-20, 20), st.none() | st.integers(1, 15)),
        max_size=12,
    )
)
def test_whatever_begins_a_grid_has_one_stage_a_day(wishes):
    """Begun in any order, with or without an end: what was accepted holds from its first day."""
    held: list[Span] = []
    for stage, first, lasts in wishes:
        wanted = terms(stage, first, None if lasts is None else first + lasts, note="x")
        before = [stages.stage_on(held, day(number)) for number in range(-25, first)]
        try:
            ended = stages.begin(wanted, held, today=TODAY, retroactive=True)
        except Problem:
            continue
        if ended is not None:
            ended.valid_to = wanted.valid_from
        held.append(Span(wanted.id, wanted.stage, wanted.valid_from, wanted.valid_to))
        assert stages.stage_on(held, wanted.valid_from) is stage
        assert before == [stages.stage_on(held, day(number)) for number in range(-25, first)]
    for number in range(-25, 40):
        assert sum(one.holds_on(day(number)) for one in held) <= 1
