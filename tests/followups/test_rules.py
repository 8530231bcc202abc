"""Whom to ask and when; what can be answered; what is worked out of the answers."""

from datetime import UTC, date, datetime
from itertools import permutations
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.db import new_id
from app.core.errors import Invalid
from app.followups.rules import (
    HIGHEST,
    LOWEST,
    MARK_WORDS,
    NO_ANSWER_WORDS,
    REASON_WORDS,
    REASONS,
    STATE_WORDS,
    TOKEN_LENGTH,
    Answered,
    AnsweredAlready,
    CallNotOpen,
    FollowUpChannel,
    FollowUpState,
    NoAnswer,
    Reason,
    Rule,
    after_call,
    ask_at,
    average,
    drawn,
    may_call,
    new_token,
    reasons_of,
    rule_for,
    same_answer,
    share,
    token_hash,
)
from app.worktypes.rules import WORK_TYPE_WORDS, WorkType

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 3, 2)


def a_rule(code, **fields):
    given = {
        "id": new_id(),
        "code": code,
        "org_path": "",
        "work_type": WorkType.REPAIR,
        "valid_from": date(2026, 1, 1),
        "valid_to": None,
        "channel": FollowUpChannel.SURVEY,
        "share_percent": 100.0,
        "delay_hours": 2.0,
        "valid_days": 7,
        "quiet_days": 30,
        "spares_do_not_disturb": True,
    }
    return Rule(**{**given, **fields})


@pytest.mark.parametrize(
    "rules, wins",
    [
        ([], None),
        ([a_rule("all")], "all"),
        ([a_rule("install", work_type=WorkType.INSTALL)], None),
        ([a_rule("later", valid_from=date(2026, 3, 3))], None),
        ([a_rule("over", valid_to=MONDAY)], None),
        ([a_rule("all"), a_rule("city", org_path="yj.sz.")], "city"),
        ([a_rule("all"), a_rule("elsewhere", org_path="yj.gz.")], "all"),
        ([a_rule("old"), a_rule("new", valid_from=date(2026, 2, 1))], "new"),
        ([a_rule("new", valid_from=date(2026, 2, 1)), a_rule("city", org_path="yj.")], "city"),
    ],
)
def test_the_closest_units_latest_rule_counts(rules, wins):
    found = rule_for(rules, WorkType.REPAIR, "yj.sz.ns.b01.", MONDAY)
    assert (found.code if found else None) == wins


def test_a_share_of_the_orders_is_drawn_the_same_whenever_it_is_asked():
    ids = [UUID(int=number) for number in range(4000)]
    for percent in (0, 20, 100):
        chosen = [one for one in ids if drawn(one, percent)]
        assert abs(len(chosen) / len(ids) - percent / 100) < 0.03
        assert chosen == [one for one in ids if drawn(one, percent)]


@pytest.mark.parametrize(
    "completed, delay, then",
    [
        ("10:00", 0, "02 10:00"),
        ("10:00", 2, "02 12:00"),
        ("06:30", 1, "02 09:00"),
        ("18:30", 1.5, "03 09:00"),
        ("19:59", 0, "02 19:59"),
        ("23:00", 4, "03 09:00"),
    ],
)
def test_nobody_is_asked_at_night(completed, delay, then):
    hour, minute = map(int, completed.split(":"))
    at = datetime(2026, 3, 2, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)
    asked = ask_at(at, delay, SHANGHAI, from_hour=9, until_hour=20)
    assert asked.tzinfo is UTC
    assert f"{asked.astimezone(SHANGHAI):%d %H:%M}" == then


def test_hours_that_leave_no_time_are_left_aside():
    at = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    assert ask_at(at, 0, SHANGHAI, from_hour=20, until_hour=9) == at


@pytest.mark.parametrize(
    "cause, tries, then",
    [
        (NoAnswer.NOBODY_ANSWERED, 1, FollowUpState.WAITING),
        (NoAnswer.BUSY, 2, FollowUpState.WAITING),
        (NoAnswer.CALL_LATER, 2, FollowUpState.WAITING),
        (NoAnswer.CALL_LATER, 3, FollowUpState.UNREACHED),
        (NoAnswer.WRONG_NUMBER, 1, FollowUpState.UNREACHED),
        (NoAnswer.DECLINED, 1, FollowUpState.UNREACHED),
    ],
)
def test_a_customer_is_called_a_few_times(cause, tries, then):
    assert after_call(cause, tries, most=3) is then


