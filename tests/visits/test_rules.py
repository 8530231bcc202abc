"""The rules of visits as tables: steps, repeats, check-ins, the order of the day, who sees whom."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from app.core.db import new_id
from app.visits import rules
from app.visits.rules import Asked, Taken, content_of
from app.workorders.rules import MOVES, State, Step, StepRefused
from app.worktypes.rules import WorkType

NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
ME, OTHER = new_id(), new_id()


def clock(hours: float) -> datetime:
    return NINE + timedelta(hours=hours)


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "work_type", "steps"),
    [
        (State.LOCATED, WorkType.REPAIR, []),
        (State.ASSIGNED, WorkType.REPAIR, ["acknowledge", "decline", "transfer"]),
        (State.ACKNOWLEDGED, WorkType.REPAIR, ["travel", "hand_back", "transfer"]),
        (State.EN_ROUTE, WorkType.REPAIR, ["check_in", "hand_back", "transfer"]),
        (
            State.ON_SITE,
            WorkType.REPAIR,
            ["suspend", "restore", "complete", "hand_back", "transfer"],
        ),
        (State.ON_SITE, WorkType.INSTALL, ["suspend", "complete", "hand_back", "transfer"]),
        (State.SUSPENDED, WorkType.CARE, ["resume", "hand_back", "transfer"]),
        (State.COMPLETED, WorkType.REPAIR, []),
        (State.CANCELLED, WorkType.REPAIR, []),
    ],
)
def test_what_a_technician_may_do(state, work_type, steps):
    assert list(rules.STEPS[state, work_type]) == steps


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("work_type", WorkType)
def test_what_is_not_listed_is_refused_with_the_state_it_met(state, step, work_type):
    listed = rules.STEPS[state, work_type]
    if step in listed:
        rules.may(state, work_type, step)
        assert (state, step) in MOVES
    else:
        with pytest.raises(StepRefused) as refused:
            rules.may(state, work_type, step)
        assert refused.value.facts == {"state": state, "step": step, "allowed": list(listed)}


def history(*steps: tuple[UUID, Step, State, float, str | None, str]) -> list[Taken]:
    return [
        Taken(
            work_order_id=UUID(int=1),
            work_type=WorkType.REPAIR,
            technician_id=who,
            step=step,
            state=state,
            at=clock(hours),
            device_at=clock(hours),
            reason=reason,
            facts={"content": content} if content else {},
        )
        for who, step, state, hours, reason, content in steps
    ]


SUSPENDED_TWICE = history(
    (OTHER, Step.ASSIGN, State.ASSIGNED, 0, None, ""),
    (ME, Step.ACKNOWLEDGE, State.ACKNOWLEDGED, 1, None, ""),
    (ME, Step.TRAVEL, State.EN_ROUTE, 2, None, "a"),
    (ME, Step.CHECK_IN, State.ON_SITE, 3, None, "b"),
    (ME, Step.SUSPEND, State.SUSPENDED, 4, "other", "c"),
    (ME, Step.RESUME, State.ON_SITE, 5, None, ""),
    (ME, Step.SUSPEND, State.SUSPENDED, 6, "other", "c"),
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        # The phone lost the answer and asks again, however long ago it was.
        (Asked(Step.ACKNOWLEDGE, clock(1)), 1),
        (Asked(Step.SUSPEND, clock(4), "other", "c"), 4),
        (Asked(Step.SUSPEND, clock(6), "other", "c"), 6),
        # A double tap: nothing has happened since.
        (Asked(Step.SUSPEND, clock(6.001), "other", "c"), 6),
        # Something has happened since: that is a new step.
        (Asked(Step.RESUME, clock(5.001)), None),
        (Asked(Step.ACKNOWLEDGE, clock(1.001)), None),
        # Other content is another step, at whatever time.
        (Asked(Step.SUSPEND, clock(6), "urgent_order", "c"), None),
        (Asked(Step.SUSPEND, clock(6), "other", "d"), None),
        (Asked(Step.COMPLETE, clock(6), "other", "c"), None),
    ],
)
def test_the_same_step_is_known_again(asked, found):
    expected = None if found is None else SUSPENDED_TWICE[found]
    assert rules.repeated(SUSPENDED_TWICE, asked, ME) is expected


def test_somebody_elses_step_is_not_mine():
    assert rules.repeated(SUSPENDED_TWICE, Asked(Step.ACKNOWLEDGE, clock(1)), OTHER) is None


def test_content_does_not_depend_on_the_order_of_fields():
    assert content_of(a=1, b=[{"c": 2, "d": 3}]) == content_of(b=[{"d": 3, "c": 2}], a=1)
    assert content_of(a=1) != content_of(a=2)


# --- the day --------------------------------------------------------------------------------------


def placed(state: State, **known: object) -> tuple[float | str, ...]:
    given: dict[str, object] = {
        "appointment_from": None,
        "appointment_until": None,
        "priority": 3,
        "due_at": None,
        "completed_at": None,
        "place": None,
        "order_id": UUID(int=5),
    }
    return rules.place_in_day(state, **{**given, **known})  # type: ignore[arg-type]


# From first to last; each stands before all that follow it.
IN_ORDER = [
    placed(State.ON_SITE, priority=4),
    placed(State.SUSPENDED, priority=4, appointment_from=clock(9)),
    placed(State.ASSIGNED, priority=4, place=2),
    placed(State.ACKNOWLEDGED, priority=1, place=7, appointment_from=clock(0)),
    placed(State.ASSIGNED, priority=4, appointment_from=clock(1), appointment_until=clock(2)),
    placed(State.ACKNOWLEDGED, priority=1, appointment_from=clock(1), appointment_until=clock(3)),
    placed(State.ACKNOWLEDGED, priority=1, appointment_from=clock(4), appointment_until=clock(5)),
    placed(State.ACKNOWLEDGED, priority=1, due_at=clock(8)),
    placed(State.ASSIGNED, priority=2, due_at=clock(1)),
    placed(State.ACKNOWLEDGED, priority=2, due_at=clock(2)),
    placed(State.ASSIGNED, priority=2, order_id=UUID(int=1)),
    placed(State.ASSIGNED, priority=2, order_id=UUID(int=2)),
    placed(State.COMPLETED, priority=1, completed_at=clock(1), appointment_from=clock(7)),
    placed(State.ARCHIVED, priority=1, completed_at=clock(2), appointment_from=clock(0)),
]


def test_the_order_of_the_day():
    assert sorted(IN_ORDER) == IN_ORDER
    assert len(set(IN_ORDER)) == len(IN_ORDER)


def test_the_order_of_the_day_does_not_depend_on_where_it_began():
    some = IN_ORDER[:2] + IN_ORDER[4:6] + IN_ORDER[-1:]
    assert all(sorted(shuffled) == some for shuffled in permutations(some))


@pytest.mark.parametrize(
    ("state", "completed", "seen"),
    [
        (State.ASSIGNED, None, False),
        (State.ACKNOWLEDGED, None, True),
        (State.EN_ROUTE, None, True),
        (State.ON_SITE, None, True),
        (State.SUSPENDED, None, True),
        (State.COMPLETED, -1.9, True),
        (State.COMPLETED, -2.1, False),
        (State.ARCHIVED, -2.1, False),
        (State.CANCELLED, None, False),
    ],
)
def test_who_is_shown_to_the_holder(state, completed, seen):
    completed_at = None if completed is None else clock(completed)
    assert rules.sees_contact(state, completed_at, NINE, timedelta(hours=2)) is seen


def test_a_row_from_the_driver_may_say_its_state_as_text():
    assert rules.sees_contact("on_site", None, NINE, timedelta(hours=2))  # type: ignore[arg-type]
    assert placed("on_site") == placed(State.ON_SITE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "refusal", [rules.FarFromAddress, rules.VisitEnded, rules.CustomerNotKnown]
)
def test_refusals_speak_both_languages(refusal):
    said = refusal(distance_m=900, limit_m=300, ended_at="09:00", outcome="completed")
    assert said.detail("zh") != said.detail("en")
    assert "—" not in said.detail("zh") + said.detail("en")
    assert refusal.title.zh != refusal.title.en
