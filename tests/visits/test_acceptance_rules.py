"""When a code may be sent, and what a code that is told is worth."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.auth.keys import KeyRing
from app.core.errors import Problem
from app.visits.rules import SentCode, judged, may_send, takes_messages

NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HALF_PAST = NINE + timedelta(minutes=30)
RIGHT, WRONG, OTHER = b"right", b"wrong", b"other"


@pytest.mark.parametrize(
    "phone, takes",
    [
        ("15412341234", True),
        ("154-1234 1234", True),
        ("+8615412341234", True),
        ("+44 7700 900123", True),
        ("0731-88812345", False),  # a landline
        ("10086", False),
        ("none", False),
        (None, False),
    ],
)
def test_which_numbers_take_messages(phone, takes):
    assert takes_messages(phone) is takes


@pytest.mark.parametrize(
    "sent_seconds_ago, refused, facts",
    [
        ([], None, {}),
        ([60], None, {}),
        ([59], "acceptance-code-sent-just-now", {"retry_after": 1}),
        ([0], "acceptance-code-sent-just-now", {"retry_after": 60}),
        ([600, 61], None, {}),
        ([600, 300, 61], "acceptance-codes-sent-enough", {"sent": 3}),
        ([600, 300, 1], "acceptance-codes-sent-enough", {"sent": 3}),
    ],
)
def test_codes_are_sent_a_few_times_and_not_at_once(sent_seconds_ago, refused, facts):
    sent = [NINE - timedelta(seconds=ago) for ago in sent_seconds_ago]
    if refused is None:
        may_send(sent, NINE, most=3, seconds_between=60)
        return
    with pytest.raises(Problem) as raised:
        may_send(sent, NINE, most=3, seconds_between=60)
    assert (raised.value.slug, raised.value.facts) == (refused, facts)


def minutes(number):
    return NINE + timedelta(minutes=number)


@pytest.mark.parametrize(
    "told, wrong, device, now, slug, counts",
    [
        (RIGHT, (), 5, 5, None, False),
        (RIGHT, (), 30, 30, None, False),
        (RIGHT, (WRONG, OTHER), 5, 5, None, False),
        (WRONG, (), 5, 5, "acceptance-code-wrong", True),
        (WRONG, (WRONG,), 5, 5, "acceptance-code-wrong", False),  # the phone asks again
        (WRONG, (OTHER,), 5, 5, "acceptance-code-wrong", True),
        (WRONG, (OTHER, b"third"), 5, 5, "acceptance-code-spent", True),  # it was the last try
        (RIGHT, (WRONG, OTHER, b"third"), 5, 5, "acceptance-code-spent", False),
        (RIGHT, (), 31, 31, "acceptance-code-expired", False),
        (WRONG, (), 31, 31, "acceptance-code-expired", False),
        (RIGHT, (), 20, 60 * 5, None, False),  # typed in time, sent when the signal was back
        (WRONG, (), 20, 60 * 5, "acceptance-code-wrong", True),
        (RIGHT, (), 31, 60 * 5, "acceptance-code-expired", False),
        (RIGHT, (), 20, 60 * 72, None, False),
        (RIGHT, (), 20, 60 * 72 + 1, "acceptance-code-expired", False),
        (RIGHT, (), 90, 20, None, False),  # a phone's clock may be ahead
        (RIGHT, (), -90, 20, None, False),  # or behind
    ],
)
def test_what_a_code_is_worth(told, wrong, device, now, slug, counts):
    code = SentCode(NINE, HALF_PAST, RIGHT, wrong)
    found = judged(code, told, device_at=minutes(device), now=minutes(now), tries=3, late_hours=72)
    assert (found.problem and found.problem.slug, found.counts) == (slug, counts)
    if slug == "acceptance-code-wrong":
        left = 3 - len(wrong) - counts
        assert found.problem is not None and found.problem.facts == {"tries_left": left}


def test_what_was_accepted_stays_accepted_and_nothing_else_is_counted():
    code = SentCode(NINE, HALF_PAST, RIGHT, (WRONG, OTHER), accepted=True)
    later = NINE + timedelta(days=30)
    assert judged(code, RIGHT, device_at=later, now=later, tries=3, late_hours=72) == (None, False)
    refused = judged(code, b"third", device_at=later, now=later, tries=3, late_hours=72)
    assert refused.problem is not None and refused.problem.slug == "acceptance-code-wrong"
    assert not refused.counts


def test_without_a_code_nothing_is_right():
    found = judged(None, RIGHT, device_at=NINE, now=NINE, tries=3, late_hours=72)
    assert found.problem is not None and found.problem.slug == "no-acceptance-code-sent"


class Trying(RuleBasedStateMachine):
    """Codes are sent, told right and wrong, early and late, as it comes."""

    def __init__(self):
        super().__init__()
        self.now = NINE
        self.sent: list[datetime] = []
        self.code: SentCode | None = None
        self.guesses: set[bytes] = set()
        self.accepted = False

    @precondition(lambda self: not self.accepted)
    @rule()
    def send(self):
        try:
            may_send(self.sent, self.now, most=3, seconds_between=60)
        except Problem:
            return
        self.sent.append(self.now)
        self.guesses = set()
        self.code = SentCode(self.now, self.now + timedelta(minutes=30), RIGHT)

    @rule(guess=st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"6", RIGHT]))
    def tell(self, guess):
        found = judged(self.code, guess, device_at=self.now, now=self.now, tries=3, late_hours=72)
        if found.problem is None:
            assert guess == RIGHT and self.code is not None
            assert self.accepted or len(self.guesses) < 3
            self.accepted = True
            self.code = SentCode(
                self.code.sent_at, self.code.expires_at, RIGHT, self.code.wrong, accepted=True
            )
        elif found.counts:
            assert self.code is not None and guess not in self.guesses
            self.guesses.add(guess)
            self.code = SentCode(
                self.code.sent_at, self.code.expires_at, RIGHT, (*self.code.wrong, guess)
            )

    @rule(seconds=st.integers(1, 4000))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @invariant()
    def few_are_sent_and_few_guesses_judged(self):
        assert len(self.sent) <= 3
        assert len(self.guesses) <= 3
        pairs = zip(self.sent, self.sent[1:], strict=False)
        assert all((later - earlier).total_seconds() >= 60 for earlier, later in pairs)


TestTrying = Trying.TestCase
TestTrying.settings = settings(max_examples=25, stateful_step_count=30)


@settings(max_examples=25)
@given(st.text("0123456789", min_size=6, max_size=6))
def test_a_sealed_code_opens_with_its_own_key_and_use_alone(code):
    ring, other = RINGS
    sealed = ring.seal("acceptance code", f"order:{code}")
    assert sealed is not None and sealed == ring.seal("acceptance code", f"order:{code}", sealed[0])
    assert sealed != ring.seal("acceptance code", f"another:{code}")
    assert sealed[1] != ring.seal("something else", f"order:{code}")[1]  # type: ignore[index]
    assert sealed[1] != other.seal("acceptance code", f"order:{code}")[1]  # type: ignore[index]
    assert other.seal("acceptance code", f"order:{code}", sealed[0]) is None
    assert code.encode() not in sealed[1]


@pytest.fixture(scope="module", autouse=True)
def _rings(tmp_path_factory):
    RINGS[:] = [KeyRing.load(tmp_path_factory.mktemp(name)) for name in ("one", "two")]


RINGS: list[KeyRing] = []
