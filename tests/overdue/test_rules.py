"""What may be decided of a compensation, and which steps of escalation are in force."""

from datetime import date

import pytest

from app.core.errors import Problem
from app.overdue import rules
from app.overdue.rules import CompensationState, Decision
from app.promises.rules import EscalationStep, Level, steps_for
from app.worktypes.rules import WorkType

CONFIRM, REFUSE, REVERSE = Decision


@pytest.mark.parametrize(
    ("state", "decision", "then"),
    [
        ("proposed", CONFIRM, "confirmed"),
        ("proposed", REFUSE, "refused"),
        ("proposed", REVERSE, None),
        ("exempt", CONFIRM, None),
        ("exempt", REFUSE, None),
        ("confirmed", REVERSE, "reversal"),
        ("confirmed", REFUSE, None),
        ("refused", CONFIRM, None),
        ("reversal", REVERSE, None),
    ],
)
def test_what_may_be_decided(state, decision, then):
    if then is None:
        with pytest.raises(Problem) as refused:
            rules.decided(CompensationState(state), decision, order_over=True)
        assert refused.value.slug == "compensation-decided"
    else:
        assert rules.decided(CompensationState(state), decision, order_over=True) == then


def test_what_still_grows_is_not_confirmed():
    with pytest.raises(Problem) as refused:
        rules.decided(CompensationState.PROPOSED, CONFIRM, order_over=False)
    assert refused.value.slug == "order-still-late"
    rules.decided(CompensationState.PROPOSED, REFUSE, order_over=False)


def step(code, level=Level.SUPERVISOR, minutes=0, path="", types=(), since=date(2020, 1, 1)):
    return EscalationStep(code, path, frozenset(types), level, minutes, since, None)


def test_of_each_level_one_step_counts():
    steps = [
        step("early", Level.TECHNICIAN, -60),
        step("late", Level.BRANCH, 240),
        step("all", minutes=10),
        step("installs", minutes=20, types=[WorkType.INSTALL]),
        step("closer", minutes=30, path="gd.sz."),
        step("next year", minutes=40, since=date(2027, 1, 1)),
    ]

    def codes(work_type, path):
        return [one.code for one in steps_for(steps, work_type, path, date(2026, 3, 2))]

    assert codes(WorkType.REPAIR, "gd.gz.") == ["early", "all", "late"]
    assert codes(WorkType.INSTALL, "gd.gz.") == ["early", "installs", "late"]
    assert codes(WorkType.INSTALL, "gd.sz.") == ["early", "closer", "late"]
