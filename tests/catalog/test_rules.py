"""What becomes of an entry of a catalogue file beside the versions that are held."""

from datetime import date

import pytest

from app.catalog.rules import ON_SITE, BusinessType, Fate, NotDated, Version, fate_of

JAN, FEB, MAR, APR = (date(2026, month, 1) for month in (1, 2, 3, 4))


def version(begins, ends=None, price=99):
    return Version(begins, ends, {"price": price})


@pytest.mark.parametrize(
    ("entry", "held", "fate"),
    [
        (version(JAN), [], Fate.NEW),
        (version(JAN), [version(JAN)], Fate.UNCHANGED),
        (version(MAR), [version(JAN)], Fate.UNCHANGED),  # says what is in force already
        (version(MAR, price=79), [version(JAN)], Fate.SUCCEEDS),
        # Yesterday's file with today's price change in it, loaded once more.
        (version(JAN), [version(JAN, MAR), version(MAR, price=79)], Fate.UNCHANGED),
        (version(MAR, price=79), [version(JAN, MAR), version(MAR, price=79)], Fate.UNCHANGED),
        (version(JAN, APR), [version(JAN)], Fate.WITHDRAWN),
        (version(JAN, APR), [version(JAN, APR)], Fate.UNCHANGED),
        (version(MAR), [version(JAN, FEB)], Fate.NEW),  # comes back after a gap
    ],
)
def test_fates(entry, held, fate):
    assert fate_of(entry, held)[0] is fate


@pytest.mark.parametrize(
    ("entry", "held"),
    [
        (version(JAN, price=79), [version(JAN)]),  # the same day cannot have two prices
        (version(FEB, price=79), [version(JAN, MAR), version(MAR, price=89)]),
        (version(JAN, price=79), [version(FEB)]),
        (version(JAN, MAR), [version(JAN, APR)]),
    ],
)
def test_the_past_is_not_rewritten(entry, held):
    with pytest.raises(NotDated) as refused:
        fate_of(entry, held)
    assert refused.value.words.zh
    assert refused.value.words.en


def test_each_type_of_business_has_its_rule_at_the_door():
    assert set(ON_SITE) == set(BusinessType)
