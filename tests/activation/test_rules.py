"""What the codes of an activation say, and how an order's line stands by its asks."""

import pytest

from app.activation import rules
from app.activation.rules import ActivationCode, ActivationState, OverrideCause, Stated, Wanted
from app.activation.simulator import Dials
from app.core.errors import Invalid
from app.worktypes.rules import Line

ASKED, UNDER_WAY, UNKNOWN, PROVISIONED, FAILED = ActivationState


@pytest.mark.parametrize("code", ActivationCode)
def test_every_code_says_what_it_is_and_what_to_do_in_both_languages(code):
    told = rules.CODES[code]
    assert all(told.what) and all(told.then)


def test_every_cause_has_words():
    assert set(rules.OVERRIDE_WORDS) == set(OverrideCause)


@pytest.mark.parametrize(
    "newest_first, overridden, line",
    [
        ([], False, Line.NOT_ASKED),
        ([], True, Line.OVERRIDDEN),
        ([ASKED], False, Line.UNDER_WAY),
        ([UNDER_WAY], False, Line.UNDER_WAY),
        ([UNKNOWN], False, Line.UNDER_WAY),
        ([UNKNOWN], True, Line.OVERRIDDEN),
        ([FAILED], False, Line.FAILED),
        ([FAILED], True, Line.OVERRIDDEN),
        ([PROVISIONED], False, Line.PROVISIONED),
        ([PROVISIONED], True, Line.PROVISIONED),
        ([PROVISIONED, FAILED], False, Line.PROVISIONED),
        # Another terminal was fitted afterwards, and it is that one that stands there now.
        ([FAILED, PROVISIONED], False, Line.FAILED),
    ],
)
def test_the_newest_ask_counts_and_an_override_where_it_is_not_open(newest_first, overridden, line):
    assert rules.line_after(newest_first, overridden=overridden) is line


def test_a_line_has_to_be_named():
    rules.check_line(Wanted("SZ01", None, "HWTC-1"))
    rules.check_line(Wanted(None, "0755", "HWTC-1"))
    with pytest.raises(Invalid):
        rules.check_line(Wanted(None, None, "HWTC-1"))


def test_another_cause_needs_a_note():
    rules.check_override(Stated(OverrideCause.PLATFORM_DOWN, None))
    rules.check_override(Stated(OverrideCause.OTHER, "the port is being moved"))
    with pytest.raises(Invalid):
        rules.check_override(Stated(OverrideCause.OTHER, None))


def test_the_dials_of_one_post_are_not_more_than_all():
    with pytest.raises(ValueError):
        Dials(error_after=0.6, hang_after=0.6)
    with pytest.raises(ValueError):
        Dials(no_light=0.6, loid_unknown=0.6)