@pytest.mark.parametrize("state", FollowUpState)
@pytest.mark.parametrize("channel", FollowUpChannel)
def test_only_a_call_that_waits_is_made(state, channel):
    if (state, channel) == (FollowUpState.WAITING, FollowUpChannel.CALL):
        may_call(state, channel)
        return
    with pytest.raises(CallNotOpen):
        may_call(state, channel)


# --- answers --------------------------------------------------------------------------------------


def test_every_code_has_words_and_every_mark_reasons():
    assert set(REASON_WORDS) == set(Reason)
    assert set(STATE_WORDS) == set(FollowUpState)
    assert set(NO_ANSWER_WORDS) == set(NoAnswer)
    assert set(WORK_TYPE_WORDS) == set(WorkType)
    assert list(MARK_WORDS) == list(REASONS) == list(range(LOWEST, HIGHEST + 1))
    assert {reason for reasons in REASONS.values() for reason in reasons} == set(Reason)
    assert all(Reason.OTHER in reasons for reasons in REASONS.values())


@pytest.mark.parametrize(
    "mark, reasons, fits",
    [
        (1, (), True),
        (1, (Reason.CAME_LATE, Reason.OTHER), True),
        (2, (Reason.ON_TIME,), False),
        (3, (Reason.CAME_LATE, Reason.FRIENDLY), True),
        (5, (Reason.WORKS_WELL,), True),
        (5, (Reason.CAME_LATE,), False),
        (4, (Reason.TIDY, Reason.TIDY), False),
    ],
)
def test_reasons_fit_the_mark(mark, reasons, fits):
    said = Answered(mark, reasons)
    if fits:
        assert said.checked() is said
        return
    with pytest.raises(Invalid):
        said.checked()


def test_an_answer_is_said_in_words():
    said = Answered(2, (Reason.CAME_LATE, Reason.UNTIDY)).words()
    assert said == (
        "回访评分 2 分：没有按时上门、施工不整洁",
        "marked 2 of 5: they came late, it was left untidy",
    )
    assert Answered(1, ()).words() == ("回访评分 1 分", "marked 1 of 5")


answers = st.builds(
    Answered,
    st.integers(LOWEST, HIGHEST),
    st.lists(st.sampled_from(Reason), unique=True, max_size=3).map(tuple),
    st.none() | st.text(max_size=5),
)


@settings(max_examples=40)
@given(st.lists(answers, min_size=1, max_size=4))
def test_the_first_answer_stands_whatever_comes_after_it(said):
    """However answers come, one is kept; the same is answered alike, another one is refused."""
    held = None
    for one in said:
        if held is None:
            assert same_answer(held, one, None) is False
            held, kept = one.content(), one
        elif (kept.mark, set(kept.reasons), kept.note or None) == (
            one.mark,
            set(one.reasons),
            one.note or None,
        ):
            assert same_answer(held, one, None) is True
        else:
            with pytest.raises(AnsweredAlready):
                same_answer(held, one, None)


def test_the_order_of_reasons_says_nothing():
    reasons = (Reason.CAME_LATE, Reason.UNTIDY, Reason.OTHER)
    assert len({Answered(1, order).content() for order in permutations(reasons)}) == 1
    assert reasons_of(["came_late", "other"]) == (Reason.CAME_LATE, Reason.OTHER)


def test_links_cannot_be_guessed():
    tokens = {new_token() for _ in range(200)}
    assert len(tokens) == 200
    assert all(len(token) == TOKEN_LENGTH for token in tokens)  # 192 bits
    assert len({token_hash(token) for token in tokens}) == 200


@pytest.mark.parametrize(
    "marks, answered, least, found",
    [(0, 0, 5, None), (20, 4, 5, None), (21, 5, 5, 4.2), (10, 3, 1, 3.33), (0, 0, 1, None)],
)
def test_a_few_answers_make_no_average(marks, answered, least, found):
    assert average(marks, answered, least=least) == found


def test_a_share_needs_as_many_answers():
    assert share(1, 4, least=5) is None
    assert share(1, 8, least=5) == 0.125
