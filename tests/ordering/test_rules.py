"""Which news of an order is believed, and when a failed delivery is tried again."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ordering.rules import (
    STANDS_STILL,
    TERMINAL,
    Cause,
    Delay,
    Failure,
    NotSent,
    Park,
    ParkReason,
    Refused,
    RemoteState,
    RetryNumbers,
    Source,
    Unknown,
    Verdict,
    after_failure,
    follow,
    missing,
    must_look_first,
    reachable,
    sale_state_of,
)
from app.sales.rules import SaleState

ACKNOWLEDGED, IN_PROGRESS, PENDING, HELD, ASSESSING, TO_CANCEL = (
    RemoteState.ACKNOWLEDGED,
    RemoteState.IN_PROGRESS,
    RemoteState.PENDING,
    RemoteState.HELD,
    RemoteState.ASSESSING_CANCELLATION,
    RemoteState.PENDING_CANCELLATION,
)
PARTIAL, COMPLETED, FAILED, CANCELLED, REJECTED = (
    RemoteState.PARTIAL,
    RemoteState.COMPLETED,
    RemoteState.FAILED,
    RemoteState.CANCELLED,
    RemoteState.REJECTED,
)
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
EARLIER, LATER = NOON - timedelta(seconds=5), NOON + timedelta(seconds=5)
MOVE, SAME, STALE, LOOK, CONTRADICTS = (
    Verdict.MOVE,
    Verdict.SAME,
    Verdict.STALE,
    Verdict.LOOK,
    Verdict.CONTRADICTS,
)


@pytest.mark.parametrize(
    ("remote", "sale"),
    [
        (ACKNOWLEDGED, SaleState.ACKNOWLEDGED),
        (IN_PROGRESS, SaleState.ACKNOWLEDGED),
        (PENDING, SaleState.ACKNOWLEDGED),
        (HELD, SaleState.ACKNOWLEDGED),
        (ASSESSING, SaleState.ACKNOWLEDGED),
        (TO_CANCEL, SaleState.ACKNOWLEDGED),
        (PARTIAL, SaleState.ACKNOWLEDGED),
        (COMPLETED, SaleState.COMPLETED),
        (FAILED, SaleState.REJECTED),
        (CANCELLED, SaleState.CANCELLED),
        (REJECTED, SaleState.REJECTED),
    ],
)
def test_what_a_state_makes_of_the_sale(remote, sale):
    assert sale_state_of(remote) is sale


def test_what_stands_still_has_not_ended():
    assert {PARTIAL, COMPLETED, FAILED, CANCELLED, REJECTED} == TERMINAL
    assert not STANDS_STILL & TERMINAL


@pytest.mark.parametrize(
    ("items", "gone"),
    [
        ([("1", COMPLETED), ("2", FAILED)], ["2"]),
        ([("1", CANCELLED), ("2", COMPLETED), ("3", REJECTED)], ["1", "3"]),
        ([], None),
        ([("1", COMPLETED), ("2", None)], None),
        ([("1", COMPLETED), ("2", IN_PROGRESS)], None),
        ([("1", COMPLETED), ("2", COMPLETED)], None),
        ([("1", FAILED)], None),
    ],
)
def test_what_is_missing_is_told_by_the_items_or_not_at_all(items, gone):
    assert missing(items) == gone


def test_states_are_those_of_the_published_schema(tmf622_v4):
    published = tmf622_v4["definitions"]["ProductOrderStateType"]["enum"]
    assert {state.value for state in RemoteState} == set(published)


@pytest.mark.parametrize(
    ("known", "seen", "may"),
    [
        (ACKNOWLEDGED, IN_PROGRESS, True),
        (ACKNOWLEDGED, COMPLETED, True),  # the callbacks between were lost
        (ACKNOWLEDGED, REJECTED, True),
        (IN_PROGRESS, HELD, True),
        (HELD, IN_PROGRESS, True),
        (ASSESSING, IN_PROGRESS, True),  # the cancellation was declined
        (ASSESSING, TO_CANCEL, True),
        (TO_CANCEL, CANCELLED, True),
        (TO_CANCEL, COMPLETED, True),  # the cancellation came too late
        (IN_PROGRESS, ACKNOWLEDGED, False),
        (HELD, ACKNOWLEDGED, False),
        (TO_CANCEL, IN_PROGRESS, False),
        (COMPLETED, IN_PROGRESS, False),
        (COMPLETED, CANCELLED, False),
        (REJECTED, COMPLETED, False),
    ],
)
def test_which_moves_an_order_can_make(known, seen, may):
    assert reachable(known, seen) is may


@pytest.mark.parametrize(
    ("known", "known_at", "seen", "seen_at", "source", "verdict"),
    [
        # The first news of an order is believed, whatever it is.
        (None, None, IN_PROGRESS, NOON, Source.EVENT, MOVE),
        (None, None, COMPLETED, None, Source.LOOK, MOVE),
        # The same again changes nothing: a duplicate, or a look that finds what an event told.
        (IN_PROGRESS, NOON, IN_PROGRESS, NOON, Source.EVENT, SAME),
        (COMPLETED, NOON, COMPLETED, LATER, Source.EVENT, SAME),
        (COMPLETED, NOON, COMPLETED, None, Source.LOOK, SAME),
        # Forward by rank, in whatever order the times stand.
        (ACKNOWLEDGED, NOON, IN_PROGRESS, LATER, Source.EVENT, MOVE),
        (ACKNOWLEDGED, NOON, IN_PROGRESS, NOON, Source.EVENT, MOVE),
        (ACKNOWLEDGED, NOON, IN_PROGRESS, None, Source.EVENT, MOVE),
        (IN_PROGRESS, NOON, COMPLETED, EARLIER, Source.EVENT, MOVE),  # their clocks differ
        # Never back by rank, even with a later time.
        (IN_PROGRESS, NOON, ACKNOWLEDGED, EARLIER, Source.EVENT, STALE),
        (IN_PROGRESS, NOON, ACKNOWLEDGED, LATER, Source.EVENT, STALE),
        (IN_PROGRESS, NOON, ACKNOWLEDGED, None, Source.LOOK, STALE),  # a lagging replica
        (COMPLETED, NOON, IN_PROGRESS, LATER, Source.EVENT, STALE),
        (COMPLETED, NOON, HELD, None, Source.LOOK, STALE),
        # Between states of one rank the time of the event decides.
        (IN_PROGRESS, NOON, HELD, LATER, Source.EVENT, MOVE),
        (HELD, NOON, IN_PROGRESS, LATER, Source.EVENT, MOVE),
        (HELD, NOON, IN_PROGRESS, EARLIER, Source.EVENT, STALE),
        # Without a time that tells, we ask; what we see when we ask is believed.
        (HELD, NOON, IN_PROGRESS, NOON, Source.EVENT, LOOK),
        (HELD, NOON, IN_PROGRESS, None, Source.EVENT, LOOK),
        (HELD, None, IN_PROGRESS, NOON, Source.EVENT, LOOK),
        (HELD, NOON, IN_PROGRESS, None, Source.LOOK, MOVE),
        # Two ends of one order: not ours to choose between.
        (COMPLETED, NOON, CANCELLED, LATER, Source.EVENT, CONTRADICTS),
        (REJECTED, NOON, COMPLETED, None, Source.LOOK, CONTRADICTS),
    ],
)
def test_news_is_believed_by_rank_and_event_time(known, known_at, seen, seen_at, source, verdict):
    assert follow(known, known_at, seen, seen_at, source) is verdict


LIVES = [
    [ACKNOWLEDGED, REJECTED],
    [ACKNOWLEDGED, IN_PROGRESS, COMPLETED],
    [ACKNOWLEDGED, IN_PROGRESS, HELD, IN_PROGRESS, PARTIAL],
    [ACKNOWLEDGED, IN_PROGRESS, ASSESSING, TO_CANCEL, CANCELLED],
    [ACKNOWLEDGED, PENDING, IN_PROGRESS, ASSESSING, IN_PROGRESS, FAILED],
]


@given(st.sampled_from(LIVES), st.data())
def test_any_shuffle_of_duplicated_and_lost_events_ends_where_the_order_ended(life, data):
    """Whatever order the callbacks come in, the last one included once is enough."""
    events = [(state, NOON + timedelta(seconds=n)) for n, state in enumerate(life)]
    lost = data.draw(st.sets(st.sampled_from(events[:-1])))
    came = [event for event in events if event not in lost]
    doubled = data.draw(st.lists(st.sampled_from(came)))
    state: RemoteState | None = None
    at: datetime | None = None
    for seen, seen_at in data.draw(st.permutations(came + doubled)):
        verdict = follow(state, at, seen, seen_at, Source.EVENT)
        assert verdict is not CONTRADICTS
        if verdict is MOVE:
            state, at = seen, seen_at
    assert state is life[-1]


@given(st.data())
def test_an_end_is_never_left(data):
    known = data.draw(st.sampled_from(sorted(TERMINAL)))
    seen = data.draw(st.sampled_from(RemoteState))
    times = st.sampled_from([None, EARLIER, NOON, LATER])
    source = data.draw(st.sampled_from(Source))
    verdict = follow(known, data.draw(times), seen, data.draw(times), source)
    assert verdict in (SAME, STALE, CONTRADICTS)


# --- trying again ---------------------------------------------------------------------------------

NUMBERS = RetryNumbers(
    first_delay=timedelta(seconds=2),
    longest_delay=timedelta(minutes=10),
    settle=timedelta(seconds=30),
    longest_retry_after=timedelta(hours=1),
    tries_not_sent=100,
    tries_unknown=12,
)


@pytest.mark.parametrize(
    ("attempts", "failure", "retry_after", "then"),
    [
        # Doubling up to the longest delay.
        (1, Failure.NOT_SENT, None, Delay(timedelta(seconds=2))),
        (2, Failure.NOT_SENT, None, Delay(timedelta(seconds=4))),
        (5, Failure.NOT_SENT, None, Delay(timedelta(seconds=32))),
        (30, Failure.NOT_SENT, None, Delay(timedelta(minutes=10))),
        (99, Failure.NOT_SENT, None, Delay(timedelta(minutes=10))),
        # What the other side asks for is honoured, within reason.
        (1, Failure.NOT_SENT, timedelta(seconds=90), Delay(timedelta(seconds=90))),
        (6, Failure.NOT_SENT, timedelta(seconds=1), Delay(timedelta(seconds=64))),
        (1, Failure.NOT_SENT, timedelta(days=400), Delay(timedelta(hours=1))),
        # A POST of unknown outcome may still be at work: nothing before it has settled.
        (1, Failure.UNKNOWN, None, Delay(timedelta(seconds=30))),
        (6, Failure.UNKNOWN, None, Delay(timedelta(seconds=64))),
        (1, Failure.UNKNOWN, timedelta(seconds=45), Delay(timedelta(seconds=45))),
        # A person is asked when trying is no use, or was no use often enough.
        (12, Failure.UNKNOWN, None, Park(ParkReason.TRIES_USED_UP)),
        (12, Failure.NOT_SENT, None, Delay(timedelta(minutes=10))),
        (100, Failure.NOT_SENT, None, Park(ParkReason.TRIES_USED_UP)),
        (1, Failure.REFUSED, None, Park(ParkReason.REFUSED)),
        (1, Failure.REFUSED, timedelta(seconds=5), Park(ParkReason.REFUSED)),
    ],
)
def test_what_follows_a_failure(attempts, failure, retry_after, then):
    assert after_failure(attempts, failure, retry_after, NUMBERS, luck=0) == then


def test_luck_spreads_orders_that_failed_together():
    delays = [after_failure(3, Failure.NOT_SENT, None, NUMBERS, luck) for luck in (0, 0.5, 1)]
    assert delays == [Delay(timedelta(seconds=seconds)) for seconds in (8, 10, 12)]


@given(
    st.integers(1, 10_000),
    st.sampled_from(Failure),
    st.none() | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=36500)),
    st.floats(0, 1),
)
def test_no_delay_is_endless_and_none_is_negative(attempts, failure, retry_after, luck):
    then = after_failure(attempts, failure, retry_after, NUMBERS, luck)
    if isinstance(then, Delay):
        assert timedelta(seconds=2) <= then.after <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("attempts_begun", "age", "look"),
    [
        (0, timedelta(), False),
        (0, timedelta(seconds=5), False),
        (1, timedelta(), True),
        (7, timedelta(days=1), True),
        # As if for the first time, but late: the database may have forgotten an earlier attempt.
        (0, timedelta(seconds=6), True),
        (0, timedelta(days=1), True),
        # Confirmed in the future: clocks differ, so nothing can be told from them.
        (0, timedelta(minutes=-1), True),
    ],
)
def test_only_a_prompt_first_attempt_is_sent_without_looking(attempts_begun, age, look):
    assert must_look_first(attempts_begun, age, fresh=timedelta(seconds=5)) is look


@pytest.mark.parametrize(
    ("problem", "zh", "en"),
    [
        (NotSent(Cause.UNREACHABLE), "无法连接订单系统", "cannot be reached"),
        (Unknown(Cause.TIMED_OUT), "超时", "did not answer in time"),
        (Refused(Cause.REFUSED, said="no such port"), "no such port", "no such port"),
    ],
)
def test_a_failure_says_in_both_languages_what_happened(problem, zh, en):
    assert zh in problem.detail("zh")
    assert en in problem.detail("en")


def test_every_cause_has_words_in_both_languages():
    for cause, kind in itertools.product(Cause, (NotSent, Unknown, Refused)):
        problem = kind(cause, retry_after=timedelta(seconds=3))
        assert problem.facts["cause"] == cause.value
        assert problem.facts["retry_after"] == 3
        assert problem.facts["cause_zh"] != problem.facts["cause_en"]
